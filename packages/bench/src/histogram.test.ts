import { expect, test } from '@jest/globals';
import { LatencyHistogram } from './histogram.ts';

test('quantiles to three digits', () => {
  const histogram = new LatencyHistogram();
  for (let ms = 1; ms <= 1000; ms++) histogram.record(ms);
  const { count, mean, p50, p90, p99, p999, max } = histogram.quantiles();
  expect(count).toBe(1000);
  expect(mean).toBeCloseTo(500.5, 6);
  for (const [got, want] of [
    [p50, 500],
    [p90, 900],
    [p99, 990],
    [p999, 999],
    [max, 1000],
  ]) {
    expect(Math.abs(got - want) / want).toBeLessThan(0.002);
  }
});

test('nothing recorded is zero, not an accident of the histogram', () => {
  expect(new LatencyHistogram().quantiles()).toEqual({
    count: 0,
    mean: 0,
    p50: 0,
    p90: 0,
    p99: 0,
    p999: 0,
    max: 0,
  });
});

test('values outside the range are counted at its ends; histograms merge', () => {
  const [a, b] = [new LatencyHistogram(), new LatencyHistogram()];
  a.record(0);
  a.record(1e9);
  b.record(10);
  b.merge(a);
  expect(b.count).toBe(3);
  expect(Math.abs(b.quantiles().max - 600_000)).toBeLessThan(1000);
});
