/**
 * Runs one target's executions, each from a seed of its own, and watches what no target looks at: that prototypes stay
 * clean, that memory outside the heap stays bounded. The first broken promise ends the run with the seed that repeats
 * it. It knows no clock of its own and no target.
 */
import { Prng } from '@keelson/base';
import type { FuzzTarget } from './target.ts';

/** Between two looks at the time and at memory. */
const BLOCK = 256;
/** Beside the heap: what inputs of 64 KiB at most cannot ask for unless a length was believed. */
const OUTSIDE_BYTES_MAX = 512 * 1024 * 1024;

export interface FuzzBounds {
  /** Of the first execution; the others count up from it, modulo 2^32. */
  readonly seed: number;
  readonly executions: number;
  /** By `nowMs`; Infinity for none. */
  readonly endMs: number;
  readonly nowMs: () => number;
  /** Told before each execution whose seed it has: a watchdog's sign of life. */
  readonly begin?: (seed: number) => void;
}

export interface FuzzRun {
  readonly name: string;
  readonly executions: number;
  readonly elapsedMs: number;
  /** How often each outcome came. */
  readonly outcomes: ReadonlyMap<string, number>;
}

/** A broken promise, with what repeats it. */
export class FuzzFailure extends Error {
  override readonly name = 'FuzzFailure';
  readonly target: string;
  readonly seed: number;

  constructor(target: string, seed: number, cause: unknown) {
    const why = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    super(`${target}: ${why}\nrepeat: npm run fuzz -- --target ${target} --seed ${seed} --execs 1`, {
      cause,
    });
    this.target = target;
    this.seed = seed;
  }
}

/** @throws FuzzFailure for the first broken promise */
export async function runTarget(target: FuzzTarget, bounds: FuzzBounds): Promise<FuzzRun> {
  const run = await target.open();
  const outcomes = new Map<string, number>();
  const startedMs = bounds.nowMs();
  let done = 0;
  while (done < bounds.executions) {
    const seed = (bounds.seed + done) >>> 0;
    bounds.begin?.(seed);
    try {
      const judged = run(new Prng(seed));
      const outcome = typeof judged === 'string' ? judged : await judged;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      // oxlint-disable-next-line guard-for-in -- what is inherited is what is looked for
      for (const name in {}) throw new Error(`every object has a property ${name} now`);
    } catch (error) {
      throw new FuzzFailure(target.name, seed, error);
    }
    done++;
    if (done % BLOCK !== 0) continue;
    // What was let go of in this turn (a decompressor's memory) is given back in the next.
    await new Promise((resolve) => setImmediate(resolve));
    if (bounds.nowMs() >= bounds.endMs) break;
    if (process.memoryUsage.rss() > OUTSIDE_BYTES_MAX) requireBounded(target.name, seed);
  }
  return { name: target.name, executions: done, elapsedMs: bounds.nowMs() - startedMs, outcomes };
}

function requireBounded(name: string, seed: number): void {
  const { arrayBuffers } = process.memoryUsage();
  if (arrayBuffers > OUTSIDE_BYTES_MAX)
    throw new FuzzFailure(name, seed, new Error(`${arrayBuffers} bytes are held outside the heap`));
}
