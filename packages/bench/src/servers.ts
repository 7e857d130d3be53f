/**
 * Clusters to measure: separate server processes on loopback, in directories of their own, all with the same
 * flags whatever the program. It waits by asking, never by reading logs, and removes what it made. Servers
 * die with this process.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { etcdserverpb, services } from '@keelson/proto';
import { cpuSeconds, memory, type Memory } from './proc.ts';
import { openChannel, type ClientTransport } from './transport.ts';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

export type Side = 'keelson' | 'etcd' | 'endpoints';

/** The program of a side. @throws RangeError with what to do when it is not there */
export function programOf(
  side: 'keelson' | 'etcd',
  env: Readonly<Record<string, string | undefined>>,
): string {
  if (side === 'keelson') return env['KEELSON_ETCD'] ?? path.join(ROOT, 'bin', 'etcd');
  const named = env['REFERENCE_ETCD'];
  if (named !== undefined) return named;
  for (const directory of (env['PATH'] ?? '').split(path.delimiter)) {
    const file = path.join(directory, 'etcd');
    if (directory !== '' && path.dirname(file) !== path.join(ROOT, 'bin') && existsSync(file)) return file;
  }
  throw new RangeError('no etcd on the PATH to compare with: install one, or name it in REFERENCE_ETCD');
}

export interface ServerUsage {
  readonly name: string;
  readonly cpuSeconds: number;
  readonly memory: Memory;
}

/** What a load runs against. */
export interface Subject {
  readonly side: Side;
  readonly addresses: readonly string[];
  /** Of each server process; empty when the servers are not ours. */
  usage(): ServerUsage[];
}

/** Servers somebody else runs. */
export function external(addresses: readonly string[]): Subject {
  return { side: 'endpoints', addresses, usage: () => [] };
}

export interface ClusterOptions {
  readonly side: 'keelson' | 'etcd';
  readonly program: string;
  readonly members: number;
  /** Parent of the data directories: its disk is what is measured. */
  readonly directory: string;
  readonly flags: readonly string[];
  readonly transport: ClientTransport;
}

interface Member {
  readonly name: string;
  readonly args: readonly string[];
  readonly address: string;
  readonly log: string;
  child: ChildProcess | undefined;
}

const START_LIMIT_MS = 120_000;

export class Cluster implements Subject {
  readonly side: 'keelson' | 'etcd';
  readonly addresses: readonly string[];
  private readonly options: ClusterOptions;
  private readonly home: string;
  private readonly members: readonly Member[];
  private readonly killAll = (): void => {
    for (const member of this.members) member.child?.kill('SIGKILL');
  };

  private constructor(options: ClusterOptions, home: string, members: readonly Member[]) {
    this.options = options;
    this.side = options.side;
    this.home = home;
    this.members = members;
    this.addresses = members.map((member) => member.address);
    process.once('exit', this.killAll);
  }

  /** Directories and ports, nothing started. */
  static async prepare(options: ClusterOptions): Promise<Cluster> {
    const ports = await freePorts(2 * options.members);
    const home = mkdtempSync(path.join(options.directory, 'keelson-bench-'));
    const names = Array.from({ length: options.members }, (_, i) => `m${i + 1}`);
    const peerUrl = (i: number): string => `http://127.0.0.1:${ports[2 * i + 1]}`;
    const initialCluster = names.map((name, i) => `${name}=${peerUrl(i)}`).join(',');
    const members = names.map((name, i): Member => {
      mkdirSync(path.join(home, name));
      const clientUrl = `http://127.0.0.1:${ports[2 * i]}`;
      return {
        name,
        address: `127.0.0.1:${ports[2 * i]}`,
        log: path.join(home, `${name}.log`),
        args: [
          `--name=${name}`,
          `--data-dir=${path.join(home, name)}`,
          `--listen-client-urls=${clientUrl}`,
          `--advertise-client-urls=${clientUrl}`,
          `--listen-peer-urls=${peerUrl(i)}`,
          `--initial-advertise-peer-urls=${peerUrl(i)}`,
          `--initial-cluster=${initialCluster}`,
          '--initial-cluster-state=new',
          `--initial-cluster-token=${path.basename(home)}`,
          '--logger=zap',
          '--log-level=warn',
          `--quota-backend-bytes=${8 * 2 ** 30}`,
          ...options.flags,
        ],
        child: undefined,
      };
    });
    return new Cluster(options, home, members);
  }

  /** Started and answering on every member. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = await Cluster.prepare(options);
    try {
      cluster.spawn();
      await cluster.serving();
      return cluster;
    } catch (error) {
      await cluster.dispose();
      throw error;
    }
  }

  /** Starts every process; waits for nothing. */
  spawn(): void {
    const { PATH } = process.env;
    for (const member of this.members) {
      const log = openSync(member.log, 'a');
      const child = spawn(this.options.program, member.args, {
        stdio: ['ignore', log, log],
        env: PATH === undefined ? {} : { PATH },
      });
      closeSync(log);
      child.once('error', () => child.kill());
      member.child = child;
    }
  }

  /** Until every member answers a linearizable read. @throws Error with the end of its log when one ended */
  async serving(): Promise<void> {
    await Promise.all(this.members.map((member) => this.answers(member, 'read')));
  }

  /** Until the first member acknowledged a put. */
  async firstPut(): Promise<void> {
    const member = this.members[0];
    await this.answers(member, 'put');
  }

  usage(): ServerUsage[] {
    return this.members.flatMap(({ name, child }) => {
      if (child?.pid === undefined) return [];
      const cpu = cpuSeconds(child.pid);
      const resident = memory(child.pid);
      return cpu === undefined || resident === undefined ? [] : [{ name, cpuSeconds: cpu, memory: resident }];
    });
  }

  /** Asks every process to end, and waits until it has. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await Promise.all(
      this.members.map(async (member) => {
        const { child } = member;
        if (child === undefined) return;
        if (child.exitCode === null && child.signalCode === null) {
          const gone = new Promise((resolve) => child.once('exit', resolve));
          child.kill(signal);
          await gone;
        }
        member.child = undefined;
      }),
    );
  }

  /** Kills what runs and removes the directories. Never fails. */
  async dispose(): Promise<void> {
    await this.stop('SIGKILL');
    process.removeListener('exit', this.killAll);
    rmSync(this.home, { recursive: true, force: true });
  }

  /** A new connection an attempt: a channel that backs off would hide when the server began to answer. */
  private async answers(member: Member, what: 'read' | 'put'): Promise<void> {
    const deadline = performance.now() + START_LIMIT_MS;
    for (;;) {
      const { child } = member;
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`${this.side} ${member.name} ended while starting:\n${tail(member.log)}`);
      }
      const channel = openChannel(this.options.transport, member.address);
      try {
        await channel.connect(1000);
        const key = Buffer.from('bench-ready');
        if (what === 'put') {
          const request = new etcdserverpb.PutRequest({ key, value: key });
          await channel.unary(services.KV.methods.put, request, { timeoutMs: 5000 });
        } else {
          const request = new etcdserverpb.RangeRequest({ key });
          await channel.unary(services.KV.methods.range, request, { timeoutMs: 5000 });
        }
        return;
      } catch (error) {
        if (performance.now() > deadline) {
          throw new Error(`${this.side} ${member.name} does not serve:\n${tail(member.log)}`, {
            cause: error,
          });
        }
      } finally {
        channel.close();
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

function tail(log: string): string {
  return existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n').slice(-10).join('\n') : '(no log)';
}

/** Below the range the kernel gives to outgoing connections. */
async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  for (let attempt = 0; found.size < count; attempt++) {
    if (attempt > 1000) throw new Error(`no ${count} free ports`);
    const port = randomInt(20_000, 32_000);
    if (!found.has(port) && (await isFree(port))) found.add(port);
  }
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
