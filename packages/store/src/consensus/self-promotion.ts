/**
 * --promote-learner-when-ready: a learner that asks to become a voter as soon as it has caught up, and goes on asking
 * until it is one or is no member any more. It decides nothing: the leader does, by the rules it has for an operator's
 * MemberPromote (in sync, --strict-reconfig-check). What it adds is to ask in time, and not before this member has
 * applied all that was committed when it looked, which is more than the leader's nine tenths of the log.
 */
import { toError, type Logger } from '@keelson/base';
import type { Schedule } from './schedule.ts';

/** Between two looks; after each refusal twice as long, up to the longest. */
const PAUSE_MS = 250;
const PAUSE_MS_MAX = 5_000;

/** What the leader said, if it could be asked. */
export type PromotionAnswer =
  | { readonly kind: 'promoted' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unreachable' };

/** This member, as it sees itself and the leader. */
export interface PromotionCandidate {
  /** 'unknown' until the entry that added it has been applied here. */
  standing(): 'unknown' | 'learner' | 'voter' | 'removed';
  /** Resolves when everything is applied here that was committed before the call; rejects when that takes too long. */
  caughtUp(): Promise<void>;
  /** Asks the leader once. Never rejects. */
  ask(): Promise<PromotionAnswer>;
}

/** How one attempt ended, as the metric labels it. */
export type PromotionResult = PromotionAnswer['kind'] | 'lagging';

export class SelfPromotion {
  private readonly candidate: PromotionCandidate;
  private readonly schedule: Schedule;
  private readonly logger: Logger;
  private readonly observe: (result: PromotionResult) => void;
  private lastReason = '';

  /** @param observe told of each attempt */
  constructor(
    candidate: PromotionCandidate,
    schedule: Schedule,
    logger: Logger,
    observe: (result: PromotionResult) => void,
  ) {
    this.candidate = candidate;
    this.schedule = schedule;
    this.logger = logger;
    this.observe = observe;
  }

  /** Resolves when there is nothing left to ask for, or the schedule has stopped. */
  async run(): Promise<void> {
    let pauseMs = PAUSE_MS;
    let wasLearner = false;
    while (!this.schedule.stopped) {
      const standing = this.candidate.standing();
      if (standing === 'voter' || standing === 'removed') {
        if (wasLearner && standing === 'voter') this.logger.info('this learner has become a voting member');
        return;
      }
      if (standing === 'learner') {
        if (!wasLearner) this.logger.info('this learner asks to be promoted once it has caught up');
        wasLearner = true;
        const result = await this.attempt();
        if (this.schedule.stopped) return;
        this.observe(result);
        pauseMs = result === 'refused' ? Math.min(2 * pauseMs, PAUSE_MS_MAX) : PAUSE_MS;
      }
      await this.schedule.delay(pauseMs);
    }
  }

  private async attempt(): Promise<PromotionResult> {
    try {
      await this.candidate.caughtUp();
    } catch (error) {
      this.tell('this learner has not caught up yet', toError(error).message);
      return 'lagging';
    }
    const answer = await this.candidate.ask();
    if (answer.kind === 'refused') this.tell('the leader does not promote this learner yet', answer.reason);
    return answer.kind;
  }

  /** Each reason once in a row: a learner may lag for hours. */
  private tell(message: string, reason: string): void {
    if (reason === this.lastReason) return;
    this.lastReason = reason;
    this.logger.info(message, { reason });
  }
}
