/** A real etcd for tests of the client: killed and started again at will, with the same ports and data. */
/// <reference types="node" />
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type Client } from '@keelson/client';
import { startEtcd, type EtcdProcess } from '../../base/test/etcd-process.ts';

const NAME = 'm1';

export class Etcd {
  private readonly folder: string;
  private readonly flags: readonly string[];
  private process: EtcdProcess;

  private constructor(folder: string, flags: readonly string[], process: EtcdProcess) {
    this.folder = folder;
    this.flags = flags;
    this.process = process;
  }

  static async start(...flags: string[]): Promise<Etcd> {
    const folder = mkdtempSync(join(tmpdir(), 'keelson-client-'));
    const process = await startEtcd({ name: NAME, dataDir: join(folder, 'data'), flags });
    return new Etcd(folder, flags, process);
  }

  get endpoint(): string {
    return this.process.endpoint;
  }

  /** Starts it again on the same ports and data, and waits until it serves. */
  async run(): Promise<void> {
    const { ports } = this.process;
    const dataDir = join(this.folder, 'data');
    this.process = await startEtcd({ name: NAME, ports, dataDir, flags: this.flags });
  }

  /** SIGKILL: nothing is said, nothing is flushed. */
  kill(): Promise<void> {
    return this.process.stop();
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  client(options: Partial<Parameters<typeof createClient>[0]> = {}): Client {
    return createClient({ endpoints: [this.endpoint], ...options });
  }
}
