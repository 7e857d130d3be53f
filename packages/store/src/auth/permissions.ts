/**
 * What one user may read or write, as ranges of keys: is [key, end) inside them all. Pure set arithmetic on keys in
 * memory's form; it knows neither users nor roles. Ranges that touch or overlap count as one, as in etcd
 * (server/auth/range_perm_cache.go over pkg/adt's interval tree): a user with [a, b) and [b, c) may read [a, c).
 */

/** `high` undefined: to the last key. */
interface Span {
  readonly low: string;
  readonly high: string | undefined;
}

/** How requests and permissions write "to the last key". */
export const OPEN_END = '\0';

/** Key ranges, merged: ascending, none touches the next. */
export class RangeSet {
  private readonly spans: readonly Span[];

  private constructor(spans: readonly Span[]) {
    this.spans = spans;
  }

  /** @param ranges in the API's form: `end` '' is the one key, '\0' open; an empty range covers nothing */
  static of(ranges: Iterable<{ readonly key: string; readonly end: string }>): RangeSet {
    const spans: Span[] = [];
    for (const { key, end } of ranges) {
      const high = end === '' ? key + '\0' : end === OPEN_END ? undefined : end;
      if (high === undefined || key < high) spans.push({ low: key, high });
    }
    spans.sort((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : 0));
    const merged: { low: string; high: string | undefined }[] = [];
    for (const span of spans) {
      const last = merged.at(-1);
      if (last === undefined || (last.high !== undefined && last.high < span.low)) merged.push({ ...span });
      else if (last.high !== undefined && (span.high === undefined || span.high > last.high))
        last.high = span.high;
    }
    return new RangeSet(merged);
  }

  /**
   * Whether every key of the range is in the set. A range that ends before it begins holds no key; like etcd we ask
   * for its first key then, so that nobody learns by asking for nothing.
   *
   * @param end as in {@link of}
   */
  covers(key: string, end: string): boolean {
    const span = this.spanAt(key);
    if (span === undefined) return false;
    if (span.high === undefined) return true;
    if (end === OPEN_END) return false;
    return (end === '' ? key + '\0' : end) <= span.high;
  }

  /** The span that holds `key`: the last that begins at or before it, if it reaches that far. */
  private spanAt(key: string): Span | undefined {
    let low = 0;
    let high = this.spans.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.spans[middle].low <= key) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const span = this.spans[low - 1];
    return span.high === undefined || key < span.high ? span : undefined;
  }
}

/** Whether a permission may be granted on this range: a key, a range that is not empty, or an open one. */
export function isGrantable(key: string, end: string): boolean {
  return key !== '' && (end === '' || end === OPEN_END || key < end);
}
