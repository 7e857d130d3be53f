/**
 * A member, built and joined from its parts, and the order in which they start and stop. The only file
 * that knows all rooms; it adds no rule of its own. The world (clock, randomness, disk, network) comes in
 * as arguments, so members can live in one process, on disk or in memory, real or simulated.
 */
import { lookup } from 'node:dns/promises';
import { Agent } from 'node:http';
import { hexId, toError, type Clock, type Disk, type Logger, type Prng } from '@keelson/base';
import { membershippb } from '@keelson/proto';
import { RawNode, Role, type RaftLogger, type SoftState } from '@keelson/raft';
import { grpcJsServer, MethodTable, nativeServer, type CallHooks, type RpcServer } from '@keelson/rpc';
import { Applier } from './apply/applier.ts';
import { CommandKind } from './apply/command.ts';
import type { BackendHome } from './backend/home.ts';
import type { ServerConfig } from './config/flag-table.ts';
import { clusterId, memberId } from './config/ids.ts';
import {
  hostsToResolve,
  verifyBootstrap,
  verifyJoinExisting,
  type InitialCluster,
} from './config/initial-cluster.ts';
import { urlTexts, type EtcdUrl } from './config/urls.ts';
import { ETCD_VERSION } from './config/version.ts';
import { decideVersion, encodeVersionSet, MIN_CLUSTER_VERSION } from './consensus/cluster-version.ts';
import { Compactor } from './consensus/compactor.ts';
import { ConfChanges } from './consensus/conf-changes.ts';
import { Driver } from './consensus/driver.ts';
import { LeaseExpiry } from './consensus/lease-expiry.ts';
import { Leases } from './consensus/leases.ts';
import { openStorage, type Founding, type MemberStorage } from './consensus/member-storage.ts';
import { Proposals } from './consensus/proposals.ts';
import { Quota } from './consensus/quota.ts';
import { Reads } from './consensus/reads.ts';
import { Reconfiguration } from './consensus/reconfiguration.ts';
import { Replica } from './consensus/replica.ts';
import { RequestIds } from './consensus/request-ids.ts';
import { Schedule } from './consensus/schedule.ts';
import { Snapshotter } from './consensus/snapshotter.ts';
import { errorCodeOf, errorMessageOf } from './disk/error-code.ts';
import { makeDurableDirectory, parentOf } from './data-dir.ts';
import { FatalError } from './errors.ts';
import { joiningId, runningCluster } from './http/cluster-info.ts';
import { HttpLeaseForwarder, leaseHandlers } from './http/lease-forward.ts';
import { membersHandler, versionHandler } from './http/peer-info.ts';
import { promoteAtLeader, promoteHandler, PROMOTE_PREFIX } from './http/promote.ts';
import * as limits from './limits.ts';
import type { Member } from './membership/member.ts';
import type { MembershipChange } from './membership/membership.ts';
import { PeerError } from './peer/peer-error.ts';
import type { PeerHandler } from './peer/peer-options.ts';
import type { PeerTransport } from './peer/transport.ts';
import type { ExtraHandlers, RequestHandler } from './peer/peer-server.ts';
import type { PeerIdentity } from './peer/peer-identity.ts';
import { callHooks, type CallCounters } from './rpc/calls.ts';
import { ClientPorts } from './rpc/client-ports.ts';
import { registerCluster } from './rpc/cluster.ts';
import { registerHealth } from './rpc/health.ts';
import { registerKv } from './rpc/kv.ts';
import { registerLease } from './rpc/lease.ts';
import { registerMaintenance } from './rpc/maintenance.ts';
import { RequireLeader } from './rpc/require-leader.ts';
import { WatchService } from './rpc/watch.ts';
import { WatchHub } from './watch/hub.ts';
import type { WalOptions } from './wal/wal.ts';

/** A transport that can be bound to addresses; the one in memory has none. */
export interface BoundTransport extends PeerTransport {
  listenUrl?(url: EtcdUrl): Promise<void>;
}

/** Everything outside of a member. */
export interface World {
  readonly clock: Clock;
  readonly disk: Disk;
  /** Where the backend lives, given the member's snap directory. */
  readonly home: (snapDirectory: string) => BackendHome;
  /** Election timeouts and the like. */
  readonly prng: Prng;
  /** Unpredictable 64-bit values, for ids clients see. */
  readonly random64: () => bigint;
  /** Runs a task soon, after what is already pending. */
  readonly defer: (task: () => void) => void;
  readonly logger: Logger;
  readonly transport: (identity: PeerIdentity, handler: PeerHandler, extra: ExtraHandlers) => BoundTransport;
}

/** Time a leader gives its successor before it goes anyway; etcd's drop-in contract allows 1.5 s in all. */
const HAND_OVER_MS = 1_000;
const DRAIN_MS = 200;
/** A member that cannot publish itself for so long is served all the same (etcd). */
const READY_WAIT_MS = 5_000;
const VERSION_CHECK_MS = 4_000;
/** Between measurements the quota goes by estimates; a full second of load is a few hundred megabytes at most. */
const QUOTA_MEASURE_MS = 1_000;
const WAITER_SWEEP_MS = 100;
const INBOX_MAX = 65_536;
/** Time the others have to say what cluster it is, to one that joins, and to one that founds (etcd's). */
const JOIN_ANSWER_MS = 10_000;
const BOOTSTRAP_ANSWER_MS = 1_000;

export class StoreServer {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly replica: Replica;
  /** The services, for serving in process. */
  readonly table: MethodTable;
  /** What goes with the table: a port of the member has these hooks, and so must a channel in process. */
  readonly hooks: CallHooks;
  /** Settles when the member cannot go on. */
  readonly failed: Promise<Error>;
  readonly counters: CallCounters = { handled: new Map(), receivedBytes: 0, sentBytes: 0 };
  private readonly config: ServerConfig;
  private readonly world: World;
  private readonly storage: MemberStorage;
  private readonly schedule: Schedule;
  private readonly driver: Driver;
  private readonly snapshotter: Snapshotter;
  private readonly compactor: Compactor;
  private readonly transport: BoundTransport;
  private readonly agent: Agent;
  private readonly ports: ClientPorts;
  private readonly rpc: RpcServer;
  private readonly watches: WatchService;
  private readonly requireLeader: RequireLeader;
  private readonly quota: Quota;
  private readonly hub: WatchHub;
  private readonly leaseExpiry: LeaseExpiry;
  private readonly fail: (error: Error) => void;
  private role: Role = Role.Follower;
  private stopping: Promise<void> | undefined;
  private failedAlready = false;
  private readyPromise: Promise<void> | undefined;

  /**
   * Opens the data dir, binds every port and begins to take part in the cluster.
   * @throws FatalError, WalError, BackendOpenError or a listen error: one line for a person, nothing left open
   */
  static async start(config: ServerConfig, world: World): Promise<StoreServer> {
    const ports = new ClientPorts();
    try {
      for (const url of config.listenClientUrls) await bound(ports.bind(url), url);
      const opening = new Opening();
      const storage = await openMember(config, world, opening);
      let server: StoreServer | undefined;
      try {
        server = new StoreServer(config, world, storage, ports, opening);
        for (const url of config.listenPeerUrls) await bound(server.transport.listenUrl?.(url), url);
        server.begin();
        return server;
      } catch (error) {
        server?.schedule.stop();
        server?.agent.destroy();
        await server?.transport.stop();
        await storage.wal.close();
        await storage.state.backend.close();
        throw error;
      }
    } catch (error) {
      await ports.close();
      throw error;
    }
  }

  private constructor(
    config: ServerConfig,
    world: World,
    storage: MemberStorage,
    ports: ClientPorts,
    opening: Opening,
  ) {
    this.config = config;
    this.world = world;
    this.storage = storage;
    this.ports = ports;
    this.memberId = storage.memberId;
    this.clusterId = storage.clusterId;
    let fail: (error: Error) => void = () => {};
    this.failed = new Promise((resolve) => {
      fail = resolve;
    });
    this.fail = (error) => {
      if (this.failedAlready) return;
      this.failedAlready = true;
      fail(error);
    };
    opening.onError = this.fail;
    const { clock, logger } = world;
    const { state, tail, wal } = storage;
    const monotonicMs = (): number => clock.monotonicMs();
    const electionTimeoutMs = config.electionTimeoutMs;
    const requestTimeoutMs = limits.requestTimeoutMs(electionTimeoutMs);
    this.schedule = new Schedule(clock);
    this.agent = new Agent({ keepAlive: true, maxSockets: 8 });

    const ids = new RequestIds(storage.memberId, clock.nowMs());
    const proposals = new Proposals(ids, limits.PENDING_PROPOSAL_BYTES_MAX);
    const reads = new Reads(ids);
    this.hub = new WatchHub(state.mvcc, {});
    state.setListener(this.hub);
    const confChanges = new ConfChanges({
      membership: () => state.membership,
      waiters: proposals,
      applyToRaft: (change) => this.driver.applyConfChange(change),
      idOf: (id) => ({ owner: Number((id >> 48n) & 0xffffn), sequence: Number(id & 0xffff_ffff_ffffn) }),
      revision: () => state.mvcc.currentRevision,
      removedSelf: (id) => {
        if (id === this.memberId)
          this.fail(new FatalError('this member has been permanently removed from the cluster'));
      },
    });
    const quotaBytes = config.quotaBackendBytes || limits.QUOTA_BACKEND_BYTES_DEFAULT;
    this.quota = new Quota(quotaBytes < 0 ? Infinity : quotaBytes, () => state.sizeBytes());
    const applier = new Applier(state, proposals, confChanges, {
      gauge: this.quota,
      onShort: () => {
        logger.warn('message exceeded backend quota; raising alarm', { 'quota-size-bytes': quotaBytes });
        void this.replica.raiseNoSpace();
      },
    });

    const peerHandler: PeerHandler = {
      step: (_from, message) => this.driver.receive(message),
      isRemoved: (id) => state.membership.isRemoved(id),
      reportUnreachable: (id) => this.driver.run((node) => node.reportUnreachable(id)),
      reportSnapshot: (id, ok) => this.driver.run((node) => node.reportSnapshot(id, ok)),
      receiveSnapshot: (message, body) => this.snapshotter.receive(message, body),
      reportConnected: () => this.peerConnected(),
      reportRemoved: (by) => {
        this.fail(
          new FatalError(
            `member ${hexId(by)} says this member has been permanently removed from the cluster`,
          ),
        );
      },
    };
    const extra = new Map<string, RequestHandler>();
    this.transport = world.transport(
      {
        memberId: storage.memberId,
        clusterId: storage.clusterId,
        serverVersion: ETCD_VERSION,
        minClusterVersion: MIN_CLUSTER_VERSION,
        peerUrls: urlTexts(config.initialAdvertisePeerUrls),
      },
      peerHandler,
      extra,
    );
    opening.onMembershipChange = (change) => this.memberChanged(change);
    for (const member of state.membership.list()) this.memberChanged({ kind: 'added', member });

    const node = new RawNode({
      id: storage.memberId,
      electionTick: Math.floor(electionTimeoutMs / config.heartbeatIntervalMs),
      heartbeatTick: 1,
      storage: tail,
      applied: state.consistentIndex,
      maxSizePerMsg: limits.RAFT_MESSAGE_BYTES_MAX,
      maxInflightMsgs: limits.RAFT_INFLIGHT_MESSAGES_MAX,
      checkQuorum: true,
      preVote: config.preVote,
      prng: world.prng,
      logger: raftLogger(logger),
    });
    this.driver = new Driver(
      node,
      tail,
      wal,
      this.transport,
      proposals,
      reads,
      {
        apply: (entries) => this.apply(applier, entries),
        leadership: (soft, term) => this.leadershipChanged(soft, term),
        sendSnapshot: (message) => this.snapshotter.send(message),
        installSnapshot: (work) => this.snapshotter.install(work),
        fatal: this.fail,
      },
      { id: storage.memberId, defer: world.defer, monotonicMs, inboxMax: INBOX_MAX },
      state.consistentIndex,
    );
    this.snapshotter = new Snapshotter(
      {
        state,
        tail,
        log: wal,
        files: storage.snapFiles,
        home: opening.home!,
        disk: world.disk,
        sender: this.transport,
        logger,
        onError: this.fail,
        onReplaced: () => {
          this.wakeWatchers();
          return this.compactor.storeReplaced();
        },
      },
      {
        directory: snapDirectory(config),
        snapshotCount: config.snapshotCount,
        catchUpEntries: config.snapshotCatchupEntries,
        writeBuffer: { onError: this.fail },
      },
      storage.snapshotIndex,
    );
    this.compactor = new Compactor(
      () => state,
      this.schedule,
      config.compactionSleepIntervalMs || limits.COMPACTION_PAUSE_MS_DEFAULT,
      logger,
      this.fail,
    );
    opening.onCompaction = () => this.compactor.kick();
    this.replica = new Replica(
      state,
      this.driver,
      proposals,
      reads,
      (replica) =>
        new Leases(
          replica,
          new HttpLeaseForwarder(
            (id) => state.membership.get(id)?.peerUrls ?? [],
            this.agent,
            requestTimeoutMs,
          ),
          this.schedule,
          { monotonicMs, requestTimeoutMs },
        ),
      this.compactor,
      { hub: this.hub, wake: () => this.wakeWatchers() },
      this.transport,
      this.quota,
      {
        memberId: storage.memberId,
        clusterId: storage.clusterId,
        monotonicMs,
        random64: world.random64,
        requestTimeoutMs,
        electionTimeoutMs,
        requestBytesMax: config.maxRequestBytes,
        applyGapMax: limits.APPLY_GAP_MAX,
      },
    );
    this.leaseExpiry = new LeaseExpiry(this.replica, proposals, this.driver, monotonicMs);
    for (const [path, handler] of leaseHandlers(this.replica.leases)) extra.set(path, handler);
    extra.set('/members', membersHandler(state.membership, this.clusterId));
    extra.set('/version', versionHandler(state.membership));

    this.table = new MethodTable();
    this.requireLeader = new RequireLeader(this.replica);
    this.watches = new WatchService(this.replica, this.requireLeader, {
      requestBytesMax: config.maxRequestBytes,
      watchersPerStreamMax: limits.WATCHERS_PER_STREAM_MAX,
    });
    registerKv(this.table, this.replica, {
      txnOpsMax: config.maxTxnOps,
      requestBytesMax: config.maxRequestBytes,
    });
    this.watches.register(this.table);
    registerLease(this.table, this.replica, this.requireLeader);
    const reconfiguration = new Reconfiguration(
      {
        membership: () => state.membership,
        driver: this.driver,
        proposals,
        ids,
        connections: this.transport,
        schedule: this.schedule,
        monotonicMs,
      },
      { memberId: this.memberId, strict: config.strictReconfigCheck, requestTimeoutMs },
    );
    const promoteHere = (id: bigint): Promise<readonly Member[]> => reconfiguration.promoteHere(id);
    extra.set(PROMOTE_PREFIX, promoteHandler(promoteHere, this.clusterId));
    registerCluster(this.table, this.replica, {
      reconfiguration,
      promote: (id) =>
        promoteAtLeader(id, promoteHere, {
          leaderUrls: () => state.membership.get(this.driver.leaderId)?.peerUrls ?? [],
          agent: this.agent,
          schedule: this.schedule,
          monotonicMs,
          timeoutMs: requestTimeoutMs,
        }),
      nowMs: () => clock.nowMs(),
    });
    registerMaintenance(
      this.table,
      this.replica,
      reconfiguration,
      config.quotaBackendBytes === 0 ? limits.QUOTA_BACKEND_BYTES_DEFAULT : config.quotaBackendBytes,
    );
    registerHealth(this.table);
    this.hooks = callHooks(this.replica, logger, this.counters, config.warningUnaryRequestDurationMs);
    const serveRpc = config.rpcTransport === 'native' ? nativeServer : grpcJsServer;
    this.rpc = serveRpc(this.table, {
      maxReceiveBytes: limits.receiveBytesMax(config.maxRequestBytes),
      maxConcurrentStreams: config.maxConcurrentStreams,
      keepaliveIntervalMs: config.grpcKeepaliveIntervalMs,
      keepaliveTimeoutMs: config.grpcKeepaliveTimeoutMs,
      hooks: this.hooks,
      clock,
    });
  }

  /** The bound client ports. */
  get clientPorts(): ClientPorts['ports'] {
    return this.ports.ports;
  }

  /** Resolves when the member has joined and published itself, or has waited long enough to serve anyway. */
  ready(): Promise<void> {
    this.readyPromise ??= this.becomeReady();
    return this.readyPromise;
  }

  private begin(): void {
    const { config, schedule } = this;
    this.transport.start();
    schedule.every(config.heartbeatIntervalMs, () => this.driver.tick());
    schedule.every(WAITER_SWEEP_MS, () => this.replica.expireWaiters());
    schedule.every(config.backendBatchIntervalMs || limits.BACKEND_BATCH_INTERVAL_MS_DEFAULT, () =>
      this.commitBackend(),
    );
    schedule.every(limits.LEASE_EXPIRY_INTERVAL_MS, () => void this.leaseExpiry.run());
    schedule.every(limits.WATCH_CATCH_UP_INTERVAL_MS, () => this.wakeWatchers());
    schedule.every(config.watchProgressNotifyIntervalMs || limits.WATCH_PROGRESS_INTERVAL_MS_DEFAULT, () =>
      this.watches.progressTick(),
    );
    schedule.every(config.electionTimeoutMs, () => this.requireLeader.tick());
    schedule.every(QUOTA_MEASURE_MS, () => void this.quota.refresh().catch(this.fail));
    void this.quota.refresh().catch(this.fail);
    schedule.every(VERSION_CHECK_MS, () => void this.checkClusterVersion());
    if (this.storage.state.mvcc.compactionPending) this.compactor.kick();
    this.campaignEarly();
    this.driver.wake();
  }

  private async becomeReady(): Promise<void> {
    const published = this.publish();
    const waited = this.schedule.delay(READY_WAIT_MS).then(() => 'waited' as const);
    if ((await Promise.race([published, waited])) === 'waited')
      this.world.logger.warn('timed out waiting for the ready notification');
    this.ports.serve((socket) => this.rpc.accept(socket));
    for (const { url } of this.ports.ports)
      this.world.logger.info('ready to serve client requests', { address: url.host });
  }

  /** Makes the name and client URLs known to the cluster; repeated until the cluster has taken it. */
  private async publish(): Promise<void> {
    const body = membershippb.encodeClusterMemberAttrSetRequest(
      new membershippb.ClusterMemberAttrSetRequest({
        memberID: this.memberId,
        memberAttributes: new membershippb.Attributes({
          name: this.config.name,
          clientUrls: urlTexts(this.config.advertiseClientUrls),
        }),
      }),
    );
    while (this.stopping === undefined && !this.failedAlready) {
      try {
        await this.replica.propose(CommandKind.ClusterMemberAttrSet, body);
        this.world.logger.info('published local member to cluster through raft', {
          'local-member-id': hexId(this.memberId),
          'cluster-id': hexId(this.clusterId),
        });
        // Asked once more by the clock when some member does not answer yet.
        void this.checkClusterVersion();
        return;
      } catch (error) {
        this.world.logger.warn('failed to publish local member to cluster through raft', {
          error: toError(error).message,
        });
        await this.schedule.delay(WAITER_SWEEP_MS);
      }
    }
  }

  private apply(applier: Applier, entries: Parameters<Applier['applyBatch']>[0]): void {
    const { state } = this.storage;
    applier.applyBatch(entries);
    state.lessor.arm(this.world.clock.monotonicMs());
    if (
      state.buffer.pendingOperations >=
      (this.config.backendBatchLimit || limits.BACKEND_BATCH_OPERATIONS_DEFAULT)
    )
      this.commitBackend();
    this.snapshotter.afterApply();
    if (this.hub.unsyncedCount > 0) this.wakeWatchers();
    this.campaignEarly();
  }

  private commitBackend(): void {
    // A failure reaches the member through the buffer's onError; here it only must not go unheard.
    this.storage.state.buffer.commit().catch(() => {});
  }

  private watcherPass = false;

  /** Catches slow watchers up, one slice a turn, so that requests go on between. */
  private wakeWatchers(): void {
    if (this.watcherPass) return;
    this.watcherPass = true;
    this.world.defer(() => {
      this.watcherPass = false;
      if (this.stopping !== undefined) return;
      try {
        if (this.hub.syncSome()) this.wakeWatchers();
      } catch (error) {
        this.fail(toError(error));
      }
    });
  }

  private leadershipChanged(soft: SoftState, term: number): void {
    const { lessor } = this.storage.state;
    const wasLeader = this.role === Role.Leader;
    this.role = soft.role;
    this.replica.leadershipChanged(soft);
    if (soft.role === Role.Leader && !wasLeader) {
      lessor.promote(this.world.clock.monotonicMs(), this.config.electionTimeoutMs);
      void this.checkClusterVersion();
    } else if (soft.role !== Role.Leader && wasLeader) lessor.demote();
    this.world.logger.debug('leadership', { leader: hexId(soft.lead), term });
  }

  private memberChanged(change: MembershipChange): void {
    if (change.kind === 'removed') {
      this.transport.removePeer(change.id);
      return;
    }
    const { id, peerUrls } = change.member;
    if (id === this.memberId) return;
    try {
      if (change.kind === 'added') this.transport.addPeer(id, peerUrls);
      else this.transport.updatePeer(id, peerUrls);
    } catch (error) {
      // URLs this build cannot dial are no reason to stop applying: the member is reached when it dials us.
      if (!(error instanceof PeerError)) throw error;
      this.world.logger.warn('cannot dial the peer URLs of a member', {
        'remote-peer-id': hexId(id),
        'remote-peer-urls': peerUrls,
        error: error.message,
      });
    }
  }

  /**
   * Asks for votes without waiting for a timeout where nobody can be disturbed: as the only voter; and on a
   * new cluster as the member with the lowest id, once it knows the members and can reach a quorum of them.
   */
  private campaignEarly(): void {
    const { isNew, founderIds, state } = this.storage;
    if (this.driver.leaderId !== 0n) return;
    if (!isNew) {
      const voters = state.membership.list().filter((member) => !member.isLearner);
      if (voters.length === 1 && voters[0].id === this.memberId) this.campaign();
      return;
    }
    if (this.driver.term > 1 || founderIds.length === 0) return;
    const quorum = Math.floor(founderIds.length / 2) + 1;
    if (state.consistentIndex < founderIds.length || this.transport.connectedCount() + 1 < quorum) return;
    if (founderIds.every((id) => id >= this.memberId)) this.campaign();
  }

  private campaign(): void {
    this.driver.run((node) => {
      if (node.basicStatus().role === Role.Follower) node.campaign();
    });
  }

  private advanced = false;

  /**
   * A peer can be reached. A member that comes back moves its election clock to just before its end, so
   * that a cluster without a leader gets one soon (etcd: --initial-election-tick-advance).
   */
  private peerConnected(): void {
    this.campaignEarly();
    if (this.storage.isNew || this.advanced || this.driver.leaderId !== 0n) return;
    this.advanced = true;
    if (!this.config.initialElectionTickAdvance) return;
    const ticks = Math.floor(this.config.electionTimeoutMs / this.config.heartbeatIntervalMs) - 2;
    for (let i = 0; i < ticks; i++) this.driver.tick();
  }

  private checkingVersion = false;

  private async checkClusterVersion(): Promise<void> {
    if (this.checkingVersion || !this.replica.isLeader) return;
    this.checkingVersion = true;
    try {
      const { membership } = this.storage.state;
      const members = membership.list();
      const target = await decideVersion(
        members,
        this.memberId,
        membership.clusterVersion,
        this.agent,
        this.config.electionTimeoutMs,
      );
      if (target === undefined || !this.replica.isLeader) return;
      await this.replica.propose(CommandKind.ClusterVersionSet, encodeVersionSet(target));
      this.world.logger.info('updated cluster version', { version: target });
    } catch (error) {
      this.world.logger.warn('failed to update cluster version', { error: toError(error).message });
    } finally {
      this.checkingVersion = false;
    }
  }

  /**
   * Ends the member: leadership is handed over first, calls in flight get their answers or an error,
   * everything applied is on disk. Idempotent.
   */
  stop(): Promise<void> {
    this.stopping ??= this.shutDown();
    return this.stopping;
  }

  private async shutDown(): Promise<void> {
    if (!this.failedAlready) await this.handOver();
    this.schedule.stop();
    this.watches.stop();
    this.replica.stop();
    const compactorIdle = this.compactor.stop();
    // The listeners close at once, but are not done before their last connection is.
    const portsClosed = this.ports.close();
    await this.rpc.drain(DRAIN_MS);
    await portsClosed;
    this.driver.stop();
    await this.transport.stop();
    this.agent.destroy();
    await this.snapshotter.idle();
    await compactorIdle;
    await this.storage.wal.close().catch(() => {});
    const { state } = this.storage;
    await state.buffer.commit().catch(() => {});
    await state.backend.close();
  }

  private async handOver(): Promise<void> {
    if (!this.replica.isLeader) return;
    const candidate = this.bestSuccessor();
    if (candidate === undefined) return;
    this.world.logger.info('leadership transfer starting', { 'transferee-member-id': hexId(candidate) });
    this.driver.run((node) => node.transferLeader(candidate));
    const startedMs = this.world.clock.monotonicMs();
    // While nobody leads yet this member stays: its vote may be needed. Not if the successor goes as well.
    while (
      (this.replica.isLeader || this.replica.leaderId === 0n) &&
      this.transport.activeSince(candidate) !== undefined &&
      this.world.clock.monotonicMs() - startedMs < HAND_OVER_MS
    )
      await this.schedule.delay(10);
  }

  /** The voter that has been reachable for longest. */
  private bestSuccessor(): bigint | undefined {
    let best: { readonly id: bigint; readonly since: number } | undefined;
    for (const member of this.storage.state.membership.list()) {
      if (member.id === this.memberId || member.isLearner) continue;
      const since = this.transport.activeSince(member.id);
      if (since !== undefined && (best === undefined || since < best.since)) best = { id: member.id, since };
    }
    return best?.id;
  }
}

/** Callbacks of parts that are opened before the server object exists. */
class Opening {
  home: BackendHome | undefined;
  onError: (error: Error) => void = () => {};
  onMembershipChange: (change: MembershipChange) => void = () => {};
  onCompaction: () => void = () => {};
}

function snapDirectory(config: ServerConfig): string {
  return `${config.dataDir}/member/snap`;
}

async function openMember(config: ServerConfig, world: World, opening: Opening): Promise<MemberStorage> {
  const snap = snapDirectory(config);
  const wal = config.walDir === '' ? `${config.dataDir}/member/wal` : config.walDir;
  await makeDurableDirectory(world.disk, snap);
  await makeDurableDirectory(world.disk, parentOf(wal));
  opening.home = world.home(snap);
  const walOptions: WalOptions = {
    keepSegments: config.maxWals,
    unsafeNoFsync: config.unsafeNoFsync,
    clock: world.clock,
    onError: (error) => opening.onError(error),
  };
  return openStorage(
    world.disk,
    opening.home,
    { snap, wal },
    {
      joins: config.initialClusterState === 'existing',
      ask: () => foundingOf(config),
    },
    {
      wal: walOptions,
      writeBuffer: { onError: (error) => opening.onError(error) },
      state: {
        leaseTtlSecondsMin: limits.leaseTtlSecondsMin(config.electionTimeoutMs),
        learnersMax: config.maxLearners,
        mvcc: {
          compactionBatchLimit: config.compactionBatchLimit || limits.COMPACTION_BATCH_REVISIONS_DEFAULT,
        },
        onMembershipChange: (change) => opening.onMembershipChange(change),
        onCompaction: () => opening.onCompaction(),
      },
    },
    world.logger,
  );
}

/** Who a member without a log is, by its flags and those who run already. @throws FatalError saying what does not fit */
async function foundingOf(config: ServerConfig): Promise<Founding> {
  const agent = new Agent();
  try {
    return config.initialClusterState === 'existing'
      ? await joiningOf(config, agent)
      : await newClusterOf(config, agent);
  } finally {
    agent.destroy();
  }
}

function otherUrls(config: ServerConfig, cluster: InitialCluster): string[] {
  return [...cluster].flatMap(([name, urls]) => (name === config.name ? [] : urlTexts(urls))).sort();
}

async function joiningOf(config: ServerConfig, agent: Agent): Promise<Founding> {
  const cluster = verifyJoinExisting(config);
  if (!cluster.ok) throw new FatalError(cluster.error);
  const running = await runningCluster(otherUrls(config, cluster.value), agent, JOIN_ANSWER_MS);
  if (running === undefined)
    throw new FatalError(
      'cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs',
    );
  const local = new Map([...cluster.value].map(([name, urls]) => [name, urlTexts(urls)]));
  return {
    memberId: joiningId(running, local, config.name),
    clusterId: running.clusterId,
    members: [],
  };
}

async function addressesOf(hosts: readonly string[]): Promise<Map<string, string>> {
  const addresses = new Map<string, string>();
  for (const host of hosts) {
    // What cannot be resolved is compared by its text.
    const found = await lookup(host).catch(() => undefined);
    if (found !== undefined) addresses.set(host, found.address);
  }
  return addresses;
}

async function newClusterOf(config: ServerConfig, agent: Agent): Promise<Founding> {
  const cluster = verifyBootstrap(config, await addressesOf(hostsToResolve(config)));
  if (!cluster.ok) throw new FatalError(cluster.error);
  const members = [...cluster.value].map(([name, urls]) => ({
    name,
    id: memberId(urlTexts(urls), config.initialClusterToken),
    peerUrls: urlTexts(urls),
  }));
  const self = members.find((member) => member.name === config.name)!;
  const running = await runningCluster(otherUrls(config, cluster.value), agent, BOOTSTRAP_ANSWER_MS);
  if (running?.members.some((member) => member.id === self.id && member.clientUrls.length > 0) === true)
    throw new FatalError(`member ${hexId(self.id)} has already been bootstrapped`);
  return {
    memberId: self.id,
    clusterId: clusterId(members.map((member) => member.id)),
    members: members.map(({ id, peerUrls, name }) => ({
      id,
      peerUrls,
      name,
      isLearner: false,
      clientUrls: [],
    })),
  };
}

/** A listen error as one line that names the address. */
async function bound(binding: Promise<void> | undefined, url: EtcdUrl): Promise<void> {
  try {
    await binding;
  } catch (error) {
    const cause =
      errorCodeOf(error) === 'EADDRINUSE' ? 'bind: address already in use' : errorMessageOf(error);
    throw new FatalError(`listen tcp ${url.host}: ${cause}`, { cause: error });
  }
}

function raftLogger(logger: Logger): RaftLogger {
  return {
    enabled: (level) => logger.enabled(level),
    log: (level, message) => logger.log(level, message),
  };
}
