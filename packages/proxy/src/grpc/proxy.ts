/**
 * The proxy: builds its parts, joins them, starts and stops them in order, and does nothing else.
 * (etcd: etcdmain/grpc_proxy.go.)
 */
import { toError, type Clock, type Logger, type Prng, type Timer } from '@keelson/base';
import { parseAddress } from '@keelson/client';
import { ProtoError, etcdserverpb, services } from '@keelson/proto';
import {
  MethodTable,
  RpcError,
  StatusCode,
  nativeChannel,
  nativeServer,
  statusName,
  type CallHooks,
  type Channel,
  type DialTls,
  type RpcServer,
} from '@keelson/rpc';
import {
  CallMetrics,
  HttpListener,
  Registry,
  describeSettings,
  metricsHandler,
  plainDoor,
  pprofHandlers,
  registerRuntime,
  splitHostPort,
  type HttpHandler,
  type ProcessFacts,
  type TlsSettings,
} from '@keelson/store';
import { ProxyList, registerMemberList } from './cluster.ts';
import type { GrpcProxyConfig } from './flags.ts';
import { registerForwarded } from './forward.ts';
import { healthHandler, memberMetrics, readable, serving } from './http.ts';
import { KeepAlives } from './keep-alive.ts';
import { registerKv, type CacheCounters } from './kv.ts';
import { Leader } from './leader.ts';
import { registerMetrics } from './metrics.ts';
import { Namespace } from './namespace.ts';
import { RevisionOrder } from './ordering.ts';
import { Port } from './port.ts';
import { raw } from './raw.ts';
import { RangeCache } from './range-cache.ts';
import { Registration } from './registration.ts';
import { ProxyStartError, listenTls, memberTls, ownTls } from './tls.ts';
import { Upstream } from './upstream.ts';
import { WatchHub } from './watch-hub.ts';
import { serveWatch, type WatchCounters, type WatchStream } from './watch-stream.ts';

/** Calls under way get this long when the proxy is asked to stop. */
const DRAIN_MS = 5_000;
const ORDER_AGAIN_MS = 1_000;
/** One stream carries what many clients watch: more may be on its way than of a stream of one client's. */
const STREAM_WINDOW_BYTES = 2 * 1024 * 1024;

/** What of the outer world it asks. */
export interface GrpcProxyWorld {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly prng: Prng;
  readonly hostname: string;
  readonly facts: ProcessFacts;
}

/** What a client sent that is no message is its fault, as in grpc-go. */
class ProxyTable extends MethodTable {
  override failureOf(reason: unknown): unknown {
    if (!(reason instanceof ProtoError)) return reason;
    return new RpcError(StatusCode.Internal, `grpc: error unmarshalling request: ${reason.message}`);
  }
}

export class GrpcProxy {
  /** Where clients find it. */
  port = 0;
  /** Where metrics have an address of their own; 0: nowhere. */
  metricsPort = 0;
  readonly registry = new Registry();
  private readonly config: GrpcProxyConfig;
  private readonly world: GrpcProxyWorld;
  private readonly tls: TlsSettings | undefined;
  private readonly memberTls: DialTls | undefined;
  private readonly upstream: Upstream;
  /** How the proxy reaches itself, to see whether it serves. */
  private readonly own: Upstream | undefined;
  private readonly namespace: Namespace;
  private readonly hub: WatchHub;
  private readonly leader: Leader;
  private readonly watchStreams = new Set<WatchStream>();
  private readonly keepAlives: KeepAlives;
  private readonly proxies: ProxyList | undefined;
  private readonly registration: Registration | undefined;
  private readonly server: RpcServer;
  private readonly http: HttpListener;
  private readonly ports: Port[] = [];
  private syncTimer: Timer | undefined = undefined;
  private stopped = false;

  /**
   * A proxy that serves.
   * @param endpoints the members, in place of config's: found elsewhere
   * @throws ProxyStartError, TlsFileError, TypeError for endpoints that are none; node's listen errors
   */
  static async start(
    config: GrpcProxyConfig,
    world: GrpcProxyWorld,
    endpoints: readonly string[] = config.endpoints,
  ): Promise<GrpcProxy> {
    const proxy = new GrpcProxy(config, world, endpoints);
    try {
      await proxy.open();
    } catch (error) {
      await proxy.stop();
      throw error;
    }
    return proxy;
  }

  private constructor(config: GrpcProxyConfig, world: GrpcProxyWorld, endpoints: readonly string[]) {
    const { clock, logger, hostname } = world;
    this.config = config;
    this.world = world;
    this.tls = listenTls(config, clock, logger);
    if (this.tls !== undefined)
      logger.info('gRPC proxy server TLS', { 'tls-info': describeSettings(this.tls) });
    this.memberTls = this.dialTls(endpoints);
    const { advertiseClientUrl: advertised, resolverPrefix: prefix } = config;
    this.upstream = this.upstreamTo(endpoints, this.memberTls);
    this.own = advertised === '' ? undefined : this.upstreamTo([advertised], this.tls && ownTls(this.tls));
    this.namespace = new Namespace(config.namespace);
    this.hub = new WatchHub(this.upstream, this.namespace);
    this.leader = new Leader(this.upstream, (endpoint) => this.hub.leave(endpoint));
    this.keepAlives = new KeepAlives(this.upstream, this.leader);
    const parts = { upstream: this.upstream, hub: this.hub, namespace: this.namespace, logger, hostname };
    const clusterParts = { ...parts, advertised, prefix };
    this.proxies = advertised === '' || prefix === '' ? undefined : new ProxyList(clusterParts);
    this.registration =
      prefix === ''
        ? undefined
        : new Registration({ ...parts, prefix, address: advertised, ttlSeconds: config.resolverTtlSeconds });

    const cache = new RangeCache();
    const cacheCounters: CacheCounters = { hits: 0, misses: 0 };
    const watchCounters: WatchCounters = { queued: 0, queuedBytes: 0, parked: 0, parkedTotal: 0 };
    const table = new ProxyTable();
    const kvParts = { ...parts, cache };
    const order = config.serializableOrdering ? new RevisionOrder() : undefined;
    registerKv(table, { ...kvParts, counters: cacheCounters, order });
    const { leader, hub, namespace, upstream, watchStreams } = this;
    table.bidi(raw(services.Watch.methods.watch), (stream) =>
      serveWatch(stream, { hub, upstream, namespace, leader, counters: watchCounters, open: watchStreams }),
    );
    table.bidi(raw(services.Lease.methods.leaseKeepAlive), (stream) => this.keepAlives.serve(stream));
    registerForwarded(table, kvParts);
    registerMemberList(table, clusterParts, this.proxies);
    const { keepAlives, registry } = this;
    registerMetrics(registry, { cache, cacheCounters, hub, watchCounters, watchStreams, keepAlives });
    registerRuntime(registry, world.facts);

    this.server = nativeServer(table, {
      clock,
      hooks: new CallMetrics(registry, table, false).around(this.hooks()),
      ...(config.streamsMax < 2 ** 32 - 1 && { maxConcurrentStreams: config.streamsMax }),
      ...(config.keepaliveIntervalMs > 0 && { keepaliveIntervalMs: config.keepaliveIntervalMs }),
      ...(config.keepaliveTimeoutMs > 0 && { keepaliveTimeoutMs: config.keepaliveTimeoutMs }),
      ...(config.keepaliveMinTimeMs > 0 && { limits: { pingIntervalMs: config.keepaliveMinTimeMs } }),
    });
    this.http = new HttpListener(plainDoor(this.handlers()));
  }

  /** Stops in order: no new calls, what is under way may finish, then streams, the registration and connections. */
  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    this.syncTimer?.cancel();
    const closed = Promise.all(this.ports.map((port) => port.close()));
    this.http.drain();
    this.proxies?.stop();
    const stopping = new RpcError(StatusCode.Unavailable, 'etcdserver: server stopped');
    for (const stream of [...this.watchStreams]) stream.fail(stopping);
    this.keepAlives.close(stopping);
    await this.registration?.stop();
    this.hub.close();
    this.leader.close();
    this.own?.close();
    await this.server.drain(DRAIN_MS);
    this.http.cut();
    this.upstream.close();
    // A listener is closed when its last connection is.
    await closed;
  }

  private async open(): Promise<void> {
    const { config, world } = this;
    const { logger } = world;
    const listen = splitHostPort(config.listenAddr);
    if (listen === undefined)
      throw new ProxyStartError(`listen tcp: address ${config.listenAddr}: missing port in address`);
    const door = this.newPort(true, this.tls);
    this.port = await door.listen(listen.host, portNumber(listen.port));
    logger.info('listening for gRPC proxy client requests', { address: config.listenAddr });
    if (this.own !== undefined)
      logger.info('create proxy client', { grpcProxyAdvertiseClientURL: config.advertiseClientUrl });
    if (config.enablePprof) logger.info('gRPC proxy enabled pprof', { path: '/debug/pprof' });
    this.leader.start();
    if (config.serializableOrdering) await this.recoverOrder();
    this.proxies?.start();
    this.registration?.start();
    this.sync();
    if (config.metricsAddr !== '') await this.openMetrics(config.metricsAddr);
    logger.info('started gRPC proxy', { address: config.listenAddr });
  }

  private async openMetrics(address: string): Promise<void> {
    const { logger } = this.world;
    const parsed = /^(https?):\/\/([^/]*)/.exec(address);
    const listen = parsed === null ? undefined : splitHostPort(parsed[2]);
    if (parsed === null || listen === undefined)
      throw new ProxyStartError(`cannot parse ${JSON.stringify(address)}`);
    const secure = parsed[1] === 'https';
    if (secure && this.tls === undefined)
      throw new ProxyStartError('cannot listen on TLS: KeyFile and CertFile are not presented');
    const door = this.newPort(false, secure ? this.tls : undefined);
    this.metricsPort = await door.listen(listen.host, portNumber(listen.port));
    logger.info('gRPC proxy listening for metrics', { address });
    logger.info('gRPC proxy server metrics URL serving');
  }

  private newPort(grpc: boolean, tls: TlsSettings | undefined): Port {
    const { clock, logger } = this.world;
    const port = new Port(
      { clock, logger, tls },
      {
        grpc: grpc ? (socket, head) => this.server.accept(socket, head) : undefined,
        http: (socket) => this.http.accept(socket),
      },
    );
    this.ports.push(port);
    return port;
  }

  private handlers(): ReadonlyMap<string, HttpHandler> {
    const { upstream, namespace, own, world, config } = this;
    const { logger, facts, clock } = world;
    // Whoever asks through the proxy is inside its namespace already.
    const outside = new Namespace('');
    const handlers = new Map<string, HttpHandler>([
      ['/metrics', memberMetrics(upstream, this.memberTls)],
      ['/health', healthHandler('/health', logger, () => readable(upstream, namespace))],
      ['/proxy/metrics', metricsHandler(this.registry, () => Promise.resolve())],
      ['/proxy/health', healthHandler('/proxy/health', logger, () => serving(own, outside))],
    ]);
    if (config.enablePprof)
      for (const [path, handler] of pprofHandlers(facts, clock)) handlers.set(path, handler);
    return handlers;
  }

  private hooks(): CallHooks {
    const { logger } = this.world;
    const unexpected: CallHooks['unexpected'] = (call, error) => {
      logger.error('unexpected failure of a call', { method: call.path, error: toError(error).message });
    };
    if (!this.config.enableGrpcLogging) return { unexpected };
    return {
      unexpected,
      after: (call, outcome) =>
        logger.info('finished call', {
          'grpc.method': call.path,
          'peer.address': call.peer,
          'grpc.code': statusName(outcome.code),
          'grpc.time_ms': Math.round(outcome.durationMs * 1_000) / 1_000,
          'request-count': outcome.receivedCount,
          'request-bytes': outcome.receivedBytes,
          'response-count': outcome.sentCount,
          'response-bytes': outcome.sentBytes,
        }),
    };
  }

  private dialTls(endpoints: readonly string[]): DialTls | undefined {
    const { config, world } = this;
    const tls = memberTls(config);
    if (tls !== undefined) {
      const { cert, key, cacert } = config;
      if (config.insecureSkipTlsVerify)
        world.logger.warn(
          '--insecure-skip-tls-verify was given, this grpc proxy process skips authentication of etcd server TLS certificates. This option should be enabled only for testing purposes.',
        );
      world.logger.info('gRPC proxy client TLS', {
        'tls-info': `cert = ${cert}, key = ${key}, client-cert=, client-key=, trusted-ca = ${cacert}, client-cert-auth = false, crl-file = `,
      });
    }
    return tls ?? (endpoints.some((each) => parseAddress(each).secure === true) ? () => ({}) : undefined);
  }

  /** @throws TypeError for an endpoint that is none */
  private upstreamTo(endpoints: readonly string[], tls: DialTls | undefined): Upstream {
    const { clock, prng } = this.world;
    const { config } = this;
    const channelFactory = (address: string, secure: boolean | undefined): Channel =>
      nativeChannel(address, {
        clock,
        limits: { streamWindowBytes: STREAM_WINDOW_BYTES },
        maxReceiveBytes: config.receiveBytesMax > 0 ? config.receiveBytesMax : 2 ** 31 - 1,
        ...(config.dialKeepaliveTimeMs > 0 && { keepaliveIntervalMs: config.dialKeepaliveTimeMs }),
        ...(config.dialKeepaliveTimeoutMs > 0 && { keepaliveTimeoutMs: config.dialKeepaliveTimeoutMs }),
        ...((secure ?? tls !== undefined) && { tls: tls ?? ((): ReturnType<DialTls> => ({})) }),
      });
    return new Upstream({
      endpoints,
      channelFactory,
      clock,
      prng,
      secure: tls !== undefined,
      sendBytesMax: config.sendBytesMax,
    });
  }

  /** Serializable reads begin behind what the cluster has agreed on. */
  private async recoverOrder(): Promise<void> {
    const { logger } = this.world;
    logger.info('waiting for linearized read from cluster to recover ordering');
    const request = new etcdserverpb.RangeRequest({ key: Buffer.from('_'), keysOnly: true });
    const bytes = etcdserverpb.encodeRangeRequest(request);
    while (!this.stopped) {
      try {
        await this.upstream.ask(raw(services.KV.methods.range), bytes, 'read');
        return;
      } catch (error) {
        logger.warn('ordering recovery failed, retrying in 1s', { error: toError(error).message });
        await this.upstream.wait(ORDER_AGAIN_MS);
      }
    }
  }

  /** --endpoints-auto-sync-interval: the members as the cluster lists them, again and again. */
  private sync(): void {
    const { autoSyncIntervalMs } = this.config;
    if (autoSyncIntervalMs <= 0 || this.stopped) return;
    this.syncTimer = this.world.clock.setTimer(autoSyncIntervalMs, () => void this.syncOnce());
  }

  private async syncOnce(): Promise<void> {
    const { logger } = this.world;
    try {
      const request = etcdserverpb.encodeMemberListRequest(
        new etcdserverpb.MemberListRequest({ linearizable: true }),
      );
      const answer = await this.upstream.ask(raw(services.Cluster.methods.memberList), request, 'read', {
        timeoutMs: 5_000,
      });
      const { members } = etcdserverpb.decodeMemberListResponse(answer);
      const urls = members.filter(({ isLearner }) => !isLearner).flatMap(({ clientURLs }) => clientURLs);
      if (urls.length > 0 && !this.stopped) {
        this.upstream.setEndpoints(urls);
        logger.debug('set etcd endpoints by autoSync', { endpoints: urls });
      }
    } catch (error) {
      logger.warn('Auto sync endpoints failed.', { error: toError(error).message });
    }
    this.sync();
  }
}

/** @throws ProxyStartError for what is no port */
function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new ProxyStartError(
      `listen tcp: ${/^\d+$/.test(text) ? `address ${text}: invalid port` : `lookup tcp/${text}: unknown port`}`,
    );
  return port;
}
