/**
 * Latencies as a high dynamic range histogram: three significant digits from 1 ns to ten minutes, in memory
 * that does not grow with the number of calls. Milliseconds go in and come out; nanoseconds stay inside.
 */
import { createHistogram } from 'node:perf_hooks';

const NS_PER_MS = 1e6;
const HIGHEST_NS = 600_000 * NS_PER_MS;

/** Milliseconds; all zero when nothing was recorded. */
export interface Quantiles {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export class LatencyHistogram {
  private readonly histogram = createHistogram({ lowest: 1, highest: HIGHEST_NS, figures: 3 });
  private sumMs = 0;

  /** Values outside the range are counted at its ends. */
  record(ms: number): void {
    this.histogram.record(Math.min(HIGHEST_NS, Math.max(1, Math.round(ms * NS_PER_MS))));
    this.sumMs += ms;
  }

  merge(other: LatencyHistogram): void {
    this.histogram.add(other.histogram);
    this.sumMs += other.sumMs;
  }

  get count(): number {
    return this.histogram.count;
  }

  quantiles(): Quantiles {
    const { count } = this.histogram;
    if (count === 0) return { count: 0, mean: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };
    const at = (percent: number): number => this.histogram.percentile(percent) / NS_PER_MS;
    return {
      count,
      mean: this.sumMs / count,
      p50: at(50),
      p90: at(90),
      p99: at(99),
      p999: at(99.9),
      max: this.histogram.max / NS_PER_MS,
    };
  }
}
