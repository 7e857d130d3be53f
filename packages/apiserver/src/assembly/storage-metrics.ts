/** What the watch caches count, shown under the original's names. */

import { describeResource, type GroupResource } from '../api/meta.ts';
import type { ObjectStats } from '../flowcontrol/work-estimate.ts';
import { Gauge, type MetricsRegistry } from '../metrics/registry.ts';
import { CachedBackend } from '../storage/cacher-backend.ts';
import type { CacherMetrics } from '../storage/cacher-metrics.ts';
import type { StorageBackend } from '../storage/storage.ts';

type Count = Exclude<keyof CacherMetrics, symbol>;

const COUNTERS: readonly [name: string, count: Count, help: string][] = [
  ['apiserver_watch_cache_initializations_total', 'initializations', 'Times a watch cache was filled.'],
  ['apiserver_watch_cache_events_received_total', 'eventsReceived', 'Events that came from the store.'],
  [
    'apiserver_watch_cache_events_dispatched_total',
    'eventsDispatched',
    'Events that were given to watchers.',
  ],
  ['apiserver_cache_list_returned_objects_total', 'listReturnedObjects', 'Objects that lists returned.'],
  [
    'apiserver_terminated_watchers_total',
    'terminatedWatchers',
    'Watchers that were ended because they were slow.',
  ],
  ['apiserver_init_events_total', 'initEvents', 'Events that watches began with.'],
];

/** What is known of a resource's objects, from its cache; undefined where there is none. */
export function objectStats(
  backend: StorageBackend,
): (group: string, resource: string) => ObjectStats | undefined {
  if (!(backend instanceof CachedBackend)) return () => undefined;
  return (group, resource) => {
    const count = backend.cacherOf({ group, resource })?.objectCount;
    return count === undefined ? undefined : { count, averageBytes: undefined };
  };
}

/** @param backend one without caches has nothing to show */
export function storageMetrics(registry: MetricsRegistry, backend: StorageBackend): void {
  if (!(backend instanceof CachedBackend)) return;
  const series = (count: Count) =>
    function* read(): Generator<readonly [readonly string[], number]> {
      for (const { resource, metrics } of backend.cachers) {
        const { group, resource: name } = resource.resource;
        // A cache that nobody needed yet has counted nothing.
        if (metrics.initializations > 0) yield [[group, name], metrics[count]];
      }
    };
  const labels = ['group', 'resource'];
  for (const [name, count, help] of COUNTERS) {
    registry.add(new Gauge(name, help, labels, series(count), 'counter'));
  }
  // The index that a list was read by is not told apart.
  const indexed = ['group', 'index', 'resource'];
  const listed = (count: Count) =>
    function* read(): Generator<readonly [readonly string[], number]> {
      for (const [[group, resource], value] of series(count)()) yield [[group, '', resource], value];
    };
  registry.add(
    new Gauge(
      'apiserver_cache_list_total',
      'Lists that were answered from memory.',
      indexed,
      listed('lists'),
      'counter',
    ),
  );
  registry.add(
    new Gauge(
      'apiserver_cache_list_fetched_objects_total',
      'Objects that were looked at for lists.',
      indexed,
      listed('listFetchedObjects'),
      'counter',
    ),
  );
  registry.add(
    new Gauge(
      'apiserver_watch_cache_consistent_read_total',
      'Reads of the newest state: from memory, or from the store because memory was late.',
      ['fallback', 'group', 'resource', 'success'],
      function* read() {
        for (const { resource, metrics } of backend.cachers) {
          const { group, resource: name } = resource.resource;
          const { consistentReads, consistentReadFallbacks: late, consistentReadFailures: failed } = metrics;
          if (consistentReads > 0) yield [['false', group, name, 'true'], consistentReads] as const;
          if (late > 0) yield [['true', group, name, 'true'], late] as const;
          if (failed > 0) yield [['true', group, name, 'false'], failed] as const;
        }
      },
      'counter',
    ),
  );
  // A cache counts when it is filled; a resource that nobody needed yet is not told.
  const counted = (): [GroupResource, number][] =>
    backend.cachers.flatMap(({ resource, objectCount }) =>
      objectCount === undefined ? [] : [[resource.resource, objectCount]],
    );
  registry.add(
    new Gauge('apiserver_resource_objects', 'Objects in the store, by resource.', labels, () =>
      counted().map(([{ group, resource }, count]) => [[group, resource], count] as const),
    ),
  );
  registry.add(
    new Gauge(
      'apiserver_storage_objects',
      'Objects in the store, by resource; the older name.',
      ['resource'],
      () => counted().map(([resource, count]) => [[describeResource(resource)], count] as const),
    ),
  );
  registry.add(
    new Gauge(
      'apiserver_watch_cache_resource_version',
      'Revision that a watch cache has reached.',
      labels,
      series('resourceVersion'),
    ),
  );
}
