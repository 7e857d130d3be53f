/**
 * The limits of one set of prefixes at this member: what is used and on its way against the quotas, and a token bucket
 * for each rate. It is asked before a write is proposed and told when the write is settled; nothing here is replicated,
 * so members may differ, and applying never asks it.
 */
import type { PrefixRule } from '../config/prefix-rules.ts';
import type { Claims } from './claims.ts';
import type { RuleSet } from './rule-set.ts';
import type { PrefixUsage } from './usage.ts';

/** Which limit a write would break. */
export type LimitKind = 'keys' | 'bytes' | 'rate';
export const LIMIT_KINDS: readonly LimitKind[] = ['keys', 'bytes', 'rate'];

export interface Refusal {
  readonly rule: PrefixRule;
  readonly kind: LimitKind;
}

export class Ledger {
  usage: PrefixUsage;
  private rules: readonly PrefixRule[];
  /** Of writes that were admitted here and are not settled. */
  private readonly pendingKeys: Float64Array;
  private readonly pendingBytes: Float64Array;
  /** May fall below 0: a request of more writes than the burst passes when the bucket is full. */
  private readonly tokens: Float64Array;
  private readonly filledMs: Float64Array;

  constructor(usage: PrefixUsage, nowMs: number) {
    this.usage = usage;
    this.rules = usage.set.rules;
    const { size } = usage.set;
    this.pendingKeys = new Float64Array(size);
    this.pendingBytes = new Float64Array(size);
    this.tokens = Float64Array.from(this.rules, ({ burst }) => burst);
    this.filledMs = new Float64Array(size).fill(nowMs);
  }

  /** Takes other limits for the same prefixes. */
  adjust(set: RuleSet): void {
    this.rules = set.rules;
    // Where there was no rate before, there was nothing to count.
    for (let i = 0; i < this.rules.length; i++)
      this.tokens[i] = Math.min(this.tokens[i], this.rules[i].burst);
  }

  /**
   * Lets a write in, or says why not; then nothing was taken. Who shrinks a prefix, or leaves it as it is, is never
   * refused by its quotas.
   */
  admit(claims: Claims, nowMs: number): Refusal | undefined {
    const { list } = claims;
    for (const { rule: i, keys, bytes } of list) {
      const rule = this.rules[i];
      if (keys > 0 && this.usage.keys[i] + this.pendingKeys[i] + keys > rule.keysMax)
        return { rule, kind: 'keys' };
      if (bytes > 0 && this.usage.bytes[i] + this.pendingBytes[i] + bytes > rule.bytesMax)
        return { rule, kind: 'bytes' };
    }
    for (const { rule: i, writes } of list) {
      const rule = this.rules[i];
      if (rule.writesPerSecond === Infinity) continue;
      this.fill(i, nowMs);
      if (this.tokens[i] < Math.min(writes, rule.burst)) return { rule, kind: 'rate' };
    }
    for (const { rule: i, keys, bytes, writes } of list) {
      if (keys > 0) this.pendingKeys[i] += keys;
      if (bytes > 0) this.pendingBytes[i] += bytes;
      if (this.rules[i].writesPerSecond !== Infinity) this.tokens[i] -= writes;
    }
    return undefined;
  }

  /** An admitted write is settled: applied and counted, refused, or its outcome unknown. */
  settle(claims: Claims): void {
    for (const { rule: i, keys, bytes } of claims.list) {
      if (keys > 0) this.pendingKeys[i] -= keys;
      if (bytes > 0) this.pendingBytes[i] -= bytes;
    }
  }

  private fill(i: number, nowMs: number): void {
    const { writesPerSecond, burst } = this.rules[i];
    const gained = ((nowMs - this.filledMs[i]) / 1_000) * writesPerSecond;
    this.tokens[i] = Math.min(burst, this.tokens[i] + gained);
    this.filledMs[i] = nowMs;
  }

  /** Each rule with what is used of it. */
  *entries(): Generator<{ readonly rule: PrefixRule; readonly keys: number; readonly bytes: number }> {
    for (let i = 0; i < this.rules.length; i++)
      yield { rule: this.rules[i], keys: this.usage.keys[i], bytes: this.usage.bytes[i] };
  }
}
