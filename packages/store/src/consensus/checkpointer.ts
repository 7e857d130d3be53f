/**
 * Writes the index checkpoint now and then, beside everything else, and when the member ends in order: so that
 * the next start need not read every revision. It decides when; mvcc/index-checkpoint.ts does it. It is never
 * needed: what goes wrong here is a line in the log and a slower start.
 */
import { toError, type Logger } from '@keelson/base';
import type { StateMachine } from '../apply/state-machine.ts';
import {
  CHECKPOINT_CALM_CHANGES_MAX,
  CHECKPOINT_CHANGES_CALM_MIN,
  CHECKPOINT_CHANGES_AT_END_MIN,
  CHECKPOINT_CHANGES_MIN,
  CHECKPOINT_PAUSE_MS,
  CHECKPOINT_REVISIONS_AFTER_FAILURE,
} from '../limits.ts';
import type { Schedule } from './schedule.ts';

/** Thrown into writing whose store has been replaced or whose member stops. */
class Abandoned extends Error {
  override readonly name = 'Abandoned';
}

export class Checkpointer {
  private readonly state: StateMachine;
  private readonly schedule: Schedule;
  private readonly logger: Logger;
  private running: Promise<void> | undefined = undefined;
  private stopped = false;
  /** After a failure: not tried again before this revision. */
  private notBefore = 0;
  /** Changes in all when calmly() was last asked. */
  private lastChanges = 0;

  constructor(state: StateMachine, schedule: Schedule, logger: Logger) {
    this.state = state;
    this.schedule = schedule;
    this.logger = logger;
  }

  /** Called after each applied batch: begins to write when enough has changed. */
  afterApply(): void {
    const { mvcc } = this.state;
    const { indexedChanges, changesSinceCheckpoint } = mvcc;
    if (indexedChanges < CHECKPOINT_CHANGES_MIN) return;
    // Half of what is there has changed, so that writing costs each change no more than a few keys of a file;
    // or a compaction has made the last one useless.
    const overtaken = mvcc.finishedCompactRevision > mvcc.checkpointRevision;
    if (overtaken || changesSinceCheckpoint >= Math.max(CHECKPOINT_CHANGES_MIN, indexedChanges / 2))
      this.begin();
  }

  /** Called every CHECKPOINT_CALM_MS: where little changes, less is worth a new one. */
  whenCalm(): void {
    const { mvcc } = this.state;
    const changes = mvcc.counters.events;
    const calm = changes - this.lastChanges <= CHECKPOINT_CALM_CHANGES_MAX;
    this.lastChanges = changes;
    const enough = Math.max(CHECKPOINT_CHANGES_CALM_MIN, mvcc.indexedChanges / 20);
    if (calm && mvcc.changesSinceCheckpoint >= enough) this.begin();
  }

  private begin(): void {
    if (this.running !== undefined || this.stopped) return;
    const { mvcc } = this.state;
    if (mvcc.currentRevision < this.notBefore || mvcc.compactionPending) return;
    this.running = this.write(() => this.schedule.delay(CHECKPOINT_PAUSE_MS)).finally(() => {
      this.running = undefined;
    });
  }

  /** A snapshot has replaced the store: work on the one before ends. */
  async storeReplaced(): Promise<void> {
    this.notBefore = 0;
    await this.running;
  }

  /** Ends work under way. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
  }

  /** After stop(), when nothing is applied and compacted any more: the last one, if it is worth its time. */
  async atEnd(): Promise<void> {
    const { mvcc } = this.state;
    // A compaction beyond the last one, done or only asked for, makes it useless.
    const overtaken = mvcc.compactRevision > mvcc.checkpointRevision;
    const saved = overtaken ? mvcc.indexedChanges : mvcc.changesSinceCheckpoint;
    if (saved < CHECKPOINT_CHANGES_AT_END_MIN) return;
    this.stopped = false;
    await this.write(() => Promise.resolve());
    this.stopped = true;
  }

  private async write(pause: () => Promise<void>): Promise<void> {
    const { state } = this;
    const { mvcc } = state;
    try {
      const written = await mvcc.writeCheckpoint(
        (key) => state.lessor.leaseOf(key),
        async () => {
          await pause();
          if (this.stopped || state.mvcc !== mvcc) throw new Abandoned('the store was replaced');
        },
      );
      if (written)
        this.logger.info('wrote the index checkpoint', { 'checkpoint-revision': mvcc.checkpointRevision });
    } catch (error) {
      if (error instanceof Abandoned) return;
      this.notBefore = mvcc.currentRevision + CHECKPOINT_REVISIONS_AFTER_FAILURE;
      this.logger.warn('failed to write the index checkpoint', { error: toError(error).message });
    }
  }
}
