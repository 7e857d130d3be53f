/**
 * Quotas and rates below prefixes: joins the counts that follow the state with the ledger that is asked before a write
 * is proposed, and takes new rules while the member runs. Other limits for the same prefixes count at once. Other
 * prefixes are counted first, slice by slice beside the writes, and until that is done the old rules stand.
 *
 * It takes the time as an argument and starts nothing; whoever owns it runs the slices.
 */
import { prefixEnd } from '@keelson/base';
import type { PrefixRule } from '../config/prefix-rules.ts';
import type { KeyCensus } from '../mvcc/census.ts';
import type { Claims } from './claims.ts';
import { Ledger, type LimitKind, type Refusal } from './ledger.ts';
import { RuleSet } from './rule-set.ts';
import { PrefixUsage } from './usage.ts';

/** Keys that exist, with the lengths of their values; the store. */
export interface KeySource {
  /**
   * Visits at most `keysMax` keys of [from, end), ascending.
   * @param end '\0' for all from `from` on
   * @returns where to go on; undefined when there are no more
   */
  valueLengths(
    from: string,
    end: string,
    keysMax: number,
    visit: (key: string, valueLength: number) => void,
  ): string | undefined;
}

/** The counts of one store. */
class StoreCensus implements KeyCensus {
  usage: PrefixUsage;
  /** Of new rules, while they are counted. */
  counting: PrefixUsage | undefined = undefined;
  private readonly onLive: (census: StoreCensus) => void;

  constructor(usage: PrefixUsage, onLive: (census: StoreCensus) => void) {
    this.usage = usage;
    this.onLive = onLive;
  }

  put(key: string, valueLength: number): void {
    this.usage.put(key, valueLength);
    this.counting?.put(key, valueLength);
  }

  delete(key: string): void {
    this.usage.delete(key);
    this.counting?.delete(key);
  }

  live(): void {
    this.onLive(this);
  }
}

/** How far a count has come. */
interface Progress {
  /** Prefixes that lie in no other, still to be walked. */
  readonly left: PrefixRule[];
  /** The next key of the first of them. */
  from: string;
}

export class PrefixLimits {
  /** Told when counting has something to do. */
  onCount: () => void = () => {};
  private readonly monotonicMs: () => number;
  /** What is wanted; the ledger follows when it is counted. */
  private wanted: RuleSet;
  private census: StoreCensus;
  private ledger: Ledger;
  private progress: Progress | undefined = undefined;
  private readonly refusals = new Map<string, Map<LimitKind, number>>();

  constructor(rules: readonly PrefixRule[], monotonicMs: () => number) {
    this.monotonicMs = monotonicMs;
    this.wanted = new RuleSet(rules);
    this.census = this.newCensus();
    this.ledger = new Ledger(this.census.usage, monotonicMs());
  }

  /** For a store that is about to be restored. */
  newCensus(): StoreCensus {
    return new StoreCensus(new PrefixUsage(this.wanted), (census) => this.adopt(census));
  }

  /** What a request is reckoned by. */
  get usage(): PrefixUsage {
    return this.ledger.usage;
  }

  /** New prefixes are being counted. */
  get counting(): boolean {
    return this.progress !== undefined;
  }

  /** Takes other rules. */
  setRules(rules: readonly PrefixRule[]): void {
    this.wanted = new RuleSet(rules);
    this.progress = undefined;
    this.census.counting = undefined;
    this.follow();
  }

  /**
   * Counts on.
   * @returns whether more is to be done
   */
  countSome(source: KeySource, keysMax: number): boolean {
    const { progress, census } = this;
    const { counting } = census;
    if (progress === undefined || counting === undefined) return false;
    const [rule] = progress.left;
    if (rule !== undefined) {
      const next = source.valueLengths(progress.from, prefixEnd(rule.prefix), keysMax, (key, length) => {
        // Whatever was written since the count began is in already.
        if (counting.valueLength(key) === undefined) counting.put(key, length);
      });
      if (next === undefined) {
        progress.left.shift();
        progress.from = firstKey(progress.left[0]);
      } else progress.from = next;
      if (progress.left.length > 0) return true;
    }
    this.progress = undefined;
    census.counting = undefined;
    census.usage = counting;
    this.ledger = new Ledger(counting, this.monotonicMs());
    return false;
  }

  /** Lets a write in until the returned function is called, or says why not. */
  admit(claims: Claims): (() => void) | Refusal {
    const { ledger } = this;
    const refusal = ledger.admit(claims, this.monotonicMs());
    if (refusal === undefined) return () => ledger.settle(claims);
    const { rule, kind } = refusal;
    const counts = this.refusals.get(rule.prefix) ?? new Map<LimitKind, number>();
    this.refusals.set(rule.prefix, counts.set(kind, (counts.get(kind) ?? 0) + 1));
    return refusal;
  }

  /** Each rule that stands with what is used of it. */
  entries(): ReturnType<Ledger['entries']> {
    return this.ledger.entries();
  }

  /** Writes refused since the member started. */
  refused(prefix: string, kind: LimitKind): number {
    return this.refusals.get(prefix)?.get(kind) ?? 0;
  }

  /** A store takes its place: with what was counted while it was restored. */
  private adopt(census: StoreCensus): void {
    this.census = census;
    this.progress = undefined;
    const { ledger } = this;
    if (ledger.usage.set.samePrefixes(census.usage.set)) ledger.usage = census.usage;
    else this.ledger = new Ledger(census.usage, this.monotonicMs());
    this.follow();
  }

  /** Brings the ledger to the wanted rules, at once or by counting. */
  private follow(): void {
    const { wanted, ledger } = this;
    if (wanted.samePrefixes(ledger.usage.set)) {
      ledger.adjust(wanted);
      return;
    }
    this.census.counting = new PrefixUsage(wanted);
    const left = wanted.rules.filter((_, i) => wanted.parent(i) < 0);
    this.progress = { left, from: firstKey(left[0]) };
    this.onCount();
  }
}

/** No key is empty. */
function firstKey(rule: PrefixRule | undefined): string {
  return rule === undefined || rule.prefix === '' ? '\0' : rule.prefix;
}

/** What a client is told; etcd has no such limits, so the words are ours. */
export function refusalText({ rule, kind }: Refusal): string {
  const prefix = prefixText(rule.prefix);
  if (kind === 'keys') return `keelson: quota of prefix ${prefix} exceeded: ${rule.keysMax} keys`;
  if (kind === 'bytes') return `keelson: quota of prefix ${prefix} exceeded: ${rule.bytesMax} bytes`;
  return `keelson: rate limit of prefix ${prefix} exceeded: ${rule.writesPerSecond} writes per second, burst ${rule.burst}`;
}

/** In quotes; what is not printable ASCII as \xNN. */
export function prefixText(prefix: string): string {
  const text = prefix.replaceAll(/["\\]|[^ -~]/g, (char) =>
    char === '"' || char === '\\' ? `\\${char}` : `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return `"${text}"`;
}
