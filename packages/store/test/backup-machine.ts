/**
 * A backup of members in one process: the load with what it left at each revision, a folder on a disk that loses power,
 * and the state that a restore makes.
 */
import { Prng, silentLogger, type Disk, type Logger } from '@keelson/base';
import type { Client } from '@keelson/client';
import { MemoryDisk } from '@keelson/sim';
import { MemoryHome } from '../src/backend/home.ts';
import { MemoryBackend } from '../src/backend/memory-backend.ts';
import { WriteBuffer } from '../src/backend/write-buffer.ts';
import { StateMachine } from '../src/apply/state-machine.ts';
import { BackupFolder, type Received } from '../src/transfer/backup-folder.ts';
import type { OfflineWorld } from '../src/transfer/database.ts';
import { restoreBackup, type Moment, type Restored } from '../src/transfer/point-in-time.ts';

/** What is compared of a state; texts, so that a difference is seen. */
export interface Recorded {
  readonly revision: number;
  readonly compactRevision: number;
  /** HashKV over all that is not compacted: keys, values, versions, leases. */
  readonly hash: number;
  readonly leases: readonly string[];
  readonly access: readonly string[];
  readonly alarms: readonly string[];
}

export async function record(state: StateMachine): Promise<Recorded> {
  const { mvcc, lessor, auth, alarms } = state;
  const hash = await mvcc.hashKV(0);
  if (typeof hash === 'string') throw new Error(hash);
  return {
    revision: mvcc.currentRevision,
    compactRevision: mvcc.compactRevision,
    hash: hash.hash,
    leases: lessor
      .list()
      .map(
        (id) =>
          `${id} ${lessor.lookup(id)?.ttlSeconds} ${[...(lessor.lookup(id)?.keys ?? [])].sort().join()}`,
      )
      .sort(),
    access: [
      `${auth.enabled} ${auth.revision}`,
      ...auth
        .userNames()
        .map((name) => `${name}: ${auth.rolesOf(name).join()} ${auth.user(name)?.password.toString()}`),
      ...auth.roleNames().map(
        (name) =>
          `${name}: ${auth
            .permissionsOf(name)
            .map(({ permType, key, rangeEnd }) => `${permType} ${key.toString()} ${rangeEnd.toString()}`)
            .join()}`,
      ),
    ],
    alarms: alarms.list(0).map(({ memberId, type }) => `${memberId} ${type}`),
  };
}

/** A disk with a backup folder on it, and a machine around it for restores. */
export class BackupSite {
  readonly disk = new MemoryDisk();
  readonly directory = '/backup';
  readonly messages: string[] = [];
  readonly homes = new Map<string, MemoryHome>();
  folder: BackupFolder | undefined;
  readonly logger: Logger = {
    ...silentLogger,
    warn: (message) => void this.messages.push(message),
  };

  async open(): Promise<BackupFolder> {
    this.folder = await BackupFolder.open(this.disk.boot(), this.directory, this.logger);
    return this.folder;
  }

  async addBase(client: Client): Promise<void> {
    const { header } = await client.maintenance.status();
    await this.folder?.addBase(
      { clusterId: header?.clusterId ?? 0n, memberId: header?.memberId ?? 0n },
      blobs(client),
      () => Date.now(),
    );
  }

  /** What is new since the last time. */
  async ship(client: Client): Promise<Received> {
    const { folder } = this;
    const end = folder?.end;
    if (folder === undefined || end === undefined) throw new Error('there is no base');
    return folder.receive(
      client.backup.shipLog({
        clusterId: folder.clusterId ?? 0n,
        term: end.term,
        index: end.index,
        dataCrc: folder.endDataCrc,
      }),
    );
  }

  /** Power is lost after so many more operations of the disk, at the latest when `task` is over. */
  async crashDuring(operations: number, prng: Prng, task: () => Promise<unknown>): Promise<void> {
    let left = operations;
    this.disk.configure({
      delay: () => {
        if (left-- === 0) this.disk.crash(prng);
        return undefined;
      },
    });
    await task().catch((error: unknown) => {
      if (left >= 0) throw error;
    });
    this.disk.configure({});
    if (left >= 0) this.disk.crash(prng);
    this.folder = undefined;
  }

  world(): OfflineWorld {
    return {
      disk: this.disk,
      homeAt: (directory) => this.home(directory),
      logger: silentLogger,
      isLocked: () => Promise.resolve(false),
      resolve: () => Promise.resolve(new Map()),
    };
  }

  home(directory: string): MemoryHome {
    const found = this.homes.get(directory) ?? new MemoryHome(() => new MemoryBackend());
    this.homes.set(directory, found);
    return found;
  }

  /** Restores into `dataDir`, as the one member m1 unless said otherwise. */
  restore(
    dataDir: string,
    until: Moment,
    of: { readonly name?: string; readonly initialCluster?: string; readonly peerUrl?: string } = {},
  ): Promise<Restored> {
    const { name = 'm1', peerUrl = 'http://127.0.0.1:1', initialCluster = `${name}=${peerUrl}` } = of;
    // The replay's own home is a new one each time.
    this.homes.delete(`${dataDir}.replay/member/snap`);
    return restoreBackup(
      {
        directory: this.directory,
        until,
        name,
        dataDir,
        walDir: '',
        peerUrls: [peerUrl],
        initialCluster,
        initialClusterToken: 'etcd-cluster',
        skipHashCheck: false,
        bumpRevision: 0,
        hashPlain: () => Buffer.alloc(0),
      },
      this.world(),
    );
  }

  /** What a restored data dir holds. */
  async stateOf(dataDir: string): Promise<Recorded> {
    const backend = await this.home(`${dataDir}/member/snap`).open();
    const buffer = await WriteBuffer.load(backend, { onError: () => {} });
    const state = await StateMachine.load(
      { backend, buffer },
      {
        leaseTtlSecondsMin: 1,
        learnersMax: 1,
        mvcc: {},
        onMembershipChange: () => {},
        onCompaction: () => {},
      },
    );
    const recorded = await record(state);
    await backend.close();
    return recorded;
  }
}

/** One member's state as it sends it. */
export async function* blobs(client: Client): AsyncGenerator<Buffer> {
  for await (const { blob } of client.maintenance.snapshot()) yield blob;
}

/** All files below a directory, for comparing. */
export async function filesBelow(disk: Disk, directory: string): Promise<string[]> {
  const out: string[] = [];
  for (const name of await disk.list(directory)) {
    const path = `${directory}/${name}`;
    const inside = await disk.list(path).then(
      () => true,
      () => false,
    );
    if (inside) out.push(...(await filesBelow(disk, path)));
    else out.push(path);
  }
  return out;
}
