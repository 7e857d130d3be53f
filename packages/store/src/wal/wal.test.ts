/** The log over the simulated disk: what it keeps, cuts, releases and refuses. */
import { describe, expect, test } from '@jest/globals';
import { Prng, type Disk } from '@keelson/base';
import { Entry, EntryType, type HardState } from '@keelson/raft';
import { MemoryDisk, type DiskOperation } from '@keelson/sim';
import { decodeMetadata, encodeMetadata, type SnapshotMarker } from './entry-codec.ts';
import { FrameCursor } from './record.ts';
import { endOfData } from './repair.ts';
import { validSnapshotMarkers, Wal, type WalOptions } from './wal.ts';

const METADATA = encodeMetadata({ memberId: 0x8e9e05c52164694dn, clusterId: 0xcdf818194e3a8c32n });
const DIRECTORY = '/data/member/wal';
const START = { index: 0, term: 0 };

async function newDisk(options: ConstructorParameters<typeof MemoryDisk>[0] = {}): Promise<MemoryDisk> {
  const disk = new MemoryDisk(options);
  await disk.makeDirectory('/data/member');
  await disk.syncDirectory('/');
  await disk.syncDirectory('/data');
  return disk;
}

const create = (disk: Disk, options: WalOptions = {}) => Wal.create(disk, DIRECTORY, METADATA, options);
const open = (disk: Disk, from = START, options: WalOptions = {}) => Wal.open(disk, DIRECTORY, from, options);

function entry(index: number, term = 1, bytes = 20): Entry {
  return new Entry(term, index, EntryType.Normal, Buffer.alloc(bytes, `${index}.`));
}

const state = (commit: number, term = 1): HardState => ({ term, vote: 7n, commit });
const append = (wal: Wal, entries: Entry[], hardState?: HardState) =>
  wal.append({ entries, hardState, mustSync: false });
const plain = (entries: readonly Entry[]) =>
  entries.map(({ term, index, type, data }) => [term, index, type, data.toString('latin1')]);
const marker = (index: number, term = 1): SnapshotMarker => ({
  index,
  term,
  confState: {
    voters: [7n, 0xffff_ffff_ffff_ffffn],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  },
});

describe('create and open', () => {
  test('an empty log', async () => {
    const disk = await newDisk();
    const wal = await create(disk);
    await wal.close();
    expect(await disk.list(DIRECTORY)).toEqual(['0000000000000000-0000000000000000.wal']);
    const opened = await open(disk);
    expect(opened.entries).toEqual([]);
    expect(opened.hardState).toEqual({ term: 0, vote: 0n, commit: 0 });
    expect(opened.tornReason).toBeUndefined();
    expect(decodeMetadata(opened.metadata)).toEqual(decodeMetadata(METADATA));
    await opened.wal.close();
  });

  test('refuses to create where a log is, and to open where none is', async () => {
    const disk = await newDisk();
    await expect(open(disk)).rejects.toMatchObject({ code: 'ENOENT' });
    await create(disk);
    await expect(create(disk)).rejects.toMatchObject({ code: 'EXISTS' });
    await disk.makeDirectory('/data/empty');
    await expect(Wal.open(disk, '/data/empty', START)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('entries, states and markers come back; the log goes on', async () => {
    const disk = await newDisk();
    let wal = await create(disk);
    await append(wal, [entry(1), entry(2)], state(1));
    await append(wal, [], state(2));
    await append(wal, [entry(3, 2, 0), new Entry(2, 4, EntryType.ConfChangeV2)], state(2, 2));
    await append(wal, [], state(4, 2));
    await wal.close();
    for (let index = 5; index < 8; index++) {
      const opened = await open(disk);
      wal = opened.wal;
      expect(opened.entries.map((one) => one.index)).toEqual(
        Array.from({ length: index - 1 }, (_, i) => i + 1),
      );
      expect(opened.hardState).toEqual(state(index - 1, 2));
      await append(wal, [entry(index, 2)], state(index, 2));
      await wal.close();
    }
    const opened = await open(disk);
    expect(plain(opened.entries.slice(0, 5))).toEqual(
      plain([entry(1), entry(2), entry(3, 2, 0), new Entry(2, 4, EntryType.ConfChangeV2), entry(5, 2)]),
    );
    expect(opened.markers).toEqual([{ index: 0, term: 0, confState: undefined }]);
  });

  test('what a torn write left behind the log is gone once it was opened', async () => {
    const disk = await newDisk();
    const wal = await create(disk, { segmentBytes: 8192 });
    await append(wal, [entry(1), entry(2)], state(1));
    await wal.close();
    const path = `${DIRECTORY}/0000000000000000-0000000000000000.wal`;
    const end = endOfData(await disk.readFile(path, 1e6));
    // Of three sectors the second and third arrived.
    const sector = Math.ceil(end / 512) * 512;
    const file = await disk.open(path, 'write');
    await file.write(sector + 512, Buffer.alloc(1024, 'half of an entry '));
    await file.sync();
    await file.close();
    const opened = await open(disk, START, { segmentBytes: 8192 });
    expect(opened.tornReason).toBeDefined();
    expect(endOfData(await disk.readFile(path, 1e6))).toBe(end);
    await append(opened.wal, [entry(3)], state(2));
    await opened.wal.close();
    const again = await open(disk, START, { segmentBytes: 8192 });
    expect(again.entries.map(({ index }) => index)).toEqual([1, 2, 3]);
    expect(again.tornReason).toBeUndefined();
    await again.wal.close();
  });

  test('a later leader’s entries replace earlier ones', async () => {
    const disk = await newDisk();
    const wal = await create(disk);
    await append(wal, [entry(1), entry(2), entry(3)], state(1));
    await append(wal, [entry(2, 3)], state(1, 3));
    await wal.close();
    expect(plain((await open(disk)).entries)).toEqual(plain([entry(1), entry(2, 3)]));
  });

  test('starts from a snapshot marker, and only from one of the right term', async () => {
    const disk = await newDisk();
    const wal = await create(disk);
    for (let index = 1; index <= 10; index++) await append(wal, [entry(index)], state(index));
    await wal.saveSnapshotMarker(marker(6));
    await append(wal, [entry(11)], state(10));
    await wal.close();
    const opened = await open(disk, { index: 6, term: 1 });
    expect(opened.entries.map((one) => one.index)).toEqual([7, 8, 9, 10, 11]);
    expect(opened.markers).toEqual([{ index: 0, term: 0, confState: undefined }, marker(6)]);
    await expect(open(disk, { index: 6, term: 2 })).rejects.toMatchObject({ code: 'SNAPSHOT_MISMATCH' });
    await expect(open(disk, { index: 5, term: 1 })).rejects.toMatchObject({ code: 'SNAPSHOT_NOT_FOUND' });
    expect((await validSnapshotMarkers(disk, DIRECTORY)).map((one) => one.index)).toEqual([0, 6]);
  });

  test('what a received snapshot took the place of is not behind it', async () => {
    const disk = await newDisk();
    const wal = await create(disk);
    await append(wal, [entry(1), entry(2), entry(3), entry(4), entry(5), entry(6)], state(2));
    // Our own: what follows is the same log.
    await wal.saveSnapshotMarker(marker(2));
    await wal.saveSnapshotMarker(marker(4, 3));
    await append(wal, [], state(2, 3));
    // Not valid yet: all of the log still counts.
    const before = await open(disk.boot(), { index: 2, term: 1 });
    expect(before.entries.map(({ index }) => index)).toEqual([3, 4, 5, 6]);
    await before.wal.close();
    await append(wal, [], state(4, 3));
    await wal.close();
    for (const behind of [[], [entry(5, 3)]]) {
      const opened = await open(disk.boot(), { index: 4, term: 3 });
      expect(plain(opened.entries)).toEqual([]);
      await append(opened.wal, behind, state(4, 3));
      await opened.wal.close();
    }
    const last = await open(disk.boot(), { index: 4, term: 3 });
    expect(plain(last.entries)).toEqual(plain([entry(5, 3)]));
    await last.wal.close();
  });

  test('a marker beyond the commit index is not valid to start from', async () => {
    const disk = await newDisk();
    const wal = await create(disk);
    await append(wal, [entry(1)], state(1));
    await wal.saveSnapshotMarker(marker(40));
    await wal.close();
    expect((await validSnapshotMarkers(disk, DIRECTORY)).map((one) => one.index)).toEqual([0]);
    const opened = await open(disk, { index: 40, term: 1 });
    await append(opened.wal, [entry(41)], state(41));
    await opened.wal.close();
    expect((await validSnapshotMarkers(disk, DIRECTORY)).map((one) => one.index)).toEqual([0, 40]);
  });
});

describe('syncs', () => {
  test('calls during a sync share the next one', async () => {
    const gates: (() => void)[] = [];
    const disk = await newDisk();
    const wal = await create(disk);
    disk.configure({
      delay: ({ kind }: DiskOperation) =>
        kind === 'sync' ? new Promise<void>((resolve) => gates.push(() => resolve())) : undefined,
    });
    const done: number[] = [];
    const note = (index: number) => append(wal, [entry(index)], state(0)).then(() => done.push(index));
    const all = [1, 2, 3, 4].map(note);
    while (gates.length < 1) await Promise.resolve();
    expect(done).toEqual([]);
    const before = wal.counters.syncs;
    gates[0]();
    await all[0];
    expect(done).toEqual([1]);
    while (gates.length < 2) await Promise.resolve();
    gates[1]();
    await Promise.all(all);
    expect(done).toEqual([1, 2, 3, 4]);
    expect(wal.counters.syncs - before).toBe(2);
  });

  test.each<[string, (wal: Wal) => Promise<void>, number]>([
    ['entries', (wal) => append(wal, [entry(1)]), 1],
    ['a new term', (wal) => append(wal, [], state(0, 9)), 1],
    ['a new vote', (wal) => append(wal, [], { term: 1, vote: 8n, commit: 0 }), 1],
    ['only the commit index', (wal) => append(wal, [], state(0)), 0],
    ['nothing', (wal) => append(wal, []), 0],
    ['nothing, told to', (wal) => wal.append({ entries: [], hardState: undefined, mustSync: true }), 1],
    ['a snapshot marker', (wal) => wal.saveSnapshotMarker(marker(3)), 1],
  ])('%s', async (_name, act, want) => {
    const wal = await create(await newDisk());
    await append(wal, [], state(0));
    const before = wal.counters.syncs;
    await act(wal);
    expect(wal.counters.syncs - before).toBe(want);
  });

  test('a commit index that was not written goes along with the next batch and with close', async () => {
    const disk = await newDisk();
    const wal = await create(disk);
    await append(wal, [entry(1), entry(2), entry(3)], state(0));
    await append(wal, [], state(1));
    await append(wal, [entry(4)]);
    await append(wal, [], state(3));
    await wal.close();
    expect((await open(disk)).hardState).toEqual(state(3));
  });

  test('fsync durations are observed', async () => {
    let now = 0;
    const seconds: number[] = [];
    const clock = { monotonicMs: () => (now += 250) };
    const wal = await create(await newDisk(), { clock, observeFsync: (value) => seconds.push(value) });
    await append(wal, [entry(1)]);
    expect(seconds).toEqual([0.25, 0.25]);
  });

  test('without fsync nothing is synced', async () => {
    const disk = await newDisk();
    const wal = await create(disk, { unsafeNoFsync: true });
    await append(wal, [entry(1)], state(1));
    expect(wal.counters.syncs).toBe(0);
    await wal.close();
    expect((await open(disk, START, { unsafeNoFsync: true })).entries.length).toBe(1);
  });
});

describe('segments', () => {
  const small = { segmentBytes: 4096, keepSegments: 1 };

  async function filled(disk: Disk, count: number, options: WalOptions = small): Promise<Wal> {
    const wal = await create(disk, options);
    for (let index = 1; index <= count; index++) await append(wal, [entry(index, 1, 300)], state(index - 1));
    return wal;
  }

  test('are cut by bytes, named by sequence and first index, and chained', async () => {
    const disk = await newDisk();
    const wal = await filled(disk, 60);
    expect(wal.counters.cuts).toBeGreaterThan(3);
    await wal.close();
    const names = await disk.list(DIRECTORY);
    expect(names.length).toBe(wal.counters.cuts + 1);
    for (const [i, name] of names.entries()) {
      expect(Number.parseInt(name.slice(0, 16), 16)).toBe(i);
      const cursor = new FrameCursor(await disk.readFile(`${DIRECTORY}/${name}`, 1e6));
      const types: number[] = [];
      let first: number | undefined;
      while (cursor.step() === 'record') {
        types.push(cursor.type);
        if (cursor.type === 2) first ??= cursor.data?.[5];
      }
      expect(types.slice(0, 3)).toEqual(i === 0 ? [4, 1, 5] : [4, 1, 3]);
      expect(first).toBe(Math.max(1, Number.parseInt(name.slice(17, 33), 16)));
    }
    const opened = await open(disk, START, small);
    expect(opened.entries.length).toBe(60);
    expect(plain(opened.entries)[41]).toEqual(plain([entry(42, 1, 300)])[0]);
    await append(opened.wal, [entry(61)]);
  });

  test('the next one is filled in the background; full-size ones are zeros behind their records', async () => {
    const disk = await newDisk();
    const wal = await create(disk, { segmentBytes: 1024 * 1024 });
    for (let index = 1; index <= 40; index++) await append(wal, [entry(index, 1, 10_000)], state(index - 1));
    expect(wal.counters.cuts).toBe(1);
    const [first, second] = await disk.list(DIRECTORY);
    expect((await disk.readFile(`${DIRECTORY}/${first}`, 1e7)).length).toBeLessThan(400_000);
    expect((await disk.readFile(`${DIRECTORY}/${second}`, 1e7)).length).toBe(1024 * 1024);
    await wal.close();
  });

  test('go one after the other: power lost in between leaves no gap', async () => {
    const gone: string[] = [];
    const disk = await newDisk({
      delay: ({ kind, path }) => {
        if (kind === 'remove' || kind === 'syncDirectory')
          gone.push(kind === 'remove' ? path.slice(-38, -21) : kind);
        return undefined;
      },
    });
    const wal = await create(disk, { segmentBytes: 512, keepSegments: 1 });
    for (let index = 1; index <= 60; index++) await append(wal, [entry(index)]);
    gone.length = 0;
    await wal.release(60);
    expect(gone.length).toBeGreaterThan(4);
    expect(gone.filter((_, i) => i % 2 === 1)).toEqual(
      gone.filter((_, i) => i % 2 === 1).map(() => 'syncDirectory'),
    );
    expect(gone.filter((kind) => kind === 'syncDirectory').length).toBe(gone.length / 2);
    await wal.close();
  });

  test('are released up to the one that holds the index, keeping a number', async () => {
    const disk = await newDisk();
    const wal = await filled(disk, 60);
    await wal.saveSnapshotMarker(marker(30));
    await wal.release(30);
    const names = (await disk.list(DIRECTORY)).filter((name) => name.endsWith('.wal'));
    const firsts = names.map((name) => Number.parseInt(name.slice(17, 33), 16));
    expect(firsts[0]).toBeLessThanOrEqual(30);
    expect(firsts[1]).toBeGreaterThan(30);
    await append(wal, [entry(61)], state(60));
    await wal.close();
    const opened = await open(disk, { index: 30, term: 1 }, small);
    expect(opened.entries.map((one) => one.index)).toEqual(Array.from({ length: 31 }, (_, i) => 31 + i));
    expect((await validSnapshotMarkers(disk, DIRECTORY)).map((one) => one.index)).toEqual([30]);
    await opened.wal.close();
    await expect(open(disk, START, small)).rejects.toMatchObject({ code: 'NOT_FOUND' });

    const other = await newDisk();
    const keeping = await filled(other, 60, { segmentBytes: 4096, keepSegments: 3 });
    await keeping.release(60);
    await keeping.close();
    expect((await other.list(DIRECTORY)).length).toBe(3);
  });

  test('a missing segment is named', async () => {
    const disk = await newDisk();
    await (await filled(disk, 60)).close();
    const names = await disk.list(DIRECTORY);
    await disk.remove(`${DIRECTORY}/${names[2]}`);
    await expect(open(disk, START, small)).rejects.toMatchObject({
      code: 'CORRUPT',
      message: /segment 2 before it is missing/,
    });
  });

  test('left-over temporary files are removed', async () => {
    const disk = await newDisk();
    await (await filled(disk, 3)).close();
    await disk.writeFileAtomic(`${DIRECTORY}/1.tmp`, Buffer.from('x'));
    const opened = await open(disk, START, small);
    expect((await disk.list(DIRECTORY)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    await opened.wal.close();
  });
});

describe('failure', () => {
  test.each<[string, DiskOperation['kind'], string]>([
    ['a failed sync', 'sync', 'EIO'],
    ['a full disk', 'write', 'ENOSPC'],
  ])('%s ends the log: told once, never retried', async (_name, kind, code) => {
    const disk = await newDisk();
    const errors: Error[] = [];
    const wal = await create(disk, { onError: (error) => errors.push(error) });
    await append(wal, [entry(1)], state(1));
    disk.configure({ fault: (operation) => (operation.kind === kind ? code : undefined) });
    const failed = await Promise.allSettled([append(wal, [entry(2)]), append(wal, [entry(3)])]);
    expect(failed.map((one) => one.status)).toEqual(['rejected', 'rejected']);
    disk.configure({});
    const writes = disk.counts.get('write');
    await expect(append(wal, [entry(4)])).rejects.toMatchObject({
      code: 'FAILED',
      message: new RegExp(code),
    });
    await expect(wal.release(1)).rejects.toMatchObject({ code: 'FAILED' });
    expect(disk.counts.get('write')).toBe(writes);
    expect(errors.length).toBe(1);
    disk.crash(new Prng(5));
    expect(plain((await open(disk)).entries.slice(0, 1))).toEqual(plain([entry(1)]));
  });

  test('a disk too full for the next segment does not fail the log before it is needed', async () => {
    const disk = await newDisk({ capacityBytes: 6000 });
    const wal = await create(disk, { segmentBytes: 4096 });
    let index = 0;
    const appendNext = () => append(wal, [entry(++index, 1, 300)]);
    for (let i = 0; i < 9; i++) await appendNext();
    expect(wal.counters.cuts).toBe(0);
    const untilFull = async () => {
      for (let i = 0; i < 30; i++) await appendNext();
    };
    await expect(untilFull()).rejects.toMatchObject({ code: 'FAILED' });
    expect(index).toBeGreaterThan(10);
    disk.configure({});
    const opened = await open(disk, START, { segmentBytes: 4096 });
    expect(opened.entries.length).toBeGreaterThanOrEqual(index - 2);
  });

  test('where the last of the disk is kept for records, the log goes on in a full segment', async () => {
    const disk = await newDisk();
    let free = 0;
    const scarce: Disk = Object.create(disk) as Disk;
    scarce.freeBytes = () => Promise.resolve(free);
    const wal = await create(scarce, { segmentBytes: 4096 });
    for (let index = 1; index <= 40; index++) await append(wal, [entry(index, 1, 300)]);
    expect(wal.counters.cuts).toBe(0);
    free = Infinity;
    for (let index = 41; index <= 60; index++) await append(wal, [entry(index, 1, 300)]);
    expect(wal.counters.cuts).toBeGreaterThan(0);
    await wal.close();
    const opened = await open(disk, START, { segmentBytes: 4096 });
    expect(opened.entries.length).toBe(60);
  });

  test('closed is closed', async () => {
    const wal = await create(await newDisk());
    await wal.close();
    await expect(append(wal, [entry(1)])).rejects.toMatchObject({ code: 'CLOSED' });
  });
});
