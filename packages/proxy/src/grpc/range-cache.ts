/**
 * Answers to ranges, kept for serializable reads: by who asked and what was asked, the least used forgotten first. A
 * write through this proxy takes out what it may have changed, also what is being fetched while it runs; writes that
 * go elsewhere are not seen, which is what "serializable" allows. Bounded in entries as the original's, and in bytes.
 * Pure. (etcd: server/proxy/grpcproxy/cache.)
 */

/** As the original. */
export const CACHE_ENTRIES_MAX = 2_048;
/** The original has no bound; a few answers of a gigabyte would be kept there. */
export const CACHE_BYTES_MAX = 64 * 1024 * 1024;
/** A larger answer is not kept: it would push out a thousand others. */
const ENTRY_BYTES_MAX = CACHE_BYTES_MAX / 16;
/** Writes remembered for fetches under way; a fetch that took longer than so many writes is not kept. */
const WRITES_KEPT = 256;

/** A range as on the wire: `end` '' is the key alone, '\0' everything from the key on. */
interface Kept {
  readonly key: string;
  readonly end: string;
  readonly revision: number;
  readonly answer: Buffer;
}

export class RangeCache {
  private readonly entriesMax: number;
  private readonly bytesMax: number;
  /** The least used first. */
  private readonly entries = new Map<string, Kept>();
  /** Ids of answers about one key at the newest revision, by that key. */
  private readonly points = new Map<string, Set<string>>();
  /** Ids of those about more keys than one. */
  private readonly ranges = new Set<string>();
  private readonly writes: { readonly key: string; readonly end: string }[] = [];
  private writeCount = 0;
  private byteCount = 0;
  private compacted = -1;

  constructor(entriesMax: number = CACHE_ENTRIES_MAX, bytesMax: number = CACHE_BYTES_MAX) {
    this.entriesMax = entriesMax;
    this.bytesMax = bytesMax;
  }

  get size(): number {
    return this.entries.size;
  }

  get bytes(): number {
    return this.byteCount;
  }

  /** The answer; 'compacted' when its revision is known to be gone. */
  get(id: string, revision: number): Buffer | 'compacted' | undefined {
    if (revision > 0 && revision < this.compacted) {
      this.forget(id);
      return 'compacted';
    }
    const kept = this.entries.get(id);
    if (kept === undefined) return undefined;
    this.entries.delete(id);
    this.entries.set(id, kept);
    return kept.answer;
  }

  /** Before a fetch: give the result to `add`. */
  mark(): number {
    return this.writeCount;
  }

  /**
   * Keeps an answer, unless a write since `mark` may have overtaken it.
   * @param revision the one that was asked for; 0: the newest
   * @param answer copied
   */
  add(id: string, key: string, end: string, revision: number, answer: Buffer, mark: number): void {
    if (answer.length + id.length > ENTRY_BYTES_MAX) return;
    if (revision > 0 ? revision <= this.compacted : this.writtenSince(mark, key, end)) return;
    this.forget(id);
    this.entries.set(id, { key, end, revision, answer: Buffer.from(answer) });
    this.byteCount += answer.length + id.length;
    if (revision === 0) this.index(id, key, end);
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= this.entriesMax && this.byteCount <= this.bytesMax) break;
      this.forget(oldest);
    }
  }

  /** Something of this range was written, or may have been. */
  invalidate(key: string, end: string): void {
    this.writes[this.writeCount % WRITES_KEPT] = { key, end };
    this.writeCount++;
    if (end === '') {
      for (const id of this.points.get(key) ?? []) this.forget(id);
    } else {
      for (const [point, ids] of this.points)
        if (overlap(point, '', key, end)) for (const id of ids) this.forget(id);
    }
    for (const id of this.ranges) {
      const kept = this.entries.get(id);
      if (kept !== undefined && overlap(kept.key, kept.end, key, end)) this.forget(id);
    }
  }

  /** Anything may have been written, or rights may have changed. */
  clear(): void {
    this.writeCount += WRITES_KEPT + 1;
    this.entries.clear();
    this.points.clear();
    this.ranges.clear();
    this.byteCount = 0;
  }

  /** What lies before `revision` is gone; answers are taken out when they are asked for. */
  compact(revision: number): void {
    this.compacted = Math.max(this.compacted, revision);
  }

  private writtenSince(mark: number, key: string, end: string): boolean {
    if (this.writeCount - mark > WRITES_KEPT) return true;
    for (let at = mark; at < this.writeCount; at++) {
      const write = this.writes[at % WRITES_KEPT];
      if (overlap(key, end, write.key, write.end)) return true;
    }
    return false;
  }

  private index(id: string, key: string, end: string): void {
    if (end !== '') {
      this.ranges.add(id);
      return;
    }
    const ids = this.points.get(key);
    if (ids === undefined) this.points.set(key, new Set([id]));
    else ids.add(id);
  }

  private forget(id: string): void {
    const kept = this.entries.get(id);
    if (kept === undefined) return;
    this.entries.delete(id);
    this.byteCount -= kept.answer.length + id.length;
    if (kept.revision !== 0) return;
    this.ranges.delete(id);
    const ids = this.points.get(kept.key);
    if (ids?.delete(id) === true && ids.size === 0) this.points.delete(kept.key);
  }
}

/** Whether two ranges share a key; ends as on the wire. */
export function overlap(key: string, end: string, otherKey: string, otherEnd: string): boolean {
  return before(key, otherKey, otherEnd) && before(otherKey, key, end);
}

/** Whether `key` lies before the end of the range that starts at `start`. */
function before(key: string, start: string, end: string): boolean {
  if (end === '') return key <= start;
  return end === '\0' || key < end;
}
