import { expect, test } from '@jest/globals';
import {
  OptionError,
  parseOptions,
  usage,
  type BenchOptions,
  type Settings,
  type Workload,
} from './options.ts';
import { millionPlans, onePlan, suitePlans, transportPlans, type Step } from './plans.ts';
import { growthSizes, RUNS, type SingleWorkload } from './steps.ts';
import { TARGETS } from './targets.ts';

test.each<[string, string[], (options: BenchOptions) => unknown, unknown]>([
  ['the suite by default', [], (o) => o.workload, 'suite'],
  ['a workload', ['put'], (o) => o.workload, 'put'],
  ['lease means keep-alive', ['lease'], (o) => o.workload, 'lease-keepalive'],
  ['durations', ['put', '--duration', '500ms', '--warmup=1.5s'], (o) => o.settings.durationMs, 500],
  ['fractions of a second', ['put', '--warmup=1.5s'], (o) => o.settings.warmupMs, 1500],
  ['a total ends the window', ['put', '--total=10'], (o) => o.settings.durationMs, Infinity],
  [
    'a total and a duration: whichever is first',
    ['put', '--total=10', '--duration=1m'],
    (o) => [o.settings.total, o.settings.durationMs],
    [10, 60_000],
  ],
  ['no more connections than clients', ['put', '--clients=3'], (o) => o.settings.connections, 3],
  [
    'endpoints, with or without scheme',
    ['put', '--endpoints=http://a:1,b:2', '--endpoints', 'c:3'],
    (o) => o.endpoints,
    ['a:1', 'b:2', 'c:3'],
  ],
  ['a soak takes as long as its promise', ['soak'], (o) => o.settings.durationMs, 20 * 60_000],
  ['… or as long as one says', ['soak', '--duration=30s'], (o) => o.settings.durationMs, 30_000],
  [
    'steps, in one list or several',
    ['--steps=put,txn', '--steps=delete'],
    (o) => o.steps,
    ['put', 'txn', 'delete'],
  ],
  ['serializable', ['range', '--consistency=s'], (o) => o.settings.serializable, true],
])('%s', (_name, argv, of, want) => {
  expect(of(parseOptions(argv))).toEqual(want);
});

test.each<[string, string[], RegExp]>([
  ['an unknown workload', ['nonsense'], /unknown workload nonsense/],
  ['two workloads', ['put', 'range'], /one workload at a time/],
  ['an unknown flag', ['put', '--nonsense'], /nonsense/],
  ['a count that is none', ['put', '--clients=many'], /--clients is a whole number from 1/],
  ['no clients', ['put', '--clients=0'], /--clients is a whole number from 1/],
  ['a duration without a unit', ['put', '--duration=10'], /--duration is a duration/],
  ['four members', ['put', '--members=4'], /1, 3 or 5/],
  ['a consistency', ['range', '--consistency=x'], /l or s/],
  ['a share above one', ['mixed', '--read-share=2'], /from 0 to 1/],
  ['a transport', ['put', '--client-transport=pigeon'], /native or grpc-js/],
  ['two clusters at once', ['put', '--compare-etcd', '--endpoints=a:1'], /starts both sides itself/],
  ['a load of nothing', ['soak', '--load=0'], /--load is above 0/],
  ['a share in words', ['soak', '--load=all'], /--load is from 0 to 1/],
  ['TLS on grpc-js', ['put', '--tls', '--client-transport=grpc-js'], /only the native client transport/],
  ['TLS of servers that are not ours', ['put', '--tls', '--endpoints=a:1'], /--cacert FILE/],
  ['an authority of our own servers', ['put', '--cacert=x'], /--tls makes its own/],
  ['a certificate without its key', ['put', '--endpoints=a:1', '--cacert=x', '--cert=y'], /go together/],
  ['steps of one load', ['put', '--steps=put'], /one workload needs no choice/],
  [
    'a profile of servers that are not ours',
    ['put', '--endpoints=a:1', '--profile=x'],
    /--profile starts its/,
  ],
  ['a soak of what is not ours', ['soak', '--endpoints=a:1'], /leave out --endpoints/],
  ['a restart of what is not ours', ['restart', '--endpoints=a:1'], /leave out --endpoints/],
])('refused: %s', (_name, argv, message) => {
  expect(() => parseOptions(argv)).toThrow(OptionError);
  expect(() => parseOptions(argv)).toThrow(message);
});

test('help names every workload and flag', () => {
  for (const word of ['lease-keepalive', '--compare-etcd', '--key-space-size', '--report']) {
    expect(usage()).toContain(word);
  }
});

const stepsOf = (...argv: string[]): Step[] =>
  suitePlans(parseOptions(argv)).flatMap(({ steps }) => [...steps]);
const settingsOf = (id: string, ...argv: string[]): Settings | undefined =>
  stepsOf(...argv).find((step) => step.id === id)?.settings;

test.each([[['--short']], [[]]])('the suite with %j has every step once, the cold one first', (argv) => {
  const ids = stepsOf(...argv).map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids[0]).toBe('first-put');
  expect(ids).toContain('put-1');
});

test('the short suite: what is judged is warm and has seconds, and fits into five minutes', () => {
  const steps = stepsOf('--short', '--compare-etcd').filter(({ id }) => id !== 'first-put');
  for (const { id, once, settings } of steps) {
    if (once === true) continue;
    expect([id, settings.warmupMs >= 2000, settings.durationMs >= 3000]).toEqual([id, true, true]);
  }
  const [rounds, sides] = [2, 2];
  const ms = steps.reduce(
    (sum, { once, settings }) =>
      sum + sides * (once === true ? 1 : rounds) * (settings.warmupMs + settings.durationMs),
    0,
  );
  // The rest is starting, loading keys and waiting until servers are still.
  expect(ms).toBeLessThan(220_000);
});

test('the suite follows what is given', () => {
  expect(settingsOf('memory')?.keys).toBe(1_000_000);
  expect(settingsOf('memory', '--keys=5')?.keys).toBe(5);
  expect(settingsOf('memory', '--short')).toBeUndefined();
  expect(settingsOf('put')?.clients).toBe(1000);
  expect(settingsOf('put', '--clients=7')?.clients).toBe(7);
  expect(settingsOf('put-1')?.clients).toBe(1);
  expect(settingsOf('delete', '--short')?.keySpace).toBe(250_000);
});

test.each<[string[], string[]]>([
  [['--steps=put,range-l'], ['put', 'range-l']],
  [
    ['--short', '--steps=growth,put'],
    ['put', 'growth'],
  ],
])('%j', (argv, want) => {
  expect(stepsOf(...argv).map(({ id }) => id)).toEqual(want);
});

test('a step that does not exist is answered with those that do', () => {
  expect(() => stepsOf('--steps=nonsense')).toThrow(/no step nonsense; there are first-put, put-1, put,/);
});

test('every target has a step in one of the plans', () => {
  const plans = [...suitePlans(parseOptions([])), ...transportPlans(parseOptions(['transports']))];
  const ids = new Set(plans.flatMap(({ steps }) => steps.map(({ id }) => id)));
  expect(TARGETS.filter(({ step }) => !ids.has(step))).toEqual([]);
});

const one = (...argv: string[]): Step => {
  const options = parseOptions(argv);
  const { workload } = options;
  if (!isSingle(workload)) throw new TypeError('one workload');
  return onePlan(workload, options).steps[0];
};
const isSingle = (workload: Workload): workload is SingleWorkload => workload in RUNS;

test('one workload with its own defaults', () => {
  expect(one('watch').settings.clients).toBe(16);
  expect(one('watch', '--clients=3').settings.clients).toBe(3);
  expect(one('watch-latency').settings.ratePerSecond).toBe(100);
  expect(one('delete', '--total=50').settings.keySpace).toBe(50);
});

test.each<[string[], string]>([
  [['put'], 'put'],
  [['put', '--clients=1'], 'put-1'],
  [['put', '--clients=16'], 'put-16'],
  [['put', '--val-size=10'], 'put-1000'],
  [['put', '--rate=500'], 'put-open'],
  [['range'], 'range-l'],
  [['range', '--consistency=s'], 'range-s'],
  [['range', '--prefix'], 'range-prefix'],
  [['watch'], 'watch-1x1000'],
  [['watch', '--watch-keys=100', '--watchers=100'], 'watch-100x100'],
  [['txn', '--clients=2'], 'txn-2'],
])('%j is judged as %s: only by the numbers of the promise', (argv, want) => {
  expect(one(...argv).id).toBe(want);
});

test.each<[number, number[]]>([
  [500, [500]],
  [1000, [1000]],
  [20_000, [1000, 10_000, 20_000]],
  [1_000_000, [1000, 10_000, 100_000, 1_000_000]],
])('growth to %d keys', (keys, want) => {
  expect(growthSizes(keys)).toEqual(want);
});

test('million: starting, memory, restart, growth, costs by size', () => {
  const plans = millionPlans(parseOptions(['million', '--compare-etcd']));
  expect(plans.flatMap(({ steps }) => steps.map(({ id, settings }) => [id, settings.keys]))).toEqual(
    ['first-put', 'memory', 'restart', 'growth', 'list', 'idle-watchers'].map((id) => [id, 1_000_000]),
  );
});
