/**
 * Importing a real etcd's database, on a disk that fails and forgets: directories as etcd 3.4, 3.5 and a member of
 * ours in etcd's hands leave them.
 */
import { describe, expect, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import { Snapshot } from '@keelson/raft';
import { databaseOf, keysAt, keysOf, log, member, Place, quorum, SNAP, WAL, type Shape } from '../../test/etcd-directory.ts'; // prettier-ignore
import { encodeConfState } from '../consensus/conf-state.ts';
import { FatalError } from '../errors.ts';
import type { Member } from '../membership/member.ts';
import { encodeV2Store } from '../membership/v2-store.ts';
import { encodeSnapFile, formatSnapName } from '../snap/snap-store.ts';
import { encodeMetadata } from '../wal/entry-codec.ts';
import { Wal } from '../wal/wal.ts';

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

describe('a log that begins after the database', () => {
  test('goes on from the database that came with the snapshot, as etcd does', async () => {
    const place = await Place.with({ index: 6, snapshotIndex: 12, members: [] });
    const disk = place.disk.boot();
    await disk.writeFileAtomic(
      `${SNAP}/000000000000000c.snap.db`,
      await databaseOf({ index: 12, members: [member(77n)] }),
    );
    const storage = await place.start();
    expect(storage.state.consistentIndex).toBe(12);
    expect(storage.state.membership.list()).toEqual(OURS);
    expect(keysOf(storage)).toEqual(await keysAt(12));
    await storage.wal.close();
    await storage.state.backend.close();
    // The old one is of no more use, which the next start finds.
    expect(await place.names()).toContain('db');
    await place.start();
    expect(await place.names()).toContain('db.imported');
    expect(await place.names()).not.toContain('db');
  });

  test('without that database it stops, and says which file is missing', async () => {
    const place = await Place.with({ index: 6, snapshotIndex: 12, members: [] });
    await expect(place.start()).rejects.toThrow('/data/member/snap/000000000000000c.snap.db is missing');
    expect(await place.names()).toContain('db');
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
