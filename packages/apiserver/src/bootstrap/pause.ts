/** Waiting that ends: early when everything is to stop, and in time when what is waited for does not come. */

import type { Clock } from '@keelson/base';

export class Pause {
  private readonly clock: Clock;
  private readonly signal: AbortSignal;

  constructor(clock: Clock, signal: AbortSignal) {
    this.clock = clock;
    this.signal = signal;
  }

  /** Resolves after the time, or as soon as the signal is aborted. */
  wait(delayMs: number): Promise<void> {
    const { signal } = this;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.clock.setTimer(delayMs, done);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}

/** Waits for an end, but not longer than this: a store that is gone must not hold up a stop. */
export async function atMost(clock: Clock, limitMs: number, end: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([end, new Pause(clock, over.signal).wait(limitMs)]);
  } finally {
    over.abort();
  }
}
