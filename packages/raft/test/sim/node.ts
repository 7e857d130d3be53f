/**
 * One simulated member: the node under test, a disk that forgets what was not synced, and a state machine
 * that is a rolling hash. It acts only when the cluster says so. The state machine may keep its state over a
 * crash; then entries are applied again to the membership, and once in effect.
 */
import { silentLogger } from '@keelson/base';
import type { Prng } from '@keelson/base';
import { law } from '@keelson/sim';
import {
  type AppendWork,
  type ApplyWork,
  asV2,
  type ConfChange,
  ConfChangeType,
  type ConfChangeV2,
  type ConfState,
  decodeConfChangeEntry,
  EMPTY_CONF_STATE,
  type Entry,
  type HardState,
  MemoryStorage,
  type NodeId,
  RawNode,
  Snapshot,
} from '../../src/index.ts';
import type { RaftState } from '../../src/state.ts';
import { membersOf } from './membership-laws.ts';
import { TICK_UNITS } from './options.ts';
import type { Observed, Surroundings } from './surroundings.ts';

/** The state after `entry`, given the one before: equal histories have equal states. */
function fold(state: string, entry: Entry): string {
  let hash = Number.parseInt(state, 16) ^ entry.term;
  for (const byte of [entry.index & 255, entry.index >> 8, entry.type, ...entry.data]) {
    hash = Math.imul(hash ^ byte, 0x0100_0193) >>> 0;
  }
  return hash.toString(16);
}

/** Storage that makes a snapshot of the applied state when the leader needs one. */
class SimStorage extends MemoryStorage {
  fresh: (() => void) | undefined = undefined;

  override snapshot(): Snapshot | undefined {
    this.fresh?.();
    const newest = super.snapshot();
    return newest === undefined || newest.index === 0 ? undefined : newest;
  }
}

interface State {
  readonly index: number;
  readonly hash: string;
}

export class SimNode implements Observed {
  readonly id: NodeId;
  readonly place: number;
  readonly cluster: Surroundings;
  readonly storage = new SimStorage();
  raw!: RawNode;
  core!: RaftState;
  /** Counts lives: what was begun in an earlier one is dead. */
  life = 0;
  startedAt = 0;
  up = false;
  pausedUntil = 0;
  slowUntil = 0;
  /** Units between two ticks of its clock. */
  tickUnits = TICK_UNITS;
  /** Ticks it owes since it was paused. */
  lateTicks = 0;
  readonly appends: AppendWork[] = [];
  readonly applies: ApplyWork[] = [];
  appending = false;
  applying = false;
  /** Last entry applied to the membership, and in this life to everything. */
  applied = 0;
  /** What has had its effect; ahead of `applied` while entries are applied again after a crash. */
  state: State = { index: 0, hash: '0' };
  confState: ConfState = EMPTY_CONF_STATE;
  /** Ids that left: they are refused for ever. */
  private removed = new Set<NodeId>();
  /** What the state machine would still have after a crash. */
  private flushed: State = { index: 0, hash: '0' };
  private handed = 0;
  private syncedCommit = 0;
  private sinceSnapshot = 0;
  /** Of the newest snapshot made here. */
  private snapshotIndex = 0;

  constructor(cluster: Surroundings, id: NodeId, start: Snapshot | undefined) {
    this.cluster = cluster;
    this.id = id;
    this.place = Number(id);
    if (start !== undefined) {
      this.storage.applySnapshot(start);
      this.storage.setHardState({ term: start.term, vote: 0n, commit: start.index });
      this.syncedCommit = start.index;
    }
  }

  get durable(): HardState {
    return this.storage.initialState().hardState;
  }

  start(prng: Prng): void {
    const { options } = this.cluster;
    this.storage.fresh = undefined;
    const snapshot = this.storage.snapshot();
    this.restore(snapshot);
    if (this.flushed.index > this.state.index) this.state = this.flushed;
    this.handed = this.applied;
    this.raw = new RawNode({
      id: this.id,
      electionTick: options.electionTick,
      heartbeatTick: 1,
      storage: this.storage,
      applied: this.applied,
      asyncStorageWrites: options.async,
      maxSizePerMsg: options.maxSizePerMsg,
      maxCommittedSizePerReady: options.maxCommittedSizePerReady,
      maxUncommittedEntriesSize: options.maxUncommittedEntriesSize,
      maxInflightMsgs: options.maxInflightMsgs,
      maxInflightBytes: options.maxInflightBytes,
      checkQuorum: options.checkQuorum,
      preVote: options.preVote,
      stepDownOnRemoval: options.stepDownOnRemoval,
      disableProposalForwarding: options.disableProposalForwarding,
      prng,
      logger: silentLogger,
    });
    this.core = (this.raw as unknown as { readonly state: RaftState }).state;
    this.storage.fresh = () => {
      this.takeSnapshot();
    };
    this.up = true;
    this.cluster.oracle.born(this);
  }

  private restore(snapshot: Snapshot | undefined): void {
    const [hash = '0', removed = ''] = snapshot?.data.toString().split(' ') ?? [];
    this.applied = snapshot?.index ?? 0;
    this.state = { index: this.applied, hash };
    this.confState = snapshot?.confState ?? EMPTY_CONF_STATE;
    this.removed = new Set(removed === '' ? [] : removed.split(',').map(BigInt));
    this.sinceSnapshot = 0;
  }

  /** Writes work as the disk would; the caller then lets its responses go. */
  write(work: AppendWork): void {
    const { hardState, snapshot, entries } = work;
    if (snapshot !== undefined) this.storage.applySnapshot(snapshot);
    if (entries.length > 0) this.storage.append(entries);
    if (hardState !== undefined) this.writeHardState(hardState);
    if (work.mustSync || snapshot !== undefined) this.syncedCommit = this.durable.commit;
  }

  private writeHardState(hardState: HardState): void {
    // A snapshot made while this was waiting has told the disk of a newer commit index.
    const commit = Math.max(hardState.commit, this.snapshotIndex);
    this.storage.setHardState({ ...hardState, commit });
    this.cluster.oracle.vote(this.id, hardState.term, hardState.vote);
  }

  /** The core hands out entries to apply: each once in a life, in order, none left out. */
  takes(snapshot: Snapshot | undefined, entries: readonly Entry[]): void {
    if (snapshot !== undefined) this.handed = Math.max(this.handed, snapshot.index);
    for (const entry of entries) {
      law(
        'R8',
        entry.index === this.handed + 1,
        () => `${this.id} is to apply ${entry.index} after ${this.handed}`,
      );
      this.handed = entry.index;
    }
  }

  apply(entries: readonly Entry[]): void {
    const { cluster } = this;
    for (const entry of entries) {
      // A snapshot may have been installed while these were waiting.
      if (entry.index <= this.applied) continue;
      if (cluster.crashes(this.id)) return;
      law(
        'R8',
        entry.index === this.applied + 1,
        () => `${this.id} applies ${entry.index} after ${this.applied}`,
      );
      const fresh = entry.index > this.state.index;
      const hash = fresh ? fold(this.state.hash, entry) : (cluster.oracle.stateAt(entry.index) ?? '');
      cluster.oracle.applies(this, entry, hash);
      const change = decodeConfChangeEntry(entry);
      // The core may ask for a snapshot in here: until it returns, the state is the one before this entry.
      const confState = change === undefined ? this.confState : this.raw.applyConfChange(this.judged(change));
      if (fresh) this.state = { index: entry.index, hash };
      this.applied = entry.index;
      if (change !== undefined) this.reconfigured(entry.index, confState);
      cluster.applied(entry);
      this.sinceSnapshot++;
    }
    if (this.cluster.options.durableState && this.applied % 3 === 0) this.flushed = this.state;
  }

  private reconfigured(index: number, confState: ConfState): void {
    const now = membersOf(confState);
    for (const id of membersOf(this.confState)) if (!now.has(id)) this.removed.add(id);
    this.confState = confState;
    this.cluster.oracle.configured(this, index, confState);
    this.cluster.oracle.look(this);
    this.cluster.count('confChanges');
  }

  /** What the state machine makes of a change: one it refuses is put in force with its ids set to 0. */
  private judged(change: ConfChange | ConfChangeV2): ConfChange | ConfChangeV2 {
    const { changes, transition, context } = asV2(change);
    const voters = new Set(this.confState.voters);
    let allowed = true;
    for (const { type, nodeId } of changes) {
      if (this.removed.has(nodeId)) allowed = false;
      if (type === ConfChangeType.AddNode) voters.add(nodeId);
      else if (type !== ConfChangeType.UpdateNode) voters.delete(nodeId);
    }
    if (allowed && voters.size > 0) return change;
    this.cluster.reach('conf change refused by the state machine');
    if ('changes' in change) {
      return { transition, context, changes: changes.map(({ type }) => ({ type, nodeId: 0n })) };
    }
    return { ...change, nodeId: 0n };
  }

  /** A leader's snapshot is durable: the state machine becomes it. */
  install(snapshot: Snapshot): void {
    if (snapshot.index <= this.applied) return;
    const known = this.cluster.oracle.stateAt(snapshot.index);
    const hash = snapshot.data.toString().split(' ')[0];
    law('R5', known === hash, () => `snapshot at ${snapshot.index} for ${this.id} holds another state`);
    this.restore(snapshot);
    this.flushed = this.state;
    this.cluster.oracle.installed(this, snapshot.index, snapshot.confState);
    this.cluster.count('snapshotsInstalled');
    this.cluster.reach('snapshot installed');
  }

  maybeCompact(): void {
    const { snapshotEvery, catchUp } = this.cluster.options;
    if (this.sinceSnapshot < snapshotEvery || !this.takeSnapshot()) return;
    this.sinceSnapshot = 0;
    const to = this.applied - catchUp;
    if (to >= this.storage.firstIndex()) {
      this.storage.compact(to);
      this.cluster.reach('log compacted');
    }
  }

  /** A snapshot of what is applied; false when there can be none now. */
  takeSnapshot(): boolean {
    // Until all effects have been caught up with, the membership is older than the state.
    if (this.state.index !== this.applied) return false;
    // Entries are applied only when durable, but the disk may not know yet that they are committed.
    if (this.applied > this.storage.lastIndex() || this.applied < this.storage.firstIndex()) return false;
    const { durable } = this;
    if (durable.commit < this.applied) this.storage.setHardState({ ...durable, commit: this.applied });
    this.syncedCommit = Math.max(this.syncedCommit, this.applied);
    this.snapshotIndex = this.applied;
    const data = Buffer.from(`${this.state.hash} ${[...this.removed].join(',')}`);
    const taken = this.storage.createSnapshot(this.applied, this.confState, data) !== undefined;
    if (taken) this.cluster.count('snapshotsTaken');
    return taken;
  }

  /** The process ends: of what was not synced the disk keeps a prefix, the last piece of it perhaps torn. */
  crash(prng: Prng, losesWrites: boolean): void {
    this.up = false;
    this.life++;
    let keep = losesWrites ? prng.below(this.appends.length + 1) : this.appends.length;
    if (keep < this.appends.length) this.cluster.count('fault:lostWrite');
    for (const work of this.appends) {
      if (keep-- > 0) {
        this.write(work);
        continue;
      }
      this.cluster.reach('unsynced write lost');
      const some = work.entries.slice(0, prng.below(work.entries.length + 1));
      if (work.snapshot === undefined && some.length > 0) {
        this.storage.append(some);
        this.cluster.reach('torn tail after a crash');
      }
      break;
    }
    const { durable } = this;
    if (prng.chance(1, 2) && durable.commit > this.syncedCommit) {
      this.storage.setHardState({ ...durable, commit: this.syncedCommit });
    }
    this.syncedCommit = this.durable.commit;
    this.appends.length = 0;
    this.applies.length = 0;
    this.appending = false;
    this.applying = false;
    this.lateTicks = 0;
  }
}
