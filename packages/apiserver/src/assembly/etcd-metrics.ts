/** What is asked of the store, by operation and resource, and how large it is; under the original's names. */

import { Counter, Gauge, Histogram, type MetricsRegistry } from '../metrics/registry.ts';
import type { StoreRequests } from '../storage/measured-key-space.ts';
import type { StoreSize } from '../storage/store-size.ts';

const LABELS: readonly string[] = ['operation', 'group', 'resource'];
/** The original's, s. */
const BOUNDS: readonly number[] = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];

export function etcdRequestMetrics(registry: MetricsRegistry): StoreRequests {
  const durations = registry.add(
    new Histogram(
      'etcd_request_duration_seconds',
      'Time that requests to the store took, by operation and resource.',
      LABELS,
      BOUNDS,
    ),
  );
  const totals = registry.add(new Counter('etcd_requests_total', 'Requests to the store.', LABELS));
  const failures = registry.add(
    new Counter('etcd_request_errors_total', 'Requests to the store that failed.', LABELS),
  );
  const objects = ['group', 'resource'];
  const counter = (name: string, help: string): Counter => registry.add(new Counter(name, help, objects));
  const lists = counter('apiserver_storage_list_total', 'Lists that were answered from the store.');
  const fetched = counter(
    'apiserver_storage_list_fetched_objects_total',
    'Objects that were read from the store for lists.',
  );
  const evaluated = counter(
    'apiserver_storage_list_evaluated_objects_total',
    'Objects from the store that the selection of a list was asked about.',
  );
  const returned = counter(
    'apiserver_storage_list_returned_objects_total',
    'Objects that lists from the store returned.',
  );
  const events = counter('apiserver_storage_events_received_total', 'Changes that came from the store.');
  const bookmarks = counter('etcd_bookmark_total', 'Signs of progress that came from the store.');
  return {
    traffic({ group, resource }) {
      const labels = [group, resource];
      return {
        listed(read, looked, answered) {
          lists.add(labels);
          fetched.add(labels, read);
          evaluated.add(labels, looked);
          returned.add(labels, answered);
        },
        received: (changes) => events.add(labels, changes),
        progressed: bookmarks.of(labels),
      };
    },
    of(operation, { group, resource }) {
      const labels = [operation, group, resource];
      const duration = durations.of(labels);
      const total = totals.of(labels);
      const failure = failures.of(labels);
      return (seconds, failed) => {
        duration(seconds);
        total();
        if (failed) failure();
      };
    },
  };
}

export function storeSizeMetric(registry: MetricsRegistry, size: StoreSize): void {
  registry.add(
    new Gauge(
      'apiserver_storage_size_bytes',
      "Size of the store's database file, bytes.",
      ['storage_cluster_id'],
      () => (size.bytes === undefined ? [] : [[['etcd-0'], size.bytes] as const]),
    ),
  );
}
