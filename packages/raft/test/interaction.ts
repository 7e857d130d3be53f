/**
 * Commands of the interaction conversations, one function each, over interaction-env.ts. Beyond etcd-io/raft's
 * there are `read-index N CONTEXT` and `report-snapshot N PEER [ok=false]`, and `add-nodes` also takes
 * max-size-per-msg, max-inflight-bytes, max-uncommitted-size and disable-proposal-forwarding.
 */
import {
  type ConfState,
  ConfChangeTransition,
  describeEntry,
  EMPTY_CONF_STATE,
  Message,
  MessageType,
  describeMessage,
  type RaftConfig,
  roleName,
  Snapshot,
} from '../src/index.ts';
import { parseChanges } from './conf-change-runner.ts';
import type { Directive } from './datadriven-format.ts';
import { CommandError, errorText, InteractionEnv, type Recipient } from './interaction-env.ts';

type Command = (env: InteractionEnv, directive: Directive) => void;

const COMMANDS: Readonly<Record<string, Command>> = {
  _breakpoint: () => {},
  'add-nodes': addNodes,
  campaign: (env, directive) => first(env, directive).node.campaign(),
  compact: compactLog,
  'deliver-msgs': deliverMessages,
  'forget-leader': (env, directive) => first(env, directive).node.forgetLeader(),
  'log-level': (env, directive) => env.output.setLevel(bare(directive)[0] ?? ''),
  'process-append-thread': (env, directive) =>
    forEach(env, directive, 'processing append thread', (place) => env.processAppendThread(place)),
  'process-apply-thread': (env, directive) =>
    forEach(env, directive, 'processing apply thread', (place) => env.processApplyThread(place)),
  'process-ready': (env, directive) =>
    forEach(env, directive, 'handling Ready', (place) => env.processReady(place)),
  propose,
  'propose-conf-change': proposeConfChange,
  'raft-log': (env, directive) => printLog(env, places(directive)[0] ?? 0),
  'raft-state': printStates,
  'read-index': (env, directive) =>
    first(env, directive).node.readIndex(Buffer.from(bare(directive)[1] ?? '')),
  'report-snapshot': (env, directive) =>
    first(env, directive).node.reportSnapshot(
      BigInt(bare(directive)[1] ?? 0),
      option(directive, 'ok') !== 'false',
    ),
  'report-unreachable': reportUnreachable,
  'send-snapshot': sendSnapshot,
  'set-randomized-election-timeout': (env, directive) =>
    first(env, directive).node.setRandomizedElectionTimeout(Number(option(directive, 'timeout'))),
  stabilize,
  status: printStatus,
  'tick-election': (env, directive) => tickTimes(env, directive, 'electionTick'),
  'tick-heartbeat': (env, directive) => tickTimes(env, directive, 'heartbeatTick'),
  'transfer-leadership': (env, directive) =>
    env.at(Number(option(directive, 'from')) - 1).node.transferLeader(BigInt(option(directive, 'to') ?? 0)),
};

/** One environment a file; the returned function answers its directives in order. */
export function interactionHandler(): (directive: Directive) => string {
  const env = new InteractionEnv();
  return (directive) => {
    env.output.text = '';
    const command = COMMANDS[directive.command];
    if (command === undefined) return 'unknown command';
    try {
      command(env, directive);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      if (env.output.quiet()) return error.message;
      env.output.write(error.message);
    }
    return env.output.text === '' ? 'ok' : env.output.text;
  };
}

function bare(directive: Directive): string[] {
  return directive.args.filter((arg) => arg.values.length === 0).map((arg) => arg.key);
}

function option(directive: Directive, key: string): string | undefined {
  return directive.args.find((arg) => arg.key === key)?.values[0];
}

function places(directive: Directive): number[] {
  return bare(directive).map((id) => Number(id) - 1);
}

function first(env: InteractionEnv, directive: Directive): ReturnType<InteractionEnv['at']> {
  return env.at(places(directive)[0] ?? -1);
}

/** One node plainly; several each under a header, indented. */
function forEach(
  env: InteractionEnv,
  directive: Directive,
  doing: string,
  act: (place: number) => void,
): void {
  const all = places(directive);
  for (const place of all) {
    if (all.length === 1) {
      act(place);
    } else {
      env.output.write(`> ${place + 1} ${doing}\n`);
      env.output.indented(() => act(place));
    }
  }
}

function addNodes(env: InteractionEnv, directive: Directive): void {
  let confState: ConfState = EMPTY_CONF_STATE;
  let index = 0;
  let data = '';
  let options: Partial<RaftConfig> = {};
  let bootstrap = false;
  for (const { key, values } of directive.args.slice(1)) {
    const value = values[0] ?? '';
    const on = value === 'true';
    switch (key) {
      case 'voters':
        confState = { ...confState, voters: values.map(BigInt) };
        break;
      case 'learners':
        confState = { ...confState, learners: values.map(BigInt) };
        break;
      case 'index':
        index = Number(value);
        options = { ...options, applied: index };
        break;
      case 'content':
        data = value;
        break;
      case 'inflight':
        options = { ...options, maxInflightMsgs: Number(value) };
        break;
      case 'async-storage-writes':
        options = { ...options, asyncStorageWrites: on };
        break;
      case 'prevote':
        options = { ...options, preVote: on };
        break;
      case 'checkquorum':
        options = { ...options, checkQuorum: on };
        break;
      case 'max-committed-size-per-ready':
        options = { ...options, maxCommittedSizePerReady: Number(value) };
        break;
      case 'max-size-per-msg':
        options = { ...options, maxSizePerMsg: Number(value) };
        break;
      case 'max-inflight-bytes':
        options = { ...options, maxInflightBytes: Number(value) };
        break;
      case 'max-uncommitted-size':
        options = { ...options, maxUncommittedEntriesSize: Number(value) };
        break;
      case 'disable-proposal-forwarding':
        options = { ...options, disableProposalForwarding: on };
        break;
      case 'disable-conf-change-validation':
        options = { ...options, disableConfChangeValidation: on };
        break;
      case 'step-down-on-removal':
        options = { ...options, stepDownOnRemoval: on };
        break;
      case 'read-only':
        if (value !== 'safe' && value !== 'lease-based') {
          throw new CommandError(`invalid read-only option "${value}"`);
        }
        options = { ...options, readOnlyOption: value };
        break;
      default:
    }
    if (key === 'voters' || key === 'learners' || key === 'index' || key === 'content') bootstrap = true;
  }
  const snapshot = bootstrap ? new Snapshot(index, 1, confState, Buffer.from(data)) : undefined;
  env.addNodes(Number(directive.args[0]?.key ?? 0), options, snapshot);
}

function compactLog(env: InteractionEnv, directive: Directive): void {
  const place = places(directive)[0] ?? -1;
  if (!env.at(place).storage.compact(Number(bare(directive)[1]))) {
    throw new CommandError('requested index is unavailable due to compaction');
  }
  printLog(env, place);
}

function deliverMessages(env: InteractionEnv, directive: Directive): void {
  const recipients: Recipient[] = [];
  let type: MessageType | undefined;
  for (const { key, values } of directive.args) {
    if (values.length === 0) recipients.push({ id: BigInt(key), drop: false });
    for (const value of values) {
      if (key === 'drop') {
        const id = BigInt(value);
        if (recipients.some((each) => each.id === id)) {
          throw new CommandError(`can't both deliver and drop msgs to ${id}`);
        }
        recipients.push({ id, drop: true });
      } else if (key === 'type') {
        const found = Object.entries(MessageType).find(([name]) => `Msg${name}` === value);
        if (found === undefined) throw new CommandError(`unknown message type ${value}`);
        type = found[1];
      }
    }
  }
  if (env.deliver(recipients, type) === 0) env.output.write('no messages\n');
}

function propose(env: InteractionEnv, directive: Directive): void {
  const [, data] = directive.args;
  const error = errorText(first(env, directive).node.propose([Buffer.from(data?.key ?? '')]));
  if (error !== '') throw new CommandError(error);
}

function proposeConfChange(env: InteractionEnv, directive: Directive): void {
  let v1 = false;
  let transition: ConfChangeTransition = ConfChangeTransition.Auto;
  for (const { key, values } of directive.args.slice(1)) {
    const value = values[0] ?? '';
    if (key === 'v1') v1 = value === 'true';
    else if (key !== 'transition') throw new CommandError(`unknown command ${key}`);
    else if (value === 'auto') transition = ConfChangeTransition.Auto;
    else if (value === 'implicit') transition = ConfChangeTransition.JointImplicit;
    else if (value === 'explicit') transition = ConfChangeTransition.JointExplicit;
    else throw new CommandError(`unknown transition ${value}`);
  }
  const changes = parseChanges(directive.input);
  if (typeof changes === 'string') throw new CommandError(changes);
  const { node } = first(env, directive);
  const context = Buffer.alloc(0);
  const [only] = changes;
  if (v1 && (changes.length > 1 || only === undefined || transition !== ConfChangeTransition.Auto)) {
    throw new CommandError('v1 conf change can only have one operation and no transition');
  }
  const error = errorText(
    v1 && only !== undefined
      ? node.proposeConfChange({ id: 0n, type: only.type, nodeId: only.nodeId, context })
      : node.proposeConfChange({ transition, changes, context }),
  );
  if (error !== '') throw new CommandError(error);
}

function printLog(env: InteractionEnv, place: number): void {
  const { storage } = env.at(place);
  const low = storage.firstIndex();
  const last = storage.lastIndex();
  if (last < low) {
    env.output.write(`log is empty: first index=${low}, last index=${last}`);
    return;
  }
  const entries = storage.entries(low, last + 1, Infinity);
  if (!Array.isArray(entries)) throw new CommandError(entries);
  for (const entry of entries) env.output.write(`${describeEntry(entry)}\n`);
}

function printStates(env: InteractionEnv): void {
  for (const { node } of env.nodes) {
    const status = node.status();
    const voter = status.config.incoming.includes(node.id) || status.config.outgoing.includes(node.id);
    env.output.write(
      `${node.id}: ${roleName(status.role)} (${voter ? 'Voter' : 'Non-Voter'}) Term:${status.term} Lead:${status.lead}\n`,
    );
  }
}

function printStatus(env: InteractionEnv, directive: Directive): void {
  for (const peer of first(env, directive).node.status().progress)
    env.output.write(`${peer.id}: ${peer.text}\n`);
}

function reportUnreachable(env: InteractionEnv, directive: Directive): void {
  const all = places(directive);
  if (all.length !== 2) {
    throw new CommandError(
      'must specify exactly two node indexes: node on which to report, and reported node',
    );
  }
  env.at(all[0] ?? -1).node.reportUnreachable(env.at(all[1] ?? -1).node.id);
}

function sendSnapshot(env: InteractionEnv, directive: Directive): void {
  const [from, to] = places(directive);
  const sender = env.at(from ?? -1);
  const message = new Message(MessageType.Snap, {
    from: sender.node.id,
    to: env.at(to ?? -1).node.id,
    term: sender.node.basicStatus().term,
    snapshot: sender.storage.snapshot(),
  });
  env.messages.push(message);
  env.output.write(describeMessage(message));
}

function stabilize(env: InteractionEnv, directive: Directive): void {
  const named = places(directive);
  const all = named.length > 0 ? named : env.nodes.map((_, place) => place);
  const level = option(directive, 'log-level');
  if (level === undefined) env.stabilize(all);
  else env.output.atLevel(level, () => env.stabilize(all));
}

function tickTimes(env: InteractionEnv, directive: Directive, which: 'electionTick' | 'heartbeatTick'): void {
  const { node, config } = first(env, directive);
  for (let i = 0; i < config[which]; i++) node.tick();
}
