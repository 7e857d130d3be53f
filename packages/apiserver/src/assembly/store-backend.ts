/** The store as a server reads and writes it: etcd with caches before it where the flags want them, encrypted, counted. */

import { pause, type Clock, type Logger } from '@keelson/base';
import type { Client } from '@keelson/client';

import { describeResource } from '../api/meta.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import type { ServerConfig } from '../options/config.ts';
import { CachedBackend } from '../storage/cacher-backend.ts';
import { EtcdBackend } from '../storage/etcd-storage.ts';
import type { StorageBackend } from '../storage/storage.ts';
import type { EncryptionAtRest } from './encryption.ts';
import { etcdRequestMetrics, storeSizeMetric } from './etcd-metrics.ts';
import type { Tracing } from './tracing.ts';

/** Between looks whether the store answers, at a start before it does. */
const STORE_POLL_MS = 25;
const STORE_POLL_MAX_MS = 1_000;

export interface StoreParts {
  readonly config: Pick<ServerConfig, 'etcd' | 'watchCache' | 'uncached'>;
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly encryption: EncryptionAtRest | undefined;
  readonly tracing: Tracing | undefined;
}

export function openBackend(parts: StoreParts): StorageBackend {
  const { config, client, clock, logger, metrics, encryption, tracing } = parts;
  const { prefix, compactionIntervalMs, healthTimeoutMs, leaseReuseSeconds, sizeIntervalMs } = config.etcd;
  const requests = etcdRequestMetrics(metrics);
  const backend = new EtcdBackend({
    client,
    clock,
    logger,
    prefix,
    compactionIntervalMs,
    healthTimeoutMs,
    leaseReuseSeconds,
    sizeIntervalMs,
    requests: tracing?.around(requests) ?? requests,
    ...(encryption === undefined ? {} : { transformer: encryption.transformer }),
  });
  storeSizeMetric(metrics, backend.size);
  if (!config.watchCache) return backend;
  return new CachedBackend(backend, {
    clock,
    logger,
    prefix,
    cached: (resource) => resource.resource !== 'events' && !config.uncached.has(describeResource(resource)),
  });
}

/**
 * Waits for the store's first answer.
 *
 * @param signal ends the wait
 * @returns whether it came before that
 */
export async function untilAnswers(
  backend: StorageBackend,
  { clock, logger, signal }: { readonly clock: Clock; readonly logger: Logger; readonly signal: AbortSignal },
): Promise<boolean> {
  let told = false;
  for (let waitMs = STORE_POLL_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, STORE_POLL_MAX_MS)) {
    try {
      await backend.ready({ signal });
      return true;
    } catch (error) {
      if (!told && !signal.aborted) {
        logger.info('waiting for etcd', { error: error instanceof Error ? error.message : String(error) });
      }
      told = true;
      await pause(clock, waitMs, signal);
    }
  }
  return false;
}
