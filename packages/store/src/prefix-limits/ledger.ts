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
  /** Keys that those writes were credited with taking away: nobody else is. */
  private readonly taken = new Set<string>();
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
   * Lets a write in, or says why not; then nothing was taken. Who adds nothing to a prefix is never refused by its
   * quotas; nor is who adds no more than it takes away itself, unless a write under way lives on taking the same away.
   */
  admit(claims: Claims, nowMs: number): Refusal | undefined {
    const { list } = claims;
    claims.credited = trades(claims) && this.untaken(claims);
    const share = claims.credited ? 1 : 0;
    for (const { rule: i, keys, bytes, keysBack, bytesBack } of list) {
      const rule = this.rules[i];
      const moreKeys = keys - share * keysBack;
      const moreBytes = bytes - share * bytesBack;
      if (moreKeys > 0 && this.usage.keys[i] + this.pendingKeys[i] + moreKeys > rule.keysMax)
        return { rule, kind: 'keys' };
      if (moreBytes > 0 && this.usage.bytes[i] + this.pendingBytes[i] + moreBytes > rule.bytesMax)
        return { rule, kind: 'bytes' };
    }
    for (const { rule: i, writes } of list) {
      const rule = this.rules[i];
      if (rule.writesPerSecond === Infinity) continue;
      this.fill(i, nowMs);
      if (this.tokens[i] < Math.min(writes, rule.burst)) return { rule, kind: 'rate' };
    }
    if (claims.credited) for (const key of claims.taken) this.taken.add(key);
    for (const { rule: i, keys, bytes, writes } of list) {
      this.pendingKeys[i] += keys;
      this.pendingBytes[i] += bytes;
      if (this.rules[i].writesPerSecond !== Infinity) this.tokens[i] -= writes;
    }
    return undefined;
  }

  /** An admitted write is settled: applied and counted, refused, or its outcome unknown. */
  settle(claims: Claims): void {
    if (claims.credited) for (const key of claims.taken) this.taken.delete(key);
    for (const { rule: i, keys, bytes } of claims.list) {
      this.pendingKeys[i] -= keys;
      this.pendingBytes[i] -= bytes;
    }
  }

  private untaken({ taken }: Claims): boolean {
    for (const key of taken) if (this.taken.has(key)) return false;
    return true;
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

/** Whether a request adds to a prefix and takes away from it. */
function trades({ list }: Claims): boolean {
  return list.some(
    ({ keys, bytes, keysBack, bytesBack }) => (keys > 0 && keysBack > 0) || (bytes > 0 && bytesBack > 0),
  );
}
