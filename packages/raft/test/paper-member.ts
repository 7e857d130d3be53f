/**
 * One real node among peers that a test plays, for the rules of the Raft paper and thesis. Its disk and its
 * state machine are instant. Indexes are the paper's: the first entry has 1.
 */
import { assert, Prng, silentLogger } from '@keelson/base';
import {
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
  Role,
} from '../src/index.ts';

export const ELECTION = 10;

export interface Setup {
  /** How many voters; the real one is 1. */
  readonly size?: number;
  /** Terms of the entries it has, from index 1; all durable. */
  readonly log?: readonly number[];
  readonly term?: number;
  readonly vote?: NodeId;
  readonly commit?: number;
  readonly seed?: number;
  readonly learners?: readonly NodeId[];
  readonly options?: Partial<RaftConfig>;
}

/** One real node with an instant disk and state machine. */
export class Member {
  readonly storage: MemoryStorage;
  readonly node: RawNode;
  readonly applied: number[] = [];
  /** Contexts of reads that were answered here. */
  readonly reads: string[] = [];
  readonly size: number;

  constructor(setup: Setup = {}) {
    this.size = setup.size ?? 3;
    const voters = Array.from({ length: this.size }, (_, i) => BigInt(i + 1));
    // A state at index 1 of term 1 brings the membership; the paper's indexes count from there.
    this.storage = MemoryStorage.founded({ voters, learners: setup.learners ?? [] });
    this.storage.append((setup.log ?? []).map((term, i) => entry(term, i + 2)));
    this.storage.setHardState({
      term: setup.term ?? 1,
      vote: setup.vote ?? NONE,
      commit: (setup.commit ?? 0) + 1,
    });
    this.node = new RawNode({
      id: 1n,
      electionTick: ELECTION,
      heartbeatTick: 1,
      storage: this.storage,
      applied: 1,
      prng: new Prng(setup.seed ?? 1),
      logger: silentLogger,
      ...setup.options,
    });
    this.flush();
  }

  /** Does all work at once; what the node says to others meanwhile. */
  flush(): Message[] {
    const sent: Message[] = [];
    while (this.node.hasReady()) {
      const ready = this.node.ready();
      sent.push(...ready.messages);
      if (ready.append !== undefined) {
        if (ready.append.hardState !== undefined) this.storage.setHardState(ready.append.hardState);
        if (ready.append.snapshot !== undefined) this.storage.applySnapshot(ready.append.snapshot);
        this.storage.append(ready.append.entries);
        for (const each of ready.append.responses) {
          if (each.to === 1n) this.node.step(each);
          else sent.push(each);
        }
      }
      for (const read of ready.readStates) this.reads.push(read.context.toString());
      for (const each of ready.apply?.entries ?? []) {
        this.applied.push(each.index - 1);
        const change = decodeConfChangeEntry(each);
        if (change !== undefined) this.node.applyConfChange(change);
      }
      for (const each of ready.apply?.responses ?? []) this.node.step(each);
    }
    return sent;
  }

  /** Index and logTerm are the paper's; a message's own index is one higher. */
  hear(type: MessageType, from: NodeId, fields: MessageFields = {}): Message[] {
    this.node.step(new Message(type, { to: 1n, from, term: this.status().term, ...fields }));
    return this.flush();
  }

  tick(times = 1): Message[] {
    const sent: Message[] = [];
    for (let i = 0; i < times; i++) {
      this.node.tick();
      sent.push(...this.flush());
    }
    return sent;
  }

  /** Ticks until it asks for votes, and how many that took. */
  ticksUntilCampaign(): number {
    for (let ticks = 1; ; ticks++) {
      this.tick();
      if (this.status().role === Role.Candidate) return ticks;
      if (ticks > 3 * ELECTION) throw new Error('no campaign');
    }
  }

  lead(): Message[] {
    this.node.campaign();
    this.flush();
    const sent: Message[] = [];
    for (let id = 2n; id <= BigInt(Math.floor(this.size / 2) + 1); id++) {
      sent.push(...this.hear(MessageType.VoteResp, id));
    }
    assert(this.status().role === Role.Leader, 'not elected');
    return sent;
  }

  status(): ReturnType<RawNode['basicStatus']> {
    return this.node.basicStatus();
  }

  terms(): number[] {
    const found = this.storage.entries(2, this.storage.lastIndex() + 1, Infinity);
    return Array.isArray(found) ? found.map((each) => each.term) : [];
  }

  commit(): number {
    return this.status().commit - 1;
  }
}

export function entry(term: number, index: number): Entry {
  return new Entry(term, index, EntryType.Normal, Buffer.from(`${term}/${index}`));
}

/** A leader's append whose indexes are the paper's. */
export function append(
  term: number,
  previousTerm: number,
  previous: number,
  terms: number[],
  commit = 0,
): MessageFields {
  return {
    term,
    logTerm: previousTerm,
    index: previous + 1,
    entries: terms.map((each, i) => entry(each, previous + 2 + i)),
    commit: commit + 1,
  };
}

export function of(sent: readonly Message[], type: MessageType): Message[] {
  return sent.filter((each) => each.type === type);
}
