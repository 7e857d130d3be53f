/**
 * The command: flags in, a running server, an exit code out. Opens what a process has one of (files, the network of the
 * machine, dice, signals) and hands it to kube-apiserver.ts. The log goes to standard error, in klog's form.
 */

import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';

import { Profiles, systemClock, toError, type Logger } from '@keelson/base';

import { firstAddress } from './bootstrap/kubernetes-service.ts';
import { CredentialFolder } from './credentials/credential-store.ts';
import { gatherCredentials, type ServerCredentials } from './credentials/credentials.ts';
import { writeAdminConfig } from './credentials/own-pairs.ts';
import { etcdClient } from './assembly/etcd-client.ts';
import { API_VERSION } from './handlers/version.ts';
import { KubeApiServer } from './kube-apiserver.ts';
import { KlogLogger } from './logging/klog.ts';
import type { MetricsRegistry } from './metrics/registry.ts';
import { parseConfig, type Parsed } from './options/command-line.ts';
import type { ServerConfig } from './options/config.ts';
import { processMetrics } from './assembly/process-metrics.ts';
import { processWorld, readFile } from './process-world.ts';
import { servingNames, type Machine } from './assembly/serving-names.ts';

export const KUBERNETES_VERSION = `v${API_VERSION.major}.${API_VERSION.minor}.${API_VERSION.patch}+keelson`;

/** Exit code of a process that ends itself by a signal a second time. */
const FORCED_EXIT = 1;

/** Where the command writes. */
export interface Streams {
  out(text: string): void;
  err(text: string): void;
}

const PROCESS_STREAMS: Streams = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};

/** Something that runs in the server's process and works through it: control loops. */
export interface Beside {
  stop(): Promise<void>;
}

export interface MainOptions {
  /** How it was called, for the help. */
  readonly program?: string;
  readonly streams?: Streams;
  /**
   * Begins what runs beside the server, once its port is open.
   *
   * @param credentials PEM of what clients verify the port by, and the authority that signs users' certificates
   */
  readonly beside?: (
    server: KubeApiServer,
    logger: Logger,
    credentials: Pick<ServerCredentials, 'rootCertificate' | 'clientAuthority'>,
  ) => Beside;
}

/**
 * Runs a server until a signal ends it.
 *
 * @returns the exit code
 */
export async function main(argv: readonly string[], options: MainOptions = {}): Promise<number> {
  const { program = 'kube-apiserver', streams = PROCESS_STREAMS } = options;
  const parsed = parseConfig(argv, program);
  if (parsed.kind !== 'config') return refuse(parsed, streams);
  const { config, warnings } = parsed;
  const logger = new KlogLogger({
    write: (line) => streams.err(line),
    nowMs: () => systemClock.nowMs(),
    pid: process.pid,
    format: config.logFormat,
    verbosity: config.verbosity,
  });
  logger.info('Version', { version: KUBERNETES_VERSION });
  for (const warning of warnings) logger.warn(warning);
  try {
    return await serve(config, logger, options.beside);
  } catch (error) {
    logger.error('command failed', { error: toError(error).message });
    return 1;
  }
}

async function serve(
  config: ServerConfig,
  logger: KlogLogger,
  beside: MainOptions['beside'],
): Promise<number> {
  const store = new CredentialFolder(config.certDir);
  const machine = thisMachine();
  const credentials = gatherCredentials({
    config,
    store,
    readFile,
    names: servingNames(config, machine, firstAddress(config.serviceNetworks[0])),
    nowMs: systemClock.nowMs(),
  });
  const client = etcdClient(config.etcd, systemClock);
  try {
    const server = new KubeApiServer({
      config,
      credentials,
      client,
      clock: systemClock,
      logger,
      ...processWorld(systemClock),
      machine,
      profiler: new Profiles(systemClock),
      setVerbosity: (verbosity) => {
        logger.verbosity = verbosity;
      },
      print: (text) => void process.stdout.write(text),
      processMetrics: (registry) => describeProcess(registry),
      build: { commit: '', date: '1970-01-01T00:00:00Z', platform: `${process.platform}/${process.arch}` },
    });
    const stop = untilStopped(logger);
    const port = await server.start();
    if (credentials.admin !== undefined) {
      const url = `https://127.0.0.1:${port}`;
      const { path } = writeAdminConfig(store, url, credentials.rootCertificate, credentials.admin);
      logger.info("The administrator's kubeconfig is written", { path });
    }
    const companion = beside?.(server, logger, credentials);
    const signal = await stop;
    logger.info('Received termination signal, shutting down', { signal });
    process.once(signal, () => process.exit(FORCED_EXIT));
    await companion?.stop();
    await server.stop();
    logger.info('Shutdown is complete');
    return 0;
  } finally {
    client.close();
  }
}

/** Listens from now on, so that a signal during the start counts. */
function untilStopped(logger: Logger): Promise<'SIGTERM' | 'SIGINT'> {
  process.on('uncaughtException', (error) => {
    logger.log('fatal', 'unexpected failure', { error: error.stack ?? error.message });
    process.exit(1);
  });
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve('SIGTERM'));
    process.once('SIGINT', () => resolve('SIGINT'));
  });
}

function thisMachine(): Machine {
  const found = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses);
  const reachable = found.filter(({ internal, address }) => !internal && !address.startsWith('fe80:'));
  const ofFamily = (family: string): string[] =>
    reachable.filter((one) => one.family === family).map(({ address }) => address);
  return { hostname: hostname(), addresses: [...ofFamily('IPv4'), ...ofFamily('IPv6')] };
}

function describeProcess(registry: MetricsRegistry): void {
  processMetrics(registry, {
    residentBytes: () => process.memoryUsage.rss(),
    cpuSeconds: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
    openFiles: () => ofSystem(() => readdirSync('/proc/self/fd').length),
    openFilesMax: () =>
      ofSystem(() => Number(/^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1])),
    virtualBytes: () =>
      ofSystem(
        () => Number(/^VmSize:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024,
      ),
    startSeconds: (systemClock.nowMs() - process.uptime() * 1000) / 1000,
  });
}

/** A figure of /proc; undefined on systems without one. */
function ofSystem(read: () => number): number | undefined {
  try {
    const value = read();
    return Number.isFinite(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function refuse(parsed: Exclude<Parsed, { kind: 'config' }>, streams: Streams): number {
  switch (parsed.kind) {
    case 'help':
      streams.out(parsed.text);
      return 0;
    case 'version':
      streams.out(`Kubernetes ${KUBERNETES_VERSION}\n`);
      return 0;
    case 'invalid':
      streams.err(`Error: ${parsed.message}\n`);
      return 1;
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  void main(process.argv.slice(2)).then((code) => {
    // What was written must be out before the process goes.
    process.stderr.write('', () => process.stdout.write('', () => process.exit(code)));
  });
}
