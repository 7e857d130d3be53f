/** Which requests are followed, what is told of them and to whom, with a collector on a port of its own. */

import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';

import { afterEach, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '@keelson/base';

import { until } from '../../../base/test/until.ts';
import { Collector, type Seen } from '../../../rpc/test/span-collector.ts';
import type { Filter, Handler } from '../api/exchange.ts';
import { notFound } from '../api/status.ts';
import type { UserInfo } from '../api/user-info.ts';
import { ObjectCodec } from '../codec/object-codec.ts';
import { Door } from '../http/door.ts';
import { callInProcess } from '../http/in-process.ts';
import { pipeline } from '../http/pipeline.ts';
import { MetricsRegistry } from '../metrics/registry.ts';
import { HttpsCaller } from '../outbound/https-caller.ts';
import { CertificateAuthority } from '../pki/authority.ts';
import { TypeTable } from '../schema/type-table.ts';
import { Tracing } from './tracing.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const POD = '/api/v1/namespaces/default/pods/web?secret=none';
const codec = new ObjectCodec(new TypeTable());
const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

interface World {
  readonly spans: readonly Seen[];
  readonly tracing: Tracing;
  readonly metrics: MetricsRegistry;
  /** Sends what is left: the collector has it then. */
  readonly stop: () => Promise<void>;
  readonly ask: (path: string, group: string, headers?: Record<string, string>) => Promise<number>;
}

async function world(
  samplingRate: number,
  work: (tracing: Tracing) => Handler,
  uuid: () => string = randomUUID,
): Promise<World> {
  const collector = new Collector();
  ends.push(() => collector.server.close());
  const metrics = new MetricsRegistry();
  const tracing = new Tracing({
    config: { endpoint: await collector.listen(), samplingRate },
    clock: systemClock,
    logger: silentLogger,
    metrics,
    uuid,
  });
  ends.push(() => tracing.stop());
  let user: UserInfo | undefined;
  const authenticate: Filter = (request, next) => {
    request.context.user = user;
    request.context.auditId = 'audit-1';
    return next(request);
  };
  const handler = pipeline([authenticate, tracing.filter], work(tracing));
  const door = new Door({ handler, codec, clock: systemClock, logger: silentLogger });
  return {
    spans: collector.spans,
    tracing,
    metrics,
    stop: () => tracing.stop(),
    async ask(path, group, headers = {}) {
      user = { name: 'jane', uid: '', groups: [group], extra: {} };
      const answer = await callInProcess(door, path, { headers });
      await answer.bytes();
      return answer.code;
    },
  };
}

const ok: Handler = () => Promise.resolve({ kind: 'json', code: 200, value: {} });
const called = (flags: string): Record<string, string> => ({
  traceparent: `00-${TRACE}-${PARENT}-${flags}`,
  tracestate: 'rojo=1',
});

const UNCOUNTED = {
  traffic: () => ({ listed: () => undefined, received: () => undefined, progressed: () => undefined }),
};

test('a request of a trusted caller goes on with its trace; its questions and calls are its children', async () => {
  const authority = CertificateAuthority.create('hooks-ca', systemClock.nowMs());
  const pair = authority.server('hook', ['127.0.0.1'], systemClock.nowMs());
  const heard: (string | undefined)[] = [];
  const hook = createServer({ cert: pair.certificate, key: pair.key }, (message, response) => {
    heard.push(String(message.headers['traceparent']), String(message.headers['tracestate']));
    message.resume();
    response.end('{}');
  });
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
  ends.push(() => new Promise((resolve) => hook.close(resolve)));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP port has such an address
  const url = `https://127.0.0.1:${(hook.address() as AddressInfo).port}/hook?token=hidden`;
  const notes: [number, boolean][] = [];
  const { spans, ask, stop } = await world(0, (tracing) => {
    const caller = new HttpsCaller(systemClock, tracing.calls);
    ends.push(() => caller.close());
    const store = tracing.around({
      ...UNCOUNTED,
      of: () => (seconds, failed) => void notes.push([seconds, failed]),
    });
    const got = store.of('get', { group: '', resource: 'pods' });
    return async () => {
      await Promise.resolve();
      got(0.25, false);
      const target = { url, caBundle: authority.certificate };
      await caller.post(target, Buffer.from('{}'), {
        timeoutMs: 10_000,
        signal: new AbortController().signal,
      });
      throw notFound({ group: '', resource: 'pods' }, 'web');
    };
  });
  expect(await ask(POD, 'system:masters', called('01'))).toBe(404);
  await stop();
  expect(notes).toEqual([[0.25, false]]);
  const [get, post, server] = [
    'Get etcd3',
    'HTTP POST',
    'GET /api/v1/namespaces/{:namespace}/pods/{:name}',
  ].map((name) => spans.find((span) => span.name === name));
  expect(spans).toHaveLength(3);
  expect(server).toMatchObject({ traceId: TRACE, parent: PARENT, state: 'rojo=1', kind: 2 });
  expect(server?.resource).toMatchObject({ 'service.name': 'apiserver' });
  expect(server?.attributes).toMatchObject({
    'http.request.method': 'GET',
    'http.response.status_code': 404,
    'url.path': '/api/v1/namespaces/default/pods/web',
    'audit-id': 'audit-1',
  });
  // A refusal is no fault of the server.
  expect(server?.status).toBeUndefined();
  expect(get).toMatchObject({
    traceId: TRACE,
    parent: server?.id,
    kind: 3,
    attributes: { resource: 'pods' },
  });
  expect(get?.tookMs).toBeCloseTo(250, 0);
  expect(post).toMatchObject({ traceId: TRACE, parent: server?.id, kind: 3 });
  expect(post?.attributes).toMatchObject({
    'http.response.status_code': 200,
    'url.full': url.split('?', 1)[0],
  });
  expect(heard).toEqual([`00-${TRACE}-${post?.id}-01`, 'rojo=1']);
});

test.each<[string, number, string, string, number]>([
  ['anybody, at a rate of none', 0, 'team', '01', 0],
  ['a trusted caller who is not sampled, at any rate', 1_000_000, 'system:monitoring', '00', 0],
  ['a trusted caller who is sampled, at any rate', 0, 'system:monitoring', '01', 1],
])('%s', async (_name, rate, group, flags, count) => {
  const { spans, ask, stop } = await world(rate, () => ok);
  expect(await ask(POD, group, called(flags))).toBe(200);
  await stop();
  expect(spans).toHaveLength(count);
});

test.each<[string, number]>([
  ['00000000-0000-4000-bfff-ffffffffffff', 1],
  ['7fffffff-ffff-4fff-bfff-ffffffffffff', 1],
  ['80000000-0000-4000-8000-000000000000', 0],
  ['ffffffff-ffff-4fff-8000-000000000000', 0],
])('half of the requests are traced at half a rate, whatever a UUID always says: %s', async (id, count) => {
  const { spans, ask, stop } = await world(
    500_000,
    () => ok,
    () => id,
  );
  expect(await ask(POD, 'team')).toBe(200);
  await stop();
  expect(spans).toHaveLength(count);
});

test('a state that gRPC could not carry harms no request', async () => {
  const { spans, ask, stop } = await world(0, () => ok);
  const headers = { ...called('01'), tracestate: 'a=\u00e9\t1' };
  expect(await ask(POD, 'system:masters', headers)).toBe(200);
  await stop();
  expect(spans).toHaveLength(1);
});

test('what a request leaves behind it is not of its trace', async () => {
  const gate = { open: (): void => undefined };
  const later = new Promise<void>((resolve) => (gate.open = () => resolve()));
  const left: Promise<void>[] = [];
  const { spans, ask, stop } = await world(1_000_000, (tracing) => {
    const store = tracing.around({ ...UNCOUNTED, of: () => () => undefined });
    return (request) => {
      left.push(later.then(() => store.of('list', { group: '', resource: 'pods' })(0, false)));
      return ok(request);
    };
  });
  expect(await ask(POD, 'team')).toBe(200);
  gate.open();
  await Promise.all(left);
  await stop();
  expect(spans.map(({ name }) => name)).not.toContain('List etcd3');
});

test('anybody at a whole rate has a trace of his own, whatever he says', async () => {
  const { spans, ask, stop } = await world(1_000_000, () => ok);
  expect(await ask('/version', 'team', called('01'))).toBe(200);
  await stop();
  expect(spans.map(({ name, parent }) => [name, parent])).toEqual([['GET', '']]);
  expect(spans[0].traceId).not.toBe(TRACE);
});

test('a stream is followed to its end', async () => {
  const gate = { open: (): void => undefined };
  const over = new Promise<void>((resolve) => (gate.open = () => resolve()));
  let begun = false;
  async function* chunks(): AsyncGenerator<Buffer> {
    begun = true;
    yield Buffer.from('a');
    await over;
    yield Buffer.from('b');
  }
  const { spans, ask, stop, metrics } = await world(
    1_000_000,
    () => () => Promise.resolve({ kind: 'stream', code: 200, contentType: 'text/plain', chunks: chunks() }),
  );
  const asked = ask(`${POD}&watch=1`, 'team');
  await until(() => begun);
  expect(metrics.text()).toContain('keelson_tracing_queue_spans 0\n');
  gate.open();
  await asked;
  await stop();
  expect(spans).toHaveLength(1);
});
