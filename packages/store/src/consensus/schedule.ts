/**
 * What happens every so often: the one place of the store that sets timers. A task that is late (the
 * process was stopped, the event loop was busy) runs once, not once for each time it missed.
 */
import type { Clock, Timer } from '@keelson/base';

export class Schedule {
  private readonly clock: Clock;
  private readonly timers = new Set<Timer>();
  private stopped = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Runs `task` every `intervalMs`, first after one interval, until stop(). */
  every(intervalMs: number, task: () => void): void {
    const again = (): void => {
      if (this.stopped) return;
      const timer = this.clock.setTimer(intervalMs, () => {
        this.timers.delete(timer);
        if (this.stopped) return;
        again();
        task();
      });
      this.timers.add(timer);
    };
    again();
  }

  /** Resolves after `delayMs`, at once when stopped. */
  delay(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.stopped) {
        resolve();
        return;
      }
      const timer = this.clock.setTimer(delayMs, () => {
        this.timers.delete(timer);
        resolve();
      });
      this.timers.add(timer);
    });
  }

  stop(): void {
    this.stopped = true;
    for (const timer of this.timers) timer.cancel();
    this.timers.clear();
  }
}
