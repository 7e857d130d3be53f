/** Quotas under many writers at once: never exceeded, charged in few writes, right after somebody else's. */

import { describe, expect, test } from '@jest/globals';

import { attributesFor, Cluster, pluginContext } from '../../../test/admission-cluster.ts';
import type { KubeObject } from '../../api/meta.ts';
import { part, textMap, withFieldAt } from '../../validation/value.ts';
import { resourceQuota } from '../plugins/resource-quota.ts';

const QUOTAS = { group: '', resource: 'resourcequotas' };

function quota(name: string, hard: Record<string, string>, used: Record<string, string>): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name, namespace: 'ns' },
    status: { hard, used },
  };
}

function pod(name: string, cpu = '100m'): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'ns' },
    spec: { containers: [{ name: 'a', resources: { requests: { cpu } } }] },
  };
}

async function used(cluster: Cluster, name: string): Promise<Readonly<Record<string, string>>> {
  const found = await cluster.of(QUOTAS)?.live('ns', name);
  return textMap(part(found ?? {}, 'status'), 'used');
}

describe('many at once', () => {
  test('fifty writers take what there is and no more', async () => {
    const cluster = new Cluster([quota('q', { pods: '20' }, { pods: '0' })]);
    const plugin = resourceQuota(pluginContext({ cluster }));
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, async (_, index) => {
        await plugin.validate(attributesFor({ object: pod(`p-${index}`) }));
      }),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(20);
    expect(await used(cluster, 'q')).toEqual({ pods: '20' });
    // The first one alone, then all that came meanwhile together.
    expect(cluster.statusWrites).toBeLessThanOrEqual(3);
  });

  test('two servers on one store', async () => {
    const cluster = new Cluster([quota('q', { pods: '5' }, { pods: '0' })]);
    const plugins = [1, 2].map(() => resourceQuota(pluginContext({ cluster })));
    const outcomes = await Promise.allSettled(
      Array.from({ length: 12 }, async (_, index) => {
        await plugins[index % 2].validate(attributesFor({ object: pod(`p-${index}`) }));
      }),
    );
    const admitted = outcomes.filter(({ status }) => status === 'fulfilled').length;
    expect(admitted).toBe(5);
    expect(await used(cluster, 'q')).toEqual({ pods: '5' });
  });
});

test('a charge that was overtaken is checked again', async () => {
  const cluster = new Cluster([quota('q', { pods: '2' }, { pods: '0' })]);
  const plugin = resourceQuota(pluginContext({ cluster }));
  let once = true;
  cluster.beforeChange = () => {
    if (!once) return;
    once = false;
    cluster.put(quota('q', { pods: '2' }, { pods: '2' }));
  };
  await expect(plugin.validate(attributesFor({ object: pod('p') }))).rejects.toThrow(
    'pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2',
  );
});

test('one that is overtaken again and again is a conflict', async () => {
  const cluster = new Cluster([quota('q', { pods: '9000' }, { pods: '0' })]);
  const plugin = resourceQuota(pluginContext({ cluster }));
  let count = 0;
  cluster.beforeChange = () => {
    count += 1;
    cluster.put(quota('q', { pods: '9000' }, { pods: String(count) }));
  };
  await expect(plugin.validate(attributesFor({ object: pod('p') }))).rejects.toThrow(
    'Operation cannot be fulfilled on resourcequotas "q": the object has been modified',
  );
  expect(count).toBe(4);
});

test('what was charged is known although the cache lags', async () => {
  const cluster = new Cluster([quota('q', { pods: '1' }, { pods: '0' })]);
  const stale = await cluster.of(QUOTAS)?.live('ns', 'q');
  const lookup = {
    of: (resource: { group: string; resource: string }) => {
      const found = cluster.of(resource);
      return found === undefined || stale === undefined
        ? found
        : { ...found, list: () => Promise.resolve([stale]) };
    },
    resourcesOf: () => [],
    scopeOf: () => undefined,
  };
  const plugin = resourceQuota({ ...pluginContext(), lookup });
  await plugin.validate(attributesFor({ object: pod('p') }));
  await expect(plugin.validate(attributesFor({ object: pod('r') }))).rejects.toThrow('exceeded quota: q');
});

test('a dry run is checked and not charged', async () => {
  const cluster = new Cluster([quota('q', { pods: '1' }, { pods: '0' })]);
  const plugin = resourceQuota(pluginContext({ cluster }));
  await plugin.validate(attributesFor({ object: pod('p'), dryRun: true }));
  expect(await used(cluster, 'q')).toEqual({ pods: '0' });
  expect(cluster.statusWrites).toBe(0);
});

test('several quotas are charged together; what one refuses is charged to none', async () => {
  const cluster = new Cluster([
    quota('a', { pods: '5' }, { pods: '0' }),
    quota('b', { 'requests.cpu': '1' }, { 'requests.cpu': '0' }),
  ]);
  const plugin = resourceQuota(pluginContext({ cluster }));
  await plugin.validate(attributesFor({ object: pod('p', '400m') }));
  await expect(plugin.validate(attributesFor({ object: pod('r', '700m') }))).rejects.toThrow(
    'exceeded quota: b, requested: requests.cpu=700m, used: requests.cpu=400m, limited: requests.cpu=1',
  );
  expect([await used(cluster, 'a'), await used(cluster, 'b')]).toEqual([
    { pods: '1' },
    { 'requests.cpu': '400m' },
  ]);
});

test('a resize pays for what it adds', async () => {
  const cluster = new Cluster([quota('b', { 'requests.cpu': '1' }, { 'requests.cpu': '500m' })]);
  const plugin = resourceQuota(pluginContext({ cluster }));
  const old = withFieldAt(pod('p', '500m'), ['metadata', 'resourceVersion'], '7');
  await plugin.validate(
    attributesFor({ operation: 'UPDATE', subresource: 'resize', object: pod('p', '900m'), oldObject: old }),
  );
  expect(await used(cluster, 'b')).toEqual({ 'requests.cpu': '900m' });
});

test('a pod that gets a deadline is charged to the quotas of such pods, and to no other again', async () => {
  const scoped = (name: string, scope: string, used: string): KubeObject => {
    const made = quota(name, { pods: '1' }, { pods: used });
    return withFieldAt(made, ['spec', 'scopes'], [scope]);
  };
  const cluster = new Cluster([scoped('ends', 'Terminating', '0'), scoped('stays', 'NotTerminating', '1')]);
  const plugin = resourceQuota(pluginContext({ cluster }));
  const ending = (name: string): KubeObject => withFieldAt(pod(name), ['spec', 'activeDeadlineSeconds'], 60);
  await plugin.validate(
    attributesFor({ operation: 'UPDATE', object: pod('p', '200m'), oldObject: pod('p') }),
  );
  expect(await used(cluster, 'stays')).toEqual({ pods: '1' });
  await plugin.validate(attributesFor({ operation: 'UPDATE', object: ending('p'), oldObject: pod('p') }));
  expect([await used(cluster, 'ends'), await used(cluster, 'stays')]).toEqual([{ pods: '1' }, { pods: '1' }]);
  await expect(plugin.validate(attributesFor({ object: ending('r') }))).rejects.toThrow(
    'exceeded quota: ends, requested: pods=1, used: pods=1, limited: pods=1',
  );
});
