/**
 * Ends leases whose time is up: the leader asks the lessor, confirms that it still leads, and proposes the
 * revokes, so many at a time. A member that was paused finds its leadership gone before it proposes (E5).
 */
import { etcdserverpb } from '@keelson/proto';
import { CommandKind } from '../apply/command.ts';
import { ROOT_USER } from '../auth/identity.ts';
import { LEASE_EXPIRY_BATCH_MAX } from '../limits.ts';
import type { Driver } from './driver.ts';
import type { Proposals } from './proposals.ts';
import type { Replica } from './replica.ts';

export class LeaseExpiry {
  private readonly replica: Replica;
  private readonly proposals: Proposals;
  private readonly driver: Driver;
  private readonly monotonicMs: () => number;
  private running = false;

  constructor(replica: Replica, proposals: Proposals, driver: Driver, monotonicMs: () => number) {
    this.replica = replica;
    this.proposals = proposals;
    this.driver = driver;
    this.monotonicMs = monotonicMs;
  }

  /** One round; called twice a second. Never rejects. */
  async run(): Promise<void> {
    if (this.running || !this.replica.isLeader) return;
    const { lessor } = this.replica;
    if (!lessor.hasExpired(this.monotonicMs())) return;
    this.running = true;
    try {
      const { term } = this.replica;
      await this.replica.linearizable();
      if (!this.replica.isLeader || this.replica.term !== term) return;
      const { auth } = this.replica.state;
      // Nobody asked for it, and nobody may do it but root.
      const root = auth.enabled ? { username: ROOT_USER, revision: auth.revision } : undefined;
      for (const ID of lessor.expired(this.monotonicMs(), LEASE_EXPIRY_BATCH_MAX)) {
        const body = etcdserverpb.encodeLeaseRevokeRequest(new etcdserverpb.LeaseRevokeRequest({ ID }));
        this.proposals.addAsLeader(CommandKind.LeaseRevoke, body, root);
      }
      this.driver.wake();
    } catch {
      // Leadership could not be confirmed: whoever leads now decides about time.
    } finally {
      this.running = false;
    }
  }
}
