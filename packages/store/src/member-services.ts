/**
 * All services of a member, joined in one table behind one door: who calls, what is counted, what each method
 * does. In process, over gRPC and through the gateway the same table is served. It only joins.
 */
import { hexId } from '@keelson/base';
import { inProcessChannel, type CallHooks, type MethodTable } from '@keelson/rpc';
import { PasswordGate } from './auth/password-gate.ts';
import type { ServerConfig } from './config/flag-table.ts';
import type { Downgrades } from './consensus/downgrades.ts';
import type { Reconfiguration } from './consensus/reconfiguration.ts';
import type { Replica } from './consensus/replica.ts';
import type { Schedule } from './consensus/schedule.ts';
import { SelfPromotion } from './consensus/self-promotion.ts';
import { askForPromotion, promoteAtLeader } from './http/promote.ts';
import type { Instruments } from './instruments.ts';
import * as limits from './limits.ts';
import type { Member } from './membership/member.ts';
import type { Opening } from './open-member.ts';
import type { PeerAgent } from './peer/peer-tls.ts';
import { Access, GuardedTable } from './rpc/access.ts';
import { Audited } from './rpc/audited.ts';
import { registerAuth } from './rpc/auth.ts';
import { registerBackup, type BackupParts } from './rpc/backup.ts';
import { CallMetrics } from './rpc/call-metrics.ts';
import { callHooks } from './rpc/calls.ts';
import { registerCluster } from './rpc/cluster.ts';
import { registerElection } from './rpc/election.ts';
import { registerHealth, ServingStatus } from './rpc/health.ts';
import { registerKv } from './rpc/kv.ts';
import { registerLease } from './rpc/lease.ts';
import { LimitedWrites } from './rpc/limited-writes.ts';
import { registerLock } from './rpc/lock.ts';
import { registerMaintenance } from './rpc/maintenance.ts';
import { RequireLeader } from './rpc/require-leader.ts';
import { WatchService } from './rpc/watch.ts';
import type { World } from './world.ts';

export interface MemberServicesParts {
  readonly config: ServerConfig;
  readonly world: Pick<World, 'clock' | 'defer' | 'logger' | 'secrets' | 'tuning'>;
  readonly replica: Replica;
  readonly opening: Opening;
  readonly instruments: Instruments;
  readonly reconfiguration: Reconfiguration;
  readonly downgrades: Downgrades;
  readonly schedule: Schedule;
  readonly agent: PeerAgent;
  readonly requestTimeoutMs: number;
  /** Of the backend; below 0 there is none. */
  readonly quotaBytes: number;
  /** The member's log, for backups. */
  readonly log: Pick<BackupParts, 'tail' | 'disk' | 'walDirectory'>;
}

export class MemberServices {
  readonly table: MethodTable;
  /** A port of the member has these, and so must a channel in process. */
  readonly hooks: CallHooks;
  readonly watches: WatchService;
  readonly requireLeader: RequireLeader;
  readonly passwords: PasswordGate;
  /** Promotes a learner where this member leads; a peer asks for it over HTTP. */
  readonly promoteHere: (id: bigint) => Promise<readonly Member[]>;
  /** --promote-learner-when-ready. */
  readonly selfPromotion: SelfPromotion | undefined;
  private readonly defer: World['defer'];
  private authChange = false;

  constructor(parts: MemberServicesParts) {
    const { config, world, replica, opening, instruments, requestTimeoutMs } = parts;
    const { clock, logger, secrets } = world;
    const monotonicMs = (): number => clock.monotonicMs();
    const requestBytesMax = config.maxRequestBytes;
    this.defer = world.defer;
    const access = new Access(replica, {
      clientCertAuth: config.clientCertAuth,
      signed: opening.signedTokens,
      monotonicMs,
    });
    opening.onUserInvalidated = (name) => access.userInvalidated(name);
    opening.onAuthChange = () => this.authChanged();
    opening.beyond?.register(instruments.registry);
    const auditLog = opening.beyond?.auditLog;
    const audited =
      auditLog === undefined
        ? undefined
        : new Audited(auditLog, access, {
            member: hexId(replica.memberId),
            nowMs: () => clock.nowMs(),
            monotonicMs,
          });
    const table = new GuardedTable(access, audited);
    this.table = table;
    this.passwords = new PasswordGate(secrets, {
      cost: config.bcryptCost,
      concurrencyMax: limits.BCRYPT_CONCURRENCY_MAX,
      queueMax: limits.BCRYPT_QUEUE_MAX,
    });
    registerAuth(table, replica, access, {
      passwords: this.passwords,
      letters: (count) => secrets.letters(count),
      logger,
      monotonicMs,
      requestTimeoutMs,
    });
    this.requireLeader = new RequireLeader(replica);
    this.watches = new WatchService(replica, access, this.requireLeader, {
      fragmentBytes: world.tuning?.watchFragmentBytes ?? limits.receiveBytesMax(requestBytesMax),
      watchersPerStreamMax: limits.WATCHERS_PER_STREAM_MAX,
    });
    const traced = instruments.tracing?.over(table) ?? table;
    const prefixLimits = opening.beyond?.prefixLimits;
    registerKv(traced, replica, access, {
      txnOpsMax: config.maxTxnOps,
      requestBytesMax,
      prefixes: prefixLimits === undefined ? undefined : new LimitedWrites(prefixLimits, replica.state),
    });
    this.watches.register(table);
    registerLease(traced, replica, access, this.requireLeader);
    this.promoteHere = (id) => instruments.promotion(parts.reconfiguration.promoteHere(id));
    this.registerMembers(parts);
    this.selfPromotion = config.promoteLearnerWhenReady ? selfPromotionOf(parts) : undefined;
    const hooks = callHooks(replica, logger, config.warningUnaryRequestDurationMs);
    // Lock and Election call the services beside them, in the name of whoever called.
    const inner = inProcessChannel(table, { hooks, clock, defer: world.defer });
    registerLock(table, inner);
    registerElection(table, inner);
    const calls = new CallMetrics(instruments.registry, table, config.metrics === 'extensive');
    const counted = calls.around(audited?.hooks(hooks) ?? hooks);
    this.hooks = instruments.tracing?.around(counted) ?? counted;
  }

  private registerMembers(parts: MemberServicesParts): void {
    const { config, world, replica, reconfiguration, schedule, agent, requestTimeoutMs } = parts;
    const { clock } = world;
    registerCluster(this.table, replica, {
      reconfiguration,
      promote: (id) =>
        promoteAtLeader(id, this.promoteHere, {
          leaderUrls: () => leaderUrls(replica),
          agent,
          schedule,
          monotonicMs: () => clock.monotonicMs(),
          timeoutMs: requestTimeoutMs,
        }),
      nowMs: () => clock.nowMs(),
    });
    const serving = new ServingStatus();
    registerMaintenance(
      this.table,
      replica,
      reconfiguration,
      parts.downgrades,
      parts.quotaBytes,
      config.featureGates.enabled.StopGRPCServiceOnDefrag ? serving : undefined,
      () => new Promise<void>((resolve) => this.defer(resolve)),
    );
    registerHealth(this.table, serving);
    registerBackup(this.table, replica, {
      ...parts.log,
      leaseTtlSecondsMin: limits.leaseTtlSecondsMin(config.electionTimeoutMs),
      nowMs: () => clock.nowMs(),
      defer: this.defer,
    });
  }

  /** Users or roles have changed, maybe many at once: watches are looked at again when the batch is applied. */
  private authChanged(): void {
    if (this.authChange) return;
    this.authChange = true;
    this.defer(() => {
      this.authChange = false;
      this.watches.authChanged();
    });
  }
}

function leaderUrls(replica: Replica): readonly string[] {
  return replica.state.membership.get(replica.leaderId)?.peerUrls ?? [];
}

function selfPromotionOf(parts: MemberServicesParts): SelfPromotion {
  const { world, replica, instruments, schedule, agent, requestTimeoutMs } = parts;
  const { memberId, state } = replica;
  const asked = instruments.registry.counters(
    'keelson_learner_promotion_attempts_total',
    'Times this learner wanted to be promoted, by what came of it.',
    ['result'],
  );
  return new SelfPromotion(
    {
      standing: () => {
        if (state.membership.isRemoved(memberId)) return 'removed';
        const self = state.membership.get(memberId);
        return self === undefined ? 'unknown' : self.isLearner ? 'learner' : 'voter';
      },
      caughtUp: () => replica.linearizable(),
      ask: () =>
        askForPromotion(memberId, {
          leaderUrls: () => leaderUrls(replica),
          agent,
          timeoutMs: requestTimeoutMs,
        }),
    },
    schedule,
    world.logger,
    (result) => asked.with(result).add(),
  );
}
