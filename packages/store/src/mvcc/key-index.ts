/**
 * The revisions of one key that the key bucket holds, by generation: a generation is a life of the key, from
 * the put that created it to the tombstone that ended it. It knows where versions are, never what they say.
 * Modelled on etcd's mvcc/key_index.go, in a leaner form: a key that was put once is just the number of its
 * main revision, and a key that was put again keeps its newest revision flat and only older ones in arrays.
 *
 * Laws: revisions only grow. At any main revision a reader sees the one with the greatest sub revision.
 */
import { assert } from '@keelson/base';

/** A number is the main revision of a key put once, at sub revision 0. */
export type KeyIndex = number | KeyHistory;

/** One version as the index knows it. */
export class IndexedVersion {
  readonly main: number;
  readonly sub: number;
  readonly created: number;
  readonly version: number;

  constructor(main: number, sub: number, created: number, version: number) {
    this.main = main;
    this.sub = sub;
    this.created = created;
    this.version = version;
  }
}

/** A generation that has ended. */
interface ClosedGeneration {
  readonly created: number;
  /** Version the tombstone would have. */
  readonly version: number;
  /** Pairs (main, sub), oldest first; the last one is the tombstone. */
  revisions: number[];
}

export class KeyHistory {
  /** Where the open generation began; 0 when the key is deleted. */
  created: number;
  /** Newest revision of the open generation; 0, 0 when the key is deleted. */
  main: number;
  sub: number;
  /** Version at that revision; 0 when the key is deleted. */
  version: number;
  /** The open generation's revisions before the newest, as pairs (main, sub), oldest first. */
  older: number[] | undefined;
  /** Oldest first. */
  closed: ClosedGeneration[] | undefined;

  constructor(created: number, main: number, sub: number, version: number) {
    this.created = created;
    this.main = main;
    this.sub = sub;
    this.version = version;
    this.older = undefined;
    this.closed = undefined;
  }

  put(main: number, sub: number): void {
    this.assertNewer(main, sub);
    if (this.version === 0) this.created = main;
    else this.pushOlder();
    this.main = main;
    this.sub = sub;
    this.version++;
  }

  /** Ends the open generation. */
  tombstone(main: number, sub: number): void {
    assert(this.version > 0, 'a tombstone on a key that is not there');
    this.assertNewer(main, sub);
    this.pushOlder();
    const revisions = this.older!;
    revisions.push(main, sub);
    this.closed ??= [];
    this.closed.push({ created: this.created, version: this.version + 1, revisions });
    this.created = 0;
    this.main = 0;
    this.sub = 0;
    this.version = 0;
    this.older = undefined;
  }

  /** The version a reader at `atRevision` sees; undefined where the key does not exist. */
  at(atRevision: number): IndexedVersion | undefined {
    if (this.version > 0) {
      if (this.main <= atRevision) {
        return new IndexedVersion(this.main, this.sub, this.created, this.version);
      }
      const older = this.older;
      if (older !== undefined && older[0] <= atRevision) {
        const index = lastAtOrBelow(older, atRevision);
        const version = this.version - (older.length - index) / 2;
        return new IndexedVersion(older[index], older[index + 1], this.created, version);
      }
    }
    const closed = this.closed;
    if (closed === undefined) return undefined;
    for (let i = closed.length - 1; i >= 0; i--) {
      const { created, version, revisions } = closed[i];
      if (revisions[revisions.length - 2] <= atRevision) return undefined;
      if (revisions[0] > atRevision) continue;
      const index = lastAtOrBelow(revisions, atRevision);
      const after = (revisions.length - index) / 2 - 1;
      return new IndexedVersion(revisions[index], revisions[index + 1], created, version - after);
    }
    return undefined;
  }

  /**
   * Forgets what no reader at or above `compactRevision` can see, oldest first: everything before the newest
   * revision at or below it. A tombstone exactly at it stays, so that a watch from there still
   * gets the delete (etcd since 3.5.16).
   *
   * @returns how many revisions are left
   */
  compact(compactRevision: number, drop: DropRevision): number {
    const closed = this.closed;
    let left = 0;
    if (closed !== undefined) {
      let first = 0;
      for (; first < closed.length; first++) {
        const { revisions } = closed[first];
        if (revisions[revisions.length - 2] >= compactRevision) break;
        for (let i = 0; i < revisions.length; i += 2) {
          drop(revisions[i], revisions[i + 1], i === revisions.length - 2);
        }
      }
      if (first === closed.length) {
        this.closed = undefined;
      } else {
        if (first > 0) this.closed = closed.slice(first);
        const oldest = closed[first];
        const index = lastAtOrBelow(oldest.revisions, compactRevision);
        if (index > 0) {
          dropPairs(oldest.revisions, index, drop);
          oldest.revisions = oldest.revisions.slice(index);
        }
        for (const generation of this.closed!) left += generation.revisions.length / 2;
      }
    }
    if (this.version > 0) {
      const older = this.older;
      if (older !== undefined) {
        if (this.main <= compactRevision) {
          dropPairs(older, older.length, drop);
          this.older = undefined;
        } else {
          const index = lastAtOrBelow(older, compactRevision);
          if (index > 0) {
            dropPairs(older, index, drop);
            this.older = older.slice(index);
          }
          left += this.older!.length / 2;
        }
      }
      left++;
    }
    return left;
  }

  /** One line for tests and debugging: generations oldest first, a tombstone marked t. */
  describe(): string {
    const generations: string[] = [];
    for (const { created, version, revisions } of this.closed ?? []) {
      generations.push(`{created ${created} version ${version}: ${describePairs(revisions)}t}`);
    }
    if (this.version === 0) generations.push('{}');
    else {
      const pairs = [...(this.older ?? []), this.main, this.sub];
      generations.push(`{created ${this.created} version ${this.version}: ${describePairs(pairs)}}`);
    }
    return generations.join(' ');
  }

  private pushOlder(): void {
    if (this.older === undefined) {
      // A literal has no spare room; the first push would make room for 17 more.
      this.older = [this.main, this.sub];
    } else {
      this.older.push(this.main, this.sub);
    }
  }

  private assertNewer(main: number, sub: number): void {
    let lastMain = this.main;
    let lastSub = this.sub;
    if (this.version === 0 && this.closed !== undefined) {
      const { revisions } = this.closed[this.closed.length - 1];
      lastMain = revisions[revisions.length - 2]!;
      lastSub = revisions[revisions.length - 1]!;
    }
    assert(main > lastMain || (main === lastMain && sub > lastSub), 'a revision of a key that is not newer');
  }
}

/** Told each revision that compaction forgets, oldest first for one key. */
export type DropRevision = (main: number, sub: number, tombstone: boolean) => void;

/** The version a reader at `atRevision` sees. */
export function versionAt(index: KeyIndex, atRevision: number): IndexedVersion | undefined {
  if (typeof index !== 'number') return index.at(atRevision);
  return index <= atRevision ? new IndexedVersion(index, 0, index, 1) : undefined;
}

/** A history known only by its newest surviving version, as a restore finds it first. */
export function restoredIndex(created: number, main: number, sub: number, version: number): KeyIndex {
  return created === main && sub === 0 && version === 1 ? main : new KeyHistory(created, main, sub, version);
}

/** A key of which only a tombstone survives: its creation is forgotten. */
export function restoredTombstone(main: number, sub: number): KeyHistory {
  const history = new KeyHistory(0, 0, 0, 0);
  history.closed = [{ created: 0, version: 1, revisions: [main, sub] }];
  return history;
}

export function describeIndex(index: KeyIndex): string {
  return typeof index === 'number' ? `{created ${index} version 1: ${index}.0}` : index.describe();
}

/** Position of the last pair whose main revision is at most `main`; -1 (never even) when there is none. */
function lastAtOrBelow(pairs: readonly number[], main: number): number {
  let low = 0;
  let high = pairs.length / 2;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (pairs[middle * 2] <= main) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? -1 : (low - 1) * 2;
}

function dropPairs(pairs: readonly number[], end: number, drop: DropRevision): void {
  for (let i = 0; i < end; i += 2) drop(pairs[i], pairs[i + 1], false);
}

function describePairs(pairs: readonly number[]): string {
  const texts: string[] = [];
  for (let i = 0; i < pairs.length; i += 2) texts.push(`${pairs[i]}.${pairs[i + 1]}`);
  return texts.join(' ');
}
