/**
 * How many keys lie under each prefix and how many bytes they take, kept up to date change by change. To know what a
 * change replaces it remembers the length of each value under some prefix: about 40 bytes of memory a key, for which no
 * write ever reads the backend. A key under nested prefixes counts in each of them.
 */
import type { RuleSet } from './rule-set.ts';

/** A Map holds 2^24 entries and then throws. */
const MAP_ENTRIES_MAX = 2 ** 23;

export class PrefixUsage {
  readonly set: RuleSet;
  /** By rule. */
  readonly keys: Float64Array;
  readonly bytes: Float64Array;
  private readonly lengths = new ValueLengths();

  constructor(set: RuleSet) {
    this.set = set;
    this.keys = new Float64Array(set.size);
    this.bytes = new Float64Array(set.size);
  }

  put(key: string, valueLength: number): void {
    const { set } = this;
    let rule = set.longest(key);
    if (rule < 0) return;
    const known = this.lengths.exchange(key, valueLength);
    const keys = known === undefined ? 1 : 0;
    const bytes = known === undefined ? key.length + valueLength : valueLength - known;
    for (; rule >= 0; rule = set.parent(rule)) {
      this.keys[rule] += keys;
      this.bytes[rule] += bytes;
    }
  }

  delete(key: string): void {
    const { set } = this;
    let rule = set.longest(key);
    if (rule < 0) return;
    const known = this.lengths.take(key);
    if (known === undefined) return;
    for (; rule >= 0; rule = set.parent(rule)) {
      this.keys[rule]--;
      this.bytes[rule] -= key.length + known;
    }
  }

  /** Length of the value of a key that is counted; undefined for others. */
  valueLength(key: string): number | undefined {
    return this.lengths.get(key);
  }
}

/** One Map, and more of them once it is full. */
class ValueLengths {
  private readonly first = new Map<string, number>();
  private readonly others: Map<string, number>[] = [];

  get(key: string): number | undefined {
    const length = this.first.get(key);
    return length !== undefined || this.others.length === 0 ? length : this.holder(key).get(key);
  }

  /** @returns the length before */
  exchange(key: string, length: number): number | undefined {
    const map = this.holder(key);
    const before = map.get(key);
    if (before !== length) map.set(key, length);
    return before;
  }

  take(key: string): number | undefined {
    const map = this.holder(key);
    const before = map.get(key);
    if (before !== undefined) map.delete(key);
    return before;
  }

  /** The map that has the key, or is to take it. */
  private holder(key: string): Map<string, number> {
    const { first, others } = this;
    if (others.length === 0 && first.size < MAP_ENTRIES_MAX) return first;
    if (first.has(key)) return first;
    const holding = others.find((map) => map.has(key));
    if (holding !== undefined) return holding;
    const roomy = [first, ...others].find((map) => map.size < MAP_ENTRIES_MAX);
    if (roomy !== undefined) return roomy;
    const map = new Map<string, number>();
    others.push(map);
    return map;
  }
}
