import { describe, expect, test } from '@jest/globals';
import { Prng, silentLogger } from '@keelson/base';
import { EMPTY_CONF_STATE, Entry, Snapshot } from '@keelson/raft';
import { MemoryDisk } from '@keelson/sim';
import { BackendDirectories } from '../../test/directories.ts';
import { encodeMetadata } from '../wal/entry-codec.ts';
import { Wal } from '../wal/wal.ts';
import { openStorage, type Founding, type MemberStorage } from './member-storage.ts';

const SNAP = '/data/member/snap';
const WAL = '/data/member/wal';
const FOUNDING: Founding = {
  memberId: 1n,
  clusterId: 9n,
  members: [2n, 1n, 3n].map((id) => ({
    id,
    peerUrls: [`http://m${id}:2380`],
    name: `m${id}`,
    isLearner: false,
    clientUrls: [],
  })),
};

class Place {
  readonly disk = new MemoryDisk();
  readonly directories = new BackendDirectories();

  async open(founding: Founding = FOUNDING): Promise<MemberStorage> {
    const disk = this.disk.boot();
    await disk.makeDirectory(SNAP);
    for (const each of ['/', '/data', '/data/member']) await disk.syncDirectory(each);
    return openStorage(
      disk,
      this.directories.home(disk, SNAP),
      { snap: SNAP, wal: WAL },
      { joins: founding.members.length === 0, ask: () => Promise.resolve(founding) },
      {
        wal: { segmentBytes: 4096 },
        writeBuffer: { onError: () => {} },
        state: {
          leaseTtlSecondsMin: 2,
          learnersMax: 1,
          mvcc: {},
          onMembershipChange: () => {},
          onCompaction: () => {},
        },
      },
      silentLogger,
    );
  }
}

describe('a new member', () => {
  test('begins with one committed entry for each founder, in id order', async () => {
    const storage = await new Place().open();
    expect(storage).toMatchObject({
      memberId: 1n,
      clusterId: 9n,
      isNew: true,
      founderIds: [2n, 1n, 3n],
      snapshotIndex: 0,
    });
    expect(storage.tail.initialState().hardState).toEqual({ term: 1, vote: 0n, commit: 3 });
    const entries = storage.tail.entries(1, 4, Infinity) as Entry[];
    expect(entries.map((entry) => [entry.index, entry.term, entry.type])).toEqual([
      [1, 1, 1],
      [2, 1, 1],
      [3, 1, 1],
    ]);
  });

  test('power may fail at any operation: the next start founds it all the same', async () => {
    const began = { again: 0, reopened: 0 };
    for (let crashAt = 1, finished = 0; finished < 3; crashAt++) {
      const place = new Place();
      let operations = 0;
      place.disk.configure({ fault: () => (++operations >= crashAt ? 'EIO' : undefined) });
      await place.open().then(
        () => finished++,
        () => {},
      );
      place.disk.configure({});
      place.disk.crash(new Prng(crashAt));
      const storage = await place.open();
      began[storage.isNew ? 'again' : 'reopened']++;
      expect(storage.tail.lastIndex()).toBe(3);
      expect(storage.tail.initialState().hardState).toEqual({ term: 1, vote: 0n, commit: 3 });
      await storage.wal.close();
    }
    expect(began.again).toBeGreaterThan(5);
    expect(began.reopened).toBeGreaterThan(0);
  });

  test('a log that was made and not begun is begun by its own member only', async () => {
    const place = new Place();
    await place.disk.makeDirectory(SNAP);
    await (await Wal.create(place.disk, WAL, encodeMetadata({ memberId: 1n, clusterId: 9n }))).close();
    await expect(place.open({ ...FOUNDING, memberId: 2n })).rejects.toThrow(
      '/data/member/wal is the empty log of member 1 of cluster 9, but the flags found member 2 of cluster 9',
    );
    expect((await place.open()).isNew).toBe(true);
  });

  test('an empty directory in the place of the log is no log', async () => {
    const place = new Place();
    await place.disk.makeDirectory(WAL);
    expect((await place.open()).isNew).toBe(true);
  });

  test('a log directory with other things is refused', async () => {
    const place = new Place();
    await place.disk.makeDirectory(`${WAL}/photos`);
    await expect(place.open()).rejects.toThrow('/data/member/wal holds other files (photos) and no log');
  });
});

describe('a member that joins', () => {
  const joining: Founding = { memberId: 5n, clusterId: 9n, members: [] };

  test('begins with an empty log, and again when it comes back before it heard anything', async () => {
    const place = new Place();
    for (const isNew of [true, false]) {
      const storage = await place.open(joining);
      expect(storage).toMatchObject({ memberId: 5n, clusterId: 9n, isNew, founderIds: [] });
      expect(storage.tail.lastIndex()).toBe(0);
      expect(storage.tail.initialState().hardState).toEqual({ term: 0, vote: 0n, commit: 0 });
      await storage.wal.close();
    }
  });

  test('does not found a cluster with the wrong flags later', async () => {
    const place = new Place();
    await (await place.open(joining)).wal.close();
    await expect(place.open()).rejects.toThrow('is the empty log of member 5 of cluster 9');
  });
});

describe('a member that comes back', () => {
  test('goes on with its ids, whatever the flags say now', async () => {
    const place = new Place();
    await (await place.open()).wal.close();
    const storage = await place.open({ ...FOUNDING, memberId: 2n });
    expect(storage).toMatchObject({ memberId: 1n, isNew: false, founderIds: [] });
  });

  test('data without its log is refused', async () => {
    const place = new Place();
    const storage = await place.open();
    storage.state.mark(3, 1);
    await storage.state.buffer.commit();
    await storage.wal.close();
    await place.disk.removeAll(WAL);
    await expect(place.open()).rejects.toThrow('has data but /data/member/wal has no log');
  });

  test('a damaged log is refused with what to do, and stays as it is', async () => {
    const place = new Place();
    const { wal, state } = await place.open();
    await wal.append({
      entries: [new Entry(1, 4, 0, Buffer.alloc(40))],
      hardState: undefined,
      mustSync: true,
    });
    await wal.append({
      entries: [new Entry(1, 5, 0, Buffer.alloc(40))],
      hardState: undefined,
      mustSync: true,
    });
    await wal.close();
    await state.backend.close();
    const [name] = await place.disk.list(WAL);
    place.disk.flip(`${WAL}/${name}`, 120, 1);
    const before = await place.disk.readFile(`${WAL}/${name}`, 1e6);
    await expect(place.open()).rejects.toThrow(
      /is damaged at offset .*remove this member from the cluster, remove its data dir, and add it again/,
    );
    expect(await place.disk.readFile(`${WAL}/${name}`, 1e6)).toEqual(before);
  });

  test('a log that ends before what was applied is refused', async () => {
    const place = new Place();
    const storage = await place.open();
    storage.state.mark(4, 1);
    await storage.state.buffer.commit();
    await storage.wal.close();
    await expect(place.open()).rejects.toThrow('the backend has applied entry 4, but the log ends at 3');
  });

  test('what was applied counts as committed', async () => {
    const place = new Place();
    const storage = await place.open();
    await storage.wal.append({
      entries: [new Entry(2, 4, 0, Buffer.from('x'))],
      hardState: { term: 2, vote: 3n, commit: 3 },
      mustSync: true,
    });
    storage.state.mark(4, 2);
    await storage.state.buffer.commit();
    await storage.wal.close();
    expect((await place.open()).tail.initialState().hardState).toEqual({ term: 2, vote: 3n, commit: 4 });
  });

  test('entries of a term whose hard state was torn off raise the term, without a vote', async () => {
    const place = new Place();
    const storage = await place.open();
    await storage.wal.append({
      entries: [new Entry(5, 4, 0, Buffer.from('x'))],
      hardState: undefined,
      mustSync: true,
    });
    await storage.wal.close();
    expect((await place.open()).tail.initialState().hardState).toEqual({ term: 5, vote: 0n, commit: 3 });
  });

  test('begins at the newest snapshot that its log speaks of, in whichever segment that stands', async () => {
    const place = new Place();
    const storage = await place.open();
    const { wal, snapFiles, state } = storage;
    for (let index = 4; index <= 12; index++) {
      const entry = new Entry(1, index, 0, Buffer.alloc(2000));
      await wal.append({ entries: [entry], hardState: { term: 1, vote: 0n, commit: index }, mustSync: true });
    }
    const saved: [index: number, hasMarker: boolean][] = [
      [5, true],
      [8, true],
      [11, false],
    ];
    for (const [index, hasMarker] of saved) {
      await snapFiles.save(new Snapshot(index, 1, EMPTY_CONF_STATE, Buffer.alloc(0)));
      if (hasMarker) await wal.saveSnapshotMarker({ index, term: 1, confState: EMPTY_CONF_STATE });
    }
    state.mark(12, 1);
    await state.buffer.commit();
    await wal.close();
    const again = await place.open();
    expect(again.snapshotIndex).toBe(8);
    await again.wal.close();
    await place.disk.writeFileAtomic(`${SNAP}/0000000000000001-0000000000000008.snap`, Buffer.from('x'));
    expect((await place.open()).snapshotIndex).toBe(5);
  });

  test('a failed start leaves the backend closed', async () => {
    const place = new Place();
    const storage = await place.open();
    storage.state.mark(9, 1);
    await storage.state.buffer.commit();
    await storage.wal.close();
    const { backend } = storage.state;
    await expect(place.open()).rejects.toThrow('log records are lost');
    expect(() => backend.getSync('k')).toThrow('backend used after close');
  });
});
