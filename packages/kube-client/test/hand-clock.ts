/** Time that a test moves by hand; timers fire in order while it moves. */

import type { Clock, Timer } from '@keelson/base';

interface Pending {
  readonly dueMs: number;
  readonly order: number;
  readonly task: () => void;
}

export class HandClock implements Clock {
  private elapsedMs = 0;
  private order = 0;
  private pending: Pending[] = [];

  nowMs(): number {
    return 1_700_000_000_000 + this.elapsedMs;
  }

  monotonicMs(): number {
    return this.elapsedMs;
  }

  setTimer(delayMs: number, task: () => void): Timer {
    this.order += 1;
    const pending = { dueMs: this.elapsedMs + delayMs, order: this.order, task };
    this.pending.push(pending);
    return { cancel: () => (this.pending = this.pending.filter((one) => one !== pending)) };
  }

  /** How many timers wait. */
  get timers(): number {
    return this.pending.length;
  }

  /** Moves on by `ms`, letting whatever waits on promises run between timers. */
  async advance(ms: number): Promise<void> {
    const endMs = this.elapsedMs + ms;
    await settled();
    for (;;) {
      const next = this.pending
        .filter(({ dueMs }) => dueMs <= endMs)
        .toSorted((a, b) => a.dueMs - b.dueMs || a.order - b.order)[0];
      if (next === undefined) break;
      this.pending = this.pending.filter((one) => one !== next);
      this.elapsedMs = Math.max(this.elapsedMs, next.dueMs);
      next.task();
      await settled();
    }
    this.elapsedMs = endMs;
  }
}

/** Resolves when promises that can go on have gone on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}
