/**
 * Prefixes in order, and which of them a key lies under: all that it begins with, found from the longest by binary
 * search and then upwards, since prefixes of one key are prefixes of each other. Immutable.
 */
import type { PrefixRule } from '../config/prefix-rules.ts';

export class RuleSet {
  /** Ascending by prefix. */
  readonly rules: readonly PrefixRule[];
  private readonly prefixes: readonly string[];
  /** For each rule the longest other one whose prefix it begins with; -1 for none. */
  private readonly parents: Int32Array;

  constructor(rules: readonly PrefixRule[]) {
    this.rules = rules.toSorted((a, b) => (a.prefix < b.prefix ? -1 : 1));
    this.prefixes = this.rules.map(({ prefix }) => prefix);
    this.parents = new Int32Array(this.prefixes.length);
    for (let i = 0; i < this.prefixes.length; i++) this.parents[i] = this.upwards(this.prefixes[i], i - 1);
  }

  get size(): number {
    return this.rules.length;
  }

  /** The rule with the longest prefix of `key`, as an index into rules; -1 for none. */
  longest(key: string): number {
    return this.upwards(key, this.lastAtOrBelow(key));
  }

  /** The next shorter prefix of the same keys; -1 for none. */
  parent(rule: number): number {
    return this.parents[rule];
  }

  /**
   * Every rule some key of the range may lie under.
   * @param end '' for the single key, '\0' for all from `key` on
   */
  touching(key: string, end: string, visit: (rule: number) => void): void {
    for (let rule = this.longest(key); rule >= 0; rule = this.parents[rule]) visit(rule);
    if (end === '') return;
    for (let i = this.lastAtOrBelow(key) + 1; i < this.prefixes.length; i++) {
      if (end !== '\0' && this.prefixes[i] >= end) return;
      visit(i);
    }
  }

  /** Whether the same prefixes stand in both, whatever their limits. */
  samePrefixes(other: RuleSet): boolean {
    return this.size === other.size && this.prefixes.every((prefix, i) => prefix === other.prefixes[i]);
  }

  private lastAtOrBelow(key: string): number {
    let low = 0;
    let high = this.prefixes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.prefixes[middle] <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** What lies between a prefix of `key` and the key begins with that prefix too: so the chain of `from` has it. */
  private upwards(key: string, from: number): number {
    let rule = from;
    while (rule >= 0 && !key.startsWith(this.prefixes[rule])) rule = this.parents[rule];
    return rule;
  }
}
