/**
 * The backend over an etcd cluster, ours or a real one: joins the client, the leases of what expires, the rounds of
 * compaction and one key space that all resources share. It does not own the client.
 */

import { silentLogger, type Clock, type Logger } from '@keelson/base';
import type { Client } from '@keelson/client';

import type { GroupResource } from '../api/meta.ts';
import { Compactor } from './compactor.ts';
import { EtcdKeySpace } from './etcd-key-space.ts';
import { DEFAULT_PREFIX, HEALTH_KEY } from './keys.ts';
import { LeasePool } from './lease-pool.ts';
import { ObjectStorage } from './object-storage.ts';
import type { ReadyOptions, Storage, StorageBackend, StorageResource, ValueTransformer } from './storage.ts';

/** Default of --etcd-compaction-interval: 5 to 10 minutes of history. */
const COMPACTION_MS = 300_000;
/** --etcd-healthcheck-timeout. */
const HEALTH_TIMEOUT_MS = 2_000;

export interface EtcdBackendOptions {
  readonly client: Client;
  readonly clock: Clock;
  /** --etcd-prefix. Default: /registry. */
  readonly prefix?: string;
  /** --etcd-compaction-interval; 0: never. */
  readonly compactionIntervalMs?: number;
  /** --etcd-healthcheck-timeout. Default: 2 s. */
  readonly healthTimeoutMs?: number;
  readonly logger?: Logger;
  /** Encryption at rest; values are stored as they are without. */
  readonly transformer?: (resource: GroupResource) => ValueTransformer;
}

export class EtcdBackend implements StorageBackend {
  readonly compactor: Compactor;
  private readonly client: Client;
  private readonly clock: Clock;
  private readonly prefix: string;
  private readonly healthTimeoutMs: number;
  private readonly space: EtcdKeySpace;
  private readonly transformer: EtcdBackendOptions['transformer'];

  /** Starts compaction; nothing else is asked of the store before somebody asks. */
  constructor(options: EtcdBackendOptions) {
    const { client, clock, prefix = DEFAULT_PREFIX, logger = silentLogger } = options;
    this.client = client;
    this.clock = clock;
    this.transformer = options.transformer;
    this.healthTimeoutMs = options.healthTimeoutMs ?? HEALTH_TIMEOUT_MS;
    // With and without a slash at its end, as the flag takes it.
    this.prefix = `/${prefix.split('/').filter(Boolean).join('/')}`;
    const intervalMs = options.compactionIntervalMs ?? COMPACTION_MS;
    this.compactor = new Compactor(client, { clock, logger, intervalMs });
    const leases = new LeasePool(client.lease, clock);
    this.space = new EtcdKeySpace(client, leases, () => this.compactor.compactedRevision);
    this.compactor.start();
  }

  storage(given: StorageResource): Storage {
    const transformer = given.transformer ?? this.transformer?.(given.resource);
    const resource = transformer === undefined ? given : { ...given, transformer };
    return new ObjectStorage(resource, this.space, { prefix: this.prefix, clock: this.clock });
  }

  async ready({ signal, timeoutMs = this.healthTimeoutMs }: ReadyOptions = {}): Promise<void> {
    await this.client.kv.get(`${this.prefix}${HEALTH_KEY}`, { timeoutMs, signal });
  }

  close(): void {
    this.compactor.stop();
    this.space.close();
  }
}
