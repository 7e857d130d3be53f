/** Waiting on a clock that is given, for as long as nobody calls it off; and delays that grow. */

import type { Clock, Prng } from '@keelson/base';

/** Resolves after `delayMs`, or at once when the signal fires. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.setTimer(delayMs, end);
    signal.addEventListener('abort', end, { once: true });
  });
}

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
