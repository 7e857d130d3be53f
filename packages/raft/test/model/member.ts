/**
 * One member of the model: the production RawNode over its own storage, with the work that its disk and its
 * state machine have not done yet, and a ledger of what it has promised to others. Every event runs the real
 * core and takes all that comes out of it; nothing here decides anything that the core should. It has no
 * clock: elections and heartbeats happen when the explorer says so.
 */
import { assert } from '@keelson/base';
import {
  type AppendWork,
  type ApplyWork,
  type ConfChangeV2,
  decodeConfChangeEntry,
  type Entry,
  type HardState,
  MemoryStorage,
  Message,
  MessageType,
  NONE,
  RawNode,
  type ReadState,
  Snapshot,
} from '../../src/index.ts';
import type { RaftState } from '../../src/state.ts';
import { type Chains, FOUNDING } from './chains.ts';
import { copyOf, freezeMessage, nameOf } from './clone.ts';
import { law } from './broken.ts';

/** How members of one configuration are driven. */
export interface Driving {
  /** 'queued': writes and applies are events of their own; 'done': they happen within the turn; 'sync': Ready/advance. */
  readonly disk: 'queued' | 'done' | 'sync';
  readonly apply: 'queued' | 'done';
  readonly preVote: boolean;
  /** Encoded bytes of an append; 0: one entry each. */
  readonly maxSizePerMsg: number;
  readonly stepDownOnRemoval: boolean;
}

/** What left the member in one event. */
export interface Output {
  readonly sent: Message[];
  readonly reads: ReadState[];
}

const SILENT = Object.freeze({ enabled: (): boolean => false, log: (): void => {} });
const NO_DICE = Object.freeze({ below: (): number => 0 });
/** One event is answered in a few turns; a core that never comes to rest would take all memory. */
const TURNS_MAX = 1000;
/** The same for all members: never copied and never part of a member's name. */
const SHARED: ReadonlySet<object> = new Set([SILENT, NO_DICE]);

export class Member {
  readonly id: number;
  raw!: RawNode;
  core!: RaftState;
  storage: MemoryStorage;
  appends: AppendWork[] = [];
  applies: ApplyWork[] = [];
  /** All that the state machine has applied, as a chain. */
  applied = FOUNDING;
  /** Commit index that no crash takes back. */
  syncedCommit = 0;
  /** For whom the disk has ever held a vote, by term: one a term, for ever. */
  votes: number[] = [];
  /** The furthest acknowledgement that left: in this term, the log up to this chain. */
  ackTerm = 0;
  ackChain = FOUNDING;

  constructor(id: number, driving: Driving, chains: Chains, founding: Snapshot) {
    this.id = id;
    this.storage = new MemoryStorage();
    this.storage.applySnapshot(founding);
    this.storage.setHardState({ term: founding.term, vote: NONE, commit: founding.index });
    this.syncedCommit = founding.index;
    this.start(driving, chains);
  }

  copy(): Member {
    return copyOf<Member>(this, SHARED);
  }

  name(): string {
    return nameOf(this, SHARED);
  }

  /** The process starts from what is durable. */
  private start(driving: Driving, chains: Chains): void {
    const snapshot = this.storage.snapshot();
    assert(snapshot !== undefined, 'a member has no snapshot to start from');
    this.applied = chainOf(snapshot);
    this.raw = new RawNode({
      id: BigInt(this.id),
      electionTick: 10,
      heartbeatTick: 1,
      storage: this.storage,
      applied: snapshot.index,
      asyncStorageWrites: driving.disk !== 'sync',
      maxSizePerMsg: driving.maxSizePerMsg,
      preVote: driving.preVote,
      stepDownOnRemoval: driving.stepDownOnRemoval,
      prng: NO_DICE,
      logger: SILENT,
    });
    this.core = (this.raw as unknown as { readonly state: RaftState }).state;
    this.checkPromises(chains);
  }

  /** What was promised to others must be backed by the disk at every start. */
  private checkPromises(chains: Chains): void {
    const { term, vote } = this.durable;
    for (let each = term; each < this.votes.length; each++) {
      const voted = this.votes[each] ?? 0;
      if (voted === 0) continue;
      law(
        'R6',
        each === term && Number(vote) === voted,
        () => `${this.id} comes back in term ${term} without its vote for ${voted} in term ${each}`,
      );
    }
    law(
      'R6',
      term >= this.ackTerm,
      () => `${this.id} comes back in term ${term}, acknowledged in ${this.ackTerm}`,
    );
    if (term === this.ackTerm) {
      law(
        'R6',
        this.holdsDurably(chains, this.ackChain),
        () => `${this.id} comes back without ${describeChain(chains, this.ackChain)}, which it acknowledged`,
      );
    }
  }

  get durable(): HardState {
    return this.storage.initialState().hardState;
  }

  /** Chains of what is durable, from the snapshot on. */
  durableLog(chains: Chains): number[] {
    const first = this.storage.firstIndex();
    const last = this.storage.lastIndex();
    const entries = first > last ? [] : this.storage.entries(first, last + 1, Infinity);
    law('R3', Array.isArray(entries), () => `${this.id} cannot read its own log`);
    return grow(chains, chainOf(this.storage.snapshot()), entries);
  }

  /** Chains of the whole log, from the newest snapshot on. */
  wholeLog(chains: Chains): number[] {
    const { log } = this.core;
    const snapshot = log.unstable.snapshot ?? this.storage.snapshot();
    const first = log.firstIndex();
    const entries = log.slice(first, log.lastIndex() + 1, Infinity);
    law('R3', Array.isArray(entries), () => `${this.id} cannot read its own log`);
    return grow(chains, chainOf(snapshot), entries);
  }

  holdsDurably(chains: Chains, chain: number): boolean {
    const held = this.durableLog(chains);
    const index = chains.index(chain);
    return held[0] !== undefined && (index <= chains.index(held[0]) || held.includes(chain));
  }

  deliver(driving: Driving, chains: Chains, message: Message): Output {
    this.raw.step(message);
    return this.turns(driving, chains);
  }

  campaign(driving: Driving, chains: Chains): Output {
    this.raw.campaign();
    return this.turns(driving, chains);
  }

  propose(driving: Driving, chains: Chains, data: Buffer): Output {
    this.raw.propose([data]);
    return this.turns(driving, chains);
  }

  proposeChange(driving: Driving, chains: Chains, change: ConfChangeV2): Output {
    this.raw.proposeConfChange(change);
    return this.turns(driving, chains);
  }

  read(driving: Driving, chains: Chains, context: Buffer): Output {
    this.raw.readIndex(context);
    return this.turns(driving, chains);
  }

  transfer(driving: Driving, chains: Chains, to: number): Output {
    this.raw.transferLeader(BigInt(to));
    return this.turns(driving, chains);
  }

  /** Its driver could not send a snapshot, or thinks so. */
  snapshotFailed(driving: Driving, chains: Chains, to: number): Output {
    this.raw.reportSnapshot(BigInt(to), false);
    return this.turns(driving, chains);
  }

  /** A leader's heartbeat interval passes; how long ago the last election was stays out of the model. */
  beat(driving: Driving, chains: Chains): Output {
    this.raw.tick();
    this.core.electionElapsed = 0;
    return this.turns(driving, chains);
  }

  /** Keeps the applied state instead of the log up to it. */
  compact(driving: Driving, chains: Chains): Output {
    const index = chains.index(this.applied);
    const { durable } = this;
    if (durable.commit < index) this.storage.setHardState({ ...durable, commit: index });
    this.syncedCommit = Math.max(this.syncedCommit, index);
    const state = this.storage.createSnapshot(index, this.core.tracker.confState(), dataOf(this.applied));
    if (state !== undefined) this.storage.compact(index);
    return this.turns(driving, chains);
  }

  /** The oldest write becomes durable, and what waited for it leaves. */
  finishAppend(driving: Driving, chains: Chains): Output {
    const output: Output = { sent: [], reads: [] };
    this.write(driving, chains, output);
    this.turnsInto(driving, chains, output);
    return output;
  }

  finishApply(driving: Driving, chains: Chains): Output {
    const output: Output = { sent: [], reads: [] };
    this.apply(chains);
    this.turnsInto(driving, chains, output);
    return output;
  }

  /** The process ends and starts: what was not durable is gone. */
  crash(driving: Driving, chains: Chains, keepCommit: boolean): Output {
    const { durable } = this;
    if (!keepCommit) this.storage.setHardState({ ...durable, commit: this.syncedCommit });
    this.syncedCommit = this.durable.commit;
    this.appends = [];
    this.applies = [];
    this.start(driving, chains);
    return this.turns(driving, chains);
  }

  private turns(driving: Driving, chains: Chains): Output {
    const output: Output = { sent: [], reads: [] };
    this.turnsInto(driving, chains, output);
    return output;
  }

  /** The driver's loop, until the core has nothing more to say. */
  private turnsInto(driving: Driving, chains: Chains, output: Output): void {
    for (let turn = 0; ; turn++) {
      law('L', turn < TURNS_MAX, () => `${this.id} always has something more to do`);
      if (this.raw.hasReady()) {
        if (driving.disk === 'sync') this.turnSync(chains, output);
        else this.turnAsync(chains, output);
      } else if (driving.disk === 'done' && this.appends.length > 0) {
        this.write(driving, chains, output);
      } else if (driving.apply === 'done' && this.applies.length > 0) {
        this.apply(chains);
      } else {
        return;
      }
    }
  }

  private turnAsync(chains: Chains, output: Output): void {
    const ready = this.raw.ready();
    for (const message of ready.messages) this.leave(chains, message, output);
    for (const read of ready.readStates) output.reads.push(read);
    if (ready.append !== undefined) this.appends.push(ready.append);
    if (ready.apply !== undefined) this.applies.push(ready.apply);
  }

  private turnSync(chains: Chains, output: Output): void {
    const ready = this.raw.ready();
    const { hardState, entries, snapshot, mustSync } = ready;
    this.persist({ hardState, entries, snapshot, responses: [], mustSync });
    if (snapshot !== undefined) this.install(chains, snapshot);
    for (const message of ready.messages) this.leave(chains, message, output);
    for (const read of ready.readStates) output.reads.push(read);
    for (const entry of ready.committedEntries) this.applyOne(chains, entry);
    this.raw.advance();
  }

  private write(driving: Driving, chains: Chains, output: Output): void {
    const work = this.appends.shift();
    assert(work !== undefined, 'no write is waiting');
    this.persist(work);
    if (work.snapshot !== undefined) this.install(chains, work.snapshot);
    for (const response of work.responses) {
      if (Number(response.to) === this.id) this.raw.step(freezeMessage(response));
      else this.leave(chains, response, output);
    }
    assert(driving.disk !== 'sync', 'a synchronous node has no write of its own');
  }

  private persist(work: AppendWork): void {
    const { hardState, snapshot, entries } = work;
    const { term, vote } = this.durable;
    const promises = hardState !== undefined && (hardState.term !== term || hardState.vote !== vote);
    law(
      'R6',
      work.mustSync || (entries.length === 0 && !promises),
      () => `${this.id} writes entries, a term or a vote and asks for no sync`,
    );
    if (snapshot !== undefined) this.storage.applySnapshot(snapshot);
    this.storage.append(entries);
    if (hardState !== undefined) {
      law('R6', hardState.term >= term, () => `the durable term of ${this.id} falls to ${hardState.term}`);
      // A snapshot made here has told the disk of a commit index already.
      const commit = Math.max(hardState.commit, this.storage.snapshot()?.index ?? 0);
      this.storage.setHardState({ ...hardState, commit });
      if (hardState.vote !== NONE) this.vote(hardState.term, Number(hardState.vote));
    }
    if (work.mustSync || snapshot !== undefined) this.syncedCommit = this.durable.commit;
  }

  private vote(term: number, vote: number): void {
    while (this.votes.length <= term) this.votes.push(0);
    const before = this.votes[term] ?? 0;
    law(
      'R6',
      before === 0 || before === vote,
      () => `${this.id} votes for ${before} and ${vote} in term ${term}`,
    );
    this.votes[term] = vote;
  }

  private apply(chains: Chains): void {
    const work = this.applies.shift();
    assert(work !== undefined, 'nothing waits to be applied');
    for (const entry of work.entries) this.applyOne(chains, entry);
    for (const response of work.responses) this.raw.step(freezeMessage(response));
  }

  private applyOne(chains: Chains, entry: Entry): void {
    const index = chains.index(this.applied);
    // A snapshot may have been installed while this was waiting.
    if (entry.index <= index) return;
    law('R8', entry.index === index + 1, () => `${this.id} applies ${entry.index} after ${index}`);
    law(
      'R8',
      entry.index <= this.core.log.committed,
      () => `${this.id} applies ${entry.index}, committed is ${this.core.log.committed}`,
    );
    const change = decodeConfChangeEntry(entry);
    if (change !== undefined) this.raw.applyConfChange(change);
    this.applied = chains.add(this.applied, entry);
    law(
      'R8',
      this.holdsDurably(chains, this.applied),
      () => `${this.id} applies ${entry.term}/${entry.index} before it is durable there`,
    );
  }

  private install(chains: Chains, snapshot: Snapshot): void {
    if (snapshot.index > chains.index(this.applied)) this.applied = chainOf(snapshot);
  }

  /** A message goes to the network: what it promises must be durable by now. */
  private leave(chains: Chains, message: Message, output: Output): void {
    output.sent.push(freezeMessage(message));
    if (message.reject) return;
    const { durable } = this;
    if (message.type === MessageType.VoteResp) {
      const held =
        durable.term > message.term || (durable.term === message.term && durable.vote === message.to);
      law(
        'R6',
        held,
        () => `the vote of ${this.id} for ${message.to} in term ${message.term} leaves before it is durable`,
      );
      this.vote(message.term, Number(message.to));
    } else if (message.type === MessageType.AppResp && message.index > 0) {
      law(
        'R6',
        durable.term >= message.term,
        () => `${this.id} acknowledges in term ${message.term}, durable is ${durable.term}`,
      );
      if (durable.term === message.term) this.acknowledge(chains, message);
    }
  }

  private acknowledge(chains: Chains, message: Message): void {
    const last = this.storage.lastIndex();
    law('R6', last >= message.index, () => `${this.id} acknowledges ${message.index} with ${last} durable`);
    const held = this.durableLog(chains);
    const base = chains.index(held[0] ?? FOUNDING);
    const chain = held[message.index - base] ?? FOUNDING;
    // In a term what was acknowledged stays; a later term's leader may have replaced it in the log already.
    const log = this.wholeLog(chains);
    const own = log[message.index - chains.index(log[0] ?? FOUNDING)];
    law(
      'R6',
      this.core.term > message.term || message.index < base || own === undefined || own === chain,
      () => `${this.id} acknowledges ${message.index}, and another entry is durable there`,
    );
    if (message.term > this.ackTerm || chains.index(chain) > chains.index(this.ackChain)) {
      this.ackTerm = message.term;
      this.ackChain = chain;
    }
  }
}

/** A snapshot's data is the number of the chain it stands for. */
function dataOf(chain: number): Buffer {
  return Buffer.from(`state ${chain}`);
}

export function foundingSnapshot(snapshot: Snapshot): Snapshot {
  return new Snapshot(snapshot.index, snapshot.term, snapshot.confState, dataOf(FOUNDING));
}

function chainOf(snapshot: Snapshot | undefined): number {
  return snapshot === undefined ? FOUNDING : Number(snapshot.data.toString('latin1').slice('state '.length));
}

function grow(chains: Chains, base: number, entries: readonly Entry[]): number[] {
  const list = [base];
  let chain = base;
  for (const entry of entries) {
    law(
      'R3',
      entry.index === chains.index(chain) + 1,
      () => `a log has ${entry.index} after ${chains.index(chain)}`,
    );
    chain = chains.add(chain, entry);
    list.push(chain);
  }
  return list;
}

export function describeChain(chains: Chains, chain: number): string {
  return `${chains.term(chain)}/${chains.index(chain)}`;
}
