/** The backend over an etcd client, whatever etcd is behind it, as the storage contract wants it. */

import { systemClock } from '@keelson/base';
import type { Client } from '@keelson/client';

import { until } from '../../../base/test/until.ts';
import { EtcdBackend } from '../../src/storage/etcd-storage.ts';
import { COMPACT_REVISION_KEY } from '../../src/storage/keys.ts';
import type { BackendUnderTest } from './storage-harness.ts';

/** @param stop ends the store; the client is closed before */
export function overClient(
  client: Client,
  reportsProgress: boolean,
  stop: () => Promise<void>,
): BackendUnderTest {
  const backend = new EtcdBackend({ client, clock: systemClock, compactionIntervalMs: 0 });
  return {
    backend,
    reportsProgress,
    async compact(revision) {
      await client.kv.compact(revision);
      // As the API server that does it tells the others.
      await client.kv.put(COMPACT_REVISION_KEY, String(revision));
      await until(() => backend.compactor.compactedRevision === revision);
    },
    read: (key) => client.kv.value(key),
    write: async (key, value) => void (await client.kv.put(key, value)),
    async close() {
      backend.close();
      client.close();
      await stop();
    },
  };
}
