/** Owners and dependents on a whole server: the three ways of deletion, and references that mean nothing. */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { KubeObject } from '@keelson/kube-client';

import { cluster, ownedBy, refusal, until, type Cluster } from './cluster.ts';

const MAPS = '/api/v1/namespaces/n/configmaps';

let running: Cluster;

beforeEach(async () => {
  running = await cluster({ controllers: ['garbagecollector'] });
  await running.create('/api/v1/namespaces', { metadata: { name: 'n' } });
});

afterEach(() => running.stop());

/** A ConfigMap; owners as references or as objects. */
function map(name: string, owners: readonly unknown[] = [], more: object = {}): Promise<KubeObject> {
  return running.create(MAPS, { metadata: { name, ownerReferences: owners, ...more } });
}

const owners = async (name: string): Promise<string[] | undefined> =>
  (await running.get(`${MAPS}/${name}`))?.metadata.ownerReferences?.map((one) => one.name);

function eventually(names: readonly string[]): Promise<void> {
  return until(async () => String(await running.names(MAPS)) === String(names), `left are ${String(names)}`);
}

const remove = (name: string, policy: string): Promise<unknown> =>
  running.delete(`${MAPS}/${name}`, `?propagationPolicy=${policy}`);

describe('in the background', () => {
  test('the owner goes at once and its dependents after it, down to the last', async () => {
    const a = await map('a');
    const b = await map('b', [ownedBy(a)]);
    await map('c', [ownedBy(b)]);
    await map('z');
    await remove('a', 'Background');
    await eventually(['z']);
  });

  test('a dependent with another owner loses the reference alone', async () => {
    const a = await map('a');
    const b = await map('b');
    await map('c', [ownedBy(a), ownedBy(b)]);
    await remove('a', 'Background');
    await until(async () => String(await owners('c')) === 'b', 'c belongs to b');
    expect(await running.names(MAPS)).toEqual(['b', 'c']);
  });

  test('dependents are of any kind', async () => {
    const a = await map('a');
    await running.create('/apis/apps/v1/namespaces/n/deployments', {
      metadata: { name: 'web', ownerReferences: [ownedBy(a)] },
      spec: {
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      },
    });
    await remove('a', 'Background');
    await until(
      async () => (await running.names('/apis/apps/v1/namespaces/n/deployments')).length === 0,
      'the deployment is gone',
    );
  });

  test('a cluster-wide owner takes what lies in namespaces with it', async () => {
    const role = await running.create('/apis/rbac.authorization.k8s.io/v1/clusterroles', {
      metadata: { name: 'r' },
      rules: [],
    });
    await map('a', [ownedBy(role)]);
    await running.delete('/apis/rbac.authorization.k8s.io/v1/clusterroles/r');
    await eventually([]);
  });
});

describe('in the foreground', () => {
  test('the owner waits for the dependents that block it', async () => {
    const a = await map('a');
    const b = await map('b', [ownedBy(a, { blockOwnerDeletion: true })]);
    await map('c', [ownedBy(b, { blockOwnerDeletion: true })], { finalizers: ['example.com/hold'] });
    await remove('a', 'Foreground');
    await until(
      async () => (await running.get(`${MAPS}/c`))?.metadata.deletionTimestamp !== undefined,
      'the last one is being deleted',
    );
    await running.calm();
    expect(await running.names(MAPS)).toEqual(['a', 'b', 'c']);
    expect((await running.get(`${MAPS}/a`))?.metadata.finalizers).toEqual(['foregroundDeletion']);
    expect((await running.get(`${MAPS}/b`))?.metadata.finalizers).toEqual(['foregroundDeletion']);
    await running.small.ask('PATCH', `${MAPS}/c`, { metadata: { finalizers: null } });
    await eventually([]);
  });

  test('the owner does not wait for those that do not block it', async () => {
    const a = await map('a');
    await map('b', [ownedBy(a)], { finalizers: ['example.com/hold'] });
    await remove('a', 'Foreground');
    await eventually(['b']);
    await running.small.ask('PATCH', `${MAPS}/b`, { metadata: { finalizers: null } });
    await eventually([]);
  });

  test('a dependent with another owner is let go instead', async () => {
    const a = await map('a');
    const b = await map('b');
    await map('c', [ownedBy(a, { blockOwnerDeletion: true }), ownedBy(b)]);
    await remove('a', 'Foreground');
    await eventually(['b', 'c']);
    expect(await owners('c')).toEqual(['b']);
  });

  test('two that own each other do not wait for ever', async () => {
    const a = await map('a');
    const b = await map('b', [ownedBy(a, { blockOwnerDeletion: true })]);
    await running.small.ask('PATCH', `${MAPS}/a`, {
      metadata: { ownerReferences: [ownedBy(b, { blockOwnerDeletion: true })] },
    });
    await remove('a', 'Foreground');
    await eventually([]);
  });
});

test('orphaned dependents stay, without the reference', async () => {
  const a = await map('a');
  const b = await map('b', [ownedBy(a)]);
  await map('c', [ownedBy(b)]);
  await map('d', [ownedBy(a)]);
  await remove('a', 'Orphan');
  await eventually(['b', 'c', 'd']);
  expect([await owners('b'), await owners('c'), await owners('d')]).toEqual([undefined, ['b'], undefined]);
});

describe('a reference', () => {
  const nobody = { apiVersion: 'v1', kind: 'ConfigMap', name: 'never', uid: 'f'.repeat(8) };

  test('to an owner that never was: the object goes', async () => {
    await map('a', [nobody]);
    await eventually([]);
  });

  test('to another object of the name: the object goes', async () => {
    await map('a');
    await map('b', [{ ...nobody, name: 'a' }]);
    await eventually(['a']);
  });

  test('to a kind that is not served: the object stays', async () => {
    await map('a', [{ ...nobody, apiVersion: 'example.com/v1', kind: 'Widget' }]);
    await until(
      () =>
        /workqueue_retries_total\{name="garbage_collector_attempt_to_delete"\} [1-9]/.test(
          running.controllers.metrics.text(),
        ),
      'it was looked for',
    );
    expect(await running.names(MAPS)).toEqual(['a']);
  });

  test('from another namespace: the object goes, the owner stays', async () => {
    await running.create('/api/v1/namespaces', { metadata: { name: 'other' } });
    const a = await map('a');
    await running.create('/api/v1/namespaces/other/configmaps', {
      metadata: { name: 'b', ownerReferences: [ownedBy(a)] },
    });
    await until(
      async () => (await running.names('/api/v1/namespaces/other/configmaps')).length === 0,
      'the dependent is gone',
    );
    expect(await running.names(MAPS)).toEqual(['a']);
  });

  test('from what lies in no namespace to what lies in one: the object stays', async () => {
    const a = await map('a');
    const roles = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
    await running.create(roles, { metadata: { name: 'r', ownerReferences: [ownedBy(a)] }, rules: [] });
    await remove('a', 'Background');
    await eventually([]);
    await running.calm();
    expect(await running.names(roles)).toEqual(['r']);
  });
});

test('many dependents go with one question about their owner', async () => {
  const a = await map('a');
  const { small } = running;
  for (let i = 0; i < 300; i += 1) {
    await small.ask('POST', MAPS, { metadata: { name: `d${i}`, ownerReferences: [ownedBy(a)] } });
  }
  await remove('a', 'Background');
  await eventually([]);
  await running.calm();
});

/** Runs with a server that answers some requests of the loops otherwise. */
async function meeting(instead: NonNullable<Parameters<typeof cluster>[0]>['instead']): Promise<void> {
  await running.stop();
  running = await cluster({
    controllers: ['garbagecollector'],
    ...(instead === undefined ? {} : { instead }),
  });
  await running.create('/api/v1/namespaces', { metadata: { name: 'n' } });
}

describe('kinds without a strategic merge, as custom resources are', () => {
  beforeEach(() =>
    meeting((_target, { headers }) =>
      headers?.['content-type']?.startsWith('application/strategic') === true
        ? refusal(415, 'UnsupportedMediaType')
        : undefined,
    ),
  );

  test('are orphaned', async () => {
    const a = await map('a');
    await map('b', [ownedBy(a)]);
    await remove('a', 'Orphan');
    await eventually(['b']);
    expect(await owners('b')).toBeUndefined();
  });

  test('lose one of two owners', async () => {
    const a = await map('a');
    const b = await map('b');
    await map('c', [ownedBy(a), ownedBy(b)]);
    await remove('a', 'Background');
    await until(async () => String(await owners('c')) === 'b', 'c belongs to b');
  });

  test('that own each other do not wait for ever', async () => {
    const a = await map('a');
    const b = await map('b', [ownedBy(a, { blockOwnerDeletion: true })]);
    await running.small.ask('PATCH', `${MAPS}/a`, {
      metadata: { ownerReferences: [ownedBy(b, { blockOwnerDeletion: true })] },
    });
    await remove('a', 'Foreground');
    await eventually([]);
  });
});

describe('a request that', () => {
  test('meets a newer version is repeated where the owners are the same', async () => {
    let conflicts = 0;
    await meeting((target, { method, body }) => {
      // As if somebody wrote the object all the time: no deletion that names a version comes through.
      if (method !== 'DELETE' || !target.includes('/configmaps/')) return undefined;
      const versioned = body?.toString().includes('resourceVersion') === true;
      if (!versioned) return undefined;
      conflicts += 1;
      const name = target.replace(/^.*\//, '').replace(/\?.*$/, '');
      return running.small
        .ask('PATCH', `${MAPS}/${name}`, { metadata: { labels: { written: String(conflicts) } } })
        .then(() => refusal(409, 'Conflict'));
    });
    const a = await map('a');
    await map('b', [ownedBy(a)]);
    await remove('a', 'Background');
    await eventually([]);
    expect(conflicts).toBe(1);
  });

  test('finds nobody for a while is made later', async () => {
    let failures = 6;
    await meeting((_target, { method }) => {
      if (method !== 'DELETE' || failures === 0) return undefined;
      failures -= 1;
      return failures % 2 === 0 ? refusal(500, 'InternalError') : Promise.reject(new Error('reset'));
    });
    const a = await map('a');
    await map('b', [ownedBy(a)]);
    await running.small.ask('DELETE', `${MAPS}/a`);
    await eventually([]);
    expect(failures).toBe(0);
  });
});
