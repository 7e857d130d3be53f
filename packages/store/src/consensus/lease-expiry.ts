/**
 * Ends leases whose time is up, and tells the others what long ones have left: the leader asks the lessor,
 * confirms that it still leads, and proposes revokes and checkpoints, so many at a time. A member that was paused finds its leadership gone before it proposes (E5).
 */
import { etcdserverpb } from '@keelson/proto';
import { CommandKind } from '../apply/command.ts';
import { ROOT_USER } from '../auth/identity.ts';
import { LEASE_CHECKPOINT_BATCH_MAX, LEASE_CHECKPOINT_BATCHES_MAX } from '../limits.ts';
import type { Driver } from './driver.ts';
import type { Proposals } from './proposals.ts';
import type { Replica } from './replica.ts';

export interface LeaseExpiryOptions {
  readonly monotonicMs: () => number;
  /** Leases that are revoked in one round. */
  readonly batchMax: number;
}

export class LeaseExpiry {
  private readonly replica: Replica;
  private readonly proposals: Proposals;
  private readonly driver: Driver;
  private readonly options: LeaseExpiryOptions;
  private running = false;

  constructor(replica: Replica, proposals: Proposals, driver: Driver, options: LeaseExpiryOptions) {
    this.replica = replica;
    this.proposals = proposals;
    this.driver = driver;
    this.options = options;
  }

  /** One round; called twice a second. Never rejects. */
  async run(): Promise<void> {
    if (this.running || !this.replica.isLeader) return;
    const { lessor } = this.replica;
    const { monotonicMs, batchMax } = this.options;
    const nowMs = monotonicMs();
    if (!lessor.hasExpired(nowMs) && !lessor.hasCheckpoints(nowMs)) return;
    this.running = true;
    try {
      const { term } = this.replica;
      await this.replica.linearizable();
      if (!this.replica.isLeader || this.replica.term !== term) return;
      const { auth } = this.replica.state;
      // Nobody asked for it, and nobody may do it but root.
      const root = auth.enabled ? { username: ROOT_USER, revision: auth.revision } : undefined;
      for (const ID of lessor.expired(monotonicMs(), batchMax)) {
        const body = etcdserverpb.encodeLeaseRevokeRequest(new etcdserverpb.LeaseRevokeRequest({ ID }));
        this.proposals.addAsLeader(CommandKind.LeaseRevoke, body, root);
      }
      for (let batch = 0; batch < LEASE_CHECKPOINT_BATCHES_MAX; batch++) if (!this.checkpoint()) break;
      this.driver.wake();
    } catch {
      // Leadership could not be confirmed: whoever leads now decides about time.
    } finally {
      this.running = false;
    }
  }

  /** Proposes one entry of checkpoints. @returns whether more may be due */
  private checkpoint(): boolean {
    const { lessor } = this.replica;
    const nowMs = this.options.monotonicMs();
    const checkpoints = lessor
      .checkpoints(nowMs, LEASE_CHECKPOINT_BATCH_MAX)
      .map(
        ({ id: ID, remainingSeconds: remainingTTL }) =>
          new etcdserverpb.LeaseCheckpoint({ ID, remainingTTL }),
      );
    if (checkpoints.length > 0) {
      const request = new etcdserverpb.LeaseCheckpointRequest({ checkpoints });
      this.proposals.addAsLeader(
        CommandKind.LeaseCheckpoint,
        etcdserverpb.encodeLeaseCheckpointRequest(request),
      );
    }
    return lessor.hasCheckpoints(nowMs);
  }
}
