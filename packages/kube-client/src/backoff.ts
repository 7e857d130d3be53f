/** Delays that grow from call to call, and that are not alike. */

import type { Clock, Prng } from '@keelson/base';

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly factor: number;
  /** Part of the delay that is added at random, at most; 1 doubles it at most. */
  readonly jitter: number;
  /** After so long without a call the delays begin anew. */
  readonly resetMs: number;
}

/** Delays that grow from call to call. */
export class Backoff {
  private readonly options: BackoffOptions;
  private readonly clock: Clock;
  private readonly prng: Prng;
  private delayMs: number;
  private lastMs = -Infinity;

  constructor(options: BackoffOptions, clock: Clock, prng: Prng) {
    this.options = options;
    this.clock = clock;
    this.prng = prng;
    this.delayMs = options.firstMs;
  }

  /** How long to wait this time, ms. */
  next(): number {
    const { firstMs, maxMs, factor, resetMs } = this.options;
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.lastMs > resetMs) this.delayMs = firstMs;
    const delayMs = this.delayMs;
    this.lastMs = nowMs + delayMs;
    this.delayMs = Math.min(maxMs, delayMs * factor);
    return jittered(delayMs, this.options.jitter, this.prng);
  }

  reset(): void {
    this.delayMs = this.options.firstMs;
  }
}

/** A duration made longer by up to `part` of itself. */
export function jittered(durationMs: number, part: number, prng: Prng): number {
  return durationMs * (1 + (part * prng.below(1_000)) / 1_000);
}
