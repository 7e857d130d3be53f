/**
 * A member of ours inside the test's process, from etcd's flags, on a data directory that others have made or
 * will take over; what it logged is kept.
 */
import { JsonLogger } from '@keelson/base';
import { parseServerConfig, realWorld, StoreServer } from '@keelson/store';
import { MemberApi } from '../harness/member-api.ts';

export interface Address {
  readonly name: string;
  readonly dataDir: string;
  readonly clientPort: number;
  readonly peerPort: number;
}

export class KeelsonMember implements AsyncDisposable {
  readonly server: StoreServer;
  readonly api: MemberApi;
  /** Parsed log lines. */
  readonly lines: readonly Record<string, unknown>[];

  private constructor(server: StoreServer, api: MemberApi, lines: readonly Record<string, unknown>[]) {
    this.server = server;
    this.api = api;
    this.lines = lines;
  }

  /** Started; it may not lead yet. */
  static async start(at: Address, flags: readonly string[] = []): Promise<KeelsonMember> {
    const client = `http://127.0.0.1:${at.clientPort}`;
    const peer = `http://127.0.0.1:${at.peerPort}`;
    const argv = [
      `--name=${at.name}`,
      `--data-dir=${at.dataDir}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${at.name}=${peer}`,
      ...flags,
    ];
    const parsed = parseServerConfig(argv, {}, () => '');
    if (parsed.kind !== 'config') throw new Error(JSON.stringify(parsed));
    const lines: Record<string, unknown>[] = [];
    const logger = new JsonLogger(
      (line) => void lines.push(JSON.parse(line)),
      () => 0,
    );
    const server = await StoreServer.start(parsed.config, realWorld(parsed.config, logger));
    return new KeelsonMember(server, new MemberApi(`127.0.0.1:${at.clientPort}`), lines);
  }

  /** Serves clients, and has applied what its log says is committed. */
  async ready(): Promise<this> {
    await this.server.ready();
    return this;
  }

  /** Messages of its log. */
  get messages(): unknown[] {
    return this.lines.map((line) => line['msg']);
  }

  async stop(): Promise<void> {
    this.api.close();
    await this.server.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
