/**
 * How full the backend is: its size on disk as last measured, and what commands were estimated to add since.
 * Measuring is slow, so it is done now and then by the owner's clock; asking is quick.
 */
import type { SpaceGauge } from '../apply/quota.ts';

export class Quota implements SpaceGauge {
  private readonly quotaBytes: number;
  private readonly measure: () => Promise<number>;
  private measuredBytes = 0;
  private addedBytes = 0;
  private measuring: Promise<void> | undefined;

  /** @param quotaBytes Infinity for no quota: nothing is measured then */
  constructor(quotaBytes: number, measure: () => Promise<number>) {
    this.quotaBytes = quotaBytes;
    this.measure = measure;
  }

  /** etcd: a request fits when the size after it is still below the quota. */
  hasRoom(costBytes: number): boolean {
    return this.measuredBytes + this.addedBytes + costBytes < this.quotaBytes;
  }

  admits(costBytes: number): boolean {
    const fits = this.hasRoom(costBytes);
    this.addedBytes += costBytes;
    return fits;
  }

  /** Measures again; what was added meanwhile counts on top until the next time. */
  refresh(): Promise<void> {
    if (this.quotaBytes === Infinity) return Promise.resolve();
    this.measuring ??= this.measureNow().finally(() => {
      this.measuring = undefined;
    });
    return this.measuring;
  }

  private async measureNow(): Promise<void> {
    const before = this.addedBytes;
    this.measuredBytes = await this.measure();
    // What was added before has been measured, but for what is not written yet: less than one batch.
    this.addedBytes -= before;
  }
}
