/** The text of metrics as Prometheus reads it. */
import { expect, test } from '@jest/globals';
import { Counter, Gauge, Histogram, MetricsRegistry } from './registry.ts';

test('counters, gauges and histograms, by name, with their labels escaped', () => {
  const registry = new MetricsRegistry();
  const wait = registry.add(new Histogram('wait_seconds', 'Time.', ['verb'], [0.1, 1]));
  const total = registry.add(new Counter('requests_total', 'Requests.', ['verb', 'path']));
  registry.add(new Gauge('memory_bytes', 'Memory.', [], () => [[[], 7]]));
  registry.add(new Counter('nothing_total', 'Never counted.'));
  total.add(['GET', 'a"b\\c\nd']);
  total.add(['GET', 'a"b\\c\nd'], 2);
  for (const value of [0.05, 0.5, 5]) wait.observe(['GET'], value);
  expect(registry.text()).toBe(
    `# HELP memory_bytes Memory.
# TYPE memory_bytes gauge
memory_bytes 7
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{verb="GET",path="a\\"b\\\\c\\nd"} 3
# HELP wait_seconds Time.
# TYPE wait_seconds histogram
wait_seconds_bucket{verb="GET",le="0.1"} 1
wait_seconds_bucket{verb="GET",le="1"} 2
wait_seconds_bucket{verb="GET",le="+Inf"} 3
wait_seconds_sum{verb="GET"} 5.55
wait_seconds_count{verb="GET"} 3
`,
  );
});

test('a metric that is disabled goes on counting, and is not told', () => {
  const registry = new MetricsRegistry(['requests_total', 'unknown']);
  registry.add(new Counter('requests_total', 'Requests.')).add();
  registry.add(new Counter('requests', 'Others.')).add();
  expect(registry.text()).toBe('# HELP requests Others.\n# TYPE requests counter\nrequests 1\n');
});

test('series are bounded: those beyond are counted together', () => {
  const total = new Counter('requests_total', 'Requests.', ['path']);
  for (let n = 0; n < 20_010; n += 1) total.add([`/${n}`]);
  total.add(['/3']);
  for (const path of ['/3', '/20001']) total.of([path])();
  const lines = total.text().split('\n');
  expect(lines).toHaveLength(2 + 20_001 + 1);
  expect(lines).toContain('requests_total{path="other"} 11');
  expect(lines).toContain('requests_total{path="/3"} 3');
});
