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
import { MeasuredKeySpace, type StoreRequests } from './measured-key-space.ts';
import { ObjectStorage } from './object-storage.ts';
import { StoreSize } from './store-size.ts';
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
  /** --lease-reuse-duration-seconds. Default: a minute. */
  readonly leaseReuseSeconds?: number;
  /** --etcd-db-metric-poll-interval; 0, and the default: the store's size is not asked for. */
  readonly sizeIntervalMs?: number;
  /** Told of each request for a resource's objects. */
  readonly requests?: StoreRequests;
  readonly logger?: Logger;
  /** Encryption at rest; values are stored as they are without. */
  readonly transformer?: (resource: GroupResource) => ValueTransformer;
}

export class EtcdBackend implements StorageBackend {
  readonly compactor: Compactor;
  readonly size: StoreSize;
  private readonly client: Client;
  private readonly clock: Clock;
  private readonly prefix: string;
  private readonly healthTimeoutMs: number;
  private readonly space: EtcdKeySpace;
  private readonly transformer: EtcdBackendOptions['transformer'];
  private readonly requests: StoreRequests | undefined;

  /** Starts compaction; nothing else is asked of the store before somebody asks. */
  constructor(options: EtcdBackendOptions) {
    const { client, clock, prefix = DEFAULT_PREFIX, logger = silentLogger } = options;
    this.client = client;
    this.clock = clock;
    this.transformer = options.transformer;
    this.requests = options.requests;
    this.healthTimeoutMs = options.healthTimeoutMs ?? HEALTH_TIMEOUT_MS;
    // With and without a slash at its end, as the flag takes it.
    this.prefix = `/${prefix.split('/').filter(Boolean).join('/')}`;
    const intervalMs = options.compactionIntervalMs ?? COMPACTION_MS;
    this.compactor = new Compactor(client, { clock, logger, intervalMs });
    this.size = new StoreSize(client, clock, options.sizeIntervalMs ?? 0);
    const leases = new LeasePool(client.lease, clock, options.leaseReuseSeconds);
    this.space = new EtcdKeySpace(client, leases, () => this.compactor.compactedRevision);
    this.compactor.start();
    this.size.start();
  }

  storage(given: StorageResource): Storage {
    const transformer = given.transformer ?? this.transformer?.(given.resource);
    const resource = transformer === undefined ? given : { ...given, transformer };
    const { requests, clock } = this;
    const space =
      requests === undefined ? this.space : new MeasuredKeySpace(this.space, requests, given.resource, clock);
    const traffic = requests?.traffic(given.resource);
    const counted = traffic === undefined ? {} : { traffic };
    return new ObjectStorage(resource, space, { prefix: this.prefix, clock: this.clock, ...counted });
  }

  async ready({ signal, timeoutMs = this.healthTimeoutMs }: ReadyOptions = {}): Promise<void> {
    await this.client.kv.get(`${this.prefix}${HEALTH_KEY}`, { timeoutMs, signal });
  }

  close(): void {
    this.compactor.stop();
    this.size.stop();
    this.space.close();
  }
}
