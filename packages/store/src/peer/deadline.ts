/**
 * "Nothing happened for too long", cheaply: each sign of life only stores the time, and the one timer
 * that is pending re-arms itself for the rest when it fires early. Used for read and write timeouts of
 * connections, where signs of life come thousands of times a second.
 */
import type { Clock, Timer } from '@keelson/base';

export class Deadline {
  private readonly clock: Clock;
  private readonly timeoutMs: number;
  private readonly expire: () => void;
  private timer: Timer | undefined = undefined;
  private lastMs = 0;

  /** @param expire called once when timeoutMs went by without touch(); not after stop() */
  constructor(clock: Clock, timeoutMs: number, expire: () => void) {
    this.clock = clock;
    this.timeoutMs = timeoutMs;
    this.expire = expire;
  }

  /** Starts the wait, or starts it anew. */
  touch(): void {
    this.lastMs = this.clock.monotonicMs();
    if (this.timer === undefined) this.arm(this.timeoutMs);
  }

  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private arm(delayMs: number): void {
    this.timer = this.clock.setTimer(delayMs, () => {
      this.timer = undefined;
      const leftMs = this.lastMs + this.timeoutMs - this.clock.monotonicMs();
      if (leftMs > 0) this.arm(leftMs);
      else this.expire();
    });
  }
}
