/** A namespace from its making to its end, on a whole server. */

import { afterEach, describe, expect, test } from '@jest/globals';
import { Prng, silentLogger, systemClock } from '@keelson/base';
import type { CallAnswer } from '@keelson/kube-client';

import { startControllers } from '../src/start-controllers.ts';
import { cluster, conditionOf, refusal, until, type Cluster } from './cluster.ts';

let running: Cluster | undefined;

afterEach(async () => {
  await running?.stop();
  running = undefined;
});

async function begin(options: Parameters<typeof cluster>[0] = {}): Promise<Cluster> {
  running = await cluster(options);
  return running;
}

const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';

describe('a new namespace', () => {
  test('has its service account and the root certificate, and has them again', async () => {
    const { create, get, names, small } = await begin({ rootCertificate: CERTIFICATE });
    await create('/api/v1/namespaces', { metadata: { name: 'n' } });
    const account = '/api/v1/namespaces/n/serviceaccounts/default';
    const root = '/api/v1/namespaces/n/configmaps/kube-root-ca.crt';
    await until(
      async () => (await get(account)) !== undefined && (await get(root)) !== undefined,
      'both are there',
    );
    expect((await get(root))?.['data']).toEqual({ 'ca.crt': CERTIFICATE });
    expect((await get(root))?.metadata.annotations?.['kubernetes.io/description']).toMatch(
      /^Contains a CA bundle that can be used to verify the kube-apiserver/,
    );

    const first = (await get(account))?.metadata.uid;
    await small.ask('DELETE', account);
    await small.ask('PATCH', root, { data: { 'ca.crt': 'other', more: 'x' } });
    await until(async () => {
      const now = (await get(account))?.metadata.uid;
      return now !== undefined && now !== first;
    }, 'the account is there again');
    await until(
      async () => JSON.stringify((await get(root))?.['data']) === JSON.stringify({ 'ca.crt': CERTIFICATE }),
      'the certificate is right again',
    );
    await small.ask('DELETE', root);
    await until(
      async () => (await names('/api/v1/namespaces/n/configmaps')).length === 1,
      'it is published again',
    );
  });

  test('that was there before the loops has them as well', async () => {
    const { create, get, controllers, small } = await begin({ controllers: ['serviceaccount-controller'] });
    expect(controllers.names).toEqual(['serviceaccount-controller']);
    await controllers.stop();
    await create('/api/v1/namespaces', { metadata: { name: 'early' } });
    await small.ask('POST', '/api/v1/namespaces', { metadata: { name: 'going' } });
    await small.ask('DELETE', '/api/v1/namespaces/going');
    const again = startControllers({
      transport: small.server,
      clock: systemClock,
      prng: new Prng(2),
      logger: silentLogger,
      controllers: ['serviceaccount'],
    });
    await until(
      async () => (await get('/api/v1/namespaces/early/serviceaccounts/default')) !== undefined,
      'it is there',
    );
    await until(() => again.quiet(), 'nothing is left to do');
    expect(await get('/api/v1/namespaces/going/serviceaccounts/default')).toBeUndefined();
    await again.stop();
  });
});

describe('a namespace that is deleted', () => {
  test('takes all kinds of content with it', async () => {
    const { create, get, names, delete: remove } = await begin();
    await create('/api/v1/namespaces', { metadata: { name: 'n' } });
    await create('/api/v1/namespaces', { metadata: { name: 'other' } });
    const kinds: readonly [string, object][] = [
      ['/api/v1/namespaces/n/configmaps', {}],
      ['/api/v1/namespaces/n/secrets', {}],
      ['/api/v1/namespaces/n/serviceaccounts', {}],
      ['/api/v1/namespaces/n/resourcequotas', {}],
      ['/api/v1/namespaces/n/limitranges', { spec: { limits: [] } }],
      [
        '/api/v1/namespaces/n/podtemplates',
        { template: { spec: { containers: [{ name: 'c', image: 'i' }] } } },
      ],
      ['/api/v1/namespaces/n/pods', { spec: { containers: [{ name: 'c', image: 'i' }] } }],
      ['/apis/coordination.k8s.io/v1/namespaces/n/leases', {}],
      ['/apis/rbac.authorization.k8s.io/v1/namespaces/n/roles', { rules: [] }],
      ['/apis/networking.k8s.io/v1/namespaces/n/networkpolicies', { spec: { podSelector: {} } }],
      [
        '/apis/discovery.k8s.io/v1/namespaces/n/endpointslices',
        { addressType: 'IPv4', endpoints: [], ports: [] },
      ],
    ];
    for (const [path, object] of kinds) {
      for (let i = 0; i < 3; i += 1) await create(path, { metadata: { name: `o${i}` }, ...object });
    }
    await create('/api/v1/namespaces/other/configmaps', { metadata: { name: 'stays' } });
    await remove('/api/v1/namespaces/n');
    await until(async () => (await get('/api/v1/namespaces/n')) === undefined, 'the namespace is gone');
    for (const [path] of kinds) expect(await names(path)).toEqual([]);
    expect(await names('/api/v1/namespaces/other/configmaps')).toEqual(['stays']);
  });

  test('says what it waits for, and goes when that is gone', async () => {
    const { create, get, small, delete: remove } = await begin({ controllers: ['namespace'] });
    await create('/api/v1/namespaces', { metadata: { name: 'n' } });
    const held = '/api/v1/namespaces/n/configmaps/held';
    await create('/api/v1/namespaces/n/configmaps', {
      metadata: { name: 'held', finalizers: ['example.com/hold'] },
    });
    await create('/api/v1/namespaces/n/configmaps', { metadata: { name: 'free' } });
    await remove('/api/v1/namespaces/n');
    await until(
      async () =>
        conditionOf(await get('/api/v1/namespaces/n'), 'NamespaceContentRemaining')['status'] === 'True',
      'the condition is there',
    );
    const namespace = await get('/api/v1/namespaces/n');
    expect(conditionOf(namespace, 'NamespaceContentRemaining')).toMatchObject({
      reason: 'SomeResourcesRemain',
      message: 'Some resources are remaining: configmaps. has 1 resource instances',
    });
    expect(conditionOf(namespace, 'NamespaceFinalizersRemaining')).toMatchObject({
      status: 'True',
      reason: 'SomeFinalizersRemain',
      message:
        'Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances',
    });
    expect(conditionOf(namespace, 'NamespaceDeletionContentFailure')).toMatchObject({
      status: 'False',
      reason: 'ContentDeleted',
    });
    expect((await get(held))?.metadata.deletionTimestamp).toBeDefined();
    await small.ask('PATCH', held, { metadata: { finalizers: null } });
    await until(async () => (await get('/api/v1/namespaces/n')) === undefined, 'the namespace is gone');
  });

  test('keeps all else until its pods are gone', async () => {
    const { create, get, names, small, delete: remove } = await begin({ controllers: ['namespace'] });
    await create('/api/v1/namespaces', { metadata: { name: 'n' } });
    await create('/api/v1/namespaces/n/configmaps', { metadata: { name: 'needed' } });
    await create('/api/v1/namespaces/n/pods', {
      metadata: { name: 'p', finalizers: ['example.com/hold'] },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    });
    await remove('/api/v1/namespaces/n');
    await until(
      async () =>
        conditionOf(await get('/api/v1/namespaces/n'), 'NamespaceContentRemaining')['status'] === 'True',
      'the condition is there',
    );
    expect(conditionOf(await get('/api/v1/namespaces/n'), 'NamespaceContentRemaining')['message']).toBe(
      'Some resources are remaining: pods. has 1 resource instances',
    );
    expect(await names('/api/v1/namespaces/n/configmaps')).toEqual(['needed']);
    await small.ask('PATCH', '/api/v1/namespaces/n/pods/p', { metadata: { finalizers: null } });
    await until(async () => (await get('/api/v1/namespaces/n')) === undefined, 'the namespace is gone');
    expect(await names('/api/v1/namespaces/n/configmaps')).toEqual([]);
  });

  test('stays while a finalizer of its own is there, empty', async () => {
    const { create, get, names, calm, small, delete: remove } = await begin({ controllers: ['namespace'] });
    await create('/api/v1/namespaces', {
      metadata: { name: 'n' },
      spec: { finalizers: ['example.com/mine'] },
    });
    await create('/api/v1/namespaces/n/configmaps', { metadata: { name: 'a' } });
    await remove('/api/v1/namespaces/n');
    await until(async () => {
      const namespace = await get('/api/v1/namespaces/n');
      return JSON.stringify(namespace?.['spec']) === '{"finalizers":["example.com/mine"]}';
    }, 'one finalizer is left');
    expect(await names('/api/v1/namespaces/n/configmaps')).toEqual([]);
    await calm();
    const left = await get('/api/v1/namespaces/n');
    await small.ask('PUT', '/api/v1/namespaces/n/finalize', { ...left, spec: { finalizers: [] } });
    await until(async () => (await get('/api/v1/namespaces/n')) === undefined, 'the namespace is gone');
  });

  test('with a thousand objects is gone in one sweep', async () => {
    const { create, get, small, controllers, delete: remove } = await begin();
    await create('/api/v1/namespaces', { metadata: { name: 'n' } });
    for (let i = 0; i < 1_000; i += 1) {
      await small.ask('POST', '/api/v1/namespaces/n/configmaps', { metadata: { name: `o${i}` } });
    }
    await remove('/api/v1/namespaces/n');
    await until(async () => (await get('/api/v1/namespaces/n')) === undefined, 'the namespace is gone');
    await until(() => controllers.quiet(), 'nothing is left to do');
    expect(controllers.metrics.text()).toMatch(/workqueue_retries_total\{name="namespace"\} 0\n/);
  });
});

describe('a namespace whose content cannot be deleted for a while', () => {
  test('says which, deletes all else, and goes later', async () => {
    let refusing = true;
    const {
      create,
      get,
      names,
      delete: remove,
    } = await begin({
      controllers: ['namespace'],
      instead: (target, { method }) =>
        refusing && method === 'DELETE' && target.includes('/secrets')
          ? refusal(500, 'InternalError')
          : undefined,
    });
    await create('/api/v1/namespaces', { metadata: { name: 'n' } });
    await create('/api/v1/namespaces/n/secrets', { metadata: { name: 'a' } });
    await create('/api/v1/namespaces/n/configmaps', { metadata: { name: 'b' } });
    await remove('/api/v1/namespaces/n');
    const type = 'NamespaceDeletionContentFailure';
    await until(
      async () => conditionOf(await get('/api/v1/namespaces/n'), type)['status'] === 'True',
      'it is said',
    );
    expect(conditionOf(await get('/api/v1/namespaces/n'), type)).toMatchObject({
      reason: 'ContentDeletionFailed',
      message: 'Failed to delete all resource types, 1 remaining: secrets: InternalError',
    });
    expect(await names('/api/v1/namespaces/n/configmaps')).toEqual([]);
    refusing = false;
    await until(async () => (await get('/api/v1/namespaces/n')) === undefined, 'the namespace is gone');
  });

  test('waits for groups that do not answer, because something of theirs may be in it', async () => {
    let stale = true;
    const {
      create,
      get,
      delete: remove,
    } = await begin({
      controllers: ['namespace'],
      instead: (target) =>
        stale && target === '/apis' && running !== undefined
          ? staleGroup(running.small.server.call('/apis', { headers: { accept: AGGREGATED } }))
          : undefined,
    });
    await create('/api/v1/namespaces', { metadata: { name: 'n' } });
    await create('/api/v1/namespaces/n/configmaps', { metadata: { name: 'b' } });
    await remove('/api/v1/namespaces/n');
    const type = 'NamespaceDeletionDiscoveryFailure';
    await until(
      async () => conditionOf(await get('/api/v1/namespaces/n'), type)['status'] === 'True',
      'it is said',
    );
    expect(conditionOf(await get('/api/v1/namespaces/n'), type)).toMatchObject({
      reason: 'DiscoveryFailed',
      message:
        'Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: slow.io/v1: stale GroupVersion discovery: slow.io/v1',
    });
    stale = false;
    await until(async () => (await get('/api/v1/namespaces/n')) === undefined, 'the namespace is gone');
  });
});

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** The groups that are served, and one whose server does not answer. */
async function staleGroup(asking: Promise<CallAnswer>): Promise<CallAnswer> {
  const answer = await asking;
  const list = JSON.parse((await answer.bytes()).toString()) as { items: unknown[] };
  const slow = {
    metadata: { name: 'slow.io' },
    versions: [{ version: 'v1', freshness: 'Stale', resources: [] }],
  };
  const bytes = Buffer.from(JSON.stringify({ ...list, items: [...list.items, slow] }));
  return {
    code: 200,
    headers: new Map([['content-type', ['application/json']]]),
    chunks: answer.chunks,
    bytes: () => Promise.resolve(bytes),
  };
}
