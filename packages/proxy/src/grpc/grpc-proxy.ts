/**
 * `etcd grpc-proxy start`: flags in, a proxy that serves until a signal ends it, an exit code out. Log lines go to
 * standard error, one JSON object each. (etcd: etcdmain/grpc_proxy.go.)
 */
import { lookup, resolveSrv } from 'node:dns/promises';
import { hostname } from 'node:os';
import { JsonLogger, Prng, systemClock, toError, type Logger } from '@keelson/base';
import { processFacts } from '@keelson/store';
import type { ProxyIo } from '../io.ts';
import type { StartCommand } from '../start-command.ts';
import { listenText } from '../tcp/dial-text.ts';
import { discover } from '../tcp/targets.ts';
import { GRPC_PROXY_FLAGS, configOf, type GrpcProxyConfig } from './flags.ts';
import { GrpcProxy } from './proxy.ts';

export const GRPC_PROXY: StartCommand = {
  flags: GRPC_PROXY_FLAGS,
  run: (values, io) => {
    const config = configOf(values);
    if (typeof config !== 'string') return startGrpcProxy(config, io);
    io.err(`${config}\n`);
    return Promise.resolve(1);
  },
};

/** Runs until it is asked to stop. @returns the exit code */
export async function startGrpcProxy(config: GrpcProxyConfig, io: ProxyIo): Promise<number> {
  const logger = new JsonLogger(
    (line) => io.err(line),
    () => systemClock.nowMs(),
    config.debug ? 'debug' : 'info',
    'etcdmain/grpc_proxy.go',
  );
  let proxy: GrpcProxy;
  try {
    proxy = await GrpcProxy.start(
      config,
      {
        clock: systemClock,
        logger,
        prng: new Prng(systemClock.nowMs()),
        hostname: hostname(),
        facts: processFacts(),
      },
      await membersOf(config, logger),
    );
  } catch (error) {
    const cause = toError(error);
    const listening = 'syscall' in cause && cause.syscall === 'listen';
    io.err(`${listening ? listenText(config.listenAddr, cause) : cause.message.trimEnd()}\n`);
    return 1;
  }
  return new Promise((resolve) => {
    const forget = io.onStop((signal) => {
      forget();
      logger.info('received signal; shutting down', { signal });
      void proxy.stop().then(() => {
        logger.info('stop listening gRPC proxy client requests', { address: config.listenAddr });
        resolve(0);
      });
    });
  });
}

/** Those that DNS names, else those that were given. @throws GatewayError when DNS does not answer */
async function membersOf(config: GrpcProxyConfig, logger: Logger): Promise<readonly string[]> {
  const { discoverySrv, discoverySrvName, insecureDiscovery, cacert, listenAddr, endpoints } = config;
  const asked = {
    discoverySrv,
    discoverySrvName,
    insecureDiscovery,
    trustedCaFile: cacert,
    listenAddr,
    endpoints,
  };
  const resolver = {
    srv: resolveSrv,
    addresses: async (host: string) => (await lookup(host, { all: true })).map(({ address }) => address),
  };
  const found = await discover(asked, resolver, logger);
  return found.length > 0 ? found.map(({ endpoint }) => endpoint) : endpoints;
}
