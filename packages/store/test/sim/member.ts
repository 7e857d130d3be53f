/**
 * A machine with a member of the cluster on it: its disk and backend, which survive, and the production member that
 * lives on it for a while. It starts, ends and fails as it is told; why and when is decided elsewhere.
 */
import { Prng, silentLogger, type Logger } from '@keelson/base';
import { MemoryDisk, type DiskOperation } from '@keelson/sim';
import { defaultServerConfig } from '../../src/config/config.ts';
import { defaultFeatureGates } from '../../src/config/feature-gates.ts';
import type { ServerConfig } from '../../src/config/flag-table.ts';
import { parseUniqueUrls } from '../../src/config/urls.ts';
import { DirectoryHome } from '../../src/backend/home.ts';
import { StoreServer } from '../../src/server.ts';
import { restoreSnapshot } from '../../src/transfer/restore.ts';
import type { World } from '../../src/world.ts';
import { carrierOf } from './carrier.ts';
import { Life, type Machine, type Stage } from './life.ts';
import type { SimOptions } from './options.ts';
import type { Origin } from './origin.ts';
import { openSimBackend, Platter } from './sim-backend.ts';
import { simSecrets } from './sim-secrets.ts';
import { SimTransport, type SimWires } from './transport.ts';
import { peerUrl } from './wires.ts';

/** What a member's owner hears. */
export interface MemberWatcher {
  /** It serves clients from now on. */
  ready(member: SimMember): void;
  /** It has opened its data and takes part. */
  started(member: SimMember, server: StoreServer): void;
  /** It ended by itself, or could not start; whether it had started. */
  ended(member: SimMember, error: Error, started: boolean): void;
  /** Its process is no more, whatever the reason. */
  gone(member: SimMember, life: Life): void;
}

export type Phase = 'down' | 'starting' | 'joined' | 'ready' | 'stopping';

/** A slow disk takes so many times as long. */
const SLOW = 60;

export class SimMember implements Machine {
  readonly place: number;
  readonly name: string;
  readonly disk: MemoryDisk;
  readonly platter = new Platter();
  pausedUntil = 0;
  wallOffsetMs = 0;
  rate = 1;
  /** Simulated ms until which the disk is slow, or full. */
  slowUntil = 0;
  fullUntil = 0;
  /** The next sync of a file of the log, or of any, fails. */
  syncFails: 'none' | 'log' | 'any' = 'none';
  /** The next read, or write, of a file fails; it waits for the next life where this one has none. */
  readFails = false;
  writeFails = false;
  phase: Phase = 'down';
  life: Life | undefined = undefined;
  server: StoreServer | undefined = undefined;
  /** Known from the first start on. */
  memberId = 0n;
  /** Its data was damaged on purpose: it may refuse to start. */
  damaged: 'no' | 'log' | 'misdirected' | 'backend' = 'no';
  /** Never starts again: replaced, or outside the core that comes back. */
  retired = false;
  starts = 0;
  /** No process runs, and a tool uses the disk. */
  private atRest = false;
  private readonly stage: Stage;
  private readonly wires: SimWires;
  private readonly prng: Prng;
  private readonly watcher: MemberWatcher;
  private readonly logger: (member: SimMember) => Logger;

  constructor(
    stage: Stage,
    wires: SimWires,
    place: number,
    seed: number,
    watcher: MemberWatcher,
    logger: (member: SimMember) => Logger,
  ) {
    this.stage = stage;
    this.wires = wires;
    this.place = place;
    this.name = `m${place}`;
    this.watcher = watcher;
    this.logger = logger;
    this.prng = new Prng(seed ^ (0x3e3b + place * 7919));
    this.disk = new MemoryDisk({
      prng: new Prng(seed ^ (0xd15c + place * 104_729)),
      delay: (operation) => this.delay(operation),
      fault: (operation) => this.fault(operation),
    });
  }

  get peerUrl(): string {
    return peerUrl(this.place);
  }

  get up(): boolean {
    return this.phase === 'joined' || this.phase === 'ready';
  }

  /** @param cluster --initial-cluster, by name @param joins as a member that was added before */
  start(cluster: string, joins: boolean): void {
    const life = new Life(this.stage, this, this.prng);
    this.life = life;
    this.phase = 'starting';
    this.starts++;
    const disk = this.disk.boot();
    const { stage, wires, prng } = this;
    const turn = prng.chance(1, 2) ? () => new Promise<void>((resolve) => life.defer(resolve)) : undefined;
    const world: World = {
      clock: life,
      disk,
      home: (directory) =>
        new DirectoryHome(disk, directory, (path) => openSimBackend(disk, this.platter, path, turn)),
      prng: new Prng(prng.uint32()),
      random64: () => prng.uint64(),
      secrets: simSecrets(life, prng),
      defer: life.defer,
      logger: this.logger(this),
      transport: (identity, handler, extra) => new SimTransport(life, wires, identity, handler, extra),
      peerCarrier: carrierOf(life, wires),
      resolver: { srv: () => Promise.resolve([]), address: (host) => Promise.resolve(host) },
      socketless: true,
      tuning: tuningOf(stage),
    };
    stage.count('starts');
    life.enter('start', () => {
      StoreServer.start(this.config(cluster, joins), world).then(
        (server) => {
          if (life.ended) return;
          this.began(life, server);
        },
        (error: unknown) => {
          if (!life.ended) this.over(life, error, false);
        },
      );
    });
  }

  private began(life: Life, server: StoreServer): void {
    this.server = server;
    this.memberId = server.memberId;
    this.phase = 'joined';
    this.watcher.started(this, server);
    void server.failed.then((error) => {
      if (!life.ended && this.phase !== 'stopping') this.over(life, error, true);
    });
    server.ready().then(
      () => {
        if (life.ended || this.phase !== 'joined') return;
        this.phase = 'ready';
        this.watcher.ready(this);
      },
      (error: unknown) => {
        if (!life.ended) this.over(life, error, true);
      },
    );
  }

  private over(life: Life, error: unknown, started: boolean): void {
    this.end(life);
    this.disk.kill();
    this.platter.crash(this.prng);
    this.watcher.ended(this, error instanceof Error ? error : new Error(String(error)), started);
  }

  /** Its data dir is made of a saved snapshot, as a tool makes it on a machine where nothing runs. */
  async restore(origin: Origin, initialCluster: string): Promise<void> {
    const disk = this.disk.boot();
    this.atRest = true;
    const snapshotPath = '/saved.db';
    await disk.writeFileAtomic(snapshotPath, origin.image);
    await restoreSnapshot(
      {
        snapshotPath,
        name: this.name,
        dataDir: `/${this.name}`,
        walDir: '',
        peerUrls: [this.peerUrl],
        initialCluster,
        initialClusterToken: 'restored',
        skipHashCheck: false,
        bumpRevision: origin.bumpRevision,
      },
      {
        disk,
        homeAt: (directory) =>
          new DirectoryHome(disk, directory, (path) => openSimBackend(disk, this.platter, path, undefined)),
        logger: silentLogger,
        isLocked: () => Promise.resolve(false),
        resolve: () => Promise.resolve(new Map()),
      },
    );
    this.atRest = false;
  }

  /** As SIGTERM. `done` when the process has ended. */
  stop(done: () => void): void {
    const { life, server } = this;
    if (life === undefined || server === undefined || !this.up) return;
    this.phase = 'stopping';
    life.enter('stop', () => {
      const ended = (): void => {
        if (life.ended) return;
        this.end(life);
        this.disk.kill();
        done();
      };
      server.stop().then(ended, ended);
    });
  }

  /** The process ends here and now. @param powerLost whether the machine's memory goes as well */
  crash(prng: Prng, powerLost: boolean): void {
    const { life } = this;
    if (life === undefined) return;
    this.end(life);
    if (powerLost) this.disk.crash(prng);
    else this.disk.kill();
    this.platter.crash(prng);
  }

  private end(life: Life): void {
    life.ended = true;
    this.life = undefined;
    this.server = undefined;
    this.phase = 'down';
    this.pausedUntil = 0;
    this.syncFails = 'none';
    const transport = this.wires.at(this.place);
    if (transport?.life === life) void transport.stop();
    this.watcher.gone(this, life);
  }

  private delay(operation: DiskOperation): Promise<void> | undefined {
    const { life, stage, prng } = this;
    if (this.atRest) return undefined;
    // What an earlier life still wants from the disk it never gets.
    if (life === undefined || stage.crashesHere(life)) return new Promise(() => {});
    const syncs = operation.kind === 'sync' || operation.kind === 'syncDirectory';
    let ms = syncs ? prng.below(stage.options.syncMax + 1) : prng.chance(1, 30) ? 1 : 0;
    if (syncs && this.slowUntil > stage.scheduler.now) ms = prng.below(SLOW * (stage.options.syncMax + 1));
    return ms === 0 ? undefined : life.sleep(ms, operation.kind);
  }

  private fault({ kind, path }: DiskOperation): string | undefined {
    const { stage } = this;
    if (kind === 'sync' && this.syncFails !== 'none') {
      if (this.syncFails === 'log' && !path.includes('/wal/')) return undefined;
      this.syncFails = 'none';
      stage.happened('syncError', `${this.name} ${path}`);
      return 'EIO';
    }
    if (kind === 'read' && this.readFails) {
      this.readFails = false;
      stage.happened('readError', `${this.name} ${path}`);
      return 'EIO';
    }
    if (kind === 'write' && this.writeFails) {
      this.writeFails = false;
      stage.happened('writeError', `${this.name} ${path}`);
      return 'EIO';
    }
    if (this.fullUntil > stage.scheduler.now && kind === 'write' && this.prng.chance(1, 2)) {
      stage.happened('diskFull', `${this.name} ${path}`);
      return 'ENOSPC';
    }
    return undefined;
  }

  private config(initialCluster: string, joins: boolean): ServerConfig {
    const { options } = this.stage;
    return {
      ...defaultServerConfig(),
      name: this.name,
      dataDir: `/${this.name}`,
      listenClientUrls: [],
      listenPeerUrls: [],
      advertiseClientUrls: urlsOf(`http://127.0.0.1:${1000 + this.place}`),
      initialAdvertisePeerUrls: urlsOf(this.peerUrl),
      initialCluster,
      initialClusterState: joins ? 'existing' : 'new',
      heartbeatIntervalMs: options.heartbeatMs,
      electionTimeoutMs: options.heartbeatMs * options.electionTicks,
      preVote: options.preVote,
      snapshotCount: options.snapshotEvery,
      snapshotCatchupEntries: options.catchUp,
      maxWals: options.keepSegments,
      backendBatchIntervalMs: options.backendBatchMs,
      backendBatchLimit: options.backendBatchOps,
      compactionBatchLimit: options.compactionBatch,
      quotaBackendBytes: options.quotaBytes,
      maxTxnOps: options.txnOpsMax,
      maxRequestBytes: options.requestBytesMax,
      watchProgressNotifyIntervalMs: options.progressMs,
      featureGates: gatesOf(options),
    };
  }
}

function gatesOf({ leaseCheckpoints }: SimOptions): ServerConfig['featureGates'] {
  const gates = defaultFeatureGates();
  const enabled = {
    ...gates.enabled,
    LeaseCheckpoint: leaseCheckpoints !== 'off',
    LeaseCheckpointPersist: leaseCheckpoints === 'persist',
  };
  return { ...gates, enabled };
}

function tuningOf({ options }: Stage): NonNullable<World['tuning']> {
  return {
    walSegmentBytes: options.walSegmentBytes,
    raftMessageBytesMax: options.messageBytes,
    raftInflightMessagesMax: options.inflight,
    applyGapMax: options.applyGap,
    leaseExpiryBatchMax: options.leaseBatch,
    leaseCheckpointIntervalMs: options.leaseCheckpointMs,
    watchWatchersMax: options.watchWatchers,
    watchRevisionsMax: options.watchRevisions,
    watchBytesMax: options.watchBytes,
    watchFragmentBytes: options.watchFragmentBytes,
  };
}

function urlsOf(text: string): ServerConfig['initialAdvertisePeerUrls'] {
  const parsed = parseUniqueUrls(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
