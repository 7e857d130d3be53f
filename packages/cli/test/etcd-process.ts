/** A real etcd of one member on loopback, for differential tests; and whether this machine has one. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const found = (program: string): boolean =>
  spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;

export const HAS_ETCD = found('etcd') && found('etcdctl');

export interface EtcdProcess {
  readonly endpoint: string;
  stop(): Promise<void>;
}

/**
 * Starts etcd with a fresh data directory; resolves when it serves. The same ports give the same ids.
 * @param tls flags by which it serves clients with TLS
 */
export async function startEtcd(
  [client, peer]: readonly number[],
  tls: readonly string[] = [],
): Promise<EtcdProcess> {
  const directory = mkdtempSync(path.join(tmpdir(), 'keelson-etcd-'));
  const clientUrl = `${tls.length > 0 ? 'https' : 'http'}://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const child = spawn(
    'etcd',
    [
      `--data-dir=${path.join(directory, 'data')}`,
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      '--heartbeat-interval=10',
      '--election-timeout=100',
      '--logger=zap',
      '--log-outputs=stderr',
      ...tls,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let log = '';
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      if (
        log.includes('serving insecure client requests') ||
        log.includes('serving client traffic insecurely') ||
        log.includes('serving client traffic securely')
      ) {
        resolve();
      }
    });
    void ended.then(() => reject(new Error(`etcd ended: ${log}`)));
  });
  return {
    endpoint: `127.0.0.1:${client}`,
    async stop() {
      child.kill('SIGKILL');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
