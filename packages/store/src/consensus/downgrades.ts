/**
 * Going back one minor version: whether it may be, and saying so through the log (etcd: v3_server.go,
 * Downgrade). From then on the leader lowers the cluster version (announcer), older members may join, and
 * when all are of the target version the downgrade is over.
 */
import { membershippb } from '@keelson/proto';
import { CommandKind } from '../apply/command.ts';
import { StoreError } from '../errors.ts';
import { clusterVersionOf, oneMinorBelow } from '../membership/downgrade.ts';
import type { Replica } from './replica.ts';

export class Downgrades {
  private readonly replica: Replica;

  constructor(replica: Replica) {
    this.replica = replica;
  }

  /**
   * @param version of the members to come, with or without a patch
   * @returns the cluster version now
   * @throws StoreError WRONG_DOWNGRADE_FORMAT, INVALID_DOWNGRADE_TARGET, DOWNGRADE_IN_PROGRESS,
   *   CLUSTER_VERSION_UNAVAILABLE, or as a linearizable read
   */
  async validate(version: string): Promise<string> {
    const target = clusterVersionOf(version);
    if (target === undefined) throw new StoreError('WRONG_DOWNGRADE_FORMAT');
    await this.replica.linearizable();
    const { clusterVersion, downgrade } = this.replica.state.membership;
    if (clusterVersion === '') throw new StoreError('CLUSTER_VERSION_UNAVAILABLE');
    if (target !== oneMinorBelow(clusterVersion)) throw new StoreError('INVALID_DOWNGRADE_TARGET');
    if (downgrade.enabled) throw new StoreError('DOWNGRADE_IN_PROGRESS');
    return clusterVersion;
  }

  /** @throws StoreError as validate, or as a proposal */
  async enable(version: string): Promise<string> {
    await this.validate(version);
    await this.set(true, clusterVersionOf(version) ?? '');
    return this.replica.state.membership.clusterVersion;
  }

  /** @throws StoreError NO_INFLIGHT_DOWNGRADE, or as a proposal */
  async cancel(): Promise<string> {
    await this.replica.linearizable();
    if (!this.replica.state.membership.downgrade.enabled) throw new StoreError('NO_INFLIGHT_DOWNGRADE');
    await this.set(false, '');
    return this.replica.state.membership.clusterVersion;
  }

  private async set(enabled: boolean, ver: string): Promise<void> {
    const request = new membershippb.DowngradeInfoSetRequest({ enabled, ver });
    await this.replica.propose(
      CommandKind.DowngradeInfoSet,
      membershippb.encodeDowngradeInfoSetRequest(request),
    );
  }
}
