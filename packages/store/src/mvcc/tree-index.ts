/**
 * All keys in order with their revisions: answers which keys a range holds at a revision, and how many. It
 * is told what is written and compacted; it never reads values. Modelled on etcd's treeIndex; unlike it,
 * counting the current keys of a range costs O(log n), because deleted keys are also kept apart.
 */
import { assert, SortedMap, SortedMapBuilder } from '@keelson/base';
import {
  describeIndex,
  historyOf,
  type KeyHistory,
  putOnce,
  restoredIndex,
  restoredTombstone,
  Sweep,
  versionAt,
  type DropRevision,
  type IndexedVersion,
  type KeyIndex,
} from './key-index.ts';

/** Range end that means "all keys from `key` on". */
export const FROM_KEY = '\0';

/** Return false to stop. Neither index nor store may change meanwhile. */
export type VisitVersion = (key: string, version: IndexedVersion) => boolean | void;

/** Return false to stop. The index must not change meanwhile. */
export type VisitKey = (key: string, index: KeyIndex) => boolean | void;

/** Where a compaction is: one slice visits the keys from here. */
export interface CompactionCursor {
  readonly revision: number;
  nextKey: string;
  /** Of that key's revisions that go, how many are already dropped. */
  position: number;
}

/** Fills an index with keys in ascending order, each with all that is known of it. */
export class TreeIndexBuilder {
  private readonly keys = new SortedMapBuilder<KeyIndex>();
  private readonly deleted = new SortedMapBuilder<true>();

  add(key: string, index: KeyIndex): void {
    this.keys.add(key, index);
    if (typeof index !== 'number' && index.version === 0) this.deleted.add(key, true);
  }

  finish(): TreeIndex {
    return new TreeIndex(this.keys.finish(), this.deleted.finish());
  }
}

export class TreeIndex {
  private readonly keys: SortedMap<KeyIndex>;
  /** Those of them whose newest revision is a tombstone. */
  private readonly deleted: SortedMap<true>;

  constructor(keys = new SortedMap<KeyIndex>(), deleted = new SortedMap<true>()) {
    this.keys = keys;
    this.deleted = deleted;
  }

  /** Keys that exist now. */
  get liveCount(): number {
    return this.keys.size - this.deleted.size;
  }

  /** Keys with any revision, tombstones included. */
  get size(): number {
    return this.keys.size;
  }

  /** The version of one key at a revision. */
  at(key: string, atRevision: number): IndexedVersion | undefined {
    const index = this.keys.get(key);
    return index === undefined ? undefined : versionAt(index, atRevision);
  }

  /** Records a put; the key's created revision and version are then in the result (a number: both are its own, 1). */
  put(key: string, main: number, sub: number): KeyIndex {
    const index = this.keys.get(key);
    if (index === undefined) {
      const created = putOnce(main, sub);
      this.keys.set(key, created);
      return created;
    }
    if (typeof index === 'number') {
      const history = historyOf(index);
      history.put(main, sub);
      this.keys.set(key, history);
      return history;
    }
    return this.putTo(index, key, main, sub);
  }

  /** put() of a key whose history the caller remembers, and which is still the one kept here: no search. */
  putTo(history: KeyHistory, key: string, main: number, sub: number): KeyHistory {
    assert(history.isIndexed, 'a history the index keeps');
    if (history.version === 0) this.deleted.delete(key);
    history.put(main, sub);
    return history;
  }

  /** Records a delete of a key that exists. */
  tombstone(key: string, main: number, sub: number): void {
    let index = this.keys.get(key);
    assert(index !== undefined, 'a tombstone on an unknown key');
    if (typeof index === 'number') {
      index = historyOf(index);
      this.keys.set(key, index);
    }
    this.tombstoneOf(index, key, main, sub);
  }

  /** tombstone() of a key whose history the caller remembers, and which is still the one kept here: no search. */
  tombstoneOf(history: KeyHistory, key: string, main: number, sub: number): void {
    assert(history.isIndexed, 'a history the index keeps');
    history.tombstone(main, sub);
    this.deleted.set(key, true);
  }

  /** Whether the key exists now. */
  exists(key: string): boolean {
    const index = this.keys.get(key);
    return index !== undefined && (typeof index === 'number' || index.version > 0);
  }

  /** Restore: a put found in the key bucket. False when it does not follow from what is known of the key. */
  restorePut(key: string, main: number, sub: number, created: number, version: number): boolean {
    if (!this.keys.has(key)) {
      this.keys.set(key, restoredIndex(created, main, sub, version));
      return true;
    }
    const index = this.put(key, main, sub);
    return typeof index !== 'number' && index.created === created && index.version === version;
  }

  /** Restore: a tombstone found in the key bucket. False when the key is already deleted. */
  restoreTombstone(key: string, main: number, sub: number): boolean {
    const index = this.keys.get(key);
    if (index === undefined) {
      this.keys.set(key, restoredTombstone(main, sub));
      this.deleted.set(key, true);
      return true;
    }
    if (typeof index !== 'number' && index.version === 0) return false;
    this.tombstone(key, main, sub);
    return true;
  }

  /**
   * Visits the keys of a range that exist at `atRevision`, ascending, with the version seen there.
   * @param end '' for the single key, '\0' for all from `key` on
   */
  range(key: string, end: string, atRevision: number, visit: VisitVersion): void {
    if (end === '') {
      const version = this.at(key, atRevision);
      if (version !== undefined) visit(key, version);
      return;
    }
    this.keys.range(key, end === FROM_KEY ? undefined : end, (name, index) => {
      const version = versionAt(index, atRevision);
      return version === undefined ? true : visit(name, version);
    });
  }

  /** Keys of a range that exist now; O(log n). */
  countCurrent(key: string, end: string): number {
    if (end === '') return this.keys.has(key) && !this.deleted.has(key) ? 1 : 0;
    const high = end === FROM_KEY ? undefined : end;
    return this.keys.count(key, high) - this.deleted.count(key, high);
  }

  /** Keys of a range that existed at `atRevision`; visits them all. */
  countAt(key: string, end: string, atRevision: number): number {
    let count = 0;
    this.range(key, end, atRevision, () => {
      count++;
    });
    return count;
  }

  /** Whether any key existed at `atRevision`. */
  anyAt(atRevision: number): boolean {
    let any = false;
    this.range('', FROM_KEY, atRevision, () => {
      any = true;
      return false;
    });
    return any;
  }

  /**
   * One slice of a compaction: visits keys from the cursor on until `keysMax` are seen or `dropsMax`
   * revisions dropped (a key with many more takes many slices), and moves the cursor. Writes may come between.
   *
   * @param drop told each forgotten revision; for one key oldest first
   * @returns whether keys are left to visit
   */
  compactSlice(cursor: CompactionCursor, keysMax: number, dropsMax: number, drop: DropRevision): boolean {
    let keysLeft = keysMax;
    let dropsLeft = dropsMax;
    let next: string | undefined;
    const gone: string[] = [];
    this.keys.range(cursor.nextKey, undefined, (key, index) => {
      if (keysLeft === 0 || dropsLeft === 0) {
        next = key;
        return false;
      }
      keysLeft--;
      // A single put is the newest at or below any revision that has it.
      if (typeof index === 'number') return true;
      const from = key === cursor.nextKey ? cursor.position : 0;
      const sweep = new Sweep(from, dropsLeft, drop);
      const left = index.compact(cursor.revision, sweep);
      dropsLeft -= sweep.told;
      if (left === undefined) {
        next = key;
        cursor.position = from + sweep.told;
        return false;
      }
      cursor.position = 0;
      if (left === 0) {
        gone.push(key);
        index.leave();
      } else if (left === 1 && index.version === 1 && index.created === index.main) {
        this.keys.set(key, putOnce(index.main, index.sub));
        index.leave();
      }
      return true;
    });
    for (const key of gone) {
      this.keys.delete(key);
      this.deleted.delete(key);
    }
    if (next === undefined) return false;
    cursor.nextKey = next;
    return true;
  }

  /** Every key from `from` on, ascending, whatever it has. */
  visit(from: string, visit: VisitKey): void {
    this.keys.range(from, undefined, visit);
  }

  /** All keys with their generations, one line each; for tests. */
  describe(): string {
    const lines: string[] = [];
    this.keys.range('', undefined, (key, index) => {
      lines.push(`${key}: ${describeIndex(index)}`);
    });
    return lines.join('\n');
  }
}
