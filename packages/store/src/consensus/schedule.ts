/**
 * What happens every so often: the one place of the store that sets timers. A task that is late (the
 * process was stopped, the event loop was busy) runs once, not once for each time it missed.
 */
import type { Clock, Timer } from '@keelson/base';

export class Schedule {
  private readonly clock: Clock;
  private readonly timers = new Set<Timer>();
  /** Ends of delays under way. */
  private readonly sleepers = new Set<() => void>();
  private isStopped = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Runs `task` every `intervalMs`, first after one interval, until stop(). */
  every(intervalMs: number, task: () => void): void {
    const again = (): void => {
      if (this.isStopped) return;
      const timer = this.clock.setTimer(intervalMs, () => {
        this.timers.delete(timer);
        if (this.isStopped) return;
        again();
        task();
      });
      this.timers.add(timer);
    };
    again();
  }

  /** Whoever loops over delay() must ask: after stop() there is no waiting any more. */
  get stopped(): boolean {
    return this.isStopped;
  }

  /** Resolves after `delayMs`, at once when stopped. */
  delay(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.isStopped) {
        resolve();
        return;
      }
      const done = (): void => {
        this.timers.delete(timer);
        this.sleepers.delete(done);
        resolve();
      };
      const timer = this.clock.setTimer(delayMs, done);
      this.timers.add(timer);
      this.sleepers.add(done);
    });
  }

  /** Ends all tasks, and every delay at once. */
  stop(): void {
    this.isStopped = true;
    for (const timer of this.timers) timer.cancel();
    this.timers.clear();
    for (const wake of [...this.sleepers]) wake();
  }
}
