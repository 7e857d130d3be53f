/**
 * The account of a stream of puts: every key is written once, by one put, with a value that names it. Each put
 * ends as acknowledged (with the revision it got), refused (it certainly did nothing) or unknown (it may be
 * there, now or later). From that the end state is checked without knowing the order: nothing acknowledged is
 * missing or changed, nothing refused is there, nothing was applied twice, and the revisions add up.
 */
import { RpcError, StatusCode } from '@keelson/rpc';
import type { Pair } from './member-api.ts';

/** Texts of refusals that are certain although their code is not. */
const REFUSED_TEXTS: ReadonlySet<string> = new Set(['etcdserver: too many requests']);
const REFUSED_CODES: ReadonlySet<StatusCode> = new Set([
  StatusCode.InvalidArgument,
  StatusCode.NotFound,
  StatusCode.FailedPrecondition,
  StatusCode.OutOfRange,
  StatusCode.Unimplemented,
]);

export type Outcome = 'acknowledged' | 'refused' | 'unknown';

/** Whether what failed so certainly did nothing, now and later. */
export function certainlyRefused(error: unknown): boolean {
  return (
    error instanceof RpcError &&
    (error.unsent || REFUSED_CODES.has(error.code) || REFUSED_TEXTS.has(error.message))
  );
}

export class Ledger {
  readonly seed: number;
  /** Key to the revision of its acknowledgement. */
  readonly acknowledged = new Map<string, number>();
  readonly unknown = new Set<string>();
  readonly refused = new Set<string>();
  /** Error texts and how often each was met. */
  readonly errors = new Map<string, number>();
  private valueBytes: number;

  constructor(seed: number, valueBytes = 64) {
    this.seed = seed;
    this.valueBytes = valueBytes;
  }

  get total(): number {
    return this.acknowledged.size + this.unknown.size + this.refused.size;
  }

  /** What `key` must hold: its name, the seed, and padding. */
  valueOf(key: string): string {
    return `${key}#${this.seed}#`.padEnd(this.valueBytes, '.');
  }

  acknowledge(key: string, revision: number): void {
    this.acknowledged.set(key, revision);
  }

  /** Files a failure under what it says about the put. */
  fail(key: string, error: unknown): Outcome {
    const message = error instanceof Error ? error.message : String(error);
    const text = message.replace(/\d+\.\d+\.\d+\.\d+:\d+/g, 'HOST').replace(/ Resolution note: $/, '');
    this.errors.set(text, (this.errors.get(text) ?? 0) + 1);
    const certain = certainlyRefused(error);
    (certain ? this.refused : this.unknown).add(key);
    return certain ? 'refused' : 'unknown';
  }

  /**
   * Compares with what the store holds, when nothing else wrote between `before` and the read.
   * @param before the store's revision before the first put
   * @param after the store's revision of the read
   * @returns one line for each broken promise, and how many unknown puts turned out to be there
   */
  check(found: ReadonlyMap<string, Pair>, before: number, after: number): Verdict {
    const broken: string[] = [];
    const byRevision = new Map<number, string>();
    let unknownPresent = 0;
    for (const [key, revision] of this.acknowledged) {
      const pair = found.get(key);
      if (pair === undefined) broken.push(`lost: ${key}, acknowledged at revision ${revision}`);
      else if (pair.modRevision !== revision) {
        broken.push(`${key} was acknowledged at revision ${revision} and is at ${pair.modRevision}`);
      }
    }
    for (const [key, pair] of found) {
      if (this.unknown.has(key)) unknownPresent++;
      else if (this.refused.has(key)) broken.push(`refused, yet there: ${key}`);
      else if (!this.acknowledged.has(key)) broken.push(`nobody wrote ${key}`);
      if (pair.value !== this.valueOf(key)) broken.push(`wrong value of ${key}: ${pair.value.slice(0, 80)}`);
      if (pair.version !== 1 || pair.createRevision !== pair.modRevision) {
        broken.push(
          `written twice: ${key} (version ${pair.version}, created ${pair.createRevision}, modified ${pair.modRevision})`,
        );
      }
      const other = byRevision.get(pair.modRevision);
      if (other !== undefined) broken.push(`${key} and ${other} share revision ${pair.modRevision}`);
      byRevision.set(pair.modRevision, key);
    }
    const raised = after - before;
    if (raised !== found.size) {
      broken.push(`${found.size} keys are there, but the revision rose by ${raised} (${before} to ${after})`);
    }
    return { broken, unknownPresent };
  }

  /** How it went, for reports. */
  describe(): string {
    const errors = [...this.errors].map(([text, count]) => `${count} × "${text}"`).join(', ');
    return `${this.acknowledged.size} acknowledged, ${this.refused.size} refused, ${this.unknown.size} unknown${errors === '' ? '' : `; errors: ${errors}`}`;
  }
}

export interface Verdict {
  readonly broken: string[];
  readonly unknownPresent: number;
}
