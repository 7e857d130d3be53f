/** Health pages over a member that is told how it feels. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { createServer, type AddressInfo } from 'node:net';
import { JsonLogger } from '@keelson/base';
import { ask } from '../../test/http-calls.ts';
import { AlarmType, Alarms } from '../alarm/alarms.ts';
import { StoreError } from '../errors.ts';
import { Registry } from '../metrics/registry.ts';
import { plainDoor } from './client-http.ts';
import { healthHandlers, type HealthSource } from './health.ts';
import { HttpListener } from './http-listener.ts';

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

interface Feeling {
  readonly leaderId?: bigint;
  readonly isLearner?: boolean;
  readonly linearizable?: () => Promise<void>;
  readonly alarms?: readonly number[];
}

interface Page {
  readonly url: string;
  readonly registry: Registry;
  readonly log: string[];
}

async function page({ leaderId = 1n, isLearner = false, linearizable, alarms = [] }: Feeling): Promise<Page> {
  const standing = new Alarms({ put: () => {}, delete: () => {} });
  for (const type of alarms) standing.activate(7n, type);
  const mvcc = { range: () => ({ kvs: [], count: 0, revision: 1 }) };
  const member = { leaderId, isLearner, linearizable: linearizable ?? (() => Promise.resolve()) };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as much of a member as the pages ask
  const source = { ...member, state: { alarms: standing, mvcc } } as unknown as HealthSource;
  const registry = new Registry();
  const log: string[] = [];
  const handlers = healthHandlers(
    source,
    {
      succeeded: registry.counter('succeeded', 'Good.'),
      failed: registry.counter('failed', 'Bad.'),
      check: registry.gauges('check', 'Last.', ['type', 'name']),
      checks: registry.counters('checks', 'All.', ['type', 'name', 'status']),
    },
    new JsonLogger(
      (line) => log.push(line),
      () => 0,
      'debug',
    ),
  );
  const listener = new HttpListener(plainDoor(handlers));
  const server = createServer((socket) => listener.accept(socket));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  cleanups.push(() => {
    listener.cut();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, registry, log };
}

const noAnswer = (): Promise<void> => Promise.reject(new StoreError('TIMEOUT'));

describe('a page', () => {
  test.each<[string, Feeling, string, number, string]>([
    ['well', {}, '/health', 200, '{"health":"true","reason":""}'],
    ['no leader', { leaderId: 0n }, '/health', 503, '{"health":"false","reason":"RAFT NO LEADER"}\n'],
    [
      'no leader, asked for itself',
      { leaderId: 0n },
      '/health?serializable=true',
      200,
      '{"health":"true","reason":""}',
    ],
    [
      'serializable=1 is not true',
      { leaderId: 0n },
      '/health?serializable=1',
      503,
      '{"health":"false","reason":"RAFT NO LEADER"}\n',
    ],
    [
      'no quorum',
      { linearizable: noAnswer },
      '/health',
      503,
      '{"health":"false","reason":"RANGE ERROR:etcdserver: request timed out"}\n',
    ],
    [
      'an alarm before the leader',
      { leaderId: 0n, alarms: [1] },
      '/health',
      503,
      '{"health":"false","reason":"ALARM NOSPACE"}\n',
    ],
    [
      'an alarm nobody knows',
      { alarms: [9] },
      '/health',
      503,
      '{"health":"false","reason":"ALARM UNKNOWN"}\n',
    ],
    [
      'both alarms, one excluded',
      { alarms: [1, 2] },
      '/health?exclude=NOSPACE',
      503,
      '{"health":"false","reason":"ALARM CORRUPT"}\n',
    ],
    [
      'an empty exclusion',
      { alarms: [1] },
      '/health?exclude=',
      503,
      '{"health":"false","reason":"ALARM NOSPACE"}\n',
    ],
    ['no quorum is no matter of life', { linearizable: noAnswer }, '/livez', 200, 'ok\n'],
    [
      'a learner',
      { isLearner: true },
      '/readyz',
      503,
      '[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[-]non_learner failed: not supported for learner\n\n',
    ],
    ['a learner, excluded', { isLearner: true }, '/readyz?exclude=non_learner', 200, 'ok\n'],
    [
      'a learner, alone',
      { isLearner: true },
      '/readyz/non_learner',
      503,
      '[-]non_learner failed: not supported for learner\n\n',
    ],
    [
      'no quorum',
      { linearizable: noAnswer },
      '/readyz/linearizable_read',
      503,
      '[-]linearizable_read failed: etcdserver: request timed out\n\n',
    ],
    [
      'a single check is not excluded from itself',
      { isLearner: true },
      '/readyz/non_learner?exclude=non_learner',
      503,
      '[-]non_learner failed: not supported for learner\n\n',
    ],
    ['everything excluded', {}, '/livez?verbose&exclude=serializable_read', 200, 'ok\n'],
  ])('%s: %j %s', async (_name, feeling, path, status, body) => {
    const { url } = await page(feeling);
    const answer = await ask(url + path);
    expect([answer.status, answer.body]).toEqual([status, body]);
  });
});

test('what is wrong is logged and counted; unknown exclusions are named', async () => {
  const { url, registry, log } = await page({ alarms: [AlarmType.Corrupt] });
  await ask(`${url}/health`);
  await ask(`${url}/readyz?exclude=a&exclude=b&exclude=linearizable_read`);
  const lines = log.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.find(({ msg }) => msg === '/health error')).toMatchObject({
    level: 'warn',
    output: '{"health":"false","reason":"ALARM CORRUPT"}',
    'status-code': 503,
  });
  expect(lines.find(({ msg }) => msg === 'Health check error')).toMatchObject({
    level: 'error',
    path: '/readyz',
  });
  expect(lines.find(({ msg }) => msg === 'some health checks cannot be excluded')).toMatchObject({
    'missing-health-checks': '"a","b"',
  });
  const text = registry.text();
  expect(text).toContain('\nfailed 1\n');
  expect(text).toContain('check{name="data_corruption",type="readyz"} 0\n');
  expect(text).toContain('checks{name="serializable_read",status="success",type="readyz"} 1\n');
  expect(text).not.toContain('linearizable_read');
});
