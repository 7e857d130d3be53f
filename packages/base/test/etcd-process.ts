/**
 * A real etcd of one member on loopback, for differential tests; and whether this machine has one. Where it is missing
 * the suites skip visibly.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePorts } from './free-ports.ts';

/** "3.4.23", or undefined when no etcd is installed. */
export const ETCD_VERSION: string | undefined = /etcd Version: (\S+)/.exec(
  spawnSync('etcd', ['--version'], { encoding: 'utf8' }).stdout ?? '',
)?.[1];

/** Whether there is an etcd with its etcdctl. */
export const HAS_ETCD =
  ETCD_VERSION !== undefined && spawnSync('etcdctl', ['--version'], { stdio: 'ignore' }).error === undefined;

/** Somebody who chose its own port may have been faster. */
const ATTEMPTS = 3;
/** What its log says once it serves: of 3.4, of later versions, with TLS. */
const SERVES = [
  'serving insecure client requests',
  'serving client traffic insecurely',
  'serving client traffic securely',
  'serving client requests',
];

export interface EtcdOptions {
  /** The client's and the peers'; new ones where absent. The same ports give the same ids. */
  readonly ports?: readonly number[];
  /** Kept when it stops; a fresh one that is removed then, where absent. */
  readonly dataDir?: string;
  /** Default "default". */
  readonly name?: string;
  /** Flags by which it serves clients with TLS. */
  readonly tls?: readonly string[];
  readonly flags?: readonly string[];
}

export interface EtcdProcess {
  readonly endpoint: string;
  readonly url: string;
  readonly ports: readonly number[];
  /** Kills it: nothing is said, nothing is flushed; with SIGTERM it stops in order. May be called again. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Resolves when it serves. @throws Error with its log when it ends before */
export async function startEtcd(options: EtcdOptions = {}): Promise<EtcdProcess> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(options, options.ports ?? (await freePorts(2)));
    } catch (error) {
      const taken = String(error).includes('address already in use');
      if (!taken || options.ports !== undefined || attempt === ATTEMPTS) throw error;
    }
  }
}

async function start(options: EtcdOptions, ports: readonly number[]): Promise<EtcdProcess> {
  const { name = 'default', tls = [], flags = [] } = options;
  const home = mkdtempSync(path.join(tmpdir(), 'keelson-etcd-'));
  const [client, peer] = ports;
  const url = `${tls.length > 0 ? 'https' : 'http'}://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const child = spawn(
    'etcd',
    [
      `--name=${name}`,
      `--data-dir=${options.dataDir ?? path.join(home, 'data')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=${name}=${peerUrl}`,
      // A member on its own elects itself: the sooner the better for a test.
      '--heartbeat-interval=10',
      '--election-timeout=100',
      '--logger=zap',
      '--log-outputs=stderr',
      ...tls,
      ...flags,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      rmSync(home, { recursive: true, force: true });
      resolve();
    });
  });
  let log = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', function hear(chunk) {
      log += String(chunk);
      if (!SERVES.some((words) => log.includes(words))) return;
      child.stderr.off('data', hear).resume();
      resolve();
    });
    void ended.then(() => reject(new Error(`etcd ended before it served: ${log}`)));
  });
  return {
    endpoint: `127.0.0.1:${client}`,
    url,
    ports,
    async stop(signal = 'SIGKILL') {
      child.kill(signal);
      await ended;
    },
  };
}
