/**
 * The whole log of one node: what storage has, then what is still unstable, with the marks that move
 * over it. It decides what can be appended, committed and handed out for applying; it never decides who
 * leads. Modelled on etcd-io/raft's raftLog.
 */
import { assert } from '@keelson/base';
import type { RaftLogger } from './config.ts';
import { entriesSize, entrySize, limitEnd } from './entry-size.ts';
import { type LogStorage, StorageError } from './log-storage.ts';
import { type Entry, EntryType, type Snapshot } from './types.ts';
import { Unstable } from './unstable.ts';

/**
 * Laws: firstIndex - 1 ≤ applied ≤ applying ≤ committed ≤ lastIndex. `applying` is the last entry handed
 * out for applying; `committed` never falls.
 */
export class RaftLog {
  readonly unstable: Unstable;
  committed: number;
  applying: number;
  applied: number;
  private readonly storage: LogStorage;
  private readonly logger: RaftLogger;
  /** Bound on the encoded size of entries handed out and not yet applied. */
  private readonly applyingSizeMax: number;
  private applyingSize = 0;
  private applyingPaused = false;

  constructor(storage: LogStorage, logger: RaftLogger, applyingSizeMax: number) {
    const first = storage.firstIndex();
    this.storage = storage;
    this.logger = logger;
    this.applyingSizeMax = applyingSizeMax;
    this.unstable = new Unstable(storage.lastIndex() + 1, logger);
    this.committed = first - 1;
    this.applying = first - 1;
    this.applied = first - 1;
  }

  firstIndex(): number {
    const index = this.unstable.firstIndex();
    return index > 0 ? index : this.storage.firstIndex();
  }

  lastIndex(): number {
    const index = this.unstable.lastIndex();
    return index >= 0 ? index : this.storage.lastIndex();
  }

  lastTerm(): number {
    const term = this.term(this.lastIndex());
    assert(typeof term === 'number', () => `no term for the last index ${this.lastIndex()}: ${term}`);
    return term;
  }

  /** Term of the entry at `index`, valid from firstIndex() - 1 to lastIndex(). */
  term(index: number): number | StorageError {
    const term = this.unstable.term(index);
    if (term >= 0) return term;
    if (index + 1 < this.firstIndex()) return StorageError.Compacted;
    if (index > this.lastIndex()) return StorageError.Unavailable;
    return this.storage.term(index);
  }

  /** Like term(), with 0 for what is not there. */
  termOrZero(index: number): number {
    const term = this.term(index);
    return typeof term === 'number' ? term : 0;
  }

  matchTerm(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** Whether a candidate whose log ends so may have our vote (Raft §5.4.1). */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    const ours = this.lastTerm();
    return lastTerm > ours || (lastTerm === ours && lastIndex >= this.lastIndex());
  }

  /**
   * A leader's entries, if its log and ours agree at `previousIndex`: appends what is new, drops what
   * conflicts, moves the commit index. Entries we already have are left alone, so that an old message
   * never shortens the log.
   *
   * @returns the last index known to agree with the leader, or -1 when the logs disagree
   */
  maybeAppend(
    previousIndex: number,
    previousTerm: number,
    entries: readonly Entry[],
    committed: number,
  ): number {
    if (!this.matchTerm(previousIndex, previousTerm)) return -1;
    const last = previousIndex + entries.length;
    const conflict = this.findConflict(entries);
    if (conflict >= 0) {
      const index = entries[conflict].index;
      assert(
        index > this.committed,
        () => `entry ${index} conflict with committed entry [committed(${this.committed})]`,
      );
      this.append(entries, conflict);
    }
    this.commitTo(Math.min(committed, last));
    return last;
  }

  /** Appends entries[from…], replacing what they overlap, which must not be committed. */
  append(entries: readonly Entry[], from = 0): number {
    if (from < entries.length) {
      const after = entries[from].index - 1;
      assert(after >= this.committed, () => `after(${after}) is out of range [committed(${this.committed})]`);
      this.unstable.truncateAndAppend(entries, from);
    }
    return this.lastIndex();
  }

  /** Place of the first entry which is new or whose term differs from ours; -1 when we have all. */
  private findConflict(entries: readonly Entry[]): number {
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i];
      if (this.matchTerm(entry.index, entry.term)) continue;
      if (this.logger.enabled('info') && entry.index <= this.lastIndex()) {
        const existing = this.termOrZero(entry.index);
        this.logger.log(
          'info',
          `found conflict at index ${entry.index} [existing term: ${existing}, conflicting term: ${entry.term}]`,
        );
      }
      return i;
    }
    return -1;
  }

  /**
   * The largest index ≤ `index` at which our term is ≤ `term`: everything above it cannot agree with a
   * log that has `term` at `index`. Skips a whole term in one round trip (the optimisation at the end
   * of Raft §5.3).
   */
  findConflictByTerm(index: number, term: number): { readonly index: number; readonly term: number } {
    for (let i = index; i > 0; i--) {
      const ours = this.term(i);
      // Unknown to us: assume that it may agree, and say so with term 0.
      if (typeof ours !== 'number') return { index: i, term: 0 };
      if (ours <= term) return { index: i, term: ours };
    }
    return { index: 0, term: 0 };
  }

  commitTo(index: number): void {
    if (index <= this.committed) return;
    assert(
      index <= this.lastIndex(),
      () =>
        `tocommit(${index}) is out of range [lastIndex(${this.lastIndex()})]. Was the raft log corrupted, truncated, or lost?`,
    );
    this.committed = index;
  }

  /** Commits up to `index` if the entry there is of `term` (Raft §5.4.2): true when commit moved. */
  maybeCommit(index: number, term: number): boolean {
    if (term === 0 || index <= this.committed || !this.matchTerm(index, term)) return false;
    this.commitTo(index);
    return true;
  }

  /** The state machine has applied up to `index`; `size` is the encoded size of what it answers for. */
  appliedTo(index: number, size: number): void {
    assert(
      index <= this.committed && index >= this.applied,
      () => `applied(${index}) is out of range [prevApplied(${this.applied}), committed(${this.committed})]`,
    );
    this.applied = index;
    if (this.applying < index) this.applying = index;
    this.applyingSize = this.applyingSize > size ? this.applyingSize - size : 0;
    this.applyingPaused = this.applyingSize >= this.applyingSizeMax;
  }

  /** Entries up to `index` have been handed out for applying. */
  acceptApplying(index: number, size: number, allowUnstable: boolean): void {
    assert(
      index <= this.committed,
      () =>
        `applying(${index}) is out of range [prevApplying(${this.applying}), committed(${this.committed})]`,
    );
    this.applying = index;
    this.applyingSize += size;
    // Paused also when the bound cut this round short: the next entry alone would break it.
    this.applyingPaused =
      this.applyingSize >= this.applyingSizeMax || index < this.appliableIndexMax(allowUnstable);
  }

  stableTo(index: number, term: number): void {
    this.unstable.stableTo(index, term);
  }

  /** Everything in the log is unstable from here on, or was being written: is there such an entry? */
  hasUnstableEntries(): boolean {
    return this.unstable.entries.length > 0;
  }

  hasUnstableSnapshot(): boolean {
    return this.unstable.snapshot !== undefined;
  }

  hasNextCommitted(allowUnstable: boolean): boolean {
    if (this.applyingPaused || this.hasUnstableSnapshot()) return false;
    return this.applying < this.appliableIndexMax(allowUnstable);
  }

  /**
   * Committed entries to apply next, bounded in size together with those being applied. Unless
   * `allowUnstable`, only entries that are durable here.
   */
  nextCommitted(allowUnstable: boolean): Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return [];
    const sizeMax = this.applyingSizeMax - this.applyingSize;
    assert(
      sizeMax > 0,
      () => `applying entry size (${this.applyingSizeMax}-${this.applyingSize}) not positive`,
    );
    const entries = this.slice(this.applying + 1, this.appliableIndexMax(allowUnstable) + 1, sizeMax);
    assert(Array.isArray(entries), 'unapplied entries were compacted');
    return entries;
  }

  private appliableIndexMax(allowUnstable: boolean): number {
    if (allowUnstable) return this.committed;
    const stable = this.unstable.offset - 1;
    return stable < this.committed ? stable : this.committed;
  }

  /** Whether a conf change is committed and not yet applied; reads at most a page at a time. */
  hasUnappliedConfChange(): boolean {
    return this.hasConfChange(this.applied + 1, this.committed + 1);
  }

  /** Whether a conf change has been handed out whose applying is not reported yet. */
  isApplyingConfChange(): boolean {
    // What a waiting snapshot has replaced is not in the log, and held no change: that was looked at then.
    return this.hasConfChange(Math.max(this.applied + 1, this.firstIndex()), this.applying + 1);
  }

  private hasConfChange(from: number, high: number): boolean {
    let low = from;
    while (low < high) {
      const page = this.slice(low, high, this.applyingSizeMax);
      assert(
        Array.isArray(page) && page.length > 0,
        () => `error scanning unapplied entries [${low}, ${high})`,
      );
      for (let i = 0; i < page.length; i++) if (page[i].type !== EntryType.Normal) return true;
      low += page.length;
    }
    return false;
  }

  /** Entries from `index` to the end, bounded in size; empty when there are none. */
  entries(index: number, bytesMax: number): Entry[] | StorageError {
    const last = this.lastIndex();
    return index > last ? [] : this.slice(index, last + 1, bytesMax);
  }

  /** Entries in [low, high), cut to `bytesMax` but at least one. Compacted is the only error. */
  slice(low: number, high: number, bytesMax: number): Entry[] | StorageError {
    if (low < this.firstIndex()) return StorageError.Compacted;
    assert(
      low <= high && high <= this.lastIndex() + 1,
      () => `slice[${low},${high}) out of bound [${this.firstIndex()},${this.lastIndex()}]`,
    );
    if (low === high) return [];
    const unstable = this.unstable.entries;
    const offset = this.unstable.offset;
    if (low >= offset) {
      return unstable.slice(low - offset, limitEnd(unstable, low - offset, high - offset, bytesMax));
    }

    const cut = high < offset ? high : offset;
    const stable = this.storage.entries(low, cut, bytesMax);
    if (stable === StorageError.Compacted) return stable;
    assert(Array.isArray(stable), () => `entries[${low}:${cut}) is unavailable from storage`);
    if (high <= offset || stable.length < cut - low) return stable;
    if (bytesMax === Infinity) return stable.concat(unstable.slice(0, high - offset));
    const size = entriesSize(stable);
    if (size >= bytesMax) return stable;
    const end = limitEnd(unstable, 0, high - offset, bytesMax - size);
    // limitEnd always admits one; here it may be one too many.
    if (end === 1 && size + entrySize(unstable[0]) > bytesMax) return stable;
    return stable.concat(unstable.slice(0, end));
  }

  /** What to send a follower that needs compacted entries; undefined while none is ready. */
  snapshot(): Snapshot | undefined {
    return this.unstable.snapshot ?? this.storage.snapshot();
  }

  /** Replaces everything with a snapshot from the leader. */
  restore(snapshot: Snapshot): void {
    if (this.logger.enabled('info')) {
      this.logger.log(
        'info',
        `log [${this.describe()}] starts to restore snapshot [index: ${snapshot.index}, term: ${snapshot.term}]`,
      );
    }
    this.committed = snapshot.index;
    this.unstable.restore(snapshot);
  }

  describe(): string {
    const unstable = this.unstable;
    return (
      `committed=${this.committed}, applied=${this.applied}, applying=${this.applying}, ` +
      `unstable.offset=${unstable.offset}, unstable.offsetInProgress=${unstable.offsetInProgress}, ` +
      `len(unstable.Entries)=${unstable.entries.length}`
    );
  }
}
