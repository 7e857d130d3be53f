/**
 * The cluster under test with all that can be done to it: its processes, its links, its disks and its clocks, and the history
 * that says what was done. It starts members again that something else ended, and tells an end that a fault explains from one
 * that nothing does. It decides nothing: which fault comes when is the round's plan.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { etcdserverpb as pb, services } from '@keelson/proto';
import type { HistoryRecorder } from '@keelson/sim';
import type { MemberProcess } from '../../harness/member-process.ts';
import type { Network, Place } from '../../harness/network.ts';
import { ProcessCluster } from '../../harness/process-cluster.ts';
import type { Names } from '../../../packages/store/test/wire/calls.ts';
import { Relays } from '../../harness/relays.ts';
import { SmallDisk } from '../../harness/small-disk.ts';
import type { TamperedSyncs } from '../../harness/syscalls.ts';
import { pause, waitUntil } from '../../harness/waiting.ts';

export interface FieldOptions {
  readonly binary: string;
  readonly network: Network;
  readonly recorder: HistoryRecorder;
  readonly flags: readonly string[];
  /** Directories are made in here. */
  readonly parent: string;
  /** Megabytes of the file system each data directory gets for itself; undefined: none. */
  readonly diskMegabytes?: number;
  /** Time of day can be shifted: the program is a Node. */
  readonly clocks: boolean;
}

/** The user who may do anything. */
export const ROOT = 'root';
const CLOCK = path.join(
  path.dirname(fileURLToPath(import.meta.url)),
  '..',
  '..',
  'harness',
  'shifted-clock.mjs',
);

export class Field implements Names {
  readonly cluster: ProcessCluster;
  readonly network: Network;
  readonly recorder: HistoryRecorder;
  readonly disks: readonly SmallDisk[];
  /** Why a member may end by itself, or not come up, for now. */
  readonly excused = new Map<number, string>();
  /** Attached to members now. */
  readonly tampered = new Set<TamperedSyncs>();
  /** Members whose files were spoilt: they are replaced when they do not come up. */
  readonly spoilt = new Set<number>();
  /** Members that came to the cluster when it was there. */
  private readonly joined = new Set<number>();
  /** What nobody explains. */
  readonly complaints: string[] = [];
  private readonly ids = new Map<string, bigint>();
  private readonly options: FieldOptions;

  private constructor(options: FieldOptions, cluster: ProcessCluster, disks: readonly SmallDisk[]) {
    this.options = options;
    this.cluster = cluster;
    this.network = options.network;
    this.recorder = options.recorder;
    this.disks = disks;
  }

  /** Started, and answering. */
  static async start(options: FieldOptions): Promise<Field> {
    const clockFile = (i: number): string => path.join(options.parent, `clock-${i}`);
    const cluster = await ProcessCluster.prepare({
      binary: options.binary,
      network: options.network,
      flags: options.flags,
      parent: options.parent,
      environment: (i) =>
        options.clocks ? { NODE_OPTIONS: `--import=${CLOCK}`, SHIFTED_CLOCK_FILE: clockFile(i) } : {},
    });
    const disks: SmallDisk[] = [];
    const { diskMegabytes } = options;
    if (diskMegabytes !== undefined)
      for (const { dataDir } of cluster.members) disks.push(new SmallDisk(dataDir, diskMegabytes));
    const field = new Field(options, cluster, disks);
    // Whoever looks after the cluster may do anything, while authentication is on as well.
    for (const i of field.everyone) cluster.api(i).login = { name: ROOT, password: field.passwordOf(ROOT) };
    try {
      for (const i of field.everyone) field.start(i);
      await cluster.healthy(60_000);
      await field.learnIds();
    } catch (error) {
      const tails = cluster.logTails();
      await field.dispose();
      throw new Error(`the cluster did not start: ${String(error)}\n${tails}`, { cause: error });
    }
    return field;
  }

  get everyone(): readonly number[] {
    return this.cluster.members.map((_, i) => i);
  }

  member(i: number): MemberProcess {
    return this.cluster.members[i];
  }

  name(i: number): string {
    return this.member(i).name;
  }

  idOf(member: string): bigint {
    return this.ids.get(member) ?? 0n;
  }

  nameOf(id: bigint): string | undefined {
    return [...this.ids].find(([, known]) => known === id)?.[0];
  }

  peerUrlOf(member: string): string {
    const found = this.cluster.members.find(({ name }) => name === member);
    if (found === undefined) throw new Error(`there is no ${member}`);
    return found.peerUrl;
  }

  passwordOf(user: string): string {
    return `password of ${user}`;
  }

  addressOf(member: string): string {
    const found = this.cluster.members.find(({ name }) => name === member);
    if (found === undefined) throw new Error(`there is no ${member}`);
    return found.address;
  }

  /** The member that leads, as far as somebody says; undefined: nobody does. */
  async leader(): Promise<number | undefined> {
    const statuses = await Promise.all(
      this.everyone.map(async (i) => {
        if (!this.member(i).running) return undefined;
        return this.cluster
          .api(i)
          .status(500)
          .catch(() => undefined);
      }),
    );
    const newest = statuses
      .filter((status) => status !== undefined && status.leader !== 0n)
      .toSorted((a, b) => (b?.raftTerm ?? 0) - (a?.raftTerm ?? 0))[0];
    const at = this.everyone.find((i) => this.ids.get(this.name(i)) === newest?.leader);
    return newest === undefined ? undefined : at;
  }

  start(i: number): void {
    if (this.member(i).running) return;
    // To a member with a log the flag says nothing; one that was killed before it had any must not found its cluster anew.
    this.member(i).start(this.joined.has(i) ? ['--initial-cluster-state=existing'] : []);
    this.recorder.fact({ type: 'start', member: this.name(i) });
  }

  /** kill -9. Does nothing when it does not run. */
  async kill(i: number): Promise<void> {
    if (!this.member(i).running) return;
    this.recorder.fact({ type: 'crash', member: this.name(i) });
    await this.member(i).kill();
  }

  /** SIGTERM, and -9 when it takes too long. */
  async stop(i: number): Promise<void> {
    if (!this.member(i).running) return;
    this.recorder.fact({ type: 'crash', member: this.name(i) });
    const stopped = this.member(i).stop();
    const late = setTimeout(() => {
      this.complaints.push(`${this.name(i)} did not stop within 20 s of SIGTERM`);
      void this.member(i).kill();
    }, 20_000);
    await stopped;
    clearTimeout(late);
  }

  note(name: string, members: readonly number[], heals = false): void {
    this.recorder.fact({
      type: 'fault',
      name,
      members: members.map((i) => this.name(i)),
      ...(heals ? { heals } : {}),
    });
  }

  /** Both directions. */
  cut(a: Place, b: Place): void {
    this.network.cut(a, b);
    this.network.cut(b, a);
  }

  join(a: Place, b: Place): void {
    this.network.join(a, b);
    this.network.join(b, a);
  }

  /** @param shiftMs of the time of day, from the true one */
  setClock(i: number, shiftMs: number): void {
    writeFileSync(path.join(this.options.parent, `clock-${i}`), String(shiftMs));
  }

  /** Starts whoever has ended, and complains where no fault explains the end. */
  revive(): void {
    for (const i of this.everyone) {
      const member = this.member(i);
      if (member.running || this.spoilt.has(i)) continue;
      if (!this.excused.has(i) && member.exitCode !== null && member.exitCode !== undefined) {
        this.complaints.push(`${member.name} ended by itself (${member.exitCode}):\n${member.logTail(12)}`);
      }
      this.start(i);
    }
  }

  /** Is one of the members by the same name again, on an empty disk. Returns when it runs; @throws when it does not come about */
  async replace(i: number, timeoutMs: number): Promise<void> {
    await this.kill(i);
    const name = this.name(i);
    const others = this.everyone.filter((other) => other !== i);
    const limit = { timeoutMs: 2000 };
    const cluster = services.Cluster.methods;
    const ask = async <T>(call: (at: number) => Promise<T>): Promise<T | undefined> => {
      for (const at of others) {
        try {
          return await call(at);
        } catch {
          // Another is asked, and then again: what came about is looked at each time.
        }
      }
      return undefined;
    };
    const listed = (): Promise<readonly pb.Member[] | undefined> =>
      ask(async (at) => {
        const request = new pb.MemberListRequest({ linearizable: true });
        await this.cluster.api(at).revision({ timeoutMs: 2000 });
        return (await this.cluster.api(at).call(cluster.memberList, request, limit)).members;
      });
    const old = this.idOf(name);
    await waitUntil(`${name} is removed and added`, { timeoutMs, everyMs: 200 }, async () => {
      const members = await listed();
      if (members === undefined) return undefined;
      if (members.some(({ ID }) => ID === old)) {
        const request = new pb.MemberRemoveRequest({ ID: old });
        await ask((at) => this.cluster.api(at).call(cluster.memberRemove, request, limit));
        return undefined;
      }
      const added = members.find(({ peerURLs }) => peerURLs.includes(this.member(i).peerUrl));
      if (added === undefined) {
        const request = new pb.MemberAddRequest({ peerURLs: [this.member(i).peerUrl] });
        await ask((at) => this.cluster.api(at).call(cluster.memberAdd, request, limit));
        return undefined;
      }
      this.ids.set(name, added.ID);
      if (this.network instanceof Relays) this.network.introduce(added.ID, i);
      return true;
    });
    for (const entry of readdirSync(this.member(i).dataDir))
      rmSync(path.join(this.member(i).dataDir, entry), { recursive: true, force: true });
    this.spoilt.delete(i);
    this.joined.add(i);
    this.start(i);
  }

  /** Links carry, clocks are right, disks are free, everyone runs and serves. */
  async heal(timeoutMs: number): Promise<void> {
    const untilMs = performance.now() + timeoutMs;
    this.network.heal();
    for (const disk of this.disks) disk.free();
    await Promise.all([...this.tampered].map((one) => one.detach()));
    for (const i of this.everyone) {
      this.setClock(i, 0);
      if (this.member(i).running) this.member(i).signal('SIGCONT');
    }
    for (;;) {
      this.revive();
      for (const i of this.spoilt) if (!this.member(i).running) await this.replace(i, 60_000);
      await this.disarm();
      try {
        await this.cluster.healthy(5000);
        return;
      } catch (error) {
        if (performance.now() > untilMs) throw error;
        await pause(200);
      }
    }
  }

  /** A disk that was full leaves an alarm behind. */
  async disarm(): Promise<void> {
    const request = new pb.AlarmRequest({
      action: pb.AlarmAction.DEACTIVATE,
      alarm: pb.AlarmType.NOSPACE,
    });
    for (const i of this.everyone) {
      if (!this.member(i).running) continue;
      const asked = this.cluster
        .api(i)
        .call(services.Maintenance.methods.alarm, request, { timeoutMs: 2000 });
      if (
        await asked.then(
          () => true,
          () => false,
        )
      )
        return;
    }
  }

  private async learnIds(): Promise<void> {
    for (const i of this.everyone) {
      const { header } = await this.cluster.api(i).status();
      const id = header?.memberId ?? 0n;
      this.ids.set(this.name(i), id);
      if (this.network instanceof Relays) this.network.introduce(id, i);
    }
  }

  /** Kills, unmounts, and removes or (`keep`) leaves what the members wrote. Never fails. */
  async dispose(keep = false): Promise<void> {
    for (const one of this.tampered) one.abandon();
    for (const i of this.everyone) if (this.member(i).running) this.member(i).signal('SIGCONT');
    await Promise.all(this.cluster.members.map((member) => member.kill()));
    for (const disk of this.disks) {
      if (keep) spawnSync('cp', ['-a', '--sparse=always', disk.directory, `${disk.directory}-kept`]);
      disk.unmount();
    }
    if (!keep) await this.cluster.dispose();
  }
}
