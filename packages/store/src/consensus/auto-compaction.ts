/**
 * Compaction that nobody asks for: history older than a time, or more than so many revisions, is forgotten.
 * Every member keeps count of the revisions, the leader alone proposes. Modelled on etcd's v3compactor
 * (periodic.go, revision.go), its intervals and log lines included.
 */
import { toError, type Logger } from '@keelson/base';
import type { AutoCompaction } from '../config/validate.ts';
import { formatGoDuration } from '../config/go-values.ts';
import { StoreError } from '../errors.ts';
import type { Schedule } from './schedule.ts';

const HOUR_MS = 3_600_000;
/** Of the interval between compactions: how often the revision is written down, and a failure tried again. */
const RETRY_DIVISOR = 10;
const REVISION_INTERVAL_MS = 300_000;

export interface Compactable {
  readonly isLeader: boolean;
  /** Newest revision of the local state. */
  revision(): number;
  /** @throws StoreError COMPACTED when that was done before; anything else means not done */
  compact(revision: number): Promise<unknown>;
}

export class AutoCompactor {
  private readonly target: Compactable;
  private readonly schedule: Schedule;
  private readonly monotonicMs: () => number;
  private readonly logger: Logger;

  constructor(target: Compactable, schedule: Schedule, monotonicMs: () => number, logger: Logger) {
    this.target = target;
    this.schedule = schedule;
    this.monotonicMs = monotonicMs;
    this.logger = logger;
  }

  /** Resolves when the schedule has stopped; at once when nothing is to be done. Never rejects. */
  run(plan: AutoCompaction): Promise<void> {
    if (plan.mode === 'periodic') return this.periodic(plan.retentionMs);
    if (plan.mode === 'revision') return this.byRevision(plan.revisions);
    return Promise.resolve();
  }

  /** The first compaction comes after one whole retention; then one every hour, or every shorter retention. */
  private async periodic(retentionMs: number): Promise<void> {
    const intervalMs = Math.min(retentionMs, HOUR_MS);
    const retryMs = Math.max(intervalMs / RETRY_DIVISOR, 1);
    const kept = Math.floor(retentionMs / retryMs) + 1;
    const period = formatGoDuration(retentionMs);
    /** Oldest first: the revisions of the last retention, one a retry interval. */
    const revisions: number[] = [];
    let lastSuccessMs = this.monotonicMs();
    let dueAfterMs = retentionMs;
    let last = 0;
    while (!this.schedule.stopped) {
      revisions.push(this.target.revision());
      if (revisions.length > kept) revisions.shift();
      await this.schedule.delay(retryMs);
      if (this.schedule.stopped || !this.target.isLeader) continue;
      if (this.monotonicMs() - lastSuccessMs < dueAfterMs) continue;
      dueAfterMs = intervalMs;
      const [revision] = revisions;
      if (revision === undefined || revision === last) continue;
      const fields = { revision, 'compact-period': period };
      const done = await this.compact('periodic', revision, fields, retryMs);
      if (!done) continue;
      last = revision;
      lastSuccessMs = this.monotonicMs();
    }
  }

  private async byRevision(retention: number): Promise<void> {
    let last = 0;
    while (!this.schedule.stopped) {
      await this.schedule.delay(REVISION_INTERVAL_MS);
      if (this.schedule.stopped || !this.target.isLeader) continue;
      const revision = this.target.revision() - retention;
      if (revision <= 0 || revision === last) continue;
      const fields = { revision, 'revision-compaction-retention': retention };
      if (await this.compact('revision', revision, fields, REVISION_INTERVAL_MS)) last = revision;
    }
  }

  private async compact(
    mode: string,
    revision: number,
    fields: Readonly<Record<string, string | number>>,
    retryMs: number,
  ): Promise<boolean> {
    const startedMs = this.monotonicMs();
    this.logger.info(`starting auto ${mode} compaction`, fields);
    try {
      await this.target.compact(revision);
    } catch (error) {
      // Compacted so far already, by someone who asked: as good as done.
      if (!(error instanceof StoreError && error.code === 'COMPACTED')) {
        this.logger.warn(`failed auto ${mode} compaction`, {
          ...fields,
          'retry-interval': formatGoDuration(retryMs),
          error: toError(error).message,
        });
        return false;
      }
    }
    const took = formatGoDuration(this.monotonicMs() - startedMs);
    this.logger.info(`completed auto ${mode} compaction`, { ...fields, took });
    return true;
  }
}
