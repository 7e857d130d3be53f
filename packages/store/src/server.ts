/**
 * A member, built and joined from its parts, and the order in which they start and stop. The only file
 * that knows all rooms; it adds no rule of its own. The world (clock, randomness, disk, network) comes in
 * as arguments, so members can live in one process, on disk or in memory, real or simulated.
 */
import { hexId, type Logger } from '@keelson/base';
import { RawNode, Role, type RaftLogger, type SoftState } from '@keelson/raft';
import { grpcJsServer, nativeServer } from '@keelson/rpc';
import type { CallHooks, MethodTable, RpcServer } from '@keelson/rpc';
import { Applier, type Space } from './apply/applier.ts';
import type { BackendSizes } from './apply/state-machine.ts';
import { BeyondEtcd } from './beyond-etcd.ts';
import type { ServerConfig } from './config/flag-table.ts';
import { addressText, urlTexts, type EtcdUrl } from './config/urls.ts';
import { ETCD_VERSION } from './config/version.ts';
import { Checkpointer } from './consensus/checkpointer.ts';
import { Compactor } from './consensus/compactor.ts';
import { ConfChanges } from './consensus/conf-changes.ts';
import { Downgrades } from './consensus/downgrades.ts';
import { Driver } from './consensus/driver.ts';
import { LeaseExpiry } from './consensus/lease-expiry.ts';
import { Leases } from './consensus/leases.ts';
import type { MemberStorage } from './consensus/member-storage.ts';
import { Proposals } from './consensus/proposals.ts';
import { Quota } from './consensus/quota.ts';
import { Reads } from './consensus/reads.ts';
import { Reconfiguration } from './consensus/reconfiguration.ts';
import { Replica } from './consensus/replica.ts';
import { RequestIds } from './consensus/request-ids.ts';
import { Schedule } from './consensus/schedule.ts';
import { Succession } from './consensus/succession.ts';
import { Snapshotter } from './consensus/snapshotter.ts';
import { errorCodeOf, errorMessageOf } from './disk/error-code.ts';
import { FatalError, RemovedError } from './errors.ts';
import { peerAgentOptions } from './founding.ts';
import { Announcer } from './http/announcer.ts';
import { OLDEST_MEMBER_VERSION } from './http/cluster-version.ts';
import { HttpLeaseForwarder, leaseHandlers } from './http/lease-forward.ts';
import { HASHKV_PATH } from './http/peer-hash.ts';
import { membersHandler, versionHandler } from './http/peer-info.ts';
import { promoteHandler, PROMOTE_PREFIX } from './http/promote.ts';
import { NO_FACTS, type ProcessFacts } from './http/process-facts.ts';
import { Instruments } from './instruments.ts';
import { KnownPeers } from './known-peers.ts';
import * as limits from './limits.ts';
import { MemberHttp } from './member-http.ts';
import { registerMember } from './member-metrics.ts';
import { MemberServices } from './member-services.ts';
import { freeBytesOf, Opening, openMember, snapDirectory, walDirectory } from './open-member.ts';
import { openTracing } from './open-tracing.ts';
import type { PeerHandler } from './peer/peer-options.ts';
import type { RequestHandler } from './peer/peer-server.ts';
import { PeerAgent } from './peer/peer-tls.ts';
import { ClientPorts } from './rpc/client-ports.ts';
import { CatchUp } from './watch/catch-up.ts';
import { WatchHub } from './watch/hub.ts';
import { Upkeep } from './upkeep.ts';
import type { BoundTransport, World } from './world.ts';

const DRAIN_MS = 200;
/** A member that cannot publish itself for so long is served all the same (etcd). */
const READY_WAIT_MS = 5_000;
const VERSION_CHECK_MS = 4_000;
/** Between measurements the quota goes by estimates; a full second of load is a few hundred megabytes at most. */
const QUOTA_MEASURE_MS = 1_000;
const WAITER_SWEEP_MS = 100;
const INBOX_MAX = 65_536;

export class StoreServer {
  readonly memberId: bigint;
  readonly clusterId: bigint;
  readonly replica: Replica;
  /** Settles when the member cannot go on. */
  readonly failed: Promise<Error>;
  private readonly config: ServerConfig;
  private readonly world: World;
  private readonly storage: MemberStorage;
  private readonly schedule: Schedule;
  private readonly driver: Driver;
  private readonly snapshotter: Snapshotter;
  private readonly compactor: Compactor;
  private readonly checkpointer: Checkpointer;
  private readonly transport: BoundTransport;
  private readonly agent: PeerAgent;
  private readonly ports: ClientPorts;
  private readonly rpc: RpcServer;
  private readonly services: MemberServices;
  private readonly quota: Quota;
  private readonly hub: WatchHub;
  private readonly catchUp: CatchUp;
  private readonly leaseExpiry: LeaseExpiry;
  private readonly succession: Succession;
  private readonly announcer: Announcer;
  private readonly upkeep: Upkeep;
  private readonly fail: (error: Error) => void;
  /** What the member is measured with. */
  readonly instruments: Instruments;
  private readonly facts: ProcessFacts;
  private web: MemberHttp | undefined;
  private readonly beyond: BeyondEtcd | undefined;
  /** Of the backend, when somebody last looked at the metrics. */
  private backendSizes: BackendSizes = { totalBytes: 0, inUseBytes: 0 };
  private role: Role = Role.Follower;
  private stopping: Promise<void> | undefined;
  private failedAlready = false;
  private begun = false;
  private readyPromise: Promise<void> | undefined;

  /**
   * Opens the data dir, binds every port and begins to take part in the cluster.
   * @throws FatalError, WalError, BackendOpenError or a listen error: one line for a person, nothing left open
   */
  static async start(config: ServerConfig, world: World): Promise<StoreServer> {
    const ports = new ClientPorts({ clock: world.clock, logger: world.logger, tls: world.clientTls });
    const opening = new Opening();
    try {
      for (const url of config.listenClientUrls) await bound(ports.bind(url), url);
      for (const url of config.listenClientHttpUrls) await bound(ports.bind(url, 'http'), url);
      for (const url of config.listenMetricsUrls) await bound(ports.bind(url, 'metrics'), url);
      const instruments = new Instruments(config, world.clock);
      opening.walObservers = instruments.walOptions;
      opening.bufferObservers = instruments.bufferOptions;
      opening.beyond = await BeyondEtcd.open(config, world);
      const storage = await openMember(config, world, opening);
      let server: StoreServer | undefined;
      try {
        instruments.tracing = await openTracing(config, world, instruments);
        server = new StoreServer(config, world, storage, ports, opening, instruments);
        for (const url of config.listenPeerUrls) await bound(server.transport.listenUrl?.(url), url);
        await server.upkeep.check(storage.isNew);
        await server.serveHttp();
        server.begin();
        return server;
      } catch (error) {
        server?.schedule.stop();
        server?.web?.stop();
        server?.agent.destroy();
        await server?.transport.stop();
        await instruments.tracing?.close();
        await storage.wal.close();
        await storage.state.backend.close();
        throw error;
      }
    } catch (error) {
      await opening.beyond?.close();
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
    instruments: Instruments,
  ) {
    this.config = config;
    this.world = world;
    this.beyond = opening.beyond;
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
      // Nobody waits for what cannot come any more; the owner stops the rest.
      if (this.begun) this.replica.stop();
      fail(error);
    };
    opening.onError = this.fail;
    const { clock, logger } = world;
    const { state, tail, wal } = storage;
    this.facts = world.facts ?? NO_FACTS;
    const monotonicMs = (): number => clock.monotonicMs();
    const electionTimeoutMs = config.electionTimeoutMs;
    const requestTimeoutMs = limits.requestTimeoutMs(electionTimeoutMs);
    this.schedule = new Schedule(clock);
    const agentOptions = { ...peerAgentOptions(config), keepAlive: true, maxSockets: 8 };
    this.agent = new PeerAgent(agentOptions, world.peerDial, clock, world.peerCarrier);

    const ids = new RequestIds(storage.memberId, clock.nowMs());
    const proposals = new Proposals(ids, limits.pendingProposalBytesMax(config.maxRequestBytes));
    const reads = new Reads(ids);
    const tuning = world.tuning ?? {};
    this.hub = new WatchHub(state.mvcc, {
      watchersMax: tuning.watchWatchersMax,
      revisionsMax: tuning.watchRevisionsMax,
      bytesMax: tuning.watchBytesMax,
    });
    this.catchUp = new CatchUp(this.hub, world.defer, this.fail);
    state.setListener(this.hub);
    const confChanges = new ConfChanges({
      membership: () => state.membership,
      waiters: proposals,
      applyToRaft: (change) => this.driver.applyConfChange(change),
      idOf: (id) => ({ owner: Number((id >> 48n) & 0xffffn), sequence: Number(id & 0xffff_ffff_ffffn) }),
      revision: () => state.mvcc.currentRevision,
      removedSelf: (id) => {
        if (id === this.memberId) this.fail(new RemovedError());
      },
    });
    const quotaBytes = config.quotaBackendBytes || limits.QUOTA_BACKEND_BYTES_DEFAULT;
    const freeBytes = freeBytesOf(world.disk, config);
    this.quota = new Quota(quotaBytes < 0 ? Infinity : quotaBytes, () => state.sizeBytes(), freeBytes);
    const space: Space = {
      gauge: this.quota,
      onShort: () => {
        const what = this.quota.diskShort ? 'the disk is nearly full' : 'message exceeded backend quota';
        logger.warn(`${what}; raising alarm`, { 'quota-size-bytes': quotaBytes });
        void this.replica.raiseNoSpace();
      },
    };
    const applier = new Applier(state, proposals, confChanges, space, instruments.apply.observe);

    const peerHandler: PeerHandler = {
      step: (_from, message) => this.driver.receive(message),
      isRemoved: (id) => state.membership.isRemoved(id),
      reportUnreachable: (id) => this.driver.run((node) => node.reportUnreachable(id)),
      reportSnapshot: (id, ok) => this.driver.run((node) => node.reportSnapshot(id, ok)),
      receiveSnapshot: (message, body) => this.snapshotter.receive(message, body),
      reportConnected: () => this.succession.peerConnected(),
      reportRemoved: (by) => {
        logger.warn('a peer says that this member was removed', { 'remote-peer-id': hexId(by) });
        this.fail(new RemovedError());
      },
    };
    const extra = new Map<string, RequestHandler>();
    this.transport = world.transport(
      {
        memberId: storage.memberId,
        clusterId: storage.clusterId,
        serverVersion: ETCD_VERSION,
        minClusterVersion: OLDEST_MEMBER_VERSION,
        peerUrls: urlTexts(config.initialAdvertisePeerUrls),
      },
      instruments.watched(peerHandler),
      extra,
    );
    const peers = new KnownPeers(this.transport, logger, storage.memberId);
    opening.onMembershipChange = (change) => peers.follow(change);
    for (const member of state.membership.list()) peers.follow({ kind: 'added', member });

    const node = new RawNode({
      id: storage.memberId,
      electionTick: Math.floor(electionTimeoutMs / config.heartbeatIntervalMs),
      heartbeatTick: 1,
      storage: tail,
      applied: state.consistentIndex,
      maxSizePerMsg: tuning.raftMessageBytesMax ?? limits.RAFT_MESSAGE_BYTES_MAX,
      maxInflightMsgs: tuning.raftInflightMessagesMax ?? limits.RAFT_INFLIGHT_MESSAGES_MAX,
      checkQuorum: true,
      preVote: config.preVote,
      prng: world.prng,
      logger: raftLogger(logger),
    });
    this.driver = new Driver(
      node,
      tail,
      world.failpoints?.log(wal) ?? wal,
      this.transport,
      proposals,
      reads,
      {
        apply: (entries) => {
          instruments.apply.begin();
          this.apply(applier, entries);
        },
        leadership: (soft, term) => this.leadershipChanged(soft, term),
        sendSnapshot: (message) => {
          instruments.snapshotLeaves(message.to);
          this.snapshotter.send(message);
        },
        installSnapshot: (work) => instruments.installing(this.snapshotter.install(work)),
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
        files: instruments.timed(storage.snapFiles),
        home: opening.home!,
        disk: world.disk,
        sender: this.transport,
        logger,
        onError: this.fail,
        turn: () => new Promise<void>((resolve) => world.defer(resolve)),
        onReplaced: () => {
          this.catchUp.wake();
          this.announcer.stateReplaced();
          return Promise.all([this.compactor.storeReplaced(), this.checkpointer.storeReplaced()]);
        },
      },
      {
        directory: snapDirectory(config),
        snapshotCount: config.snapshotCount,
        catchUpEntries: config.snapshotCatchupEntries,
        tailBytesMax: tuning.tailBytesMax,
        writeBuffer: { onError: this.fail, ...instruments.bufferOptions },
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
    this.checkpointer = new Checkpointer(state, this.schedule, logger);
    opening.onCompaction = () => this.compactor.kick();
    instruments.watchCompactor(this.compactor);
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
      { hub: this.hub, wake: () => this.catchUp.wake() },
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
        applyGapMax: tuning.applyGapMax ?? limits.APPLY_GAP_MAX,
        revokeGapMax: config.featureGates.enabled.PriorityRequest
          ? limits.APPLY_GAP_PRIORITY_MAX
          : limits.APPLY_GAP_MAX,
        onPropose: instruments.tracing?.proposed,
      },
    );
    this.succession = new Succession(this.driver, state, this.transport, this.schedule, logger, {
      memberId: this.memberId,
      founderIds: storage.founderIds,
      isNew: storage.isNew,
      electionTicks: Math.floor(electionTimeoutMs / config.heartbeatIntervalMs),
      advanceTicks: config.initialElectionTickAdvance,
      monotonicMs,
    });
    const downgrades = new Downgrades(this.replica);
    this.announcer = new Announcer(this.replica, downgrades, this.schedule, this.agent, logger, {
      name: config.name,
      clientUrls: urlTexts(config.advertiseClientUrls),
      answerTimeoutMs: electionTimeoutMs,
    });
    this.upkeep = new Upkeep(config, this.replica, this.schedule, this.agent, logger, {
      requestTimeoutMs,
      monotonicMs,
    });
    extra.set(HASHKV_PATH, this.upkeep.hashHandler);
    this.leaseExpiry = new LeaseExpiry(this.replica, proposals, this.driver, {
      monotonicMs,
      batchMax: tuning.leaseExpiryBatchMax ?? limits.LEASE_EXPIRY_BATCH_MAX,
    });
    for (const [path, handler] of leaseHandlers(this.replica.leases)) extra.set(path, handler);
    extra.set('/members', membersHandler(state.membership, this.clusterId));
    extra.set('/version', versionHandler(state.membership));

    const services = new MemberServices({
      config,
      world,
      replica: this.replica,
      opening,
      instruments,
      reconfiguration: new Reconfiguration(
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
      ),
      downgrades,
      schedule: this.schedule,
      agent: this.agent,
      requestTimeoutMs,
      quotaBytes,
      log: { tail, disk: world.disk, walDirectory: walDirectory(config) },
    });
    this.services = services;
    extra.set(PROMOTE_PREFIX, promoteHandler(services.promoteHere, this.clusterId));
    this.instruments = instruments;
    registerMember(instruments.registry, {
      config,
      runtime: this.facts.runtime,
      replica: this.replica,
      driver: this.driver,
      inboxMax: INBOX_MAX,
      proposals,
      reads,
      watches: services.watches,
      transport: this.transport,
      ports,
      passwords: services.passwords,
      wal,
      applier: applier.counters,
      quotaBytes: quotaBytes < 0 ? 0 : quotaBytes,
      sizes: () => this.backendSizes,
    });
    const serveRpc = config.rpcTransport === 'native' ? nativeServer : grpcJsServer;
    this.rpc = serveRpc(services.table, {
      maxReceiveBytes: limits.receiveBytesMax(config.maxRequestBytes),
      maxConcurrentStreams: config.maxConcurrentStreams,
      keepaliveIntervalMs: config.grpcKeepaliveIntervalMs,
      keepaliveTimeoutMs: config.grpcKeepaliveTimeoutMs,
      hooks: services.hooks,
      clock,
    });
  }

  /** The services, for serving in process. */
  get table(): MethodTable {
    return this.services.table;
  }

  /** What goes with the table: a port of the member has these hooks, and so must a channel in process. */
  get hooks(): CallHooks {
    return this.services.hooks;
  }

  /** As SIGHUP: reads limits again, and goes on with the audit log in a file of its name. */
  async reload(): Promise<void> {
    await this.beyond?.reload();
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
    this.begun = true;
    this.transport.start();
    schedule.every(config.heartbeatIntervalMs, () => {
      this.instruments.tick(this.replica.isLeader);
      this.driver.tick();
    });
    schedule.every(WAITER_SWEEP_MS, () => this.replica.expireWaiters());
    schedule.every(config.backendBatchIntervalMs || limits.BACKEND_BATCH_INTERVAL_MS_DEFAULT, () =>
      this.commitBackend(),
    );
    schedule.every(limits.LEASE_EXPIRY_INTERVAL_MS, () => void this.leaseExpiry.run());
    schedule.every(limits.TOKEN_SWEEP_INTERVAL_MS, () =>
      this.storage.state.tokens.sweep(this.world.clock.monotonicMs()),
    );
    schedule.every(limits.WATCH_CATCH_UP_INTERVAL_MS, () => this.catchUp.wake());
    schedule.every(limits.CHECKPOINT_CALM_MS, () => this.checkpointer.whenCalm());
    schedule.every(config.watchProgressNotifyIntervalMs || limits.WATCH_PROGRESS_INTERVAL_MS_DEFAULT, () =>
      this.services.watches.progressTick(),
    );
    schedule.every(config.electionTimeoutMs, () => this.services.requireLeader.tick());
    schedule.every(QUOTA_MEASURE_MS, () => void this.quota.refresh().catch(this.fail));
    void this.quota.refresh().catch(this.fail);
    schedule.every(VERSION_CHECK_MS, () => void this.announcer.checkVersion());
    if (config.downgradeCheckTimeMs > 0)
      schedule.every(config.downgradeCheckTimeMs, () => void this.announcer.checkDowngrade());
    if (this.storage.state.mvcc.compactionPending) this.compactor.kick();
    this.upkeep.start();
    this.succession.campaignEarly();
    void this.services.selfPromotion?.run().catch(this.fail);
    this.beyond?.run(schedule, this.storage.state, this.fail);
    this.driver.wake();
  }

  /** Joins what is served over HTTP; metrics are served from now on, the rest once the member is ready. */
  private async serveHttp(): Promise<void> {
    const { config, world, replica, facts } = this;
    if (world.socketless === true) return;
    const { table, hooks } = this.services;
    this.web = await MemberHttp.create({
      config,
      replica,
      table,
      hooks,
      facts,
      registry: this.instruments.registry,
      clock: world.clock,
      logger: world.logger,
      raftStatus: () => this.driver.node.status(),
      beforeScrape: async () => {
        this.backendSizes = await this.storage.state.sizes();
      },
    });
    const { metrics } = this.web;
    this.ports.serveMetrics((socket) => metrics.accept(socket));
  }

  private async becomeReady(): Promise<void> {
    const published = this.announcer.publish();
    const waited = this.schedule.delay(READY_WAIT_MS).then(() => 'waited' as const);
    if ((await Promise.race([published, waited])) === 'waited')
      this.world.logger.warn('timed out waiting for the ready notification');
    if (this.stopping !== undefined || this.failedAlready) return;
    this.ports.serve({
      grpc: (socket, head) => this.rpc.accept(socket, head),
      http: (socket) => this.web?.clients.accept(socket),
    });
    for (const { url, use } of this.ports.ports)
      if (use !== 'metrics') this.world.logger.info('ready to serve client requests', { address: url.host });
  }

  private apply(applier: Applier, entries: Parameters<Applier['applyBatch']>[0]): void {
    const { state } = this.storage;
    applier.applyBatch(entries);
    const nowMs = this.world.clock.monotonicMs();
    state.lessor.arm(nowMs);
    state.tokens.arm(nowMs);
    if (
      state.buffer.pendingOperations >=
      (this.config.backendBatchLimit || limits.BACKEND_BATCH_OPERATIONS_DEFAULT)
    )
      this.commitBackend();
    this.snapshotter.afterApply();
    this.checkpointer.afterApply();
    if (this.hub.unsyncedCount > 0) this.catchUp.wake();
    this.succession.campaignEarly();
  }

  private commitBackend(): void {
    // A failure reaches the member through the buffer's onError; here it only must not go unheard.
    this.storage.state.buffer.commit().catch(() => {});
  }

  private leadershipChanged(soft: SoftState, term: number): void {
    const { lessor } = this.storage.state;
    const wasLeader = this.role === Role.Leader;
    this.role = soft.role;
    this.replica.leadershipChanged(soft);
    if (soft.role === Role.Leader && !wasLeader) {
      lessor.promote(this.world.clock.monotonicMs(), this.config.electionTimeoutMs);
      void this.announcer.checkVersion();
    } else if (soft.role !== Role.Leader && wasLeader) lessor.demote();
    this.world.logger.debug('leadership', { leader: hexId(soft.lead), term });
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
    this.catchUp.stop();
    if (!this.failedAlready) await this.succession.handOver();
    this.announcer.stop();
    this.schedule.stop();
    this.services.watches.stop();
    this.replica.stop();
    const compactorIdle = Promise.all([this.compactor.stop(), this.checkpointer.stop()]);
    // The listeners close at once, but are not done before their last connection is.
    const portsClosed = this.ports.close();
    this.web?.drain();
    await this.rpc.drain(DRAIN_MS);
    this.web?.stop();
    await portsClosed;
    await this.instruments.tracing?.close();
    this.driver.stop();
    await this.transport.stop();
    this.agent.destroy();
    await this.snapshotter.idle();
    await compactorIdle;
    await this.beyond?.close();
    await this.storage.wal.close().catch(() => {});
    const { state } = this.storage;
    await state.buffer.commit().catch(() => {});
    if (!this.failedAlready) await this.checkpointer.atEnd();
    await state.backend.close();
  }
}

/** A listen error as one line that names the address. */
async function bound(binding: Promise<void> | undefined, url: EtcdUrl): Promise<void> {
  try {
    await binding;
  } catch (error) {
    const cause =
      errorCodeOf(error) === 'EADDRINUSE' ? 'bind: address already in use' : errorMessageOf(error);
    throw new FatalError(`listen ${addressText(url)}: ${cause}`, { cause: error });
  }
}

function raftLogger(logger: Logger): RaftLogger {
  return {
    enabled: (level) => logger.enabled(level),
    log: (level, message) => logger.log(level, message),
  };
}
