/**
 * `etcd gateway start`: flags in, a forwarder of connections until a signal ends it (etcd's
 * server/etcdmain/gateway.go). Its log lines are etcd's, and go to standard error.
 */
import { lookup, resolveSrv } from 'node:dns/promises';
import { JsonLogger, Prng, systemClock, toError, type Clock } from '@keelson/base';
import { formatGoDuration } from '@keelson/store';
import type { StartCommand } from '../start-command.ts';
import type { FlagSpec } from '../flags.ts';
import type { ProxyIo } from '../io.ts';
import { listenText } from './dial-text.ts';
import { Remotes } from './remotes.ts';
import { GatewayError, planOf, type Asked, type Plan, type Resolver } from './targets.ts';
import { TcpProxy } from './tcp-proxy.ts';

const FLAGS: readonly FlagSpec[] = [
  { name: 'listen-addr', kind: 'string', initial: '127.0.0.1:23790', usage: 'listen address' },
  {
    name: 'discovery-srv',
    kind: 'string',
    initial: '',
    usage: 'DNS domain used to bootstrap initial cluster',
  },
  {
    name: 'discovery-srv-name',
    kind: 'string',
    initial: '',
    usage: 'service name to query when using DNS discovery',
  },
  { name: 'insecure-discovery', kind: 'bool', initial: 'false', usage: 'accept insecure SRV records' },
  {
    name: 'trusted-ca-file',
    kind: 'string',
    initial: '',
    usage:
      'path to the client server TLS CA file for verifying the discovered endpoints when discovery-srv is provided.',
  },
  {
    name: 'endpoints',
    kind: 'strings',
    initial: '127.0.0.1:2379',
    usage: 'comma separated etcd cluster endpoints',
  },
  {
    name: 'retry-delay',
    kind: 'duration',
    initial: '1m0s',
    usage: 'duration of delay before retrying failed endpoints',
  },
];

/** What stands for a delay of 0 (etcd's). */
const RETRY_DELAY_MS_FOR_ZERO = 5 * 60_000;

const SYSTEM_RESOLVER: Resolver = {
  srv: resolveSrv,
  addresses: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
};

/** What of the outer world it asks; tests bring their own names. */
export interface GatewayWorld {
  readonly clock: Clock;
  readonly resolver: Resolver;
}

export const GATEWAY: StartCommand = {
  flags: FLAGS,
  run: (values, io, argv) => {
    const asked: Asked = {
      listenAddr: values.string('listen-addr'),
      endpoints: values.strings('endpoints'),
      discoverySrv: values.string('discovery-srv'),
      discoverySrvName: values.string('discovery-srv-name'),
      insecureDiscovery: values.bool('insecure-discovery'),
      trustedCaFile: values.string('trusted-ca-file'),
    };
    const world = { clock: systemClock, resolver: SYSTEM_RESOLVER };
    return startGateway(asked, values.durationMs('retry-delay'), ['etcd', ...argv], io, world);
  },
};

/** Runs until it is asked to stop. @returns the exit code */
export async function startGateway(
  asked: Asked,
  retryDelayMs: number,
  args: readonly string[],
  io: ProxyIo,
  world: GatewayWorld,
): Promise<number> {
  const { clock, resolver } = world;
  const logger = new JsonLogger(
    (line) => io.err(line),
    () => clock.nowMs(),
    'info',
    'etcdmain/gateway.go',
  );
  logger.info('Running: ', { args });
  let plan: Plan;
  try {
    plan = await planOf(asked, resolver, logger);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    io[error.stream](error.message);
    return 1;
  }
  const delayMs = retryDelayMs === 0 ? RETRY_DELAY_MS_FOR_ZERO : retryDelayMs;
  const proxy = new TcpProxy({
    remotes: new Remotes(plan.targets, new Prng(clock.nowMs())),
    retryDelayMs: delayMs,
    retryDelayText: formatGoDuration(delayMs),
    clock,
    logger: logger.named('tcpproxy/userspace.go'),
  });
  const { host, port } = plan.listen;
  if (!/^\d+$/.test(port) || Number(port) > 65_535) {
    io.err(
      `listen tcp: ${/^\d+$/.test(port) ? `address ${port}: invalid port` : `address tcp/${port}: unknown port`}\n`,
    );
    return 1;
  }
  try {
    // Go takes "localhost" for IPv4's loopback, Node for whatever the resolver names first.
    await proxy.listen(host === 'localhost' ? '127.0.0.1' : host, Number(port));
  } catch (error) {
    io.err(`${listenText(asked.listenAddr, toError(error))}\n`);
    return 1;
  }
  return new Promise((resolve) => {
    const forget = io.onStop((signal) => {
      forget();
      logger.info('received signal; shutting down', { signal });
      void proxy.close().then(() => resolve(0));
    });
  });
}
