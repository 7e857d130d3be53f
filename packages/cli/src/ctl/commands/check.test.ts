/** The verdict of `check perf`, and a load that is counted and paced. */
import { expect, test } from '@jest/globals';
import { createClient } from '@keelson/client';
import { verdictOn } from './check.ts';
import { runLoad, type LoadReport } from './check-load.ts';

const report = (over: Partial<LoadReport> = {}): LoadReport => ({
  puts: 9000,
  perSecond: 149.9,
  slowestSeconds: 0.0321,
  stddevSeconds: 0.001,
  errors: new Map(),
  ...over,
});

test.each<[string, Partial<LoadReport>, string[]]>([
  [
    'all is well',
    {},
    [
      'PASS: Throughput is 150 writes/s',
      'PASS: Slowest request took 0.032100s',
      'PASS: Stddev is 0.001000s',
      'PASS',
    ],
  ],
  [
    'just too slow',
    { perSecond: 135 },
    [
      'FAIL: Throughput too low: 136 writes/s',
      'PASS: Slowest request took 0.032100s',
      'PASS: Stddev is 0.001000s',
      'FAIL',
    ],
  ],
  [
    'one request took long',
    { slowestSeconds: 0.6, stddevSeconds: 0.2 },
    [
      'PASS: Throughput is 150 writes/s',
      'Slowest request took too long: 0.600000s',
      'Stddev too high: 0.200000s',
      'FAIL',
    ],
  ],
  [
    'errors',
    { errors: new Map([['etcdserver: no leader', 2]]) },
    [
      'FAIL: too many errors',
      'FAIL: ERROR(etcdserver: no leader) -> 2',
      'PASS: Throughput is 150 writes/s',
      'PASS: Slowest request took 0.032100s',
      'PASS: Stddev is 0.001000s',
      'FAIL',
    ],
  ],
])('%s', (_name, over, lines) => {
  expect(verdictOn(report(over), 150)).toEqual({ lines, passed: lines.at(-1) === 'PASS' });
});

/** A client whose puts are counted and go nowhere. */
function counted(): { client: ReturnType<typeof createClient>; keys: Set<string> } {
  const client = createClient({ endpoints: ['127.0.0.1:1'] });
  const keys = new Set<string>();
  client.kv.put = (key) => {
    keys.add(Buffer.from(key).toString('latin1'));
    return Promise.resolve({ header: undefined, prevKv: undefined });
  };
  return { client, keys };
}

test('a load ends with its count; every key is another, and as long as asked for', async () => {
  const { client, keys } = counted();
  const done = await runLoad({
    clients: [client, client, client],
    prefix: 'p/',
    keyBytes: 32,
    valueBytes: 8,
    rate: Infinity,
    count: 100,
    durationMs: Infinity,
    signal: new AbortController().signal,
    progress: () => {},
  });
  client.close();
  expect([done.puts, keys.size, done.errors.size]).toEqual([100, 100, 0]);
  for (const key of keys) expect([key.startsWith('p/'), key.length]).toEqual([true, 34]);
});

test('a paced load puts what is due in its time, and no more', async () => {
  const { client, keys } = counted();
  await runLoad({
    clients: [client, client],
    prefix: '',
    keyBytes: 8,
    valueBytes: 0,
    rate: 100,
    count: Infinity,
    durationMs: 300,
    signal: new AbortController().signal,
    progress: () => {},
  });
  client.close();
  expect(keys.size).toBeLessThanOrEqual(31);
  expect(keys.size).toBeGreaterThan(10);
});
