/**
 * The revisions of one key that the key bucket holds, by generation: a generation is a life of the key, from
 * the put that created it to the tombstone that ended it. It knows where versions are, never what they say.
 * Modelled on etcd's mvcc/key_index.go, in a leaner form: a key that was put once is just a number, and a key
 * that was put again keeps its newest revision flat and only older ones in arrays.
 *
 * Laws: revisions only grow. At any main revision a reader sees the one with the greatest sub revision.
 */
import { assert } from '@keelson/base';

/**
 * A number is the revision of a key put once: its main revision, and as a fraction its sub revision (in parts of
 * SUBS_MAX). An array of such numbers takes 8 bytes a key, where a KeyHistory takes 80.
 */
export type KeyIndex = number | KeyHistory;

/** Sub revisions below it, of main revisions below MAINS_MAX, have a place in a number: 32 and 20 bits of 53. */
const SUBS_MAX = 2 ** 20;
const MAINS_MAX = 2 ** 32;

/** A key put for the first time, and not again. */
export function putOnce(main: number, sub: number): KeyIndex {
  if (sub === 0) return main;
  return sub < SUBS_MAX && main < MAINS_MAX ? main + sub / SUBS_MAX : new KeyHistory(main, main, sub, 1);
}

/** The same as a history, about to have more than one revision. */
export function historyOf(once: number): KeyHistory {
  const main = Math.floor(once);
  return new KeyHistory(main, main, (once - main) * SUBS_MAX, 1);
}

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
export interface ClosedGeneration {
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
  /** Version at that revision; 0 when the key is deleted, -1 once the index has no use for this any more. */
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

  /** Whether the index keeps the key's revisions here. */
  get isIndexed(): boolean {
    return this.version >= 0;
  }

  /** The index keeps something else for the key from now on, or nothing: whoever remembers this must look again. */
  leave(): void {
    this.version = -1;
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
      if (newestMain(revisions) <= atRevision) return undefined;
      if (revisions[0] > atRevision) continue;
      const index = lastAtOrBelow(revisions, atRevision);
      const after = (revisions.length - index) / 2 - 1;
      return new IndexedVersion(revisions[index], revisions[index + 1], created, version - after);
    }
    return undefined;
  }

  /** What was known when `revision` was the current one; itself when nothing came after, undefined for nothing. */
  asOf(revision: number): KeyHistory | undefined {
    const closed = this.closed ?? [];
    const newest = this.version > 0 ? this.main : newestMain(closed[closed.length - 1].revisions);
    if (newest <= revision) return this;
    const past = new KeyHistory(0, 0, 0, 0);
    const whole = closed.filter(({ revisions }) => newestMain(revisions) <= revision);
    if (whole.length > 0) past.closed = whole;
    // The life that went on after `revision`: an ended one, or the open one.
    const { created, version, revisions }: ClosedGeneration = closed[whole.length] ?? {
      created: this.created,
      version: this.version,
      revisions: [...(this.older ?? []), this.main, this.sub],
    };
    const index = lastAtOrBelow(revisions, revision);
    if (index < 0) return past.closed === undefined ? undefined : past;
    past.created = created;
    past.main = revisions[index];
    past.sub = revisions[index + 1];
    past.version = version - ((revisions.length - index) / 2 - 1);
    if (index > 0) past.older = revisions.slice(0, index);
    return past;
  }

  /**
   * Forgets what no reader at or above the compacted revision can see: everything before the newest revision
   * at or below it. A tombstone exactly at it stays, so that a watch from there still gets the delete (etcd
   * since 3.5.16). The index itself changes only once the sweep has passed all that goes.
   *
   * @returns how many revisions are left; undefined when the sweep must come again
   */
  compact(compactRevision: number, sweep: Sweep): number | undefined {
    const closed = this.closed ?? [];
    let first = 0;
    while (first < closed.length && newestMain(closed[first].revisions) < compactRevision) {
      const { revisions } = closed[first++];
      sweep.pass(revisions, revisions.length, true);
    }
    // Of the oldest life that stays, or of the open one, the versions before the newest visible one go too.
    const kept = closed[first];
    const cut = kept === undefined ? 0 : Math.max(lastAtOrBelow(kept.revisions, compactRevision), 0);
    if (kept !== undefined) sweep.pass(kept.revisions, cut, false);
    const older = this.older ?? [];
    const olderCut =
      this.main <= compactRevision ? older.length : Math.max(lastAtOrBelow(older, compactRevision), 0);
    sweep.pass(older, olderCut, false);
    if (!sweep.complete) return undefined;

    if (first > 0) this.closed = first === closed.length ? undefined : closed.slice(first);
    if (cut > 0) kept.revisions = kept.revisions.slice(cut);
    if (olderCut > 0) this.older = olderCut === older.length ? undefined : older.slice(olderCut);
    let left = this.version > 0 ? 1 + (older.length - olderCut) / 2 : 0;
    for (const { revisions } of this.closed ?? []) left += revisions.length / 2;
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

/** One key's share of a slice of compaction: of the revisions that go, those from one position to another. */
export class Sweep {
  private readonly from: number;
  private readonly to: number;
  private readonly drop: DropRevision;
  private position = 0;

  /**
   * @param from how many of the key's revisions were told to `drop` before
   * @param count how many it may be told now
   */
  constructor(from: number, count: number, drop: DropRevision) {
    this.from = from;
    this.to = from + count;
    this.drop = drop;
  }

  /** The next pairs that go, up to index `end`. */
  pass(pairs: readonly number[], end: number, endsInTombstone: boolean): void {
    const count = end / 2;
    const stop = Math.min(count, this.to - this.position);
    for (let i = Math.max(this.from - this.position, 0); i < stop; i++) {
      this.drop(pairs[i * 2], pairs[i * 2 + 1], endsInTombstone && i === count - 1);
    }
    this.position += count;
  }

  /** Whether all that goes has been told. */
  get complete(): boolean {
    return this.position <= this.to;
  }

  /** How many were told in this sweep. */
  get told(): number {
    return Math.max(Math.min(this.position, this.to) - this.from, 0);
  }
}

/** The version a reader at `atRevision` sees. */
export function versionAt(index: KeyIndex, atRevision: number): IndexedVersion | undefined {
  if (typeof index !== 'number') return index.at(atRevision);
  const main = Math.floor(index);
  return main <= atRevision ? new IndexedVersion(main, (index - main) * SUBS_MAX, main, 1) : undefined;
}

/** A history known only by its newest surviving version, as a restore finds it first. */
export function restoredIndex(created: number, main: number, sub: number, version: number): KeyIndex {
  return created === main && version === 1 ? putOnce(main, sub) : new KeyHistory(created, main, sub, version);
}

/** A key of which only a tombstone survives: its creation is forgotten. */
export function restoredTombstone(main: number, sub: number): KeyHistory {
  const history = new KeyHistory(0, 0, 0, 0);
  history.closed = [{ created: 0, version: 1, revisions: [main, sub] }];
  return history;
}

export function describeIndex(index: KeyIndex): string {
  return (typeof index === 'number' ? historyOf(index) : index).describe();
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

function newestMain(pairs: readonly number[]): number {
  return pairs[pairs.length - 2];
}

function describePairs(pairs: readonly number[]): string {
  const texts: string[] = [];
  for (let i = 0; i < pairs.length; i += 2) texts.push(`${pairs[i]}.${pairs[i + 1]}`);
  return texts.join(' ');
}
