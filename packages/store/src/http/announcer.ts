/**
 * What a member says of itself to the cluster, and the leader of the cluster to all: a member's name and
 * client URLs when it starts, and the version that every member can speak. Both go through the log.
 */
import type { Agent } from 'node:http';
import { Deferred, hexId, toError, type Logger } from '@keelson/base';
import { membershippb } from '@keelson/proto';
import { CommandKind } from '../apply/command.ts';
import type { Downgrades } from '../consensus/downgrades.ts';
import type { Replica } from '../consensus/replica.ts';
import type { Schedule } from '../consensus/schedule.ts';
import { askVersions, decideVersion, encodeVersionSet, isDowngraded } from './cluster-version.ts';

/** Between attempts to publish. */
const RETRY_MS = 100;

export interface AnnouncerOptions {
  readonly name: string;
  readonly clientUrls: readonly string[];
  /** How long another member may take to say its version. */
  readonly answerTimeoutMs: number;
}

export class Announcer {
  private readonly replica: Replica;
  private readonly schedule: Schedule;
  private readonly agent: Agent;
  private readonly logger: Logger;
  private readonly options: AnnouncerOptions;
  private readonly downgrades: Downgrades;
  private readonly known = new Deferred<void>();
  private checking = false;
  private stopped = false;

  constructor(
    replica: Replica,
    downgrades: Downgrades,
    schedule: Schedule,
    agent: Agent,
    logger: Logger,
    options: AnnouncerOptions,
  ) {
    this.replica = replica;
    this.downgrades = downgrades;
    this.schedule = schedule;
    this.agent = agent;
    this.logger = logger;
    this.options = options;
  }

  /** Makes the name and client URLs known to the cluster; repeated until the cluster has taken them. */
  async publish(): Promise<void> {
    const { name, clientUrls } = this.options;
    const body = membershippb.encodeClusterMemberAttrSetRequest(
      new membershippb.ClusterMemberAttrSetRequest({
        memberID: this.replica.memberId,
        memberAttributes: new membershippb.Attributes({ name, clientUrls: [...clientUrls] }),
      }),
    );
    while (!this.stopped) {
      try {
        await Promise.race([
          this.replica.propose(CommandKind.ClusterMemberAttrSet, body),
          this.known.promise,
        ]);
        this.logger.info('published local member to cluster through raft', {
          'local-member-id': hexId(this.replica.memberId),
          'cluster-id': hexId(this.replica.clusterId),
        });
        // Asked once more by the clock when some member does not answer yet.
        void this.checkVersion();
        return;
      } catch (error) {
        this.logger.warn('failed to publish local member to cluster through raft', {
          error: toError(error).message,
        });
        await this.schedule.delay(RETRY_MS);
      }
    }
  }

  /**
   * The state was replaced by a snapshot. An entry that it covers is never applied here, so the answer to
   * publish() may have come this way.
   */
  stateReplaced(): void {
    const self = this.replica.state.membership.get(this.replica.memberId);
    const { name, clientUrls } = this.options;
    if (self?.name === name && self.clientUrls.join() === clientUrls.join()) this.known.resolve();
  }

  /** As leader: finds the version the cluster can run at and sets it if it has changed. Never rejects. */
  async checkVersion(): Promise<void> {
    if (this.checking || this.stopped || !this.replica.isLeader) return;
    this.checking = true;
    try {
      const versions = await this.askVersions();
      const { clusterVersion, downgrade } = this.replica.state.membership;
      const target = decideVersion(versions, clusterVersion, downgrade);
      if (target === undefined || !this.replica.isLeader) return;
      await this.replica.propose(CommandKind.ClusterVersionSet, encodeVersionSet(target));
      this.logger.info('updated cluster version', { version: target });
    } catch (error) {
      this.logger.warn('failed to update cluster version', { error: toError(error).message });
    } finally {
      this.checking = false;
    }
  }

  /** As leader: ends a downgrade when every member has arrived. Never rejects. */
  async checkDowngrade(): Promise<void> {
    const { membership } = this.replica.state;
    const { enabled, targetVersion } = membership.downgrade;
    if (!enabled || this.stopped || !this.replica.isLeader) return;
    try {
      if (!isDowngraded(await this.askVersions(), targetVersion)) return;
      this.logger.info('the cluster has been downgraded', { 'cluster-version': targetVersion });
      await this.downgrades.cancel();
    } catch (error) {
      this.logger.warn('failed to cancel downgrade', { error: toError(error).message });
    }
  }

  private askVersions(): Promise<(string | undefined)[]> {
    const { memberId, state } = this.replica;
    return askVersions(state.membership.list(), memberId, this.agent, this.options.answerTimeoutMs);
  }

  stop(): void {
    this.stopped = true;
  }
}
