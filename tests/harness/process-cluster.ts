/**
 * A cluster of real server processes on loopback with temporary data directories. It starts them, waits until
 * they serve, kills, stops, continues and restarts them, and always removes what it made: `await using`, or
 * `dispose()`. If this process dies first, its children are killed with it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeClusterTls, memberTlsFlags, type ClusterTls } from './certificates.ts';
import { MemberApi } from './member-api.ts';
import { MemberProcess } from './member-process.ts';
import type { Network } from './network.ts';
import { freePorts } from '../../packages/base/test/free-ports.ts';
import { waitUntil } from './waiting.ts';

export interface ClusterOptions {
  /** A program that takes etcd's flags. */
  readonly binary: string;
  /** Members; default: one for each seat of the network, or 3. */
  readonly size?: number;
  /** Extra flags of every member. */
  readonly flags?: readonly string[];
  /** Extra flags of member i, from 0. */
  readonly memberFlags?: (index: number) => readonly string[];
  /** Members are called m1, m2 … behind this. */
  readonly prefix?: string;
  /** Clients and peers speak TLS and must show certificates, which are made for this cluster. */
  readonly tls?: boolean;
  /** Where the members stand; the caller disposes of it. Default: on loopback, with nothing between. */
  readonly network?: Network;
  /** Of member i, beside PATH. */
  readonly environment?: (index: number) => Readonly<Record<string, string>>;
  /** Directories are made in here; default: the system's for temporary files. */
  readonly parent?: string;
}

export class ProcessCluster implements AsyncDisposable {
  readonly home: string;
  /** Undefined: without TLS. */
  readonly tls: ClusterTls | undefined;
  private readonly options: ClusterOptions;
  private processes: MemberProcess[];
  private apis: MemberApi[];
  private readonly killAll = (): void => {
    for (const { pid } of this.members) {
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    }
  };

  private constructor(
    options: ClusterOptions,
    members: MemberProcess[],
    home: string,
    tls: ClusterTls | undefined,
  ) {
    this.options = options;
    this.processes = members;
    this.home = home;
    this.tls = tls;
    this.apis = members.map((member) => new MemberApi(member.address, tls?.dial));
    process.once('exit', this.killAll);
  }

  /** Directories and ports, nothing started. */
  static async prepare(options: ClusterOptions): Promise<ProcessCluster> {
    const size = options.size ?? options.network?.seats.length ?? 3;
    const seats = options.network?.seats;
    const ports =
      seats?.flatMap(({ clientPort, peerPort }) => [clientPort, peerPort]) ?? (await freePorts(2 * size));
    const home = mkdtempSync(path.join(options.parent ?? tmpdir(), 'keelson-cluster-'));
    const names = Array.from({ length: size }, (_, i) => `${options.prefix ?? ''}m${i + 1}`);
    const tls = options.tls === true ? await makeClusterTls(home) : undefined;
    const scheme = tls === undefined ? 'http' : 'https';
    const initialCluster = names
      .map((name, i) => `${name}=${scheme}://${seats?.[i].host ?? '127.0.0.1'}:${ports[2 * i + 1]}`)
      .join(',');
    const members = names.map(
      (name, i) =>
        new MemberProcess({
          name,
          binary: options.binary,
          clientPort: ports[2 * i],
          peerPort: ports[2 * i + 1],
          home: path.join(home, name),
          secure: tls !== undefined,
          ...(seats === undefined ? {} : { seat: seats[i] }),
          ...(options.environment === undefined ? {} : { environment: options.environment(i) }),
          flags: [
            ...(tls === undefined ? [] : memberTlsFlags(tls)),
            `--initial-cluster=${initialCluster}`,
            '--initial-cluster-state=new',
            `--initial-cluster-token=${path.basename(home)}`,
            ...(options.flags ?? []),
            ...(options.memberFlags?.(i) ?? []),
          ],
        }),
    );
    return new ProcessCluster(options, members, home, tls);
  }

  /** Those that were there from the beginning, and after them those that joined; without those that left. */
  get members(): readonly MemberProcess[] {
    return this.processes;
  }

  /**
   * One more process, on an empty data directory, for a cluster that runs. It is not started. Whoever calls
   * makes it a member (MemberAdd): before, it cannot start.
   * @param others the members that are there, by name, with their peer URLs
   * @param ports client and peer; default: free ones
   */
  async join(
    name: string,
    others: ReadonlyMap<string, readonly string[]>,
    ports?: readonly [number, number],
  ): Promise<MemberProcess> {
    const [clientPort, peerPort] = ports ?? (await freePorts(2));
    const scheme = this.tls === undefined ? 'http' : 'https';
    const known = [...others].flatMap(([other, urls]) => urls.map((url) => `${other}=${url}`));
    const member = new MemberProcess({
      name,
      binary: this.options.binary,
      clientPort,
      peerPort,
      home: mkdtempSync(path.join(this.home, `${name}-`)),
      secure: this.tls !== undefined,
      flags: [
        ...(this.tls === undefined ? [] : memberTlsFlags(this.tls)),
        `--initial-cluster=${[...known, `${name}=${scheme}://127.0.0.1:${peerPort}`].join(',')}`,
        '--initial-cluster-state=existing',
        ...(this.options.flags ?? []),
      ],
    });
    this.processes = [...this.processes, member];
    this.apis = [...this.apis, new MemberApi(member.address, this.tls?.dial)];
    return member;
  }

  /** Forgets one that is no member any more. @throws Error while its process runs */
  leave(member: MemberProcess): void {
    if (member.running) throw new Error(`${member.describe()}: it cannot leave`);
    const index = this.processes.indexOf(member);
    this.apis[index].close();
    this.processes = this.processes.filter((_, i) => i !== index);
    this.apis = this.apis.filter((_, i) => i !== index);
  }

  /** Started and answering: every member printed its ready line and serves a linearizable read. */
  static async start(options: ClusterOptions): Promise<ProcessCluster> {
    const cluster = await ProcessCluster.prepare(options);
    try {
      for (const member of cluster.members) member.start();
      await cluster.healthy();
      return cluster;
    } catch (error) {
      const tails = cluster.logTails();
      await cluster.dispose();
      throw new Error(`the cluster did not start: ${String(error)}\n${tails}`, { cause: error });
    }
  }

  get addresses(): string[] {
    return this.members.map((member) => member.address);
  }

  /** A connection to member i, from 0. It outlives the process at the other end. */
  api(index: number): MemberApi {
    return this.apis[index];
  }

  /** Resolves when every member that runs is ready and answers a linearizable read. */
  async healthy(timeoutMs = 30_000): Promise<void> {
    const running = this.members.filter((member) => member.running);
    await Promise.all(running.map((member) => member.ready(timeoutMs)));
    await Promise.all(
      this.members.map(async (member, i) => {
        if (!member.running) return;
        await waitUntil(`${member.name} answers`, { timeoutMs }, () => {
          member.assertRuns();
          return this.api(i).revision({ timeoutMs: 2000 });
        });
      }),
    );
  }

  /** The index of the member that leads, agreed on by those that run and answer. */
  async leader(timeoutMs = 15_000): Promise<number> {
    return waitUntil('the members agree on a leader', { timeoutMs, everyMs: 10 }, async () => {
      const running = this.members.flatMap((member, i) => (member.running ? [i] : []));
      const statuses = await Promise.all(running.map((i) => this.api(i).status()));
      const leader = statuses[0]?.leader;
      if (leader === undefined || leader === 0n || statuses.some((status) => status.leader !== leader)) {
        return undefined;
      }
      const at = statuses.findIndex((status) => status.header?.memberId === leader);
      return at < 0 ? undefined : running[at];
    });
  }

  /** Until member `index` has applied all that is committed now. @returns how long it took, ms */
  async caughtUp(index: number, timeoutMs = 60_000): Promise<number> {
    const startMs = performance.now();
    const target = await waitUntil('a revision is known', { timeoutMs }, async () => {
      const leader = await this.leader();
      return this.api(leader).revision({ timeoutMs: 2000 });
    });
    await waitUntil(
      `${this.members[index].name} reaches revision ${target}`,
      { timeoutMs, everyMs: 10 },
      async () => {
        this.members[index].assertRuns();
        const revision = await this.api(index).revision({ serializable: true, timeoutMs: 1000 });
        return revision >= target ? revision : undefined;
      },
    );
    return performance.now() - startMs;
  }

  /** @throws Error with logs when a member that should run does not */
  assertAllRun(): void {
    const dead = this.members.filter((member) => !member.running);
    if (dead.length === 0) return;
    throw new Error(dead.map((member) => `${member.describe()}\n${member.logTail()}`).join('\n'));
  }

  logTails(lines = 25): string {
    return this.members.map((member) => `${member.describe()}\n${member.logTail(lines)}`).join('\n');
  }

  /** Kills what runs, closes connections, removes the directories. Never fails. */
  async dispose(): Promise<void> {
    for (const api of this.apis) api.close();
    await Promise.all(this.members.map((member) => member.kill()));
    process.removeListener('exit', this.killAll);
    rmSync(this.home, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
