/** The machine's clock, and which of its timers ran out: what a test says of waiting in place of how long it took. */
import { systemClock, type Clock, type Timer } from '@keelson/base';

/** What waits for an answer that cannot come waits for so long: a request's limit, and a start's for its publishing. */
const TIMEOUT_MS = 5_000;

export class WatchedClock implements Clock {
  /** Delays of the timeouts that ran out, since the watch began. */
  readonly ranOut: number[] = [];

  /** Forgets what ran out before. */
  watch(): void {
    this.ranOut.length = 0;
  }

  nowMs(): number {
    return systemClock.nowMs();
  }

  monotonicMs(): number {
    return systemClock.monotonicMs();
  }

  setTimer(delayMs: number, task: () => void): Timer {
    return systemClock.setTimer(delayMs, () => {
      if (delayMs >= TIMEOUT_MS) this.ranOut.push(delayMs);
      task();
    });
  }
}
