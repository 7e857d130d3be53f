/** Time that passes when a test says so: for the store's rooms that wait. */
import type { Clock, Timer } from '@keelson/base';

interface Waiting {
  readonly at: number;
  readonly task: () => void;
}

export class HandClock implements Clock {
  private now = 0;
  private timers: Waiting[] = [];

  nowMs(): number {
    return this.now;
  }

  monotonicMs(): number {
    return this.now;
  }

  setTimer(delayMs: number, task: () => void): Timer {
    const timer = { at: this.now + delayMs, task };
    this.timers.push(timer);
    return { cancel: () => void (this.timers = this.timers.filter((each) => each !== timer)) };
  }

  /** One jump: what is due by then runs late, all at once. */
  async pass(ms: number): Promise<void> {
    this.now += ms;
    const due = this.timers.filter(({ at }) => at <= this.now);
    this.timers = this.timers.filter(({ at }) => at > this.now);
    for (const { task } of due) task();
    await settled();
  }

  /** Every timer in its own time, in order, and what those set in turn. */
  async run(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      let next: Waiting | undefined;
      for (const timer of this.timers) {
        if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer;
      }
      if (next === undefined) break;
      const { at, task } = next;
      this.timers = this.timers.filter((each) => each !== next);
      this.now = Math.max(this.now, at);
      task();
      await settled();
    }
    this.now = end;
  }
}

/** Whatever a timer woke has had its say. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
