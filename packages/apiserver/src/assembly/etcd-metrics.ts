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
  return {
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
