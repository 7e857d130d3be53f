/**
 * The cluster's shape: who is in it, changed by one member at a time, and who leads. Checks here are those
 * etcd makes before it proposes, with what this member knows now (--strict-reconfig-check): they keep an
 * operator from losing the quorum by a change. What must hold on every member alike is judged again when the
 * entry is applied (conf-changes.ts).
 */
import { ConfChangeType, Role, type ConfChange } from '@keelson/raft';
import { StoreError } from '../errors.ts';
import { encodeMember, encodeMemberChange, type Member } from '../membership/member.ts';
import type { Membership } from '../membership/membership.ts';
import type { Driver } from './driver.ts';
import type { Proposals } from './proposals.ts';
import type { Connections } from './replica.ts';
import type { RequestIds } from './request-ids.ts';
import type { Schedule } from './schedule.ts';

/** A connection counts as healthy after so long (etcd: HealthInterval). */
const HEALTHY_AFTER_MS = 5_000;
/** A learner may be promoted once it has this much of the leader's log. */
const READY_RATIO = 0.9;
const POLL_MS = 20;

export interface ReconfigurationParts {
  readonly membership: () => Membership;
  readonly driver: Driver;
  readonly proposals: Proposals;
  readonly ids: RequestIds;
  readonly connections: Connections;
  readonly schedule: Schedule;
  readonly monotonicMs: () => number;
}

export interface ReconfigurationOptions {
  readonly memberId: bigint;
  readonly strict: boolean;
  readonly requestTimeoutMs: number;
}

export class Reconfiguration {
  private readonly parts: ReconfigurationParts;
  private readonly options: ReconfigurationOptions;

  constructor(parts: ReconfigurationParts, options: ReconfigurationOptions) {
    this.parts = parts;
    this.options = options;
  }

  /**
   * @returns the members after it
   * @throws StoreError NOT_ENOUGH_STARTED, UNHEALTHY, or as the entry's application says
   */
  async add(member: Member): Promise<readonly Member[]> {
    if (this.options.strict) this.mayAdd(member);
    const type = member.isLearner ? ConfChangeType.AddLearnerNode : ConfChangeType.AddNode;
    return this.propose(type, member.id, encodeMember(member));
  }

  /** @throws StoreError as add */
  async remove(id: bigint): Promise<readonly Member[]> {
    if (this.options.strict) this.mayRemove(id);
    return this.propose(ConfChangeType.RemoveNode, id, Buffer.alloc(0));
  }

  /** Changes peer URLs, and nothing else of a member. @throws StoreError as its application says */
  update(id: bigint, peerUrls: readonly string[]): Promise<readonly Member[]> {
    const known = this.parts.membership().get(id);
    const member: Member = {
      id,
      peerUrls,
      isLearner: known?.isLearner ?? false,
      name: known?.name ?? '',
      clientUrls: known?.clientUrls ?? [],
    };
    return this.propose(ConfChangeType.UpdateNode, id, encodeMember(member));
  }

  /** Makes a learner a voter; only the leader knows how far it is. @throws StoreError NOT_LEADER, LEARNER_NOT_READY … */
  async promoteHere(id: bigint): Promise<readonly Member[]> {
    const { driver } = this.parts;
    if (driver.role !== Role.Leader) throw new StoreError('NOT_LEADER');
    const { progress } = driver.node.status();
    const match = progress.find((peer) => peer.id === id)?.match;
    if (match === undefined) throw new StoreError('MEMBER_NOT_FOUND');
    const own = progress.find((peer) => peer.id === this.options.memberId)?.match ?? 0;
    if (match < own * READY_RATIO) throw new StoreError('LEARNER_NOT_READY');
    if (this.options.strict) {
      // The learner counts as started: it has the log.
      const others = this.voters().filter((voter) => voter.id !== id);
      if (startedCount(others) + 1 < quorumOf(others.length + 1)) throw new StoreError('NOT_ENOUGH_STARTED');
    }
    const member: Member = { id, peerUrls: [], isLearner: false, name: '', clientUrls: [] };
    return this.propose(ConfChangeType.AddNode, id, encodeMemberChange({ member, isPromote: true }));
  }

  /**
   * Hands leadership over; resolves when this member sees that it happened.
   * @throws StoreError NOT_LEADER, BAD_LEADER_TRANSFEREE, LEADER_TRANSFER_TIMEOUT
   */
  async moveLeader(target: bigint): Promise<void> {
    const { driver, membership, schedule, monotonicMs } = this.parts;
    if (driver.role !== Role.Leader) throw new StoreError('NOT_LEADER');
    if (membership().get(target)?.isLearner !== false) throw new StoreError('BAD_LEADER_TRANSFEREE');
    driver.run((node) => node.transferLeader(target));
    const startedMs = monotonicMs();
    while (driver.leaderId !== target) {
      if (schedule.stopped) throw new StoreError('STOPPED');
      if (monotonicMs() - startedMs >= this.options.requestTimeoutMs)
        throw new StoreError('LEADER_TRANSFER_TIMEOUT');
      await schedule.delay(POLL_MS);
    }
  }

  private voters(): Member[] {
    return this.parts
      .membership()
      .list()
      .filter((member) => !member.isLearner);
  }

  private mayAdd(member: Member): void {
    const voters = this.voters();
    const started = startedCount(voters);
    // A single member that was restored may take a second one, though neither alone is a quorum of two.
    const restoring = voters.length === 1 && started === 1;
    if (!member.isLearner && !restoring && started < quorumOf(voters.length + 1))
      throw new StoreError('NOT_ENOUGH_STARTED');
    if (voters.length > 1 && this.connectedCount(voters, HEALTHY_AFTER_MS) < quorumOf(voters.length + 1))
      throw new StoreError('UNHEALTHY');
  }

  private mayRemove(id: bigint): void {
    if (this.parts.membership().get(id)?.isLearner === true) return;
    const voters = this.voters();
    const others = voters.filter((voter) => voter.id !== id);
    if (startedCount(others) < quorumOf(others.length)) throw new StoreError('NOT_ENOUGH_STARTED');
    // One that is down is no part of the quorum that works.
    if (id !== this.options.memberId && this.parts.connections.activeSince(id) === undefined) return;
    if (this.connectedCount(voters, 0) - 1 < quorumOf(voters.length - 1)) throw new StoreError('UNHEALTHY');
  }

  /** Of these members, how many this one has been connected with for so long; itself included. */
  private connectedCount(members: readonly Member[], forMs: number): number {
    const { connections, monotonicMs } = this.parts;
    const sinceMs = monotonicMs() - forMs;
    return members.filter(({ id }) => {
      if (id === this.options.memberId) return true;
      const active = connections.activeSince(id);
      return active !== undefined && active <= sinceMs;
    }).length;
  }

  private async propose(
    type: ConfChange['type'],
    nodeId: bigint,
    context: Buffer,
  ): Promise<readonly Member[]> {
    const { driver, proposals, ids, schedule, monotonicMs } = this.parts;
    const { sequence, result } = proposals.file(monotonicMs());
    const change: ConfChange = { id: ids.whole(sequence), type, nodeId, context };
    // As with other proposals: without a leader it waits until its time is up.
    while (driver.leaderId === 0n && proposals.isWaiting({ owner: ids.owner, sequence }) && !schedule.stopped)
      await Promise.race([schedule.delay(POLL_MS), result.catch(() => {})]);
    // Its time may be up before the driver has its turn, or the driver is stopped and has none.
    if (
      proposals.isWaiting({ owner: ids.owner, sequence }) &&
      (await Promise.race([driver.proposeConfChange(change), result])) === 'dropped'
    )
      proposals.drop([{ sequence, data: context }], new StoreError('PROPOSAL_DROPPED'));
    await result;
    return this.parts.membership().list();
  }
}

function startedCount(members: readonly Member[]): number {
  return members.filter((member) => member.name !== '').length;
}

function quorumOf(count: number): number {
  return Math.floor(count / 2) + 1;
}
