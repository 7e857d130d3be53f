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
import { etcdserverpb, services } from '@keelson/proto';
import type { DialTlsOptions } from '@keelson/rpc';
import { makeCredentials } from './credentials.ts';
import { cpuSeconds, memory, type Memory } from './proc.ts';
import { openChannel, type ClientTransport, type Reached } from './transport.ts';

export interface ServerUsage {
  readonly name: string;
  readonly cpuSeconds: number;
  readonly memory: Memory;
}

/** What a load runs against. */
export interface Subject extends Reached {
  /** For tables: "keelson", "etcd", or what makes this one different. */
  readonly label: string;
  /** Its servers were killed and its data removed: what still runs may give up. */
  readonly gone: boolean;
  /** Of each server process; empty when the servers are not ours. */
  usage(): ServerUsage[];
}

/** Servers somebody else runs. */
export function external(addresses: readonly string[], tls: DialTlsOptions | undefined): Subject {
  return { label: 'endpoints', addresses, tls, gone: false, usage: () => [] };
}

export interface ClusterOptions {
  readonly label: string;
  readonly program: string;
  readonly members: number;
  /** Parent of the data directories: its disk is what is measured. */
  readonly directory: string;
  readonly flags: readonly string[];
  readonly transport: ClientTransport;
  readonly tls: boolean;
  /** Members are Node's and leave profiles of their CPU in their directories when they end. */
  readonly profiled: boolean;
}

export interface Member {
  readonly name: string;
  readonly args: readonly string[];
  readonly address: string;
  readonly directory: string;
  readonly log: string;
  child: ChildProcess | undefined;
}

const START_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 60_000;
/** Between finding a port free and binding it somebody else may take it. */
const START_ATTEMPTS = 3;
const LOG_LINES_SHOWN = 10;

/** A member found its port taken. */
class PortTaken extends Error {
  override readonly name = 'PortTaken';
}

export class Cluster implements Subject {
  readonly label: string;
  readonly addresses: readonly string[];
  readonly tls: DialTlsOptions | undefined;
  readonly members: readonly Member[];
  gone = false;
  private readonly options: ClusterOptions;
  private readonly home: string;
  private readonly exit = (): void => {
    for (const { child } of this.members) child?.kill('SIGKILL');
    remove(this.home);
  };

  private constructor(
    options: ClusterOptions,
    home: string,
    members: readonly Member[],
    tls: DialTlsOptions | undefined,
  ) {
    this.options = options;
    this.label = options.label;
    this.home = home;
    this.members = members;
    this.addresses = members.map((member) => member.address);
    this.tls = tls;
    process.once('exit', this.exit);
  }

  /** Directories, certificates and ports; nothing started. @throws Error when the data directory cannot be made */
  static async prepare(options: ClusterOptions): Promise<Cluster> {
    const ports = await freePorts(2 * options.members);
    const home = makeHome(options.directory);
    try {
      const credentials = options.tls ? makeCredentials(home) : undefined;
      const scheme = options.tls ? 'https' : 'http';
      const names = Array.from({ length: options.members }, (_, i) => `m${i + 1}`);
      const peerUrl = (i: number): string => `${scheme}://127.0.0.1:${ports[2 * i + 1]}`;
      const initialCluster = names.map((name, i) => `${name}=${peerUrl(i)}`).join(',');
      const members = names.map((name, i): Member => {
        const directory = path.join(home, name);
        mkdirSync(directory);
        const address = `127.0.0.1:${ports[2 * i]}`;
        const clientUrl = `${scheme}://${address}`;
        return {
          name,
          address,
          directory,
          log: path.join(home, `${name}.log`),
          args: [
            `--name=${name}`,
            `--data-dir=${directory}`,
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
            ...(credentials?.flags ?? []),
            ...options.flags,
          ],
          child: undefined,
        };
      });
      return new Cluster(options, home, members, credentials?.tls);
    } catch (error) {
      remove(home);
      throw error;
    }
  }

  /** Started and answering on every member; on other ports when somebody took one meanwhile. */
  static async start(options: ClusterOptions, prepared: (cluster: Cluster) => void): Promise<Cluster> {
    for (let attempt = 1; ; attempt++) {
      const cluster = await Cluster.prepare(options);
      prepared(cluster);
      try {
        cluster.spawn();
        await cluster.serving();
        return cluster;
      } catch (error) {
        await cluster.dispose();
        if (!(error instanceof PortTaken) || attempt === START_ATTEMPTS) throw error;
      }
    }
  }

  /** Starts every process; waits for nothing. */
  spawn(): void {
    const { PATH } = process.env;
    for (const member of this.members) {
      const log = openSync(member.log, 'a');
      const child = spawn(this.options.program, member.args, {
        stdio: ['ignore', log, log],
        env: { ...(PATH !== undefined && { PATH }), ...(this.options.profiled && profiling(member)) },
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

  /** Asks every process to end, and waits until it has; who takes longer than a minute is killed. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await Promise.all(
      this.members.map(async (member) => {
        const { child } = member;
        if (child === undefined) return;
        if (child.exitCode === null && child.signalCode === null) {
          const gone = new Promise((resolve) => child.once('exit', resolve));
          child.kill(signal);
          const impatient = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
          await gone;
          clearTimeout(impatient);
        }
        member.child = undefined;
      }),
    );
  }

  /** Kills what runs and removes the directories. Never fails. */
  async dispose(): Promise<void> {
    this.gone = true;
    await this.stop('SIGKILL');
    process.removeListener('exit', this.exit);
    remove(this.home);
  }

  /** A new connection an attempt: a channel that backs off would hide when the server began to answer. */
  private async answers(member: Member, what: 'read' | 'put'): Promise<void> {
    const deadline = performance.now() + START_LIMIT_MS;
    for (;;) {
      const { child } = member;
      if (child === undefined || child.exitCode !== null || child.signalCode !== null)
        throw this.ended(member);
      const channel = openChannel(this.options.transport, member.address, this.tls);
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
          throw new Error(`${this.label} ${member.name} does not serve:\n${tail(member.log)}`, {
            cause: error,
          });
        }
      } finally {
        channel.close();
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  private ended(member: Member): Error {
    const end = tail(member.log);
    const text = `${this.label} ${member.name} ended while starting:\n${end}`;
    return /address already in use/i.test(end) ? new PortTaken(text) : new Error(text);
  }
}

/** For Node: a profile of the process's whole life, written when it ends; for the executable: a program whose frames name modules. */
function profiling({ directory }: Member): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profilesOf(directory)}`, KEELSON_UNBUNDLED: '1' };
}

/** Where a profiled member leaves its profiles. @param directory of its data */
export function profilesOf(directory: string): string {
  return `${directory}.profiles`;
}

function makeHome(parent: string): string {
  try {
    return mkdtempSync(path.join(parent, 'keelson-bench-'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`no data directory below ${parent}: ${reason}; name another with --data-dir`, {
      cause: error,
    });
  }
}

/** A process that was just killed may still be closing its files. */
function remove(home: string): void {
  rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
}

function tail(log: string): string {
  return existsSync(log)
    ? readFileSync(log, 'utf8').trimEnd().split('\n').slice(-LOG_LINES_SHOWN).join('\n')
    : '(no log)';
}

/** Below the range the kernel gives to outgoing connections, and above what this repository's tests take. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  for (let attempt = 0; found.size < count; attempt++) {
    if (attempt > 1000) throw new Error(`no ${count} free ports`);
    const port = randomInt(30_000, 32_700);
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
