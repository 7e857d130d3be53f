/**
 * The metrics themselves: things that count on the hot path without allocating, and know nothing of names,
 * labels or text. Modelled on Prometheus' client (counter, gauge, histogram), without its locks: a member
 * has one thread.
 */
import { assert } from '@keelson/base';

/** Only grows. */
export class Counter {
  value = 0;

  add(amount = 1): void {
    this.value += amount;
  }
}

/** Goes up and down. */
export class Gauge {
  value = 0;

  add(amount = 1): void {
    this.value += amount;
  }
}

/** How often values fell into each bucket. Memory is fixed when it is made. */
export class Histogram {
  /** Upper bounds, ascending, the value itself included; the last bucket, +Inf, has none here. */
  readonly bounds: Float64Array;
  /** Values of each bucket alone; one more than bounds. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: Float64Array) {
    for (let i = 1; i < bounds.length; i++)
      assert(bounds[i - 1] < bounds[i], 'the bounds of a histogram ascend');
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds } = this;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= bounds[middle]) high = middle;
      else low = middle + 1;
    }
    this.counts[low]++;
    this.sum += value;
  }

  get count(): number {
    let count = 0;
    for (const each of this.counts) count += each;
    return count;
  }
}

/** `count` bounds, the first at `start`, each `factor` times the one before. */
export function exponentialBuckets(start: number, factor: number, count: number): Float64Array {
  const bounds = new Float64Array(count);
  let bound = start;
  for (let i = 0; i < count; i++) {
    bounds[i] = bound;
    bound *= factor;
  }
  return bounds;
}
