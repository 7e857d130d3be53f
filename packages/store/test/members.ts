/**
 * Whole members in one process for tests: disks that forget, backends and a network in memory, the machine's
 * clock with quick ticks. A member can be stopped, lose power, start again from what its disk kept, and be
 * cut off; clients talk to it in process.
 */
import { Prng, silentLogger, systemClock, type Clock, type Logger } from '@keelson/base';
import { createClient, type Client } from '@keelson/client';
import { inProcessChannel, type Channel } from '@keelson/rpc';
import { MemoryDisk } from '@keelson/sim';
import { until } from '../../base/test/until.ts';
import { MemoryHome } from '../src/backend/home.ts';
import { MemoryBackend } from '../src/backend/memory-backend.ts';
import { defaultServerConfig } from '../src/config/config.ts';
import type { ServerConfig } from '../src/config/flag-table.ts';
import { parseUniqueUrls } from '../src/config/urls.ts';
import type { Resolver } from '../src/discovery/srv-cluster.ts';
import { MemoryNetwork } from '../src/peer/memory-transport.ts';
import { HttpPeerTransport } from '../src/peer/transport.ts';
import { systemSecrets } from '../src/secrets/system-secrets.ts';
import { StoreServer } from '../src/server.ts';
import type { World } from '../src/world.ts';
import { freePorts } from '../../base/test/free-ports.ts';

/** Ten heartbeats an election timeout, as by default, but five times as quick. */
const HEARTBEAT_MS = 20;
const ELECTION_MS = 200;

export interface ClusterOptions {
  readonly members: number;
  readonly config?: Partial<ServerConfig>;
  readonly logger?: Logger;
  /** What members call the time; otherwise the machine's. */
  readonly clock?: Clock;
  /** Of names in DNS. */
  readonly resolver?: Resolver;
  /** What --audit-log opens. */
  readonly auditOutput?: World['auditOutput'];
  /** Told the places before anything starts. */
  readonly seated?: (seats: readonly Seat[]) => void;
  /** Another world for the member in this place, made of the one it would have. */
  readonly world?: (place: number, world: World) => World;
  /** Members speak the peer protocol over loopback ports; otherwise they hand each other messages. */
  readonly http?: boolean;
}

/** One place in the cluster: what stays when its member goes. */
export interface Seat {
  readonly name: string;
  /** Of its peer URL, listened on or only spoken of. */
  readonly peerPort: number;
  readonly disk: MemoryDisk;
  readonly home: MemoryHome;
  server: StoreServer | undefined;
}

export class MemberCluster {
  readonly network = new MemoryNetwork({ clock: systemClock, throughCodec: true });
  readonly seats: Seat[];
  private readonly options: ClusterOptions;
  private readonly initialCluster: string;
  private readonly prng = new Prng(7);
  private readonly clients: Client[] = [];
  private readonly channels: Channel[] = [];

  private constructor(options: ClusterOptions, peerPorts: readonly number[]) {
    this.options = options;
    this.seats = peerPorts.slice(0, options.members).map(newSeat);
    this.initialCluster = this.listed();
  }

  private listed(): string {
    return this.seats.map(({ name, peerPort }) => `${name}=http://127.0.0.1:${peerPort}`).join();
  }

  /** A place for one more member, to be added to the cluster and started as one that joins. */
  async addSeat(): Promise<number> {
    const [port = 0] = await freePorts(1);
    return this.seats.push(newSeat(port, this.seats.length)) - 1;
  }

  /** The place's disk and backend are lost; a new one of the same name is put there. */
  replaceSeat(i: number): void {
    this.seats[i] = newSeat(this.seats[i].peerPort, i);
  }

  peerUrl(i: number): string {
    return `http://127.0.0.1:${this.seats[i].peerPort}`;
  }

  /** Starts all members; resolves when each has joined. */
  static async start(options: ClusterOptions): Promise<MemberCluster> {
    const peerPorts = options.http === true ? await freePorts(options.members) : [1, 2, 3, 4, 5];
    const cluster = new MemberCluster(options, peerPorts);
    options.seated?.(cluster.seats);
    await Promise.all(cluster.seats.map((_, i) => cluster.startMember(i)));
    await Promise.all(cluster.running().map((server) => server.ready()));
    return cluster;
  }

  config(i: number, joins = false): ServerConfig {
    const peerUrls = urlsOf(this.peerUrl(i));
    return {
      ...defaultServerConfig(),
      name: this.seats[i].name,
      dataDir: `/${this.seats[i].name}`,
      listenClientUrls: [],
      listenPeerUrls: this.options.http === true ? peerUrls : [],
      advertiseClientUrls: urlsOf(`http://127.0.0.1:${i + 1}`),
      initialCluster: joins ? this.listed() : this.initialCluster,
      initialClusterState: joins ? 'existing' : 'new',
      initialAdvertisePeerUrls: peerUrls,
      heartbeatIntervalMs: HEARTBEAT_MS,
      electionTimeoutMs: ELECTION_MS,
      backendBatchIntervalMs: 10,
      ...this.options.config,
    };
  }

  /**
   * @param joins as a member that was added to the cluster before
   * @param config what this start has different from the others
   */
  async startMember(i: number, joins = false, config: Partial<ServerConfig> = {}): Promise<StoreServer> {
    const seat = this.seats[i];
    const disk = seat.disk.boot();
    const world: World = {
      clock: this.options.clock ?? systemClock,
      ...(this.options.resolver !== undefined && { resolver: this.options.resolver }),
      ...(this.options.auditOutput !== undefined && { auditOutput: this.options.auditOutput }),
      disk,
      home: () => seat.home,
      prng: new Prng(this.prng.uint32()),
      random64: () => this.prng.uint64(),
      secrets: systemSecrets,
      defer: (task) => void setImmediate(task),
      logger: this.options.logger ?? silentLogger,
      transport: (identity, handler, extraHandlers) => {
        if (this.options.http !== true) return this.network.join(identity.memberId, handler);
        const transport = new HttpPeerTransport({
          identity,
          handler,
          clock: systemClock,
          logger: silentLogger,
          extraHandlers,
        });
        const listenUrl = async (url: { readonly port: number }): Promise<void> => {
          await transport.listen('127.0.0.1', url.port);
        };
        return Object.assign(transport, { listenUrl });
      },
    };
    const own = this.options.world?.(i, world) ?? world;
    seat.server = await StoreServer.start({ ...this.config(i, joins), ...config }, own);
    return seat.server;
  }

  /** As SIGTERM. */
  async stopMember(i: number): Promise<void> {
    const { server } = this.seats[i];
    this.seats[i].server = undefined;
    await server?.stop();
  }

  /** Power loss: unsynced data is lost or torn, and the member's calls fail from now on. */
  async crashMember(i: number): Promise<void> {
    const seat = this.seats[i];
    const { server } = seat;
    seat.server = undefined;
    seat.disk.crash(this.prng);
    await server?.stop().catch(() => {});
  }

  running(): StoreServer[] {
    return this.seats.flatMap((seat) => (seat.server === undefined ? [] : [seat.server]));
  }

  server(i: number): StoreServer {
    const { server } = this.seats[i];
    if (server === undefined) throw new Error(`member ${i} does not run`);
    return server;
  }

  /** Place of the member that leads; waits for one that all running members agree on. */
  async leader(): Promise<number> {
    const found = (): number =>
      this.seats.findIndex(
        ({ server }) =>
          server?.replica.isLeader === true &&
          this.running().every((each) => each.replica.leaderId === server.memberId),
      );
    await until(() => found() >= 0, 'a leader');
    return found();
  }

  /** Cuts a member off from all others, both ways. */
  isolate(i: number): void {
    this.eachLink(i, (from, to) => this.network.cut(from, to));
  }

  mend(i: number): void {
    this.eachLink(i, (from, to) => this.network.mend(from, to));
  }

  /** A channel to one member, with the hooks a port has. */
  channel(i: number): Channel {
    const server = this.server(i);
    const channel = inProcessChannel(server.table, { hooks: server.hooks, maxReceiveBytes: 4_000_000 });
    this.channels.push(channel);
    return channel;
  }

  /** A client of the members in these places. */
  client(
    places: readonly number[] = this.seats.map((_, i) => i),
    credentials: { readonly user?: string; readonly password?: string } = {},
  ): Client {
    const client = createClient({
      ...credentials,
      endpoints: places.map((i) => `127.0.0.1:${i + 1}`),
      channelFactory: (address) => this.channel(Number(address.split(':').at(-1)) - 1),
    });
    this.clients.push(client);
    return client;
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.close();
    for (const channel of this.channels) channel.close();
    await Promise.all(this.seats.map((_, i) => this.stopMember(i)));
  }

  private eachLink(i: number, task: (from: bigint, to: bigint) => void): void {
    const self = this.server(i).memberId;
    for (const { memberId } of this.running()) {
      if (memberId === self) continue;
      task(self, memberId);
      task(memberId, self);
    }
  }
}

function newSeat(peerPort: number, i: number): Seat {
  return {
    name: `m${i + 1}`,
    peerPort,
    disk: new MemoryDisk(),
    home: new MemoryHome(() => new MemoryBackend()),
    server: undefined,
  };
}

function urlsOf(text: string): ServerConfig['listenPeerUrls'] {
  const parsed = parseUniqueUrls(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
