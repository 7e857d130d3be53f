/** Percentiles from all samples, none dropped: nearest rank, so that every figure was really measured. */

export interface Summary {
  readonly count: number;
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** @throws RangeError when there is no sample: a figure of nothing would be a lie */
export function summarize(samples: readonly number[]): Summary {
  if (samples.length === 0) throw new RangeError('no samples to summarize');
  const sorted = Float64Array.from(samples).sort();
  return {
    count: sorted.length,
    min: sorted[0],
    median: percentile(sorted, 0.5),
    p95: percentile(sorted, 0.95),
    p99: percentile(sorted, 0.99),
    max: sorted[sorted.length - 1],
  };
}

/** The smallest sample that is at least as large as the fraction `q` of all; `sorted` is ascending, not empty. */
export function percentile(sorted: Float64Array, q: number): number {
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];
}

/** "median 812 · p95 1204 · max 1290 ms (20 samples)". */
export function inWords(summary: Summary, unit: string, digits = 0): string {
  const f = (value: number): string => value.toFixed(digits);
  return `min ${f(summary.min)} · median ${f(summary.median)} · p95 ${f(summary.p95)} · p99 ${f(summary.p99)} · max ${f(summary.max)} ${unit} (${summary.count} samples)`;
}
