/**
 * One real node whose disk and state machine work only when the test says so; the test plays everyone else.
 * For scripts of a few messages in which it matters what is durable or applied already.
 */
import { Prng, silentLogger } from '@keelson/base';
import {
  type AppendWork,
  type ApplyWork,
  type ConfState,
  decodeConfChangeEntry,
  Entry,
  EntryType,
  MemoryStorage,
  Message,
  type MessageFields,
  MessageType,
  NONE,
  type NodeId,
  type RaftConfig,
  RawNode,
  type ReadState,
  Role,
  type StepResult,
} from '../src/index.ts';

export const ELECTION_TICKS = 10;

export interface Setup {
  /** Default: voters 1, 2 and 3. */
  readonly confState?: Partial<ConfState>;
  /** Terms of durable entries from index 2 on; a snapshot of term 1 stands at index 1. */
  readonly log?: readonly number[];
  /** Default 1. */
  readonly term?: number;
  readonly vote?: NodeId;
  /** Default 1, the snapshot's end. */
  readonly commit?: number;
  readonly config?: Partial<RaftConfig>;
}

export function entry(term: number, index: number, data = `${term}/${index}`): Entry {
  return new Entry(term, index, EntryType.Normal, Buffer.from(data));
}

/** Node 1. Work waits in `disk` and `machine`, oldest first. */
export class OneMember {
  readonly storage: MemoryStorage;
  readonly node: RawNode;
  readonly disk: AppendWork[] = [];
  readonly machine: ApplyWork[] = [];
  readonly applied: Entry[] = [];
  readonly reads: ReadState[] = [];

  constructor(setup: Setup = {}) {
    this.storage = MemoryStorage.founded({ voters: [1n, 2n, 3n], ...setup.confState });
    this.storage.append((setup.log ?? []).map((term, i) => entry(term, i + 2)));
    this.storage.setHardState({ term: setup.term ?? 1, vote: setup.vote ?? NONE, commit: setup.commit ?? 1 });
    this.node = new RawNode({
      id: 1n,
      electionTick: ELECTION_TICKS,
      heartbeatTick: 1,
      storage: this.storage,
      applied: 1,
      prng: new Prng(1),
      logger: silentLogger,
      ...setup.config,
    });
    this.settle();
  }

  get status(): ReturnType<RawNode['status']> {
    return this.node.status();
  }

  /** Takes all there is to do; what may leave at once. */
  turn(): Message[] {
    const sent: Message[] = [];
    while (this.node.hasReady()) {
      const { messages, append, apply, readStates } = this.node.ready();
      sent.push(...messages);
      this.reads.push(...readStates);
      if (append !== undefined) this.disk.push(append);
      if (apply !== undefined) this.machine.push(apply);
    }
    return sent;
  }

  /** The disk finishes the oldest work; what that lets go, and what follows from it. */
  write(): Message[] {
    const work = this.disk.shift();
    if (work === undefined) return [];
    if (work.hardState !== undefined) this.storage.setHardState(work.hardState);
    if (work.snapshot !== undefined) this.storage.applySnapshot(work.snapshot);
    this.storage.append(work.entries);
    const sent: Message[] = [];
    for (const response of work.responses) {
      if (response.to === 1n) this.node.step(response);
      else sent.push(response);
    }
    return [...sent, ...this.turn()];
  }

  /** The state machine finishes the oldest work. */
  apply(): Message[] {
    const work = this.machine.shift();
    if (work === undefined) return [];
    for (const each of work.entries) {
      const change = decodeConfChangeEntry(each);
      if (change !== undefined) this.node.applyConfChange(change);
      this.applied.push(each);
    }
    for (const response of work.responses) this.node.step(response);
    return this.turn();
  }

  /** All work until there is none. */
  settle(): Message[] {
    const sent = this.turn();
    while (this.disk.length + this.machine.length > 0) sent.push(...this.write(), ...this.apply());
    return sent;
  }

  /** A message of this node's own term unless the fields say another; nothing is done yet. */
  step(type: MessageType, from: NodeId, fields: MessageFields = {}): StepResult {
    return this.node.step(new Message(type, { to: 1n, from, term: this.status.term, ...fields }));
  }

  hear(type: MessageType, from: NodeId, fields: MessageFields = {}): Message[] {
    this.step(type, from, fields);
    return this.settle();
  }

  tick(times: number): Message[] {
    const sent: Message[] = [];
    for (let i = 0; i < times; i++) {
      this.node.tick();
      sent.push(...this.settle());
    }
    return sent;
  }

  /** Elected by everyone there is; nobody has acknowledged anything yet. */
  lead(): void {
    const { incoming, outgoing } = this.status.config;
    const others = [...new Set([...incoming, ...outgoing])].filter((id) => id !== 1n);
    this.node.campaign();
    this.settle();
    const asked = this.status.role === Role.PreCandidate;
    if (asked)
      for (const id of others) this.hear(MessageType.PreVoteResp, id, { term: this.status.term + 1 });
    for (const id of others) if (this.status.role === Role.Candidate) this.hear(MessageType.VoteResp, id);
  }

  /** These have all that this leader has. */
  acknowledged(...from: readonly NodeId[]): Message[] {
    const index = this.status.lastIndex;
    return from.flatMap((id) => this.hear(MessageType.AppResp, id, { index }));
  }
}

export function of(sent: readonly Message[], type: MessageType): Message[] {
  return sent.filter((each) => each.type === type);
}
