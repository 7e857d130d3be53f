/**
 * Does the work behind a compaction: slices with pauses between them, so that requests go on; tells those
 * who asked to wait when a revision's work is on disk. One run at a time, taken up again after a restart or
 * a snapshot.
 */
import { Deferred, toError, type Logger } from '@keelson/base';
import type { StateMachine } from '../apply/state-machine.ts';
import { StoreError } from '../errors.ts';
import type { MvccStore } from '../mvcc/store.ts';
import type { Schedule } from './schedule.ts';

/** Thrown into a run whose store has been replaced or whose member stops. */
class Abandoned extends Error {
  override readonly name = 'Abandoned';
}

/** Work under way, and on what. */
interface Run {
  readonly store: MvccStore;
  readonly ended: Promise<void>;
}

export class Compactor {
  /** Told when a run begins, and when it has ended well. */
  observer: { begun(): void; finished(): void } | undefined = undefined;
  private readonly state: () => StateMachine;
  private readonly schedule: Schedule;
  private readonly sleepMs: number;
  private readonly logger: Logger;
  private readonly onError: (error: Error) => void;
  private running: Run | undefined;
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
    if (this.running !== undefined || this.stopped) return;
    const store = this.state().mvcc;
    const ended = this.run(store).finally(() => {
      this.running = undefined;
      if (!this.stopped && this.state().mvcc.compactionPending) this.kick();
    });
    this.running = { store, ended };
  }

  /**
   * A snapshot has replaced the store: work on the one before ends. Resolves when nothing of it is under way,
   * and tells those whose compaction the snapshot brought along. Work on the new one, which may be long and has
   * begun already, is not waited for: until this resolves the member says to nobody that it has the snapshot.
   */
  async storeReplaced(): Promise<void> {
    const { running } = this;
    if (running !== undefined && running.store !== this.state().mvcc) await running.ended;
    this.tellWaiting(this.state().mvcc.finishedCompactRevision);
  }

  /** Resolves when the work of compacting at `revision` is done and durable. */
  done(revision: number): Promise<void> {
    if (this.stopped) return Promise.reject(new StoreError('STOPPED'));
    if (this.state().mvcc.finishedCompactRevision >= revision) return this.state().buffer.commit();
    const deferred = new Deferred<void>();
    this.waiting.push({ revision, deferred });
    return deferred.promise;
  }

  /** Resolves when the run under way, if any, has ended; its work goes on at the next start. */
  async stop(): Promise<void> {
    this.stopped = true;
    for (const { deferred } of this.waiting) deferred.reject(new StoreError('STOPPED'));
    this.waiting = [];
    await this.running?.ended;
  }

  private async run(store: MvccStore): Promise<void> {
    // Whoever asks is in the middle of applying a batch; its puts must not be sealed without the mark behind them.
    await Promise.resolve();
    if (this.state().mvcc !== store) return;
    const { buffer } = this.state();
    this.observer?.begun();
    try {
      await store.runCompaction(async () => {
        await this.schedule.delay(this.sleepMs);
        if (this.stopped || this.state().mvcc !== store) throw new Abandoned('the store was replaced');
      });
      await buffer.commit();
    } catch (error) {
      if (error instanceof Abandoned) return;
      this.stopped = true;
      this.onError(toError(error));
      return;
    }
    if (this.state().mvcc !== store) return;
    this.observer?.finished();
    const finished = store.finishedCompactRevision;
    this.logger.info('finished scheduled compaction', { 'compact-revision': finished });
    this.tellWaiting(finished);
  }

  private tellWaiting(finished: number): void {
    const ready = this.waiting.filter(({ revision }) => revision <= finished);
    this.waiting = this.waiting.filter(({ revision }) => revision > finished);
    for (const { deferred } of ready) deferred.resolve();
  }
}
