/**
 * Does the work behind a compaction: slices with pauses between them, so that requests go on; tells those
 * who asked to wait when a revision's work is on disk. One run at a time, taken up again after a restart or
 * a snapshot.
 */
import { Deferred, type Logger } from '@keelson/base';
import type { StateMachine } from '../apply/state-machine.ts';
import type { Schedule } from './schedule.ts';

/** Thrown into a run whose store has been replaced or whose member stops. */
class Abandoned extends Error {
  override readonly name = 'Abandoned';
}

export class Compactor {
  private readonly state: () => StateMachine;
  private readonly schedule: Schedule;
  private readonly sleepMs: number;
  private readonly logger: Logger;
  private readonly onError: (error: Error) => void;
  private running = false;
  private stopped = false;
  private waiting: { readonly revision: number; readonly deferred: Deferred<void> }[] = [];

  constructor(
    state: () => StateMachine,
    schedule: Schedule,
    sleepMs: number,
    logger: Logger,
    onError: (error: Error) => void,
  ) {
    this.state = state;
    this.schedule = schedule;
    this.sleepMs = sleepMs;
    this.logger = logger;
    this.onError = onError;
  }

  /** Starts the scheduled work unless it runs already. */
  kick(): void {
    if (this.running || this.stopped) return;
    this.running = true;
    void this.run().finally(() => {
      this.running = false;
      if (!this.stopped && this.state().mvcc.compactionPending) this.kick();
    });
  }

  /** Resolves when the work of compacting at `revision` is done and durable. */
  done(revision: number): Promise<void> {
    if (this.state().mvcc.finishedCompactRevision >= revision) return this.state().buffer.commit();
    const deferred = new Deferred<void>();
    this.waiting.push({ revision, deferred });
    return deferred.promise;
  }

  stop(): void {
    this.stopped = true;
    for (const { deferred } of this.waiting) deferred.reject(new Abandoned('the member stops'));
    this.waiting = [];
  }

  private async run(): Promise<void> {
    const store = this.state().mvcc;
    try {
      await store.runCompaction(async () => {
        await this.schedule.delay(this.sleepMs);
        if (this.stopped || this.state().mvcc !== store) throw new Abandoned('the store was replaced');
      });
      await this.state().buffer.commit();
    } catch (error) {
      if (error instanceof Abandoned) return;
      this.onError(error as Error);
      return;
    }
    const finished = store.finishedCompactRevision;
    this.logger.info('finished scheduled compaction', { 'compact-revision': finished });
    const ready = this.waiting.filter(({ revision }) => revision <= finished);
    this.waiting = this.waiting.filter(({ revision }) => revision > finished);
    for (const { deferred } of ready) deferred.resolve();
  }
}
