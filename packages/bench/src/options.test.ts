import { expect, test } from '@jest/globals';
import { OptionError, parseOptions, usage, type BenchOptions } from './options.ts';
import { growthSizes, millionPlans, onePlan, suitePlans } from './steps.ts';

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

test('the suite: short or long, with what was given', () => {
  const ids = suitePlans(parseOptions(['--short'])).flatMap((plan) => plan.steps.map(({ id }) => id));
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids).toContain('put-1');
  const stepOf = (argv: string[], id: string): BenchOptions['settings'] | undefined =>
    suitePlans(parseOptions(argv))
      .flatMap(({ steps }) => steps)
      .find((step) => step.id === id)?.settings;
  expect(stepOf(['--short'], 'memory')?.keys).toBe(20_000);
  expect(stepOf([], 'memory')?.keys).toBe(1_000_000);
  expect(stepOf(['--short', '--keys=5'], 'memory')?.keys).toBe(5);
  expect(stepOf([], 'put')?.clients).toBe(1000);
  expect(stepOf([], 'put-1')?.clients).toBe(1);
});

test('one workload with its own defaults', () => {
  const settings = (...argv: string[]): BenchOptions['settings'] => {
    const options = parseOptions(argv);
    if (options.workload === 'suite' || options.workload === 'million' || options.workload === 'micro')
      throw new TypeError('one workload');
    return onePlan(options.workload, options).steps[0].settings;
  };
  expect(settings('watch').clients).toBe(16);
  expect(settings('watch', '--clients=3').clients).toBe(3);
  expect(settings('watch-latency').ratePerSecond).toBe(100);
  expect(settings('delete', '--total=50').keySpace).toBe(50);
});

test.each<[number, number[]]>([
  [500, [500]],
  [1000, [1000]],
  [20_000, [1000, 10_000, 20_000]],
  [1_000_000, [1000, 10_000, 100_000, 1_000_000]],
])('growth to %d keys', (keys, want) => {
  expect(growthSizes(keys)).toEqual(want);
});

test('million: starting, memory, restart and growth', () => {
  const plans = millionPlans(parseOptions(['million', '--compare-etcd']));
  expect(plans.flatMap(({ steps }) => steps.map(({ id, settings }) => [id, settings.keys]))).toEqual([
    ['first-put', 1_000_000],
    ['memory', 1_000_000],
    ['restart', 1_000_000],
    ['growth', 1_000_000],
  ]);
});
