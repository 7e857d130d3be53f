/** A clock that a test stops: the process it belongs to sleeps, as in a long collection or a suspended machine. */
import { systemClock, type Clock, type Timer } from '@keelson/base';

export class PausableClock implements Clock {
  private asleep = false;
  private readonly held: (() => void)[] = [];

  nowMs(): number {
    return systemClock.nowMs();
  }

  monotonicMs(): number {
    return systemClock.monotonicMs();
  }

  /** What falls due during the sleep happens at its end. */
  setTimer(delayMs: number, task: () => void): Timer {
    let over = false;
    const run = (): void => {
      if (!over) task();
    };
    const timer = systemClock.setTimer(delayMs, () => {
      if (this.asleep) this.held.push(run);
      else run();
    });
    return {
      cancel: () => {
        over = true;
        timer.cancel();
      },
    };
  }

  sleep(): void {
    this.asleep = true;
  }

  wake(): void {
    this.asleep = false;
    for (const run of this.held.splice(0)) run();
  }
}
