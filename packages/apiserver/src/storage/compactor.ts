/**
 * Compaction of the store by the API servers: every few minutes one of them, whichever comes first, forgets what was
 * before the round before, so that between one and two rounds of history remain. They agree by one key, whose version
 * counts the rounds and whose value is the revision that was compacted; all watch it to know what is gone.
 *
 * Modelled on kubernetes/apiserver pkg/storage/etcd3/compact.go. The first round of a server never compacts.
 */

import type { Clock, Logger, Timer } from '@keelson/base';
import { compare, op, toEtcdError, type Client, type Watcher } from '@keelson/client';

import { COMPACT_REVISION_KEY } from './keys.ts';

export interface CompactorOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** --etcd-compaction-interval; 0: this server does not compact, and still hears of those who do. */
  readonly intervalMs: number;
}

/** How long to wait before the key is watched again after the watch broke. */
const RETRY_MS = 1_000;

export class Compactor {
  private readonly client: Client;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly intervalMs: number;
  /** Rounds there have been, as far as this server knows. */
  private round = 0;
  /** The store's revision at the last round: what the next one compacts. 0: this server has seen no round yet. */
  private seen = 0;
  private compacted = 0;
  private timer: Timer | undefined = undefined;
  private retry: Timer | undefined = undefined;
  private watcher: Watcher | undefined = undefined;
  private stopped = false;

  constructor(client: Client, { clock, logger, intervalMs }: CompactorOptions) {
    this.client = client;
    this.clock = clock;
    this.logger = logger;
    this.intervalMs = intervalMs;
  }

  /** The last compaction this server knows of; 0: none. */
  get compactedRevision(): number {
    return this.compacted;
  }

  /** Begins the rounds, and to listen to others'. */
  start(): void {
    if (this.intervalMs > 0) this.schedule();
    void this.follow();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.retry?.cancel();
    this.watcher?.cancel();
  }

  /**
   * One round: takes the key's next version if nobody else has, and compacts to what was seen in the round before.
   *
   * @throws EtcdError; the round is then tried again
   */
  async compactOnce(): Promise<void> {
    const key = COMPACT_REVISION_KEY;
    const response = await this.client.kv.txn({
      compare: [compare.version(key, '=', this.round)],
      success: [op.put(key, String(this.seen))],
      failure: [op.get(key)],
    });
    const revision = response.header?.revision ?? 0;
    const target = this.seen;
    if (!response.succeeded) {
      const pair = response.responses[0]?.responseRange?.kvs[0];
      this.round = pair?.version ?? 0;
      this.seen = revision;
      if (pair !== undefined) this.heard(pair.value);
      return;
    }
    this.round += 1;
    this.seen = revision;
    if (target === 0) return;
    await this.client.kv.compact(target);
    this.compacted = Math.max(this.compacted, target);
  }

  private schedule(): void {
    this.timer = this.clock.setTimer(this.intervalMs, () => {
      this.compactOnce()
        .catch((error: unknown) => {
          this.logger.warn('etcd compaction failed', { error: toEtcdError(error).message });
        })
        .finally(() => {
          if (!this.stopped) this.schedule();
        });
    });
  }

  /** Reads the key and watches it; begins again when the watch breaks. Never rejects. */
  private async follow(): Promise<void> {
    try {
      const { kvs, header } = await this.client.kv.get(COMPACT_REVISION_KEY);
      if (this.stopped) return;
      const pair = kvs[0];
      if (pair !== undefined) this.heard(pair.value);
      this.watcher = this.client.watch.create(COMPACT_REVISION_KEY, {
        startRevision: (header?.revision ?? 0) + 1,
        fragment: false,
        requireLeader: true,
      });
      for await (const { events } of this.watcher) {
        for (const { kv } of events) if (kv !== undefined) this.heard(kv.value);
      }
    } catch (error) {
      this.logger.debug('the watch of etcd compactions broke', { error: toEtcdError(error).message });
    }
    if (this.stopped) return;
    this.retry = this.clock.setTimer(RETRY_MS, () => void this.follow());
  }

  private heard(value: Buffer): void {
    const revision = Number(value.toString('utf8'));
    if (Number.isSafeInteger(revision)) this.compacted = Math.max(this.compacted, revision);
  }
}
