import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bucketsOf, parseScrape, percentile, since } from './exposition.ts';
import { isLevel, meansOf, trendOf } from './trend.ts';

const course = (of: (i: number) => number): (readonly [number, number])[] =>
  Array.from({ length: 100 }, (_, i) => [i * 5, of(i)] as const);
const ALLOWED = { share: 0.05, least: 16 };

describe('trend', () => {
  test.each<[string, (i: number) => number, boolean]>([
    ['level', () => 300, true],
    ['teeth of a collector', (i) => 300 + (i % 10) * 8, true],
    ['a high start', (i) => (i < 40 ? 500 - 5 * i : 300), true],
    ['one bad moment', (i) => (i === 80 ? 5000 : 300), true],
    ['falling', (i) => 600 - i, true],
    ['a leak of one a sample', (i) => 300 + i, false],
    ['a leak below teeth', (i) => 300 + i + (i % 10) * 3, false],
    ['a leak that begins late', (i) => (i < 55 ? 300 : 300 + 2 * (i - 55)), false],
  ])('%s', (_name, of, want) => {
    const trend = trendOf(course(of));
    expect(trend).toBeDefined();
    expect(isLevel(trend!, ALLOWED)).toBe(want);
  });

  test('slope per hour and growth behind the first quarter', () => {
    expect(trendOf(course((i) => 300 + i))).toMatchObject({ perHour: 720, growth: 74.25, level: 362 });
  });

  test('too few points say nothing', () => {
    expect(trendOf(course(() => 1).slice(0, 3))).toBeUndefined();
  });

  test('teeth of the load itself go with their means', () => {
    // 12 points a minute, with teeth of 150 whose foot lies anywhere; the median of single slopes follows them.
    const teeth = (i: number): number => 500 + ((i * 7) % 12) * 14;
    const level = trendOf(meansOf(course(teeth), 60));
    expect(isLevel(level!, ALLOWED)).toBe(true);
    const leaking = trendOf(
      meansOf(
        course((i) => teeth(i) + 1.2 * i),
        60,
      ),
    );
    expect(isLevel(leaking!, ALLOWED)).toBe(false);
  });

  test('means of periods; what is left at the end joins the last', () => {
    const points = [10, 20, 30, 40, 50].map((seconds, i) => [seconds, i] as const);
    expect(meansOf(points, 20)).toEqual([
      [15, 0.5],
      [40, 3],
    ]);
    expect(meansOf(points, 1000)).toEqual([[30, 2]]);
    expect(meansOf([], 20)).toEqual([]);
  });

  test('a straight line has its own slope, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -1000, max: 1000 }),
        fc.integer({ min: 0, max: 10_000 }),
        (slope, start) => {
          const trend = trendOf(course((i) => start + slope * i));
          expect(trend!.perHour).toBeCloseTo(slope * 720, 3);
        },
      ),
    );
  });
});

const SCRAPE = `# HELP x_seconds X.
# TYPE x_seconds histogram
x_seconds_bucket{le="0.001"} 5
x_seconds_bucket{le="0.01"} 9
x_seconds_bucket{le="0.1"} 10
x_seconds_bucket{le="+Inf"} 10
x_seconds_sum 0.05
x_seconds_count 10
go_gc_duration_seconds{quantile="1"} 0.004
up 1
`;

describe('exposition', () => {
  const scrape = parseScrape(SCRAPE);
  const buckets = bucketsOf(scrape, 'x_seconds');

  test('numbers by series', () => {
    expect(scrape.get('up')).toBe(1);
    expect(scrape.get('go_gc_duration_seconds{quantile="1"}')).toBe(0.004);
    expect(scrape.size).toBe(8);
  });

  test.each([
    [50, 0.001],
    [90, 0.01],
    [99, 0.1],
    [100, 0.1],
  ])('percentile %d is at most %d', (percent, want) => {
    expect(percentile(buckets, percent)).toBe(want);
  });

  test('what came between two looks', () => {
    const later = bucketsOf(
      parseScrape(
        SCRAPE.replace('"0.1"} 10', '"0.1"} 14')
          .replace('+Inf"} 10', '+Inf"} 14')
          .replace('count 10', 'count 14'),
      ),
      'x_seconds',
    );
    const between = since(buckets, later);
    expect(between.count).toBe(4);
    expect(percentile(between, 1)).toBe(0.1);
    expect(percentile(since(buckets, buckets), 99)).toBe(0);
  });

  test('a histogram that is not there is empty', () => {
    expect(percentile(bucketsOf(scrape, 'y_seconds'), 99)).toBe(0);
  });

  test('beyond the last bound the last bound is told', () => {
    const far = bucketsOf(
      parseScrape('z_bucket{le="1"} 0\nz_bucket{le="+Inf"} 3\nz_sum 9\nz_count 3\n'),
      'z',
    );
    expect(percentile(far, 50)).toBe(1);
  });
});
