/**
 * Lease questions only the leader can answer: renewals and remaining times. On the leader they wait until
 * its leadership is confirmed and everything committed is applied; elsewhere they are passed to it.
 */
import { etcdserverpb } from '@keelson/proto';
import { CommandKind } from '../apply/command.ts';
import type { ApplyResult } from '../apply/results.ts';
import { StoreError } from '../errors.ts';
import type { LeaseId, Lessor } from '../lease/lessor.ts';
import type { Schedule } from './schedule.ts';

/** Between attempts to reach the leader, so that a lost connection is not hammered. */
const FORWARD_RETRY_MS = 50;
/** Between two looks whether a lease whose time is up has been revoked. */
const REVOKED_POLL_MS = 20;

export interface TimeToLive {
  readonly ttlSeconds: number;
  readonly grantedSeconds: number;
  /** In byte order; empty unless asked for. */
  readonly keys: readonly string[];
}

/** Reaches the leader's lease endpoints; http/lease-client.ts in production. */
export interface LeaseForwarder {
  /** @returns seconds, or undefined when the leader has no such lease. Rejects when it cannot be reached */
  renew(leader: bigint, id: LeaseId): Promise<number | undefined>;
  timeToLive(leader: bigint, id: LeaseId, keys: boolean): Promise<TimeToLive | undefined>;
}

/** What leases need to know of the member. */
export interface LeadershipView {
  readonly isLeader: boolean;
  readonly leaderId: bigint;
  readonly lessor: Lessor;
  /** Resolves once this member is known to be up to date; rejects as a linearizable read does. */
  linearizable(): Promise<void>;
  /** Resolves with what the entry came to; rejects as a write does. */
  propose(kind: CommandKind, body: Buffer): Promise<ApplyResult>;
}

export interface LeasesOptions {
  readonly monotonicMs: () => number;
  readonly requestTimeoutMs: number;
}

export class Leases {
  private readonly member: LeadershipView;
  private readonly forwarder: LeaseForwarder;
  private readonly schedule: Schedule;
  private readonly options: LeasesOptions;

  constructor(member: LeadershipView, forwarder: LeaseForwarder, schedule: Schedule, options: LeasesOptions) {
    this.member = member;
    this.forwarder = forwarder;
    this.schedule = schedule;
    this.options = options;
  }

  /**
   * Gives a lease its full TTL again, wherever the leader is.
   * @returns seconds, or undefined when there is no such lease
   */
  renew(id: LeaseId): Promise<number | undefined> {
    return this.atLeader(
      () => this.renewHere(id),
      (leader) => this.forwarder.renew(leader, id),
    );
  }

  timeToLive(id: LeaseId, keys: boolean): Promise<TimeToLive | undefined> {
    return this.atLeader(
      () => this.timeToLiveHere(id, keys),
      (leader) => this.forwarder.timeToLive(leader, id, keys),
    );
  }

  /** For a follower that asks: renews on this member or fails. @throws StoreError NOT_PRIMARY */
  async renewHere(id: LeaseId): Promise<number | undefined> {
    await this.confirm();
    const { lessor } = this.member;
    // To be told that a lease is over, and then to see it live on under another leader, would be wrong: who asks for
    // one that is due waits until its end is applied, or asks the next leader (as in etcd).
    for (;;) {
      if (lessor.isDue(id, this.options.monotonicMs())) {
        await this.schedule.delay(REVOKED_POLL_MS);
        if (this.schedule.stopped) throw new StoreError('STOPPED');
        await this.confirm();
      } else if (lessor.isCheckpointed(id)) {
        // Its time may be up when that is done.
        await this.clearCheckpoint(id);
        if (!this.member.isLeader) throw new StoreError('NOT_PRIMARY');
      } else return lessor.renew(id, this.options.monotonicMs());
    }
  }

  /**
   * Who leads next would give the lease what the checkpoint left it, which is less than what is about to be
   * promised; so all hear first that it is void. At most one entry a lease and checkpoint (etcd).
   */
  private async clearCheckpoint(ID: LeaseId): Promise<void> {
    const checkpoint = new etcdserverpb.LeaseCheckpoint({ ID, remainingTTL: 0 });
    const request = new etcdserverpb.LeaseCheckpointRequest({ checkpoints: [checkpoint] });
    await this.member.propose(
      CommandKind.LeaseCheckpoint,
      etcdserverpb.encodeLeaseCheckpointRequest(request),
    );
  }

  /** @throws StoreError NOT_PRIMARY */
  async timeToLiveHere(id: LeaseId, keys: boolean): Promise<TimeToLive | undefined> {
    await this.confirm();
    const lease = this.member.lessor.lookup(id);
    if (lease === undefined) return undefined;
    return {
      ttlSeconds: this.member.lessor.remainingSeconds(lease, this.options.monotonicMs()),
      grantedSeconds: lease.ttlSeconds,
      keys: keys ? [...lease.keys].sort() : [],
    };
  }

  /** A leader that cannot confirm that it leads must not speak about time (E4, E5). */
  private async confirm(): Promise<void> {
    if (!this.member.isLeader) throw new StoreError('NOT_PRIMARY');
    try {
      await this.member.linearizable();
    } catch (error) {
      if (error instanceof StoreError && error.code === 'LEADER_CHANGED') throw new StoreError('NOT_PRIMARY');
      throw error;
    }
    if (!this.member.isLeader) throw new StoreError('NOT_PRIMARY');
  }

  private async atLeader<T>(here: () => Promise<T>, there: (leader: bigint) => Promise<T>): Promise<T> {
    const startedMs = this.options.monotonicMs();
    for (;;) {
      if (this.member.isLeader) return here();
      // Asked at each attempt: the leader may be another one by now, or this member.
      const leader = this.member.leaderId;
      if (leader !== 0n) {
        try {
          return await there(leader);
        } catch {
          // The leader cannot be reached or is one no more; another attempt, to whoever leads then.
        }
      }
      if (this.options.monotonicMs() - startedMs >= this.options.requestTimeoutMs)
        throw new StoreError('TIMEOUT');
      await this.schedule.delay(FORWARD_RETRY_MS);
      if (this.schedule.stopped) throw new StoreError('STOPPED');
    }
  }
}
