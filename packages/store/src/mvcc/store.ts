/**
 * Keys through time: the door of mvcc. Reads at any revision that is not compacted, one write transaction at
 * a time, compaction, HashKV. Synchronous but for restore, compaction and hash, which work in slices. It
 * knows a lease only as a number beside a value, takes no time from a clock and never decides when to write to
 * disk; the applier joins it with leases, watchers and the applied mark. Modelled on etcd's mvcc store.
 */
import { assert } from '@keelson/base';
import type { AppliedMark } from '../backend/batch-record.ts';
import { COMPACTION_BATCH_REVISIONS_DEFAULT } from '../limits.ts';
import type { KeyCensus } from './census.ts';
import type { CheckpointIdentity } from './checkpoint-file.ts';
import { Compaction, type Pause } from './compaction.ts';
import type { WatchEvent } from './event.ts';
import { hashKV, type HashResult } from './hash.ts';
import type { KeyValue } from './key-value.ts';
import { writeCheckpoint } from './index-checkpoint.ts';
import { restoreState, type CheckpointOptions } from './restore.ts';
import {
  MvccState,
  type History,
  type MvccBuffer,
  type MvccCounters,
  type RangeOptions,
  type RangeResult,
  type RevisionError,
} from './state.ts';
import { WriteTxn, type WriteGate } from './write-txn.ts';

export type { History, MvccBuffer, MvccCounters, RangeOptions, RangeResult, RevisionError } from './state.ts';

/**
 * Both generations of the value cache: 50,000 entries of 256 B. With 64 MiB a member is 40 MB larger, half of it
 * garbage that waits to be collected.
 */
const VALUE_CACHE_BYTES = 32 * 1024 * 1024;

export interface MvccOptions {
  /** Bound of the cache of current values; 0 for none. */
  readonly valueCacheBytes?: number;
  /** Revisions one slice of compaction drops at most. */
  readonly compactionBatchLimit?: number;
  /** Whether each compaction hashes what it starts from; see compactionHashes. */
  readonly keepCompactionHashes?: boolean;
  /** Makes whoever counts what a store holds, once for each. */
  readonly census?: () => KeyCensus;
  /** Where the index checkpoint is kept; undefined: there is none. Not with a census: it knows no values. */
  readonly checkpoint?: CheckpointOptions;
  /** Restore: told each existing key that has a lease. */
  readonly onLease?: (lease: bigint, key: string) => void;
}

interface Checkpoint {
  readonly options: CheckpointOptions | undefined;
  /** The file that is there; undefined for none that is of use. */
  current: CheckpointIdentity | undefined;
  /** What counters.events was when it was begun; negative by what a start has read behind it. */
  changes: number;
}

export class MvccStore {
  /** What the newest batch on disk said when the store was restored; undefined for a new member. */
  readonly restoredMark: AppliedMark | undefined;
  private readonly state: MvccState;
  private readonly compaction: Compaction;
  private readonly gate: WriteGate = { writing: false };
  private readonly checkpoint: Checkpoint;

  private constructor(
    state: MvccState,
    compaction: Compaction,
    mark: AppliedMark | undefined,
    checkpoint: Checkpoint,
  ) {
    this.state = state;
    this.compaction = compaction;
    this.restoredMark = mark;
    this.checkpoint = checkpoint;
  }

  /**
   * Reads the key bucket and checks it. A compaction that was not finished is pending: call runCompaction.
   * @param buffer with nothing unwritten in it
   * @throws FatalError when the data is not whole: the member must not serve
   */
  static async restore(buffer: MvccBuffer, options: MvccOptions = {}): Promise<MvccStore> {
    const state = new MvccState(buffer, options.valueCacheBytes ?? VALUE_CACHE_BYTES, options.census?.());
    const { mark, recordsFrom, leases, checkpoint, readChanges } = await restoreState(
      state,
      options.checkpoint,
    );
    if (options.onLease !== undefined) for (const [key, lease] of leases) options.onLease(lease, key);
    const batchLimit = options.compactionBatchLimit ?? COMPACTION_BATCH_REVISIONS_DEFAULT;
    return new MvccStore(
      state,
      new Compaction(state, batchLimit, recordsFrom, options.keepCompactionHashes),
      mark,
      { options: options.checkpoint, current: checkpoint, changes: -readChanges },
    );
  }

  /** Revision of the last completed write; 1 before the first. */
  get currentRevision(): number {
    return this.state.currentRevision;
  }

  /** The oldest revision that can be read; -1 when nothing was ever compacted. */
  get compactRevision(): number {
    return this.state.compactRevision;
  }

  /** The newest change as the applied mark wants it: 17 bytes (revision.ts). */
  get newestRevision(): string {
    return this.state.newestRevision;
  }

  /** Keys that exist. */
  get keysTotal(): number {
    return this.state.index.liveCount;
  }

  /** Bytes of the revisions that are stored, as they are stored; see MvccState. */
  get storedBytes(): number {
    return this.state.storedBytes;
  }

  get counters(): Readonly<MvccCounters> {
    return this.state.counters;
  }

  /** The newest version of one key. */
  get(key: string): KeyValue | undefined {
    return this.state.get(key);
  }

  /**
   * Keys of [key, end) at a revision, ascending.
   * @param end '' for the single key, '\0' for all from `key` on; at or below `key` the range is empty
   */
  range(key: string, end: string, options: RangeOptions = {}): RangeResult | RevisionError {
    this.state.counters.ranges++;
    return this.state.range(key, end, options, this.state.currentRevision);
  }

  /**
   * Visits at most `keysMax` keys of [from, end) with the lengths of their values, ascending.
   * @param end '\0' for all from `from` on
   * @returns where to go on; undefined when there are no more
   */
  valueLengths(
    from: string,
    end: string,
    keysMax: number,
    visit: (key: string, valueLength: number) => void,
  ): string | undefined {
    return this.state.valueLengths(from, end, keysMax, visit);
  }

  /** Who counts what this store holds. */
  get census(): KeyCensus | undefined {
    return this.state.census;
  }

  /** One at a time; nothing else may use the store until its end(). */
  beginWrite(): WriteTxn {
    assert(!this.gate.writing, 'one write transaction at a time');
    return new WriteTxn(this.state, this.gate);
  }

  /**
   * Refuses readers below `revision` from now on. The work behind it is left to runCompaction.
   * 'COMPACTED' when that was done before, 'FUTURE' for a revision that is not there yet.
   */
  compact(revision: number): 'ok' | RevisionError {
    return this.compaction.schedule(revision);
  }

  /** Whether scheduled compaction work is left. */
  get compactionPending(): boolean {
    return this.compaction.pending;
  }

  /** The newest compaction whose work is done; -1 for none. */
  get finishedCompactRevision(): number {
    return this.state.finishedCompactRevision;
  }

  /**
   * Does the scheduled work in slices; joins a run that is under way. What it removed is on disk after the
   * buffer's next commit.
   * @param pause waits between slices (etcd: 10 ms); rejects to end the work for now
   */
  runCompaction(pause: Pause): Promise<void> {
    return this.compaction.run(pause);
  }

  /** The revision up to which the next start need not read; 0 without an index checkpoint. */
  get checkpointRevision(): number {
    return this.checkpoint.current?.revision ?? 0;
  }

  /** Changes that the next start must read, with their values: about 3 µs each. A transaction makes many. */
  get changesSinceCheckpoint(): number {
    return this.state.counters.events - this.checkpoint.changes;
  }

  /** What the index knows, and a checkpoint holds: changes, and keys from before the last compaction (at most). */
  get indexedChanges(): number {
    const { changeCounts, compactRevision, index } = this.state;
    return changeCounts.total + (compactRevision < 0 ? 0 : index.size);
  }

  /**
   * Writes an index checkpoint of the current revision, in slices. One at a time, and not while compaction works.
   * @param leaseOf the lease a key is attached to now; 0n for none
   * @param pause waits between slices; rejects to give up
   * @returns false when nothing was written: there is nowhere to, nothing to, or a compaction was begun meanwhile
   * @throws what `pause` throws, and the disk's errors: the checkpoint there before stays
   */
  async writeCheckpoint(leaseOf: (key: string) => bigint, pause: () => Promise<void>): Promise<boolean> {
    const { options, current } = this.checkpoint;
    const changes = this.state.counters.events;
    if (options === undefined || this.state.currentRevision === this.checkpointRevision) return false;
    const { recordsFrom } = this.compaction;
    const source = { recordsFrom, leaseOf, current, sliceKeys: options.sliceKeys };
    const identity = await writeCheckpoint(this.state, options.file, source, pause);
    if (identity === undefined) return false;
    this.checkpoint.current = identity;
    this.checkpoint.changes = changes;
    return true;
  }

  /** HashKV up to `revision`, 0 for the current one; equal on all members with the same history. */
  hashKV(revision: number): Promise<HashResult | RevisionError> {
    const kept = this.compaction.hashes.find(({ hashRevision }) => hashRevision === revision);
    if (kept === undefined) return hashKV(this.state, revision);
    return Promise.resolve({ ...kept, currentRevision: this.state.currentRevision });
  }

  /** Hashes at the last revisions that were compacted here, oldest first, each with the compaction before it. */
  get compactionHashes(): readonly HashResult[] {
    return this.compaction.hashes;
  }

  /** What the event's change was made to: null for a create and where the past is compacted. */
  previousOf(event: WatchEvent): KeyValue | null {
    return this.state.previousOf(event);
  }

  /**
   * The changes of as many whole main revisions from `from` to `to` as fit the bounds, at least one.
   * `from` must be at or above compactRevision, `to` at or below currentRevision.
   */
  history(from: number, to: number, revisionsMax: number, bytesMax: number): History {
    return this.state.history(from, to, revisionsMax, bytesMax);
  }

  /** All keys with their generations, one line each; for tests. */
  describeIndex(): string {
    return this.state.index.describe();
  }
}
