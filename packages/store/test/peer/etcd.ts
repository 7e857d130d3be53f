/**
 * A real etcd as the other member of a two-member cluster, for tests of the wire between members: starts
 * the installed binary on loopback ports and computes the ids that it will compute.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../../base/test/until.ts';
import { freePorts } from '../../../base/test/free-ports.ts';

function sha1Head(bytes: Uint8Array): bigint {
  return createHash('sha1').update(bytes).digest().readBigUInt64BE(0);
}

/** etcd's id of a bootstrap member: SHA-1 over its sorted peer URLs and the cluster's token. */
export function memberId(peerUrls: readonly string[], token: string): bigint {
  return sha1Head(Buffer.from([...peerUrls].sort().join('') + token));
}

/** etcd's id of a bootstrapped cluster: SHA-1 over its sorted member ids. */
export function clusterId(memberIds: readonly bigint[]): bigint {
  const bytes = Buffer.alloc(8 * memberIds.length);
  [...memberIds]
    .sort((a, b) => (a < b ? -1 : 1))
    .forEach((id, i) => {
      bytes.writeBigUInt64BE(id, 8 * i);
    });
  return sha1Head(bytes);
}

export class RealEtcd {
  readonly peerUrl: string;
  readonly clientUrl: string;
  readonly dataDir: string;
  private readonly args: readonly string[];
  private kill: (() => Promise<void>) | undefined = undefined;
  log = '';

  private constructor(peerUrl: string, clientUrl: string, dataDir: string, args: readonly string[]) {
    this.peerUrl = peerUrl;
    this.clientUrl = clientUrl;
    this.dataDir = dataDir;
    this.args = args;
  }

  /** Prepares member "real" of a cluster whose other member is "ours" at `ourUrl`; its own has the same scheme. */
  static async prepare(ourUrl: string, token: string, extraArgs: readonly string[] = []): Promise<RealEtcd> {
    const [peerPort, clientPort] = await freePorts(2);
    const peerUrl = `${ourUrl.split(':', 1)[0]}://127.0.0.1:${peerPort}`;
    const clientUrl = `http://127.0.0.1:${clientPort}`;
    const dataDir = await mkdtemp(join(tmpdir(), 'keelson-peer-'));
    return new RealEtcd(peerUrl, clientUrl, dataDir, [
      '--name=real',
      `--data-dir=${dataDir}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--initial-cluster=real=${peerUrl},ours=${ourUrl}`,
      `--initial-cluster-token=${token}`,
      '--initial-cluster-state=new',
      '--heartbeat-interval=50',
      '--election-timeout=300',
      '--logger=zap',
      '--log-outputs=stderr',
      ...extraArgs,
    ]);
  }

  start(): void {
    // Where it keeps the sockets of unix URLs.
    const child = spawn('etcd', this.args, { cwd: this.dataDir, stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.on('data', (chunk: Buffer) => {
      this.log += chunk.toString('utf8');
    });
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => {
        this.kill = undefined;
        resolve();
      });
    });
    this.kill = () => {
      child.kill('SIGKILL');
      return ended;
    };
  }

  get running(): boolean {
    return this.kill !== undefined;
  }

  async stop(): Promise<void> {
    await this.kill?.();
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  /** The JSON API of the client port, tried until it answers with success. */
  async call(path: string, body: unknown): Promise<Record<string, unknown>> {
    let answer: Record<string, unknown> | undefined;
    let last: unknown;
    const attempt = async (): Promise<void> => {
      try {
        const response = await fetch(`${this.clientUrl}${path}`, {
          method: 'POST',
          body: JSON.stringify(body),
        });
        const text = await response.text();
        if (response.ok) answer = JSON.parse(text);
        else last = text;
      } catch (error) {
        last = error;
      }
    };
    try {
      await until(async () => {
        await attempt();
        return answer !== undefined;
      }, `${path} to answer`);
    } catch (cause) {
      throw new Error(`${path}: ${JSON.stringify(last)}`, { cause });
    }
    return answer ?? {};
  }
}
