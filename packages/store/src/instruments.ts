/**
 * What a member is measured with: its registry, and the observers that its parts are given when they are made. It
 * exists before the member, since opening one already writes; the rest is registered when the parts are there.
 */
import { hexId, type Clock } from '@keelson/base';
import type { Snapshot } from '@keelson/raft';
import type { ServerConfig } from './config/flag-table.ts';
import type { Compactor } from './consensus/compactor.ts';
import type { SnapshotFiles } from './consensus/snapshotter.ts';
import { memberObservers, type MemberObservers } from './member-metrics.ts';
import { ApplyMetrics } from './metrics/apply-metrics.ts';
import { Registry } from './metrics/registry.ts';
import { StorageMetrics } from './metrics/storage-metrics.ts';
import type { PeerHandler } from './peer/peer-options.ts';
import type { Tracing } from './tracing/tracing.ts';
import type { WalOptions } from './wal/wal.ts';

export class Instruments {
  readonly registry = new Registry();
  readonly storage: StorageMetrics;
  readonly apply: ApplyMetrics;
  readonly observers: MemberObservers;
  /** Set before the parts are made that it looks at; undefined unless it is asked for. */
  tracing: Tracing | undefined = undefined;
  private readonly clock: Clock;
  private readonly heartbeatMs: number;
  private lastTickMs: number | undefined = undefined;
  private readonly sendingSince = new Map<bigint, number>();

  constructor(config: ServerConfig, clock: Clock) {
    this.clock = clock;
    this.heartbeatMs = config.heartbeatIntervalMs;
    this.storage = new StorageMetrics(this.registry);
    this.apply = new ApplyMetrics(this.registry, () => clock.monotonicMs(), config.warningApplyDurationMs);
    this.observers = memberObservers(this.registry);
  }

  /** For the WAL. */
  get walOptions(): Pick<WalOptions, 'observeFsync' | 'observeWrite'> {
    const { walSync, walWrite } = this.storage;
    return {
      observeFsync: (seconds) => walSync.observe(seconds),
      observeWrite: (seconds) => walWrite.observe(seconds),
    };
  }

  /** For a write buffer. */
  get bufferOptions(): { readonly clock: Clock; readonly observeCommit: (seconds: number) => void } {
    return { clock: this.clock, observeCommit: (seconds) => this.storage.observeCommit(seconds) };
  }

  /** The same files; how long saving takes is noted. */
  timed(files: SnapshotFiles): SnapshotFiles {
    const { snapSave, snapSync } = this.storage;
    return {
      save: async (snapshot: Snapshot) => {
        const seconds = await this.secondsOf(() => files.save(snapshot));
        snapSave.observe(seconds);
        snapSync.observe(seconds);
      },
      purge: () => files.purge(),
    };
  }

  /** The same handler; what comes and goes between members is noted. */
  watched(handler: PeerHandler): PeerHandler {
    const { roundTrip, snapshotSend, snapshotReceive } = this.observers;
    return {
      step: (from, message) => handler.step(from, message),
      isRemoved: (id) => handler.isRemoved(id),
      reportUnreachable: (id) => handler.reportUnreachable(id),
      reportConnected: (id) => handler.reportConnected?.(id),
      reportRemoved: (by) => handler.reportRemoved?.(by),
      reportRoundTrip: (id, elapsedMs) => {
        roundTrip.with(hexId(id)).observe(elapsedMs / 1_000);
        handler.reportRoundTrip?.(id, elapsedMs);
      },
      reportSnapshot: (id, ok) => {
        const startMs = this.sendingSince.get(id);
        this.sendingSince.delete(id);
        if (ok && startMs !== undefined)
          snapshotSend.with(hexId(id)).observe((this.clock.monotonicMs() - startMs) / 1_000);
        handler.reportSnapshot(id, ok);
      },
      receiveSnapshot: async (message, body, bytes) => {
        const seconds = await this.secondsOf(() => handler.receiveSnapshot(message, body, bytes));
        this.storage.databaseSave.observe(seconds);
        snapshotReceive.with(hexId(message.from)).observe(seconds);
      },
    };
  }

  /** A snapshot leaves for a member. */
  snapshotLeaves(to: bigint): void {
    this.sendingSince.set(to, this.clock.monotonicMs());
  }

  /** Notes the work behind compactions. */
  watchCompactor(compactor: Compactor): void {
    const { compaction, compactionLast } = this.observers;
    let startMs = 0;
    compactor.observer = {
      begun: () => {
        startMs = this.clock.monotonicMs();
      },
      finished: () => {
        compaction.observe(this.clock.monotonicMs() - startMs);
        compactionLast.value = Math.floor(this.clock.nowMs() / 1_000);
      },
    };
  }

  /** A received snapshot is being installed until the work settles. */
  installing<T>(work: Promise<T>): Promise<T> {
    const { snapshotsApplying } = this.observers;
    snapshotsApplying.add();
    return work.finally(() => snapshotsApplying.add(-1));
  }

  /** A heartbeat is due; a leader's that comes more than one interval late is counted, as etcd does. */
  tick(leads: boolean): void {
    const nowMs = this.clock.monotonicMs();
    const lateMs = this.lastTickMs === undefined ? 0 : nowMs - this.lastTickMs - this.heartbeatMs;
    if (leads && lateMs > this.heartbeatMs) this.observers.heartbeatsLate.add();
    this.lastTickMs = nowMs;
  }

  /** Counts what becomes of promotions. */
  async promotion<T>(work: Promise<T>): Promise<T> {
    try {
      const result = await work;
      this.observers.promoteSucceeded.add();
      return result;
    } catch (error) {
      this.observers.promoteFailed.with(error instanceof Error ? error.message : String(error)).add();
      throw error;
    }
  }

  private async secondsOf(work: () => Promise<void>): Promise<number> {
    const startMs = this.clock.monotonicMs();
    await work();
    return (this.clock.monotonicMs() - startMs) / 1_000;
  }
}
