/**
 * A member's data dir as a real etcd leaves it, on a disk in memory: a log that founds a cluster of three, a
 * database at some entry of it, perhaps a .snap file; for tests that open it, and crash while they do.
 */
import { hexId, JsonLogger, silentLogger } from '@keelson/base';
import { etcdserverpb } from '@keelson/proto';
import { ConfChangeType, encodeConfChange, Entry, EntryType, Snapshot, type ConfState } from '@keelson/raft';
import { MemoryDisk } from '@keelson/sim';
import { CommandKind, encodeCommand } from '../src/apply/command.ts';
import { bootstrapLog } from '../src/consensus/bootstrap.ts';
import { openStorage, type MemberStorage } from '../src/consensus/member-storage.ts';
import { encodeMember, type Member } from '../src/membership/member.ts';
import { encodeV2Store } from '../src/membership/v2-store.ts';
import { encodeSnapFile, formatSnapName } from '../src/snap/snap-store.ts';
import { planBbolt, writeBbolt } from '../src/snapshot/bbolt-writer.ts';
import type { BucketSource, KeyValuePair } from '../src/snapshot/pages.ts';
import { exportBuckets, markOf } from '../src/snapshot/state-image.ts';
import { adoptEtcdDatabase } from '../src/transfer/etcd-database.ts';
import { encodeMetadata } from '../src/wal/entry-codec.ts';
import { Wal } from '../src/wal/wal.ts';
import { BackendDirectories } from './directories.ts';
import { Machine } from './machine.ts';

export const SNAP = '/data/member/snap';
export const WAL = '/data/member/wal';
const LEARNERS_MAX = 1;

export const member = (id: bigint, name = ''): Member => ({
  id,
  peerUrls: [`http://m${id}:2380`],
  isLearner: false,
  name,
  clientUrls: name === '' ? [] : [`http://m${id}:2379`],
});
export const quorum = (...voters: bigint[]): ConfState => ({
  voters,
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
});

/** A bare request of the v2 tree. */
function v2Put(path: string, value: string): Buffer {
  const text = (field: number, content: string): Buffer =>
    Buffer.concat([Buffer.from([(field << 3) | 2, content.length]), Buffer.from(content)]);
  return Buffer.concat([text(2, 'PUT'), text(3, path), text(4, value), text(6, '')]);
}

function putEntry(index: number, key: string): Entry {
  const request = new etcdserverpb.PutRequest({ key: Buffer.from(key), value: Buffer.from(`${index}`) });
  const data = encodeCommand(
    { owner: 1, sequence: index },
    CommandKind.Put,
    etcdserverpb.encodePutRequest(request),
  );
  return new Entry(1, index, EntryType.Normal, data);
}

/**
 * The log of a founder of three: 1 to 3 the members, 4 and 5 what m1 says of itself and the version, as etcd 3.4
 * writes them, 6 to 15 puts, 16 a fourth member, 17 to 20 puts.
 */
export function log(): Entry[] {
  const { entries } = bootstrapLog([member(1n), member(2n), member(3n)]);
  const all = [...entries];
  const normal = (data: Buffer): void => void all.push(new Entry(1, all.length + 1, EntryType.Normal, data));
  normal(v2Put('/0/members/1/attributes', '{"name":"m1","clientURLs":["http://m1:2379"]}'));
  normal(v2Put('/0/version', '3.4.0'));
  while (all.length < 15) all.push(putEntry(all.length + 1, `key${all.length % 4}`));
  const change = {
    id: 0n,
    type: ConfChangeType.AddNode,
    nodeId: 4n,
    context: encodeMember(member(4n)),
  } as const;
  all.push(new Entry(1, 16, EntryType.ConfChange, encodeConfChange(change)));
  while (all.length < 20) all.push(putEntry(all.length + 1, `key${all.length % 4}`));
  return all;
}

export interface Shape {
  /** The consistent index of the database. */
  readonly index: number;
  /** Of the .snap file, at an entry before it; none when left out. */
  readonly snapshotIndex?: number;
  /** What bucket meta has of 3.5's fields; none for a database of 3.4. */
  readonly confState?: string;
  /** In bucket members, rightly or not. */
  readonly members: readonly Member[];
}

/** Keys after the puts up to an index. */
async function machineAt(index: number): Promise<Machine> {
  const machine = await Machine.open();
  machine.state.mark(5, 1);
  for (const entry of log().slice(5, index)) {
    if (entry.type === EntryType.Normal) machine.applier.applyBatch([entry]);
    else machine.state.mark(entry.index, 1);
  }
  return machine;
}

export async function databaseOf(shape: Shape): Promise<Buffer> {
  const machine = await machineAt(shape.index);
  const view = await machine.state.buffer.snapshot();
  const mark = (await markOf(view))!;
  const u64 = (value: number): Buffer => Buffer.from(value.toString(16).padStart(16, '0'), 'hex');
  const meta: KeyValuePair[] = [{ key: Buffer.from('consistent_index'), value: u64(shape.index) }];
  if (shape.confState !== undefined) {
    meta.unshift({ key: Buffer.from('confState'), value: Buffer.from(shape.confState) });
    meta.push({ key: Buffer.from('term'), value: u64(1) });
  }
  const members = shape.members.map((each) => ({
    key: Buffer.from(hexId(each.id)),
    value: encodeMember(each),
  }));
  const replaced: Readonly<Record<string, readonly KeyValuePair[]>> = { meta, members };
  const buckets: BucketSource[] = exportBuckets(view, mark).map((bucket) => {
    const pairs = replaced[bucket.name.toString()];
    return pairs === undefined ? bucket : { name: bucket.name, entries: () => [pairs] };
  });
  const chunks: Buffer[] = [];
  for await (const chunk of writeBbolt(await planBbolt(buckets), buckets)) chunks.push(Buffer.from(chunk));
  await view.close();
  return Buffer.concat(chunks);
}

export class Place {
  readonly disk = new MemoryDisk();
  readonly directories = new BackendDirectories();
  readonly messages: string[] = [];

  /** @param commit as the log's hard state has it */
  static async with(shape: Shape, commit = 20): Promise<Place> {
    const place = new Place();
    const disk = place.disk.boot();
    await disk.makeDirectory(SNAP);
    for (const each of ['/', '/data', '/data/member']) await disk.syncDirectory(each);
    const wal = await Wal.create(disk, WAL, encodeMetadata({ memberId: 1n, clusterId: 9n }));
    const hardState = { term: 1, vote: 1n, commit };
    await wal.append({ entries: log(), hardState, mustSync: true });
    const { snapshotIndex } = shape;
    if (snapshotIndex !== undefined) {
      const confState = quorum(1n, 2n, 3n);
      const data = encodeV2Store([member(1n, 'm1'), member(2n), member(3n)], [], '3.4.0');
      const snapshot = new Snapshot(snapshotIndex, 1, confState, data);
      await disk.writeFileAtomic(`${SNAP}/${formatSnapName(snapshot)}`, encodeSnapFile(snapshot));
      await wal.saveSnapshotMarker({ index: snapshotIndex, term: 1, confState });
    }
    await wal.close();
    await disk.writeFileAtomic(`${SNAP}/db`, await databaseOf(shape));
    return place;
  }

  /** Opens it as a member does that starts. @param root of another data dir on the same disk */
  async start(root = '/data'): Promise<MemberStorage> {
    const disk = this.disk.boot();
    const paths = { snap: `${root}/member/snap`, wal: `${root}/member/wal` };
    const home = this.directories.home(disk, paths.snap);
    const logger = new JsonLogger(
      (line) => void this.messages.push(JSON.parse(line).msg),
      () => 0,
    );
    await adoptEtcdDatabase(disk, home, paths, LEARNERS_MAX, logger);
    const onError = (): void => {};
    return openStorage(
      disk,
      home,
      paths,
      { joins: false, ask: () => Promise.reject(new Error('not asked')) },
      {
        wal: { onError },
        writeBuffer: { onError },
        state: {
          leaseTtlSecondsMin: 2,
          learnersMax: LEARNERS_MAX,
          mvcc: {},
          onMembershipChange: () => {},
          onCompaction: () => {},
        },
      },
      silentLogger,
    );
  }

  names(): Promise<string[]> {
    return this.disk.boot().list(SNAP);
  }
}

export function keysOf({ state }: MemberStorage): string[] {
  const found = state.mvcc.range('\0', '\0');
  if (typeof found === 'string') throw new Error(found);
  return found.kvs.map((kv) => `${kv.keyString}=${kv.value.toString()} ${kv.modRevision}`);
}

export async function keysAt(index: number): Promise<string[]> {
  const found = (await machineAt(index)).state.mvcc.range('\0', '\0');
  if (typeof found === 'string') throw new Error(found);
  return found.kvs.map((kv) => `${kv.keyString}=${kv.value.toString()} ${kv.modRevision}`);
}
