/**
 * What a member sees to by itself beside serving: history is compacted as the flags say, and the members'
 * data is compared. It joins those parts to the replica and decides nothing.
 */
import type { Agent, IncomingMessage, ServerResponse } from 'node:http';
import { toError, type Logger } from '@keelson/base';
import { etcdserverpb } from '@keelson/proto';
import { AlarmType } from './alarm/alarms.ts';
import { CommandKind } from './apply/command.ts';
import type { ServerConfig } from './config/flag-table.ts';
import { autoCompaction } from './config/validate.ts';
import { ETCD_VERSION } from './config/version.ts';
import { AutoCompactor } from './consensus/auto-compaction.ts';
import { CorruptionChecks } from './consensus/corruption.ts';
import type { Replica } from './consensus/replica.ts';
import type { Schedule } from './consensus/schedule.ts';
import { FatalError } from './errors.ts';
import { askPeerHashes, hashKvHandler } from './http/peer-hash.ts';
import { isLower } from './membership/downgrade.ts';

export interface UpkeepOptions {
  readonly requestTimeoutMs: number;
  readonly monotonicMs: () => number;
}

export class Upkeep {
  /** Serves HASHKV_PATH on the peer port. */
  readonly hashHandler: (request: IncomingMessage, response: ServerResponse) => void;
  private readonly config: ServerConfig;
  private readonly replica: Replica;
  private readonly logger: Logger;
  private readonly compactor: AutoCompactor;
  private readonly checks: CorruptionChecks;

  constructor(
    config: ServerConfig,
    replica: Replica,
    schedule: Schedule,
    agent: Agent,
    logger: Logger,
    options: UpkeepOptions,
  ) {
    const { memberId, clusterId, state } = replica;
    const { requestTimeoutMs, monotonicMs } = options;
    this.config = config;
    this.replica = replica;
    this.logger = logger;
    this.hashHandler = hashKvHandler((revision) => state.mvcc.hashKV(revision), clusterId, logger);
    this.compactor = new AutoCompactor(
      {
        get isLeader() {
          return replica.isLeader;
        },
        revision: () => state.mvcc.currentRevision,
        compact: (revision) =>
          replica.propose(
            CommandKind.Compaction,
            etcdserverpb.encodeCompactionRequest(new etcdserverpb.CompactionRequest({ revision })),
          ),
      },
      schedule,
      monotonicMs,
      logger,
    );
    this.checks = new CorruptionChecks(
      {
        memberId,
        requestTimeoutMs,
        get isLeader() {
          return replica.isLeader;
        },
        hash: async (revision) => {
          const hash = await state.mvcc.hashKV(revision);
          if (typeof hash === 'string') throw new Error(`no hash of revision ${revision}: ${hash}`);
          return hash;
        },
        compactionHashes: () => state.mvcc.compactionHashes,
        peerHashes: (revision) =>
          askPeerHashes(state.membership.list(), revision, {
            memberId,
            clusterId,
            agent,
            timeoutMs: requestTimeoutMs,
            logger,
          }),
        linearizable: () => replica.linearizable(),
        raiseCorrupt: (id) => this.raiseCorrupt(id),
      },
      schedule,
      logger,
    );
  }

  /**
   * What must be sure before anything is served.
   * @throws FatalError when the cluster is beyond this version, or the data differs from a peer's
   */
  async check(isNew: boolean): Promise<void> {
    const { clusterVersion } = this.replica.state.membership;
    if (clusterVersion !== '' && isLower(ETCD_VERSION, clusterVersion)) {
      throw new FatalError(
        `invalid downgrade; server version is lower than determined cluster version: ${ETCD_VERSION} is below ${clusterVersion}`,
      );
    }
    if (isNew || !this.config.featureGates.enabled.InitialCorruptCheck) return;
    await this.checks.initial();
  }

  start(): void {
    const { config, checks } = this;
    const plan = autoCompaction(config);
    if (!plan.ok) throw new FatalError(plan.error);
    void this.compactor.run(plan.value);
    if (config.corruptCheckTimeMs > 0) void checks.runPeriodic(config.corruptCheckTimeMs);
    if (config.featureGates.enabled.CompactHashCheck)
      void checks.runCompactHash(config.compactHashCheckTimeMs);
  }

  private raiseCorrupt(memberID: bigint): void {
    const { ACTIVATE } = etcdserverpb.AlarmAction;
    const request = new etcdserverpb.AlarmRequest({ action: ACTIVATE, memberID, alarm: AlarmType.Corrupt });
    // The next check raises it again should this one come to nothing.
    this.replica
      .propose(CommandKind.Alarm, etcdserverpb.encodeAlarmRequest(request))
      .catch((error: unknown) => {
        this.logger.warn('failed to raise the CORRUPT alarm', { error: toError(error).message });
      });
  }
}
