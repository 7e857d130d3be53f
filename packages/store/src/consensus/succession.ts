/**
 * Changes of leadership that need not wait for a timeout: votes asked for at once where nobody can be
 * disturbed, an election clock moved on when a member comes back, and a leader that hands over before it
 * goes. Everything else about elections is raft's.
 */
import { hexId, type Logger } from '@keelson/base';
import { Role } from '@keelson/raft';
import type { StateMachine } from '../apply/state-machine.ts';
import type { Driver } from './driver.ts';
import type { Schedule } from './schedule.ts';

/** Time a leader gives its successor before it goes anyway; etcd's drop-in contract allows 1.5 s in all. */
const HAND_OVER_MS = 1_000;
const HAND_OVER_POLL_MS = 10;

/** What the transport knows of the others. */
export interface Reachability {
  activeSince(id: bigint): number | undefined;
  connectedCount(): number;
}

export interface SuccessionOptions {
  readonly memberId: bigint;
  /** This start founded the cluster; ids of all founders. Empty at any later start. */
  readonly founderIds: readonly bigint[];
  readonly isNew: boolean;
  /** Ticks of an election timeout. */
  readonly electionTicks: number;
  /** etcd: --initial-election-tick-advance. */
  readonly advanceTicks: boolean;
  readonly monotonicMs: () => number;
}

export class Succession {
  private readonly driver: Driver;
  private readonly state: StateMachine;
  private readonly others: Reachability;
  private readonly schedule: Schedule;
  private readonly logger: Logger;
  private readonly options: SuccessionOptions;
  private advanced = false;

  constructor(
    driver: Driver,
    state: StateMachine,
    others: Reachability,
    schedule: Schedule,
    logger: Logger,
    options: SuccessionOptions,
  ) {
    this.driver = driver;
    this.state = state;
    this.others = others;
    this.schedule = schedule;
    this.logger = logger;
    this.options = options;
  }

  /**
   * Asks for votes without waiting for a timeout where nobody can be disturbed: as the only voter; and on a
   * new cluster as the member with the lowest id, once it knows the members and can reach a quorum of them.
   */
  campaignEarly(): void {
    const { memberId, founderIds, isNew } = this.options;
    if (this.driver.leaderId !== 0n) return;
    if (!isNew) {
      const voters = this.state.membership.list().filter((member) => !member.isLearner);
      if (voters.length === 1 && voters[0].id === memberId) this.campaign();
      return;
    }
    if (this.driver.term > 1 || founderIds.length === 0) return;
    const quorum = Math.floor(founderIds.length / 2) + 1;
    if (this.state.consistentIndex < founderIds.length || this.others.connectedCount() + 1 < quorum) return;
    if (founderIds.every((id) => id >= memberId)) this.campaign();
  }

  private campaign(): void {
    this.driver.run((node) => {
      if (node.basicStatus().role === Role.Follower) node.campaign();
    });
  }

  /**
   * A peer can be reached. A member that comes back moves its election clock to just before its end, so
   * that a cluster without a leader gets one soon.
   */
  peerConnected(): void {
    this.campaignEarly();
    if (this.options.isNew || this.advanced || this.driver.leaderId !== 0n) return;
    this.advanced = true;
    if (!this.options.advanceTicks) return;
    for (let i = 0; i < this.options.electionTicks - 2; i++) this.driver.tick();
  }

  /** A leader that goes gives leadership to another first. Resolves when it has, or has tried long enough. */
  async handOver(): Promise<void> {
    if (this.driver.role !== Role.Leader) return;
    const candidate = this.bestSuccessor();
    if (candidate === undefined) return;
    this.logger.info('leadership transfer starting', { 'transferee-member-id': hexId(candidate) });
    this.driver.run((node) => node.transferLeader(candidate));
    const startedMs = this.options.monotonicMs();
    // While nobody leads yet this member stays: its vote may be needed. Not if the successor goes as well.
    while (
      (this.driver.role === Role.Leader || this.driver.leaderId === 0n) &&
      this.others.activeSince(candidate) !== undefined &&
      this.options.monotonicMs() - startedMs < HAND_OVER_MS
    )
      await this.schedule.delay(HAND_OVER_POLL_MS);
  }

  /** The voter that has been reachable for longest. */
  private bestSuccessor(): bigint | undefined {
    let best: { readonly id: bigint; readonly since: number } | undefined;
    for (const member of this.state.membership.list()) {
      if (member.id === this.options.memberId || member.isLearner) continue;
      const since = this.others.activeSince(member.id);
      if (since !== undefined && (best === undefined || since < best.since)) best = { id: member.id, since };
    }
    return best?.id;
  }
}
