import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parsePrometheusText } from '../../test/prometheus-text.ts';
import { ApplyMetrics } from './apply-metrics.ts';
import { goFloat } from './exposition.ts';
import { exponentialBuckets, Histogram } from './metric.ts';
import { Registry } from './registry.ts';

describe('numbers as Go writes them', () => {
  test.each<[number, string]>([
    [0, '0'],
    [-0, '0'],
    [1, '1'],
    [-1.5, '-1.5'],
    [100_000, '100000'],
    [999_999, '999999'],
    [1_000_000, '1e+06'],
    [2_147_483_648, '2.147483648e+09'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [0.1 + 0.2, '0.30000000000000004'],
    [1.844_674_407_370_955_2e19, '1.8446744073709552e+19'],
    [1e100, '1e+100'],
    [NaN, 'NaN'],
    [Infinity, '+Inf'],
    [-Infinity, '-Inf'],
  ])('%p', (value, text) => {
    expect(goFloat(value)).toBe(text);
  });
});

describe('a histogram', () => {
  test('counts a value in the first bucket that is not below it', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 20, noNaN: true }), { maxLength: 50 }), (values) => {
        const bounds = exponentialBuckets(0.001, 2, 14);
        const histogram = new Histogram(bounds);
        for (const value of values) histogram.observe(value);
        const twin = Array.from({ length: 15 }, () => 0);
        for (const value of values) {
          const place = bounds.findIndex((bound) => value <= bound);
          twin[place < 0 ? 14 : place]++;
        }
        expect([...histogram.counts]).toEqual(twin);
        expect(histogram.count).toBe(values.length);
      }),
    );
  });

  test('a value on a bound belongs to it; the next one above it does not', () => {
    const histogram = new Histogram(Float64Array.of(1, 2));
    for (const value of [1, 1.0000001, 2, 3]) histogram.observe(value);
    expect([...histogram.counts]).toEqual([1, 2, 1]);
    expect(histogram.sum).toBeCloseTo(7, 5);
  });
});

describe('a registry', () => {
  test('writes families by name, series by their labels, labels by their names', () => {
    const registry = new Registry();
    registry.gauge('b_gauge', 'With "quotes", \\ and\nlines.').value = -2;
    const calls = registry.counters('a_total', 'Calls.', ['type', 'code']);
    calls.with('unary', 'OK').add(2);
    calls.with('unary', 'Canceled').add();
    calls.with('bidi', 'a"b\\c\nd').add();
    registry.histogram('c_seconds', 'Durations.', Float64Array.of(0.5, 1)).observe(0.7);
    registry.counters('never_total', 'Without series it does not appear.', ['x']);
    registry.summary('d_seconds', 'Pauses.', ['quantile'], () => [
      { labels: ['0.5'], value: 0.25 },
      { labels: [], value: 1, suffix: '_sum' },
      { labels: [], value: 4, suffix: '_count' },
    ]);
    const text = registry.text();
    expect(text).toBe(`# HELP a_total Calls.
# TYPE a_total counter
a_total{code="Canceled",type="unary"} 1
a_total{code="OK",type="unary"} 2
a_total{code="a\\"b\\\\c\\nd",type="bidi"} 1
# HELP b_gauge With "quotes", \\\\ and\\nlines.
# TYPE b_gauge gauge
b_gauge -2
# HELP c_seconds Durations.
# TYPE c_seconds histogram
c_seconds_bucket{le="0.5"} 0
c_seconds_bucket{le="1"} 1
c_seconds_bucket{le="+Inf"} 1
c_seconds_sum 0.7
c_seconds_count 1
# HELP d_seconds Pauses.
# TYPE d_seconds summary
d_seconds{quantile="0.5"} 0.25
d_seconds_sum 1
d_seconds_count 4
`);
    const families = parsePrometheusText(text);
    expect(families.get('a_total')!.samples[2].labels).toEqual({ code: 'a"b\\c\nd', type: 'bidi' });
  });

  test('label values that clients choose are bounded; what is beyond shares one series', () => {
    const registry = new Registry();
    const versions = registry.counters('requests_total', 'Requests.', ['version']);
    for (let i = 0; i < 5_000; i++) versions.with(`v${i}`).add();
    const { samples } = parsePrometheusText(registry.text()).get('requests_total')!;
    expect(samples).toHaveLength(2_001);
    expect(samples.find(({ labels }) => labels.version === 'other')!.value).toBe(3_000);
  });

  test('refuses what would be no metric', () => {
    const registry = new Registry();
    registry.counter('a_total', 'A.');
    expect(() => registry.counter('a_total', 'A.')).toThrow('two metrics are called a_total');
    expect(() => registry.counter('a-b', 'A.')).toThrow('no name');
    expect(() => registry.counters('b_total', 'B.', ['le:'])).toThrow('no label');
    expect(() => registry.counters('c_total', 'C.', ['x']).with('a', 'b')).toThrow('other labels');
  });
});

describe('the strict reader', () => {
  const head = '# HELP a A.\n# TYPE a gauge\n';
  test.each<[string, string]>([
    ['no end of line', `${head}a 1`],
    ['a sample before its type', 'a 1\n'],
    ['a type without help', '# TYPE a gauge\na 1\n'],
    ['another family', `${head}b 1\n`],
    ['a value that is none', `${head}a 1.\n`],
    ['an exponent of one digit', `${head}a 1e+6\n`],
    ['two blanks', `${head}a  1\n`],
    ['a label without quotes', `${head}a{x=1} 1\n`],
    ['labels out of order', `${head}a{y="1",x="1"} 1\n`],
    ['a label twice', `${head}a{x="1",x="1"} 1\n`],
    ['a sample twice', `${head}a 1\na 2\n`],
    ['a family twice', `${head}a 1\n${head}a 1\n`],
    ['no samples', head],
    ['a counter below zero', '# HELP a A.\n# TYPE a counter\na -1\n'],
    ['buckets without +Inf', '# HELP a A.\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n'],
    [
      'buckets that shrink',
      '# HELP a A.\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
    ],
  ])('refuses %s', (_name, text) => {
    expect(() => parsePrometheusText(text)).toThrow();
  });
});

test('the time between two commands is the second one, and slow ones are counted', () => {
  const registry = new Registry();
  let nowMs = 5_000;
  const metrics = new ApplyMetrics(registry, () => nowMs, 100);
  metrics.begin();
  nowMs += 2;
  metrics.observe(4, true);
  nowMs += 101;
  metrics.observe(4, false);
  nowMs += 9_000;
  metrics.begin();
  nowMs += 1;
  metrics.observe(999, true);
  const { samples } = parsePrometheusText(registry.text()).get('etcd_server_apply_duration_seconds')!;
  const sums = samples.filter(({ name }) => name.endsWith('_sum'));
  expect(sums.map(({ labels, value }) => [labels.op, labels.success, value])).toEqual([
    ['Put', 'false', 0.101],
    ['Put', 'true', 0.002],
    ['unknown', 'true', 0.001],
  ]);
  expect(metrics.slow.value).toBe(1);
});
