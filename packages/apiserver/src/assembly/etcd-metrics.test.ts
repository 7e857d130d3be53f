/** Requests to the store, as its metrics tell of them. */
import { expect, test } from '@jest/globals';
import { systemClock } from '@keelson/base';

import { etcdRequestMetrics, storeSizeMetric } from './etcd-metrics.ts';
import { MetricsRegistry } from '../metrics/registry.ts';
import { MeasuredKeySpace } from '../storage/measured-key-space.ts';
import { MemoryKeySpace } from '../storage/memory-key-space.ts';
import { customCodec } from '../storage/object-codec.ts';
import { ObjectStorage } from '../storage/object-storage.ts';
import { StoreSize, type SizeSource } from '../storage/store-size.ts';

const DEPLOYMENTS = { group: 'apps', resource: 'deployments' };

test('each request is counted by operation and resource, with its time and its failure', async () => {
  const registry = new MetricsRegistry();
  let nowMs = 0;
  const inner = new MemoryKeySpace({ clock: systemClock });
  const clock = { monotonicMs: () => (nowMs += 10) };
  const requests = etcdRequestMetrics(registry);
  const space = new MeasuredKeySpace(inner, requests, DEPLOYMENTS, clock);
  // A resource that is defined once more goes on in the same series.
  const again = new MeasuredKeySpace(inner, requests, DEPLOYMENTS, clock);
  const made = await space.put('/a/b', Buffer.from('1'), 0, 0, false, undefined);
  expect(made.succeeded).toBe(true);
  const revision = made.succeeded ? made.revision : 0;
  expect(await space.put('/a/b', Buffer.from('2'), revision, 0, false, undefined)).toMatchObject({
    succeeded: true,
  });
  // A condition that does not hold is an answer, no failure.
  expect(await space.delete('/a/b', revision, undefined)).toMatchObject({ succeeded: false });
  expect((await again.get('/a/b', undefined)).pair?.value.toString()).toBe('2');
  expect(again.revisionOf).toBeUndefined();
  const checking = Object.assign(new MemoryKeySpace({ clock: systemClock }), {
    revisionOf: () => Promise.resolve(7),
  });
  expect(await new MeasuredKeySpace(checking, requests, DEPLOYMENTS, clock).revisionOf?.('/a/b')).toBe(7);
  await space.count({ start: '/a/', prefix: '/a/' }, undefined);
  await space.range({ start: '/a/', prefix: '/a/', revision: 0, limit: 0 }, undefined);
  const future = { start: '/a/', prefix: '/a/', revision: 1_000, limit: 0 };
  await expect(space.range(future, undefined)).rejects.toMatchObject({ code: 'FUTURE_REVISION' });
  const text = registry.text();
  const of = (operation: string) => `{operation="${operation}",group="apps",resource="deployments"}`;
  for (const [operation, count] of [
    ['create', 1],
    ['update', 1],
    ['delete', 1],
    ['get', 2],
    ['listWithCount', 1],
    ['list', 2],
  ] as const) {
    expect(text).toContain(`etcd_requests_total${of(operation)} ${count}\n`);
    expect(text).toContain(`etcd_request_duration_seconds_count${of(operation)} ${count}\n`);
  }
  expect(text).toContain(`etcd_request_duration_seconds_sum${of('create')} 0.01\n`);
  expect(text.match(/^etcd_request_errors_total.*$/gm)).toEqual([`etcd_request_errors_total${of('list')} 1`]);
  inner.close();
});

test("the store's size is that of the first member that answers, asked at the interval; 0 asks never", async () => {
  const asked: string[] = [];
  const sizes = new Map([['b', 7]]);
  let told: () => void = () => undefined;
  const source: SizeSource = {
    endpoints: ['a', 'b'],
    maintenance: {
      status: ({ endpoint }) => {
        asked.push(endpoint);
        const dbSize = sizes.get(endpoint);
        return dbSize === undefined ? Promise.reject(new Error('gone')) : Promise.resolve({ dbSize });
      },
    },
  };
  const waits: number[] = [];
  let again = (): void => undefined;
  let cancelled = 0;
  const clock = {
    setTimer: (delayMs: number, task: () => void) => {
      waits.push(delayMs);
      again = task;
      told();
      return { cancel: () => (cancelled += 1) };
    },
  };
  const round = (begin: () => void): Promise<void> =>
    new Promise((resolve) => {
      told = resolve;
      begin();
    });
  const registry = new MetricsRegistry();
  const size = new StoreSize(source, clock, 30_000);
  storeSizeMetric(registry, size);
  expect(registry.text()).toBe('');
  await round(() => size.start());
  expect(registry.text()).toContain('apiserver_storage_size_bytes{storage_cluster_id="etcd-0"} 7\n');
  sizes.set('a', 9);
  await round(again);
  expect([size.bytes, asked, waits]).toEqual([9, ['a', 'b', 'a'], [30_000, 30_000]]);
  sizes.clear();
  await round(again);
  expect([size.bytes, registry.text()]).toEqual([undefined, '']);
  expect(waits.at(-1)).toBe(5_000);
  size.stop();
  expect(cancelled).toBe(1);
  new StoreSize(source, clock, 0).start();
  expect(asked).toHaveLength(5);
});

test('lists and watches over the store count what came from it', async () => {
  const registry = new MetricsRegistry();
  const space = new MemoryKeySpace({ clock: systemClock });
  const storage = new ObjectStorage(
    {
      resource: DEPLOYMENTS,
      prefix: '/deployments',
      codec: customCodec(),
      fieldsOf: (object) => ({ 'metadata.name': object.metadata.name ?? '' }),
    },
    space,
    { prefix: '/registry', clock: systemClock, traffic: etcdRequestMetrics(registry).traffic(DEPLOYMENTS) },
  );
  for (const name of ['a', 'b', 'c']) {
    const object = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace: 'x' } };
    await storage.create(`/deployments/x/${name}`, object);
  }
  await storage.list('/deployments');
  const selection = { labels: [], fields: [{ field: 'metadata.name', operator: '=' as const, value: 'b' }] };
  await storage.list('/deployments', { selection });
  const watch = await storage.watch('/deployments', { resourceVersion: '1', selection });
  for await (const events of watch) {
    expect(events.map((event) => (event.type === 'ADDED' ? event.object.value.metadata.name : ''))).toEqual([
      'b',
    ]);
    break;
  }
  const of = '{group="apps",resource="deployments"}';
  const text = registry.text();
  for (const [name, count] of [
    ['apiserver_storage_list_total', 2],
    ['apiserver_storage_list_fetched_objects_total', 6],
    ['apiserver_storage_list_evaluated_objects_total', 6],
    ['apiserver_storage_list_returned_objects_total', 4],
  ] as const) {
    expect(text).toContain(`${name}${of} ${count}\n`);
  }
  expect(text).toMatch(
    /^apiserver_storage_events_received_total\{group="apps",resource="deployments"\} [23]$/m,
  );
  space.close();
});
