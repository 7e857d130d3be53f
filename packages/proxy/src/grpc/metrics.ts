/**
 * The proxy's own metrics: etcd's five under their names (and, where etcd's help says so, gauges), and under keelson_
 * how full each bounded queue is. It asks when somebody scrapes and keeps nothing.
 */
import type { Registry } from '@keelson/store';
import type { KeepAlives } from './keep-alive.ts';
import type { CacheCounters } from './kv.ts';
import { CACHE_BYTES_MAX, type RangeCache } from './range-cache.ts';
import type { WatchHub } from './watch-hub.ts';
import { QUEUED_BYTES_MAX, QUEUED_MAX, type WatchCounters } from './watch-stream.ts';

export interface MeasuredParts {
  readonly cache: RangeCache;
  readonly cacheCounters: CacheCounters;
  readonly hub: WatchHub;
  readonly watchCounters: WatchCounters;
  readonly watchStreams: ReadonlySet<unknown>;
  readonly keepAlives: KeepAlives;
}

export function registerMetrics(registry: Registry, parts: MeasuredParts): void {
  const { cache, cacheCounters, hub, watchCounters, watchStreams, keepAlives } = parts;
  const gauge = (name: string, help: string, value: () => number): void =>
    registry.read('gauge', name, help, value);
  const counter = (name: string, help: string, value: () => number): void =>
    registry.read('counter', name, help, value);

  gauge('etcd_grpc_proxy_cache_hits_total', 'Total number of cache hits', () => cacheCounters.hits);
  gauge('etcd_grpc_proxy_cache_misses_total', 'Total number of cache misses', () => cacheCounters.misses);
  gauge('etcd_grpc_proxy_cache_keys_total', 'Total number of keys/ranges cached', () => cache.size);
  gauge(
    'etcd_grpc_proxy_watchers_coalescing_total',
    'Total number of current watchers coalescing',
    () => hub.coalescedWatchers,
  );
  counter(
    'etcd_grpc_proxy_events_coalescing_total',
    'Total number of events coalescing',
    () => hub.coalescedEvents,
  );

  gauge('keelson_grpc_proxy_cache_bytes', 'Bytes of answers kept.', () => cache.bytes);
  gauge('keelson_grpc_proxy_cache_bytes_max', 'Bytes of answers that may be kept.', () => CACHE_BYTES_MAX);
  gauge('keelson_grpc_proxy_watch_streams', 'Watch streams of clients.', () => watchStreams.size);
  gauge('keelson_grpc_proxy_watchers', 'Watches of clients that are being fed.', () => hub.watcherCount);
  gauge('keelson_grpc_proxy_upstream_watches', 'Watches at the cluster.', () => hub.broadcastCount);
  gauge('keelson_grpc_proxy_upstream_watch_streams', 'Watch streams to the cluster.', () => hub.trunkCount);
  gauge(
    'keelson_grpc_proxy_watch_queued_responses',
    'Responses that wait for clients to read.',
    () => watchCounters.queued,
  );
  gauge(
    'keelson_grpc_proxy_watch_queued_bytes',
    'Bytes that wait for clients to read.',
    () => watchCounters.queuedBytes,
  );
  gauge(
    'keelson_grpc_proxy_watch_queued_responses_max',
    'Responses that may wait on one stream.',
    () => QUEUED_MAX,
  );
  gauge(
    'keelson_grpc_proxy_watch_queued_bytes_max',
    'Bytes that may wait on one stream.',
    () => QUEUED_BYTES_MAX,
  );
  gauge(
    'keelson_grpc_proxy_watchers_parked',
    'Watches that wait for their client to read.',
    () => watchCounters.parked,
  );
  counter(
    'keelson_grpc_proxy_watchers_parked_total',
    'Times a watch had to wait for its client.',
    () => watchCounters.parkedTotal,
  );
  counter(
    'keelson_grpc_proxy_keep_alives_total',
    'Keep-alives clients sent.',
    () => keepAlives.counters.asked,
  );
  counter(
    'keelson_grpc_proxy_upstream_keep_alives_total',
    'Keep-alives that had to be sent to the cluster.',
    () => keepAlives.counters.forwarded,
  );
  gauge(
    'keelson_grpc_proxy_upstream_keep_alive_streams',
    'Keep-alive streams to the cluster.',
    () => keepAlives.trunkCount,
  );
}
