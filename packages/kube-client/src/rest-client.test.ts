import { describe, expect, test } from '@jest/globals';

import { HandClock } from '../test/hand-clock.ts';
import { failure, ScriptedTransport, TestStream, type Scripted } from '../test/scripted-transport.ts';
import { hasCause, hasReason, KubeError } from './kube-error.ts';
import { MetricSet } from './metrics.ts';
import { pathOf, RestClient } from './rest-client.ts';

const PODS = { group: '', version: 'v1', resource: 'pods' };
const DEPLOYMENTS = { group: 'apps', version: 'v1', resource: 'deployments' };
const POD = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'n' } };

function rig(): { clock: HandClock; transport: ScriptedTransport; client: RestClient; metrics: MetricSet } {
  const clock = new HandClock();
  const transport = new ScriptedTransport();
  const metrics = new MetricSet();
  return {
    clock,
    transport,
    metrics,
    client: new RestClient({ transport, clock, metrics, userAgent: 'test/1' }),
  };
}

async function refusal(asking: Promise<unknown>): Promise<KubeError> {
  try {
    await asking;
  } catch (error) {
    if (error instanceof KubeError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

test.each([
  [pathOf(PODS, ''), '/api/v1/pods'],
  [pathOf(PODS, 'n', 'p', 'status'), '/api/v1/namespaces/n/pods/p/status'],
  [pathOf(DEPLOYMENTS, 'n'), '/apis/apps/v1/namespaces/n/deployments'],
  [pathOf(DEPLOYMENTS, '', 'a b'), '/apis/apps/v1/deployments/a%20b'],
])('the path %s', (path, wanted) => expect(path).toBe(wanted));

describe('a request', () => {
  test('carries what the verb needs', async () => {
    const { transport, client } = rig();
    transport.otherwise = { json: POD };
    await client.get(PODS, 'n', 'p', { metadataOnly: true });
    await client.create(PODS, 'n', POD, { fieldManager: 'me' });
    await client.patch(PODS, 'n', 'p', 'strategic', { metadata: {} });
    await client.delete(PODS, 'n', 'p', { propagationPolicy: 'Orphan', preconditions: { uid: 'u' } });
    expect(transport.asked.map(({ method, path, query }) => `${method} ${path}?${String(query)}`)).toEqual([
      'GET /api/v1/namespaces/n/pods/p?',
      'POST /api/v1/namespaces/n/pods?fieldManager=me',
      'PATCH /api/v1/namespaces/n/pods/p?',
      'DELETE /api/v1/namespaces/n/pods/p?',
    ]);
    const [get, create, patch, deletion] = transport.asked;
    expect(get.headers['accept']).toBe(
      'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json',
    );
    expect([create.body, create.headers['content-type'], create.headers['user-agent']]).toEqual([
      POD,
      'application/json',
      'test/1',
    ]);
    expect(patch.headers['content-type']).toBe('application/strategic-merge-patch+json');
    expect(deletion.body).toEqual({
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Orphan',
      preconditions: { uid: 'u' },
    });
  });

  test('that is refused tells code, reason and causes', async () => {
    const { transport, client } = rig();
    transport.otherwise = {
      code: 403,
      json: failure(403, 'Forbidden', 'no', { details: { causes: [{ reason: 'NamespaceTerminating' }] } }),
    };
    const error = await refusal(client.create(PODS, 'n', POD));
    expect([error.code, error.httpCode, error.message]).toEqual(['STATUS', 403, 'no']);
    expect([hasReason(error, 'Forbidden'), hasCause(error, 'NamespaceTerminating')]).toEqual([true, true]);
  });

  test('that is refused without a Status has the reason of its code', async () => {
    const { transport, client } = rig();
    transport.otherwise = { code: 404, headers: { 'content-type': 'text/plain' }, json: 'page' };
    const error = await refusal(client.get(PODS, 'n', 'p'));
    expect([error.reason, error.message]).toEqual(['NotFound', '"page"']);
  });

  test('whose connection breaks says so, and is not sent again', async () => {
    const { transport, client } = rig();
    transport.otherwise = { broken: 'ECONNRESET' };
    expect((await refusal(client.create(PODS, 'n', POD))).code).toBe('TRANSPORT');
    expect(transport.asked.length).toBe(1);
  });

  test('that is not answered in time is given up', async () => {
    const { transport, client, clock } = rig();
    const hanging = new AbortController();
    transport.call = (_target, options) =>
      new Promise((_resolve, reject) => {
        options?.signal?.addEventListener('abort', () => {
          hanging.abort();
          reject(new Error('left'));
        });
      });
    const asking = refusal(client.get(PODS, 'n', 'p'));
    await clock.advance(64_999);
    expect(hanging.signal.aborted).toBe(false);
    await clock.advance(1);
    expect([(await asking).code, hanging.signal.aborted]).toEqual(['TIMEOUT', true]);
    expect(clock.timers).toBe(0);
  });

  test('that its caller gives up is cancelled', async () => {
    const { transport, client } = rig();
    transport.otherwise = { json: POD };
    const controller = new AbortController();
    controller.abort();
    expect((await refusal(client.get(PODS, 'n', 'p', { signal: controller.signal }))).code).toBe('CANCELLED');
  });

  test('is counted by code and method', async () => {
    const { transport, client, metrics } = rig();
    transport.once(() => true, { json: POD });
    await client.get(PODS, 'n', 'p');
    await refusal(client.get(PODS, 'n', 'p'));
    expect(metrics.text()).toContain('rest_client_requests_total{code="200",method="GET"} 1\n');
    expect(metrics.text()).toContain('rest_client_requests_total{code="404",method="GET"} 1\n');
  });
});

describe('an answer that says when to ask again', () => {
  const busy = (code: number): Scripted => ({
    code,
    headers: { 'retry-after': '2' },
    json: failure(code, '', 'busy'),
  });
  test.each<[string, number, 'get' | 'create', boolean]>([
    ['429 of a read', 429, 'get', true],
    ['429 of a write: it was not begun', 429, 'create', true],
    ['503 of a read', 503, 'get', true],
    ['503 of a write: it may have been done', 503, 'create', false],
  ])('%s', async (_name, code, verb, again) => {
    const { transport, client, clock } = rig();
    transport.once(() => true, busy(code)).once(() => true, { json: POD });
    const asking = verb === 'get' ? client.get(PODS, 'n', 'p') : client.create(PODS, 'n', POD);
    const outcome = asking.then(
      () => 'done',
      (error: unknown) => (error instanceof KubeError ? error.retryAfterSeconds : 'other'),
    );
    await clock.advance(1_999);
    expect(transport.asked.length).toBe(1);
    await clock.advance(1);
    expect(await outcome).toBe(again ? 'done' : 2);
    expect(transport.asked.length).toBe(again ? 2 : 1);
  });

  test('is believed ten times', async () => {
    const { transport, client, clock } = rig();
    transport.otherwise = busy(429);
    const asking = refusal(client.get(PODS, 'n', 'p'));
    await clock.advance(30_000);
    expect((await asking).httpCode).toBe(429);
    expect(transport.asked.length).toBe(10);
  });
});

test('a watch that its reader leaves is left', async () => {
  const { transport, client } = rig();
  const stream = new TestStream();
  const controller = new AbortController();
  transport.otherwise = { stream };
  stream.event('ADDED', POD);
  const seen: string[] = [];
  const options = { timeoutSeconds: 10, resourceVersion: '5', signal: controller.signal };
  const error = await refusal(
    (async () => {
      for await (const batch of client.watch(PODS, '', options)) {
        seen.push(...batch.map(({ type }) => type));
        controller.abort();
      }
    })(),
  );
  expect([error.code, seen, stream.left]).toEqual(['CANCELLED', ['ADDED'], true]);
  expect(String(transport.asked[0].query)).toBe(
    'timeoutSeconds=10&resourceVersion=5&watch=true&allowWatchBookmarks=true',
  );
});
