/**
 * The world of the interaction conversations: nodes with their storage and work queues, one list of
 * messages on their way, and one output that the nodes' log lines share. Modelled on etcd-io/raft's
 * rafttest. The commands themselves are in interaction.ts.
 */
import { Prng, unreachable } from '@keelson/base';
import {
  APPEND_THREAD,
  APPLY_THREAD,
  type AppendWork,
  appendWorkMessage,
  type ApplyWork,
  applyWorkMessage,
  type ConfState,
  decodeConfChangeEntry,
  describeMessage,
  describeReady,
  EMPTY_CONF_STATE,
  type Entry,
  type HardState,
  MemoryStorage,
  type Message,
  type MessageType,
  type NodeId,
  type RaftConfig,
  type RaftLogger,
  type RaftLogLevel,
  RawNode,
  Snapshot,
  type StepResult,
} from '../src/index.ts';

const LEVELS = ['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL', 'NONE'] as const;

/** A refused command; its text becomes part of the output. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Collects what the file expects: the commands' own text and, from a level on, the nodes' log lines. */
export class Output implements RaftLogger {
  text = '';
  private level = 0;

  /** At NONE everything is silent, not only the logs. */
  quiet(): boolean {
    return this.level === LEVELS.length - 1;
  }

  write(text: string): void {
    if (!this.quiet()) this.text += text;
  }

  setLevel(name: string): void {
    const level = LEVELS.findIndex((each) => each === name.toUpperCase());
    if (level < 0) throw new CommandError(`log levels must be either of [${LEVELS.join(' ')}]`);
    this.level = level;
  }

  enabled(level: RaftLogLevel): boolean {
    return LEVELS.findIndex((each) => each === level.toUpperCase()) >= this.level;
  }

  log(level: RaftLogLevel, message: string): void {
    if (this.enabled(level)) this.text += `${level.toUpperCase()} ${message}\n`;
  }

  /** Runs `body` at another level. */
  atLevel(name: string, body: () => void): void {
    const before = this.level;
    this.setLevel(name);
    try {
      body();
    } finally {
      this.level = before;
    }
  }

  /** Indents every line `body` writes by two. */
  indented(body: () => void): void {
    const before = this.text;
    this.text = '';
    try {
      body();
    } finally {
      const lines = this.text.split('\n');
      if (lines.at(-1) === '') lines.pop();
      this.text = before + lines.map((line) => `  ${line}\n`).join('');
    }
  }
}

/** Storage whose snapshot is always the newest state that was applied. */
class HistoryStorage extends MemoryStorage {
  readonly history: Snapshot[] = [];

  override snapshot(): Snapshot | undefined {
    return this.history.at(-1);
  }
}

export interface EnvNode {
  readonly node: RawNode;
  readonly storage: HistoryStorage;
  readonly config: RaftConfig;
  readonly appendWork: AppendWork[];
  readonly applyWork: ApplyWork[];
}

export interface Recipient {
  readonly id: NodeId;
  readonly drop: boolean;
}

export class InteractionEnv {
  readonly output = new Output();
  readonly nodes: EnvNode[] = [];
  messages: Message[] = [];

  /** The node at a place counted from 0. */
  at(place: number): EnvNode {
    const found = this.nodes[place];
    if (found === undefined) throw new CommandError(`no node ${place + 1}`);
    return found;
  }

  /** @param bootstrap the snapshot they start from; undefined for nodes that know nothing */
  addNodes(count: number, options: Partial<RaftConfig>, bootstrap: Snapshot | undefined): void {
    for (let i = 0; i < count; i++) {
      const storage = new HistoryStorage();
      if (bootstrap !== undefined) {
        if (bootstrap.index <= 1) throw new CommandError('index must be specified as > 1 due to bootstrap');
        storage.applySnapshot(bootstrap);
      }
      storage.history.push(bootstrap ?? new Snapshot(0, 0, EMPTY_CONF_STATE));
      const id = BigInt(this.nodes.length + 1);
      const config: RaftConfig = {
        electionTick: 3,
        heartbeatTick: 1,
        maxInflightMsgs: 2 ** 31 - 1,
        asyncStorageWrites: false,
        ...options,
        id,
        storage,
        prng: new Prng(Number(id)),
        logger: this.output,
      };
      this.nodes.push({ node: new RawNode(config), storage, config, appendWork: [], applyWork: [] });
    }
  }

  /** Takes the messages to `id` out of the network, of one type if given; a drop leaves local ones. */
  take(recipient: Recipient, type: MessageType | undefined): Message[] {
    const taken: Message[] = [];
    const left: Message[] = [];
    for (const message of this.messages) {
      const local =
        message.from === message.to || message.from === APPEND_THREAD || message.from === APPLY_THREAD;
      const wanted =
        message.to === recipient.id &&
        !(recipient.drop && local) &&
        (type === undefined || message.type === type);
      (wanted ? taken : left).push(message);
    }
    this.messages = left;
    return taken;
  }

  hasMessages(id: NodeId): boolean {
    return this.messages.some((message) => message.to === id);
  }

  /** @returns how many messages were delivered or dropped */
  deliver(recipients: readonly Recipient[], type?: MessageType): number {
    let count = 0;
    for (const recipient of recipients) {
      for (const message of this.take(recipient, type)) {
        count++;
        this.output.write(`${recipient.drop ? 'dropped: ' : ''}${describeMessage(message)}\n`);
        if (recipient.drop) continue;
        const error = errorText(this.at(Number(message.to) - 1).node.step(message));
        if (error !== '') this.output.write(`${error}\n`);
      }
    }
    return count;
  }

  processReady(place: number): void {
    const { node, storage, config, appendWork, applyWork } = this.at(place);
    const ready = node.ready();
    this.output.write(describeReady(node.id, ready));
    if (config.asyncStorageWrites === false) {
      persist(storage, ready.hardState, ready.entries, ready.snapshot);
      applyEntries(node, storage, ready.committedEntries);
    }
    this.messages.push(...ready.messages);
    if (ready.append !== undefined) appendWork.push(ready.append);
    if (ready.apply !== undefined) applyWork.push(ready.apply);
    if (config.asyncStorageWrites === false) node.advance(ready);
  }

  processAppendThread(place: number): void {
    const { node, storage, appendWork } = this.at(place);
    const work = appendWork.shift();
    if (work === undefined) {
      this.output.write('no append work to perform');
      return;
    }
    this.output.write(
      `Processing:\n${describeMessage(appendWorkMessage(node.id, { ...work, responses: [] }))}\n`,
    );
    persist(storage, work.hardState, work.entries, work.snapshot);
    this.respond(work.responses);
  }

  processApplyThread(place: number): void {
    const { node, storage, applyWork } = this.at(place);
    const work = applyWork.shift();
    if (work === undefined) {
      this.output.write('no apply work to perform');
      return;
    }
    this.output.write(
      `Processing:\n${describeMessage(applyWorkMessage(node.id, { ...work, responses: [] }))}\n`,
    );
    applyEntries(node, storage, work.entries);
    this.respond(work.responses);
  }

  private respond(responses: readonly Message[]): void {
    this.output.write('Responses:\n');
    for (const message of responses) this.output.write(`${describeMessage(message)}\n`);
    this.messages.push(...responses);
  }

  /** Lets the nodes at these places work and talk until nothing is left to do among them. */
  stabilize(places: readonly number[]): void {
    for (let busy = true; busy;) {
      busy = false;
      for (const place of places) {
        if (!this.at(place).node.hasReady()) continue;
        busy = true;
        this.output.write(`> ${place + 1} handling Ready\n`);
        this.output.indented(() => this.processReady(place));
      }
      for (const place of places) {
        const { id } = this.at(place).node;
        if (!this.hasMessages(id)) continue;
        busy = true;
        this.output.write(`> ${id} receiving messages\n`);
        this.output.indented(() => this.deliver([{ id, drop: false }]));
      }
      for (const place of places) {
        if (this.at(place).appendWork.length === 0) continue;
        busy = true;
        this.output.write(`> ${place + 1} processing append thread\n`);
        while (this.at(place).appendWork.length > 0)
          this.output.indented(() => this.processAppendThread(place));
      }
      for (const place of places) {
        if (this.at(place).applyWork.length === 0) continue;
        busy = true;
        this.output.write(`> ${place + 1} processing apply thread\n`);
        while (this.at(place).applyWork.length > 0)
          this.output.indented(() => this.processApplyThread(place));
      }
    }
  }
}

/** etcd-io/raft's text of what step() refuses. */
export function errorText(result: StepResult): string {
  switch (result) {
    case 'ok':
      return '';
    case 'dropped':
      return 'raft proposal dropped';
    case 'local-message':
      return 'raft: cannot step raft local message';
    case 'peer-not-found':
      return 'raft: cannot step as peer not found';
    default:
      return unreachable(result);
  }
}

function persist(
  storage: MemoryStorage,
  hardState: HardState | undefined,
  entries: readonly Entry[],
  snapshot: Snapshot | undefined,
): void {
  if (hardState !== undefined) storage.setHardState(hardState);
  if (snapshot !== undefined) {
    if (entries.length > 0) throw new CommandError("can't apply snapshot and entries at the same time");
    storage.applySnapshot(snapshot);
  } else {
    storage.append(entries);
  }
}

/** The state machine appends each payload to its data and keeps every state it ever had. */
function applyEntries(node: RawNode, storage: HistoryStorage, entries: readonly Entry[]): void {
  for (const entry of entries) {
    const change = decodeConfChangeEntry(entry);
    const before = storage.history.at(-1) ?? new Snapshot(0, 0, EMPTY_CONF_STATE);
    const confState: ConfState = change === undefined ? before.confState : node.applyConfChange(change);
    const data = Buffer.concat([before.data, change === undefined ? entry.data : change.context]);
    storage.history.push(new Snapshot(entry.index, entry.term, confState, data));
  }
}
