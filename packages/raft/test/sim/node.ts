/**
 * One simulated member: the node under test, a disk that forgets what was not synced, and a state
 * machine that is a rolling hash. It acts only when the cluster says so.
 */
import { assert, type Prng } from '@keelson/base';
import {
  type AppendWork,
  type ApplyWork,
  type ConfState,
  decodeConfChangeEntry,
  EMPTY_CONF_STATE,
  type Entry,
  type HardState,
  MemoryStorage,
  type Message,
  MessageType,
  type NodeId,
  RawNode,
  Snapshot,
} from '../../src/index.ts';
import type { RaftState } from '../../src/state.ts';
import type { Observed, Surroundings } from './surroundings.ts';

export const SILENT = { enabled: (): boolean => false, log: (): void => {} };

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

export class SimNode implements Observed {
  readonly id: NodeId;
  readonly cluster: Surroundings;
  readonly storage = new SimStorage();
  raw!: RawNode;
  core!: RaftState;
  /** Counts lives: what was begun in an earlier one is dead. */
  life = 0;
  up = false;
  pausedUntil = 0;
  slowUntil = 0;
  tickEvery = 10;
  readonly appends: AppendWork[] = [];
  readonly applies: ApplyWork[] = [];
  appending = false;
  applying = false;
  applied = 0;
  state = '0';
  confState: ConfState = EMPTY_CONF_STATE;
  private syncedCommit = 0;
  private sinceSnapshot = 0;
  /** Of the newest snapshot made here. */
  private snapshotIndex = 0;

  constructor(cluster: Surroundings, id: NodeId, start: Snapshot | undefined) {
    this.cluster = cluster;
    this.id = id;
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
    this.applied = snapshot?.index ?? 0;
    this.state = snapshot === undefined ? '0' : snapshot.data.toString();
    this.confState = snapshot?.confState ?? EMPTY_CONF_STATE;
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
      logger: SILENT,
    });
    this.core = (this.raw as unknown as { readonly state: RaftState }).state;
    this.storage.fresh = () => {
      this.takeSnapshot();
    };
    this.up = true;
    this.cluster.oracle.born(this);
  }

  /** Writes work as the disk would; the caller then lets its responses go. */
  write(work: AppendWork): void {
    const { hardState, snapshot, entries } = work;
    if (snapshot !== undefined) {
      this.storage.applySnapshot(snapshot);
      this.cluster.count('snapshots');
    }
    if (entries.length > 0) {
      if (entries[0] !== undefined && entries[0].index <= this.storage.lastIndex())
        this.cluster.count('truncations');
      this.storage.append(entries);
    }
    if (hardState !== undefined) this.writeHardState(hardState);
    if (work.mustSync || snapshot !== undefined) this.syncedCommit = this.durable.commit;
  }

  private writeHardState(hardState: HardState): void {
    // A snapshot made while this was waiting has told the disk of a newer commit index.
    const commit = Math.max(hardState.commit, this.snapshotIndex);
    this.storage.setHardState({ ...hardState, commit });
    this.cluster.oracle.vote(this.id, hardState.term, hardState.vote);
  }

  apply(entries: readonly Entry[]): void {
    // A snapshot may have been installed while these were waiting.
    for (const entry of entries) {
      if (entry.index <= this.applied) continue;
      assert(
        entry.index === this.applied + 1,
        () => `${this.id} is to apply ${entry.index} after ${this.applied}`,
      );
      const state = fold(this.state, entry);
      const change = decodeConfChangeEntry(entry);
      this.cluster.oracle.applies(this, entry, state);
      // The core may ask for a snapshot in here: until it returns, the state is the one before this entry.
      const confState = change === undefined ? this.confState : this.raw.applyConfChange(change);
      this.state = state;
      this.applied = entry.index;
      this.confState = confState;
      if (change !== undefined) {
        this.cluster.oracle.configured(entry.index, this.confState);
        this.cluster.count('confChanges');
        if (this.confState.votersOutgoing.length > 0) this.cluster.count('joint');
      }
      this.sinceSnapshot++;
    }
  }

  /** A leader's snapshot is durable: the state machine becomes it. */
  install(snapshot: Snapshot): void {
    if (snapshot.index <= this.applied) return;
    const known = this.cluster.oracle.stateAt(snapshot.index);
    assert(known === snapshot.data.toString(), () => `R5: snapshot at ${snapshot.index} holds another state`);
    this.applied = snapshot.index;
    this.state = snapshot.data.toString();
    this.confState = snapshot.confState;
    this.sinceSnapshot = 0;
  }

  maybeCompact(): void {
    const { snapshotEvery, catchUp } = this.cluster.options;
    if (this.sinceSnapshot < snapshotEvery || !this.takeSnapshot()) return;
    this.sinceSnapshot = 0;
    const to = this.applied - catchUp;
    if (to >= this.storage.firstIndex()) {
      this.storage.compact(to);
      this.cluster.count('compactions');
    }
  }

  private takeSnapshot(): boolean {
    // Entries are applied only when durable, but the disk may not know yet that they are committed.
    if (this.applied > this.storage.lastIndex() || this.applied < this.storage.firstIndex()) return false;
    const { durable } = this;
    if (durable.commit < this.applied) this.storage.setHardState({ ...durable, commit: this.applied });
    this.syncedCommit = Math.max(this.syncedCommit, this.applied);
    this.snapshotIndex = this.applied;
    return this.storage.createSnapshot(this.applied, this.confState, Buffer.from(this.state)) !== undefined;
  }

  /** The process ends: of what was not synced the disk keeps a prefix, the last piece of it perhaps torn. */
  crash(prng: Prng): void {
    this.up = false;
    this.life++;
    if (this.appends.length > 0) this.cluster.count('lostWrites');
    let keep = prng.below(this.appends.length + 1);
    for (const work of this.appends) {
      if (keep-- > 0) {
        this.write(work);
        continue;
      }
      const some = work.entries.slice(0, prng.below(work.entries.length + 1));
      if (work.snapshot === undefined && some.length > 0) {
        this.storage.append(some);
        this.cluster.count('tornWrites');
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
  }

  static promises(message: Message): boolean {
    return message.type === MessageType.VoteResp || message.type === MessageType.AppResp;
  }
}
