/**
 * A real etcd for tests: started on loopback and free ports with a temporary data directory, killed and
 * started again at will. Where no etcd is installed the suites skip visibly.
 */
/// <reference types="node" />
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type Client } from '@keelson/client';
import { freePorts } from '../../base/test/free-ports.ts';

const ETCD = process.env['ETCD_BIN'] ?? 'etcd';

const START_ATTEMPTS = 3;

/** The installed etcd's version, or undefined: then tests that need it are skipped. */
export const etcdVersion: string | undefined = /etcd Version: (\S+)/.exec(
  spawnSync(ETCD, ['--version'], { encoding: 'utf8' }).stdout ?? '',
)?.[1];

export class Etcd {
  readonly clientPort: number;
  private readonly peerPort: number;
  private readonly folder: string;
  private readonly flags: readonly string[];
  private running: ReturnType<typeof spawn> | undefined = undefined;

  private constructor(clientPort: number, peerPort: number, flags: readonly string[]) {
    this.clientPort = clientPort;
    this.peerPort = peerPort;
    this.folder = mkdtempSync(join(tmpdir(), 'keelson-client-'));
    this.flags = flags;
  }

  static async start(...flags: string[]): Promise<Etcd> {
    for (let attempt = 1; ; attempt++) {
      const [clientPort = 0, peerPort = 0] = await freePorts(2);
      const etcd = new Etcd(clientPort, peerPort, flags);
      try {
        await etcd.run();
        return etcd;
      } catch (error) {
        await etcd.stop();
        // Another process may have taken a port between looking and listening.
        if (attempt === START_ATTEMPTS) throw error;
      }
    }
  }

  get endpoint(): string {
    return `127.0.0.1:${this.clientPort}`;
  }

  /** Starts the process on the same ports and data, and waits until it answers. */
  async run(): Promise<void> {
    const client = `http://${this.endpoint}`;
    const peer = `http://127.0.0.1:${this.peerPort}`;
    const flags = {
      name: 'm1',
      'data-dir': join(this.folder, 'data'),
      logger: 'zap',
      'log-level': 'error',
      'listen-client-urls': client,
      'advertise-client-urls': client,
      'listen-peer-urls': peer,
      'initial-advertise-peer-urls': peer,
      'initial-cluster': `m1=${peer}`,
      // A member on its own elects itself: the sooner the better for a test.
      'heartbeat-interval': '20',
      'election-timeout': '200',
    };
    const list = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    const running = spawn(ETCD, [...list, ...this.flags], { stdio: 'ignore' });
    this.running = running;
    const probe = createClient({ endpoints: [this.endpoint], requestTimeoutMs: 20_000 });
    const ended = new AbortController();
    const exit = once(running, 'exit', ended).then(
      () => Promise.reject(new Error(`etcd ended before it answered at ${this.endpoint}`)),
      () => {},
    );
    try {
      await Promise.race([probe.kv.get('probe'), exit]);
    } finally {
      ended.abort();
      probe.close();
    }
  }

  /** SIGKILL: nothing is said, nothing is flushed. */
  async kill(): Promise<void> {
    const running = this.running;
    this.running = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const exited = once(running, 'exit');
    running.kill('SIGKILL');
    await exited;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  client(options: Partial<Parameters<typeof createClient>[0]> = {}): Client {
    return createClient({ endpoints: [this.endpoint], ...options });
  }
}
