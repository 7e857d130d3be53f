/**
 * All HTTP a member serves to clients, joined: gateway, health, metrics, version and debugging behind one door for the
 * client ports, and listeners of their own where flags ask for them. It only joins.
 */
import type { Clock, Logger } from '@keelson/base';
import type { Status } from '@keelson/raft';
import { inProcessChannel, type CallHooks, type Channel, type MethodTable } from '@keelson/rpc';
import type { ServerConfig } from './config/flag-table.ts';
import type { Replica } from './consensus/replica.ts';
import { ClientHttp, plainDoor } from './http/client-http.ts';
import { debugVarsHandler } from './http/debug.ts';
import { Gateway } from './http/gateway.ts';
import type { HttpHandler } from './http/http-answer.ts';
import { HttpListener } from './http/http-listener.ts';
import { healthHandlers } from './http/health.ts';
import { metricsHandler } from './http/metrics-handler.ts';
import { versionHandler } from './http/peer-info.ts';
import { pprofHandlers } from './http/pprof.ts';
import type { ProcessFacts } from './http/process-facts.ts';
import { registerRuntime } from './http/runtime-metrics.ts';
import { receiveBytesMax } from './limits.ts';
import type { Registry } from './metrics/registry.ts';

export interface MemberHttpParts {
  readonly config: ServerConfig;
  readonly replica: Replica;
  readonly table: MethodTable;
  /** Those of gRPC: a call through the gateway passes the same. */
  readonly hooks: CallHooks;
  readonly registry: Registry;
  readonly facts: ProcessFacts;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly raftStatus: () => Status;
  /** Measures what metrics only look at. */
  readonly beforeScrape: () => Promise<void>;
}

export class MemberHttp {
  /** Serves connections of the client ports that speak HTTP/1. */
  readonly clients: HttpListener;
  /** Of --listen-metrics-urls: metrics and health, nothing else. */
  readonly metrics: HttpListener;
  private readonly channel: Channel;

  static async create(parts: MemberHttpParts): Promise<MemberHttp> {
    const { config, table, hooks, clock } = parts;
    const messageBytesMax = receiveBytesMax(config.maxRequestBytes);
    const channel = inProcessChannel(table, { maxReceiveBytes: messageBytesMax, hooks, clock });
    const gateway = config.enableGrpcGateway
      ? await Gateway.load({ channel, messageBytesMax, concurrentMax: config.maxConcurrentStreams })
      : undefined;
    return new MemberHttp(parts, channel, gateway);
  }

  private constructor(parts: MemberHttpParts, channel: Channel, gateway: Gateway | undefined) {
    const { config, replica, registry, facts, logger } = parts;
    this.channel = channel;
    registerRuntime(registry, facts);
    const health = healthHandlers(
      replica,
      {
        succeeded: registry.counter('etcd_server_health_success', 'Health checks that succeeded.'),
        failed: registry.counter('etcd_server_health_failures', 'Health checks that failed.'),
        check: registry.gauges('etcd_server_healthcheck', 'Outcome of each check the last time.', [
          'type',
          'name',
        ]),
        checks: registry.counters('etcd_server_healthchecks_total', 'Outcomes of each check.', [
          'type',
          'name',
          'status',
        ]),
      },
      logger,
    );
    const watched = new Map<string, HttpHandler>(health);
    watched.set('/metrics', metricsHandler(registry, parts.beforeScrape));
    this.metrics = new HttpListener(plainDoor(watched));
    const handlers = new Map(watched);
    handlers.set('/version', versionHandler(replica.state.membership));
    handlers.set('/debug/vars', debugVarsHandler(facts, parts.raftStatus));
    if (config.enablePprof)
      for (const [path, handler] of pprofHandlers(facts, parts.clock)) handlers.set(path, handler);
    if (gateway !== undefined) {
      registry.read(
        'gauge',
        'keelson_gateway_calls',
        'Calls of the JSON gateway.',
        () => gateway.runningCount,
      );
      registry.read(
        'gauge',
        'keelson_gateway_calls_max',
        'Calls of the gateway at a time.',
        () => config.maxConcurrentStreams,
      );
      registry.read(
        'gauge',
        'keelson_gateway_calls_waiting',
        'Calls of the gateway that wait.',
        () => gateway.waitingCount,
      );
    }
    const door = new ClientHttp({
      gateway,
      handlers,
      origins: config.cors,
      hosts: config.hostWhitelist,
      refusesCommonNames: () => config.clientCertAuth && replica.state.auth.enabled,
      logger,
    });
    this.clients = new HttpListener(door);
  }

  /** Takes no more requests; those under way may end until stop(). */
  drain(): void {
    this.clients.drain();
    this.metrics.drain();
  }

  /** Cuts what is left. */
  stop(): void {
    this.channel.close();
    this.clients.cut();
    this.metrics.cut();
  }
}
