/**
 * Whether a run of `keelson up` was asked to stop, and waits that end when it is. A wait leaves nothing behind once it is
 * over: a run lasts for weeks and waits every second, and a promise of its end would keep each of those waits.
 */
export class StopRequest {
  /** How often it was asked. */
  count = 0;
  private readonly tasks = new Set<() => void>();

  /** Waits under way. */
  get waiting(): number {
    return this.tasks.size;
  }

  ask(): void {
    this.count++;
    for (const task of this.tasks) task();
  }

  /** What the work gives, or undefined as soon as the run is asked to stop; the work itself goes on. */
  async or<T>(work: Promise<T>): Promise<T | undefined> {
    let stop = (): void => {};
    const stopped = new Promise<undefined>((resolve) => {
      stop = () => resolve(undefined);
    });
    this.tasks.add(stop);
    if (this.count > 0) stop();
    try {
      return await Promise.race([work, stopped]);
    } finally {
      this.tasks.delete(stop);
    }
  }
}
