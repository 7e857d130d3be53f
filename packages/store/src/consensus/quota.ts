/**
 * How full the backend and its disk are: sizes as last measured, and what commands were estimated to add since.
 * Measuring is slow, so it is done now and then by the owner's clock; asking is quick.
 */
import type { SpaceGauge } from '../apply/quota.ts';
import { DISK_RESERVE_BYTES } from '../limits.ts';

export class Quota implements SpaceGauge {
  private readonly quotaBytes: number;
  private readonly measure: () => Promise<number>;
  private readonly measureFree: (() => Promise<number>) | undefined;
  private measuredBytes = 0;
  private freeBytes = Infinity;
  private addedBytes = 0;
  private measuring: Promise<void> | undefined;

  /**
   * @param quotaBytes Infinity for no quota: the size is not measured then
   * @param measureFree what is left on the disk; undefined where nobody knows
   */
  constructor(quotaBytes: number, measure: () => Promise<number>, measureFree?: () => Promise<number>) {
    this.quotaBytes = quotaBytes;
    this.measure = measure;
    this.measureFree = measureFree;
  }

  /** etcd: a request fits when the size after it is still below the quota. And the disk must have room for it. */
  hasRoom(costBytes: number): boolean {
    const comes = this.addedBytes + costBytes;
    return this.measuredBytes + comes < this.quotaBytes && this.freeBytes - comes > DISK_RESERVE_BYTES;
  }

  /** Whether it is the disk that is full, and not what the quota allows. */
  get diskShort(): boolean {
    return this.freeBytes - this.addedBytes <= DISK_RESERVE_BYTES;
  }

  admits(costBytes: number): boolean {
    const fits = this.hasRoom(costBytes);
    this.addedBytes += costBytes;
    return fits;
  }

  /** Measures again; what was added meanwhile counts on top until the next time. */
  refresh(): Promise<void> {
    if (this.quotaBytes === Infinity && this.measureFree === undefined) return Promise.resolve();
    this.measuring ??= this.measureNow().finally(() => {
      this.measuring = undefined;
    });
    return this.measuring;
  }

  private async measureNow(): Promise<void> {
    const before = this.addedBytes;
    if (this.measureFree !== undefined) this.freeBytes = await this.measureFree();
    if (this.quotaBytes !== Infinity) this.measuredBytes = await this.measure();
    // What was added before has been measured, but for what is not written yet: less than one batch.
    this.addedBytes -= before;
  }
}
