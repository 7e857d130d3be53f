/**
 * LogStorage in memory: a hard state, one snapshot and the log's tail as an array with an offset. It is
 * the storage of tests and the hot tail of the store's log, so append and term are O(1) an entry and
 * compacting moves a mark. It never touches a disk; whoever needs durability writes before appending.
 * Modelled on etcd-io/raft's MemoryStorage.
 */
import { assert } from '@keelson/base';
import { limitEnd } from './entry-size.ts';
import { type LogStorage, StorageError } from './log-storage.ts';
import { type ConfState, EMPTY_CONF_STATE, type Entry, type HardState, NONE, Snapshot } from './types.ts';

/** Dead places kept before the array is rebuilt: rebuilding is linear, so do it once per that many. */
const DEAD_MAX = 1024;

/**
 * Law: the entry at `base` (compacted or the snapshot's) has term `baseTerm`; live entries are
 * base+1, base+2, … without gaps, at list[dead], list[dead + 1], …
 */
export class MemoryStorage implements LogStorage {
  private hard: HardState = { term: 0, vote: NONE, commit: 0 };
  private newest: Snapshot = new Snapshot(0, 0, EMPTY_CONF_STATE);
  private list: Entry[] = [];
  private dead = 0;
  private base = 0;
  private baseTerm = 0;

  /** A log that begins with a membership: a snapshot of term 1 at `index`, committed, and nothing behind it. */
  static founded(membership: Partial<ConfState>, index = 1): MemoryStorage {
    const storage = new MemoryStorage();
    storage.applySnapshot(new Snapshot(index, 1, { ...EMPTY_CONF_STATE, ...membership }));
    storage.setHardState({ term: 1, vote: NONE, commit: index });
    return storage;
  }

  initialState(): { readonly hardState: HardState; readonly confState: ConfState } {
    return { hardState: this.hard, confState: this.newest.confState };
  }

  setHardState(hardState: HardState): void {
    this.hard = hardState;
  }

  firstIndex(): number {
    return this.base + 1;
  }

  lastIndex(): number {
    return this.base + this.list.length - this.dead;
  }

  snapshot(): Snapshot | undefined {
    return this.newest;
  }

  term(index: number): number | StorageError {
    if (index === this.base) return this.baseTerm;
    if (index < this.base) return StorageError.Compacted;
    if (index > this.lastIndex()) return StorageError.Unavailable;
    return this.list[index - this.base - 1 + this.dead].term;
  }

  entries(low: number, high: number, bytesMax: number): Entry[] | StorageError {
    if (low <= this.base) return StorageError.Compacted;
    assert(
      high <= this.lastIndex() + 1,
      () => `entries' high(${high}) is out of bound lastIndex(${this.lastIndex()})`,
    );
    if (low > this.lastIndex()) return StorageError.Unavailable;
    const shift = this.dead - this.base - 1;
    const end = limitEnd(this.list, low + shift, high + shift, bytesMax);
    return this.list.slice(low + shift, end);
  }

  /**
   * Adds entries, replacing what they overlap. Entries at or below the last compaction are skipped.
   * The entries are kept, not copied.
   */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const first = entries[0].index;
    assert(
      first <= this.lastIndex() + 1,
      () => `missing log entry [last: ${this.lastIndex()}, append at: ${first}]`,
    );
    let from = 0;
    if (first <= this.base) {
      from = this.base + 1 - first;
      if (from >= entries.length) return;
    }
    const place = first + from - this.base - 1 + this.dead;
    if (place < this.list.length) this.list.length = place;
    for (let i = from; i < entries.length; i++) this.list.push(entries[i]);
  }

  /** Forgets entries up to and including `index`, which must be in the log; false when already forgotten. */
  compact(index: number): boolean {
    if (index <= this.base) return false;
    assert(
      index <= this.lastIndex(),
      () => `compact ${index} is out of bound lastindex(${this.lastIndex()})`,
    );
    const place = index - this.base - 1 + this.dead;
    this.baseTerm = this.list[place].term;
    this.base = index;
    // Free the references now; the array itself is rebuilt when half of it is dead.
    for (let i = this.dead; i <= place; i++) (this.list as (Entry | undefined)[])[i] = undefined;
    this.dead = place + 1;
    if (this.dead > DEAD_MAX && this.dead * 2 > this.list.length) {
      this.list = this.list.slice(this.dead);
      this.dead = 0;
    }
    return true;
  }

  /**
   * Makes the snapshot that snapshot() gives from now on: state up to `index`, which must be in the log.
   * `confState` is the membership at that index. Undefined when a newer snapshot exists.
   */
  createSnapshot(index: number, confState: ConfState | undefined, data: Buffer): Snapshot | undefined {
    if (index <= this.newest.index) return undefined;
    assert(
      index <= this.lastIndex(),
      () => `snapshot ${index} is out of bound lastindex(${this.lastIndex()})`,
    );
    const term = this.term(index);
    assert(typeof term === 'number', () => `snapshot ${index} is below first index ${this.firstIndex()}`);
    this.newest = new Snapshot(index, term, confState ?? this.newest.confState, data);
    return this.newest;
  }

  /** Replaces log and state with a snapshot; false when ours is as new or newer. */
  applySnapshot(snapshot: Snapshot): boolean {
    if (this.newest.index >= snapshot.index) return false;
    this.newest = snapshot;
    this.list = [];
    this.dead = 0;
    this.base = snapshot.index;
    this.baseTerm = snapshot.term;
    return true;
  }
}
