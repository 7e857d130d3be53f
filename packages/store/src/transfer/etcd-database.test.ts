/**
 * Importing a real etcd's database, on a disk that fails and forgets: directories as etcd 3.4, 3.5 and a member of
 * ours in etcd's hands leave them.
 */
import { describe, expect, test } from '@jest/globals';
import { hexId, JsonLogger, Prng, silentLogger } from '@keelson/base';
import { encodeConfChange, ConfChangeType, Entry, EntryType, Snapshot, type ConfState } from '@keelson/raft';
import { MemoryDisk } from '@keelson/sim';
import { BackendDirectories } from '../../test/directories.ts';
import { Machine } from '../../test/machine.ts';
import { etcdserverpb } from '@keelson/proto';
import { CommandKind, encodeCommand } from '../apply/command.ts';
import { bootstrapLog } from '../consensus/bootstrap.ts';
import { encodeConfState } from '../consensus/conf-state.ts';
import { openStorage, type MemberStorage } from '../consensus/member-storage.ts';
import { FatalError } from '../errors.ts';
import { encodeMember, type Member } from '../membership/member.ts';
import { encodeV2Store } from '../membership/v2-store.ts';
import { encodeSnapFile, formatSnapName } from '../snap/snap-store.ts';
import { planBbolt, writeBbolt } from '../snapshot/bbolt-writer.ts';
import type { BucketSource, KeyValuePair } from '../snapshot/pages.ts';
import { exportBuckets, markOf } from '../snapshot/state-image.ts';
import { encodeMetadata } from '../wal/entry-codec.ts';
import { Wal } from '../wal/wal.ts';
import { adoptEtcdDatabase } from './etcd-database.ts';

const SNAP = '/data/member/snap';
const WAL = '/data/member/wal';
const PATHS = { snap: SNAP, wal: WAL };
const LEARNERS_MAX = 1;

const member = (id: bigint, name = ''): Member => ({
  id,
  peerUrls: [`http://m${id}:2380`],
  isLearner: false,
  name,
  clientUrls: name === '' ? [] : [`http://m${id}:2379`],
});
const quorum = (...voters: bigint[]): ConfState => ({
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
function log(): Entry[] {
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

interface Shape {
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

async function databaseOf(shape: Shape): Promise<Buffer> {
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

class Place {
  readonly disk = new MemoryDisk();
  readonly directories = new BackendDirectories();
  readonly messages: string[] = [];

  static async with(shape: Shape): Promise<Place> {
    const place = new Place();
    const disk = place.disk.boot();
    await disk.makeDirectory(SNAP);
    for (const each of ['/', '/data', '/data/member']) await disk.syncDirectory(each);
    const wal = await Wal.create(disk, WAL, encodeMetadata({ memberId: 1n, clusterId: 9n }));
    const hardState = { term: 1, vote: 1n, commit: 20 };
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

  async start(): Promise<MemberStorage> {
    const disk = this.disk.boot();
    const home = this.directories.home(disk, SNAP);
    const logger = new JsonLogger(
      (line) => void this.messages.push(JSON.parse(line).msg),
      () => 0,
    );
    await adoptEtcdDatabase(disk, home, PATHS, LEARNERS_MAX, logger);
    const onError = (): void => {};
    return openStorage(
      disk,
      home,
      PATHS,
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

function keysOf({ state }: MemberStorage): string[] {
  const found = state.mvcc.range('\0', '\0');
  if (typeof found === 'string') throw new Error(found);
  return found.kvs.map((kv) => `${kv.keyString}=${kv.value.toString()} ${kv.modRevision}`);
}

async function keysAt(index: number): Promise<string[]> {
  const found = (await machineAt(index)).state.mvcc.range('\0', '\0');
  if (typeof found === 'string') throw new Error(found);
  return found.kvs.map((kv) => `${kv.keyString}=${kv.value.toString()} ${kv.modRevision}`);
}

const OURS = [member(1n, 'm1'), member(2n), member(3n)];
const JSON_QUORUM = encodeConfState(quorum(1n, 2n, 3n));

describe('what a member starts from', () => {
  test.each<[string, Shape, { voters: bigint[]; members: readonly Member[]; version: string }]>([
    [
      'etcd 3.4 without a .snap file: members of the log, not those the database has ahead of its index',
      { index: 12, members: [...OURS, member(4n)] },
      { voters: [1n, 2n, 3n], members: OURS, version: '3.4.0' },
    ],
    [
      'etcd 3.4 with a .snap file',
      { index: 12, snapshotIndex: 8, members: [] },
      { voters: [1n, 2n, 3n], members: OURS, version: '3.4.0' },
    ],
    [
      'etcd 3.4 exactly at its .snap file',
      { index: 8, snapshotIndex: 8, members: OURS },
      { voters: [1n, 2n, 3n], members: OURS, version: '3.4.0' },
    ],
    [
      'etcd 3.4 after a membership change',
      { index: 18, snapshotIndex: 8, members: [] },
      { voters: [1n, 2n, 3n, 4n], members: [...OURS, member(4n)], version: '3.4.0' },
    ],
    [
      'etcd 3.5: the members of the database',
      { index: 12, confState: JSON_QUORUM, members: [member(1n, 'renamed'), member(2n), member(3n)] },
      { voters: [1n, 2n, 3n], members: [member(1n, 'renamed'), member(2n), member(3n)], version: '' },
    ],
    [
      'a database of 3.5 or newer that etcd 3.4 restored: neither its conf state nor its members',
      { index: 12, confState: encodeConfState(quorum(77n)), members: [member(77n, 'old')] },
      { voters: [1n, 2n, 3n], members: OURS, version: '3.4.0' },
    ],
    [
      'a database that nothing was applied to',
      { index: 0, members: [] },
      { voters: [], members: [], version: '' },
    ],
  ])('%s', async (_name, shape, want) => {
    const place = await Place.with(shape);
    const storage = await place.start();
    expect(storage.memberId).toBe(1n);
    expect(storage.clusterId).toBe(9n);
    expect(storage.state.consistentIndex).toBe(shape.index);
    expect(storage.state.consistentTerm).toBe(shape.index === 0 ? 0 : 1);
    expect(storage.tail.initialState().confState.voters).toEqual(want.voters);
    expect(storage.tail.initialState().hardState).toEqual({ term: 1, vote: 1n, commit: 20 });
    expect(storage.tail.lastIndex()).toBe(20);
    expect(storage.state.membership.list()).toEqual(want.members);
    expect(storage.state.membership.clusterVersion).toBe(want.version);
    expect(keysOf(storage)).toEqual(shape.index === 0 ? [] : await keysAt(shape.index));
    expect(await place.names()).toContain('db.imported');
    expect(await place.names()).not.toContain('db');
  });
});

test('power may fail at any operation: the next start imports it, or goes on', async () => {
  const shape: Shape = { index: 12, snapshotIndex: 8, members: [] };
  const want = await keysAt(12);
  let imported = 0;
  let again = 0;
  for (let crashAt = 1, finished = 0; finished < 3; crashAt++) {
    const place = await Place.with(shape);
    let operations = 0;
    place.disk.configure({ fault: () => (++operations >= crashAt ? 'EIO' : undefined) });
    const done = await place.start().then(
      () => true,
      () => false,
    );
    if (done) finished++;
    place.disk.configure({});
    place.disk.crash(new Prng(crashAt));
    const before = place.messages.length;
    const storage = await place.start();
    expect(keysOf(storage)).toEqual(want);
    expect(storage.state.consistentIndex).toBe(12);
    expect(storage.state.membership.list()).toEqual(OURS);
    if (place.messages.slice(before).includes('importing the database of another etcd')) again++;
    else imported++;
    const names = await place.names();
    expect(names).toContain('db.imported');
    expect(names).not.toContain('db');
    expect(names.filter((name) => /^db\.level(\.\d+)?$/.test(name))).toHaveLength(1);
    await storage.wal.close();
  }
  expect(again).toBeGreaterThan(10);
  expect(imported).toBeGreaterThan(3);
});

describe('what is there already', () => {
  test('an old database beside a backend of ours is put aside, unread', async () => {
    const place = await Place.with({ index: 12, members: [] });
    const first = await place.start();
    await first.wal.close();
    await first.state.backend.close();
    const disk = place.disk.boot();
    await disk.writeFileAtomic(`${SNAP}/db`, await databaseOf({ index: 9, members: [] }));
    const storage = await place.start();
    expect(storage.state.consistentIndex).toBe(12);
    expect(await place.names()).toEqual(expect.arrayContaining(['db.imported', 'db.imported.1']));
    expect(place.messages.filter((text) => text.startsWith('importing'))).toHaveLength(1);
  });

  test('a newer one, of an etcd that ran here in between, is imported', async () => {
    const place = await Place.with({ index: 9, members: [] });
    const first = await place.start();
    await first.wal.close();
    await first.state.backend.close();
    await place.disk.boot().writeFileAtomic(`${SNAP}/db`, await databaseOf({ index: 14, members: [] }));
    const storage = await place.start();
    expect(storage.state.consistentIndex).toBe(14);
    expect(keysOf(storage)).toEqual(await keysAt(14));
  });
});

describe('what cannot be', () => {
  const failure = async (place: Place): Promise<Error> =>
    place.start().then(
      () => new Error('it started'),
      (error: Error) => error,
    );

  test('a log that ends before the database', async () => {
    const place = await Place.with({ index: 12, members: [] });
    const disk = place.disk.boot();
    await disk.removeAll(WAL);
    const wal = await Wal.create(disk, WAL, encodeMetadata({ memberId: 1n, clusterId: 9n }));
    await wal.append({
      entries: log().slice(0, 8),
      hardState: { term: 1, vote: 1n, commit: 8 },
      mustSync: true,
    });
    await wal.close();
    const error = await failure(place);
    expect(error).toBeInstanceOf(FatalError);
    expect(error.message).toContain('has applied entry 12, but the log in /data/member/wal ends at 8');
    // Untouched: whoever puts the log back finds the database.
    expect(await place.names()).toContain('db');
  });

  test('data without a log', async () => {
    const place = await Place.with({ index: 12, members: [] });
    await place.disk.boot().removeAll(WAL);
    expect((await failure(place)).message).toContain(
      '/data/member/snap/db has data but /data/member/wal has no log',
    );
  });

  test('a damaged page: nothing of it is adopted, the file stays', async () => {
    const place = await Place.with({ index: 12, members: [] });
    const bytes = await databaseOf({ index: 12, members: [] });
    bytes.fill(0xff, 3 * 4096 + 8, 3 * 4096 + 12);
    await place.disk.boot().writeFileAtomic(`${SNAP}/db`, bytes);
    const error = await failure(place);
    expect(error).toBeInstanceOf(FatalError);
    expect(error.message).toMatch(/^\/data\/member\/snap\/db cannot be imported: bbolt: page 3: /);
    expect((await place.names()).filter((name) => name.startsWith('db'))).toEqual(['db', 'db.level']);
  });

  test('members that are not the voters of the log', async () => {
    const place = await Place.with({ index: 12, snapshotIndex: 8, members: [] });
    const confState = quorum(1n, 2n, 3n);
    const data = encodeV2Store([member(1n), member(5n)], [], '');
    const snapshot = new Snapshot(8, 1, confState, data);
    await place.disk.boot().writeFileAtomic(`${SNAP}/${formatSnapName(snapshot)}`, encodeSnapFile(snapshot));
    expect((await failure(place)).message).toContain('are the voters of the log at entry 12');
  });
});
