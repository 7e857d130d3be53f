/**
 * The end of the log that is not known to be durable yet: entries (and at most one snapshot) waiting to
 * be handed to the disk, or handed to it and unanswered. It never reads storage. Modelled on
 * etcd-io/raft's log_unstable.
 */
import { assert } from '@keelson/base';
import type { RaftLogger } from './config.ts';
import type { Entry, Snapshot } from './types.ts';

/**
 * Law: entries[i].index = offset + i, and offset ≤ offsetInProgress ≤ offset + entries.length. Entries
 * below offsetInProgress are being written. A snapshot precedes all entries (snapshot.index < offset).
 */
export class Unstable {
  snapshot: Snapshot | undefined = undefined;
  entries: Entry[] = [];
  offset: number;
  snapshotInProgress = false;
  offsetInProgress: number;
  private readonly logger: RaftLogger;

  constructor(offset: number, logger: RaftLogger) {
    this.offset = offset;
    this.offsetInProgress = offset;
    this.logger = logger;
  }

  /** First index of the whole log when a snapshot is waiting; 0 when storage knows. */
  firstIndex(): number {
    return this.snapshot === undefined ? 0 : this.snapshot.index + 1;
  }

  /** Last index of the whole log; -1 when storage knows. */
  lastIndex(): number {
    if (this.entries.length > 0) return this.offset + this.entries.length - 1;
    return this.snapshot === undefined ? -1 : this.snapshot.index;
  }

  /** Term at `index`; -1 when it is not here. */
  term(index: number): number {
    if (index < this.offset) {
      return this.snapshot !== undefined && this.snapshot.index === index ? this.snapshot.term : -1;
    }
    const place = index - this.offset;
    return place < this.entries.length ? this.entries[place].term : -1;
  }

  hasNextEntries(): boolean {
    return this.offset + this.entries.length > this.offsetInProgress;
  }

  /** Entries not yet handed out; a fresh array. */
  nextEntries(): Entry[] {
    return this.entries.slice(this.offsetInProgress - this.offset);
  }

  /** The snapshot not yet handed out. */
  nextSnapshot(): Snapshot | undefined {
    return this.snapshotInProgress ? undefined : this.snapshot;
  }

  /** All that waits has been handed to the disk. */
  acceptInProgress(): void {
    this.offsetInProgress = this.offset + this.entries.length;
    if (this.snapshot !== undefined) this.snapshotInProgress = true;
  }

  /**
   * Entries up to `index` are durable, if it is still `term` that is there: an answer for entries which
   * a later leader has replaced meanwhile says nothing about the ones here now.
   */
  stableTo(index: number, term: number): void {
    const ours = this.term(index);
    if (ours < 0) {
      this.info(`entry at index ${index} missing from unstable log; ignoring`);
      return;
    }
    if (index < this.offset) {
      this.info(`entry at index ${index} matched unstable snapshot; ignoring`);
      return;
    }
    if (ours !== term) {
      this.info(
        `entry at (index,term)=(${index},${term}) mismatched with entry at (${index},${ours}) in unstable log; ignoring`,
      );
      return;
    }
    const count = index + 1 - this.offset;
    if (count === this.entries.length) this.entries = [];
    else this.entries.splice(0, count);
    this.offset = index + 1;
    if (this.offsetInProgress < this.offset) this.offsetInProgress = this.offset;
  }

  /** The snapshot at `index` is durable and applied. */
  stableSnapshotTo(index: number): void {
    if (this.snapshot === undefined || this.snapshot.index !== index) return;
    this.snapshot = undefined;
    this.snapshotInProgress = false;
  }

  /** Everything is replaced by a snapshot from the leader. */
  restore(snapshot: Snapshot): void {
    this.offset = snapshot.index + 1;
    this.offsetInProgress = this.offset;
    this.entries = [];
    this.snapshot = snapshot;
    this.snapshotInProgress = false;
  }

  /** Appends entries[from…], dropping what they replace. There is at least one; the array is copied. */
  truncateAndAppend(entries: readonly Entry[], from: number): void {
    const first = entries[from].index;
    const end = this.offset + this.entries.length;
    assert(first <= end, () => `unstable log ends at ${end}, append at ${first}`);
    if (first !== end && first <= this.offset) {
      this.info(`replace the unstable entries from index ${first}`);
      this.entries = [];
      this.offset = first;
      this.offsetInProgress = first;
    } else if (first !== end) {
      this.info(`truncate the unstable entries before index ${first}`);
      this.entries.length = first - this.offset;
      if (this.offsetInProgress > first) this.offsetInProgress = first;
    }
    for (let i = from; i < entries.length; i++) this.entries.push(entries[i]);
  }

  private info(message: string): void {
    if (this.logger.enabled('info')) this.logger.log('info', message);
  }
}
