/**
 * Durations of what a member does with its disk: plain observers that the rooms which do it are given, under etcd's
 * names. They exist before the member does, since opening it already writes.
 */
import { exponentialBuckets, type Histogram } from './metric.ts';
import type { Registry } from './registry.ts';

const FROM_1_MS = exponentialBuckets(0.001, 2, 14);
const FROM_100_MS = exponentialBuckets(0.1, 2, 10);

export class StorageMetrics {
  readonly walSync: Histogram;
  readonly walWrite: Histogram;
  readonly backendCommit: Histogram;
  readonly backendWrite: Histogram;
  /** Writing a .snap file, its sync included. */
  readonly snapSave: Histogram;
  readonly snapSync: Histogram;
  /** Receiving a snapshot's database until it is durable. */
  readonly databaseSave: Histogram;
  readonly databaseSync: Histogram;

  constructor(registry: Registry) {
    const histogram = (name: string, help: string, bounds = FROM_1_MS): Histogram =>
      registry.histogram(name, help, bounds);
    this.walSync = histogram('etcd_disk_wal_fsync_duration_seconds', 'Syncs of the WAL.');
    this.walWrite = histogram(
      'etcd_disk_wal_write_duration_seconds',
      'Writes to the WAL, without their sync.',
    );
    this.backendCommit = histogram(
      'etcd_disk_backend_commit_duration_seconds',
      'Batches of the backend, synced.',
    );
    this.backendWrite = histogram(
      'etcd_debugging_disk_backend_commit_write_duration_seconds',
      'Batches of the backend, synced: here a batch is one write.',
    );
    for (const phase of ['rebalance', 'spill'])
      histogram(
        `etcd_debugging_disk_backend_commit_${phase}_duration_seconds`,
        'A phase of bbolt that this backend has not: never observed.',
      );
    this.snapSync = histogram(
      'etcd_snap_fsync_duration_seconds',
      'Syncs of .snap files, with their writing.',
    );
    this.snapSave = histogram('etcd_debugging_snap_save_total_duration_seconds', 'Saving .snap files.');
    histogram(
      'etcd_debugging_snap_save_marshalling_duration_seconds',
      'Encoding .snap files: within saving here, never observed alone.',
    );
    this.databaseSync = histogram(
      'etcd_snap_db_fsync_duration_seconds',
      'Syncs of received databases: within saving here, never observed alone.',
    );
    this.databaseSave = histogram(
      'etcd_snap_db_save_total_duration_seconds',
      'Receiving and saving databases of snapshots.',
      FROM_100_MS,
    );
  }

  observeCommit(seconds: number): void {
    this.backendCommit.observe(seconds);
    this.backendWrite.observe(seconds);
  }
}
