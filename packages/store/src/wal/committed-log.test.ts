/** Entries read from the segments of a log that goes on being written. */
import { describe, expect, test } from '@jest/globals';
import { Entry, EntryType, type HardState } from '@keelson/raft';
import { MemoryDisk } from '@keelson/sim';
import { committedEntries } from './committed-log.ts';
import { encodeMetadata } from './entry-codec.ts';
import { RecordStream } from './record-stream.ts';
import { Wal } from './wal.ts';

const DIRECTORY = '/member/wal';
const CONF_STATE = { voters: [1n], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };

async function newLog(disk: MemoryDisk, segmentBytes: number): Promise<Wal> {
  await disk.makeDirectory('/member');
  const metadata = encodeMetadata({ memberId: 1n, clusterId: 2n });
  return Wal.create(disk, DIRECTORY, metadata, { segmentBytes, keepSegments: 1 });
}

const entry = (index: number, term: number, bytes = 40): Entry =>
  new Entry(term, index, EntryType.Normal, Buffer.alloc(bytes, `${index}.${term} `));
const state = (commit: number, term: number): HardState => ({ term, vote: 1n, commit });

/** `[index, term]` of what is read. */
async function read(disk: MemoryDisk, low: number, high: number): Promise<[number, number][]> {
  const out: [number, number][] = [];
  for await (const entries of committedEntries(disk, DIRECTORY, low, high))
    for (const { index, term, data } of entries) {
      expect(data.toString()).toMatch(new RegExp(`^${index}\\.${term} `));
      out.push([index, term]);
    }
  return out;
}

const numbered = (low: number, high: number, term: number): [number, number][] =>
  Array.from({ length: high - low + 1 }, (_, i) => [low + i, term]);

describe('committed entries', () => {
  test.each([
    ['one segment', 1_000_000],
    ['many segments', 600],
  ])('of %s', async (_name, segmentBytes) => {
    const disk = new MemoryDisk();
    const wal = await newLog(disk, segmentBytes);
    for (let i = 1; i <= 60; i += 3)
      await wal.append({
        entries: [entry(i, 1), entry(i + 1, 1), entry(i + 2, 1)],
        hardState: state(i - 1, 1),
        mustSync: true,
      });
    const names = await disk.list(DIRECTORY);
    expect(names.length > 3).toBe(segmentBytes === 600);
    for (const [low, high] of [
      [1, 57],
      [20, 20],
      [31, 50],
    ])
      expect(await read(disk, low, high)).toEqual(numbered(low, high, 1));
    // Not committed by any hard state yet: nothing is made up.
    await expect(read(disk, 50, 60)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await wal.close();
  });

  test('are those that were not replaced', async () => {
    const disk = new MemoryDisk();
    const wal = await newLog(disk, 400);
    const batches: [Entry[], HardState][] = [
      [[entry(1, 1), entry(2, 1), entry(3, 1), entry(4, 1)], state(1, 1)],
      [[entry(3, 2), entry(4, 2), entry(5, 2), entry(6, 2)], state(3, 2)],
      [[entry(5, 4)], state(4, 4)],
      [[entry(6, 4), entry(7, 4)], state(7, 4)],
    ];
    for (const [entries, hardState] of batches) await wal.append({ entries, hardState, mustSync: true });
    const want = [[1, 1], [2, 1], [3, 2], [4, 2], [5, 4], [6, 4], [7, 4]]; // prettier-ignore
    for (let low = 1; low <= 7; low++) expect(await read(disk, low, 7)).toEqual(want.slice(low - 1));
    await wal.close();
  });

  test('are not there before a snapshot that was received, nor once they are released', async () => {
    const disk = new MemoryDisk();
    const wal = await newLog(disk, 500);
    await wal.append({ entries: [entry(1, 1), entry(2, 1)], hardState: state(2, 1), mustSync: true });
    await wal.saveSnapshotMarker({ index: 10, term: 1, confState: CONF_STATE });
    for (let i = 11; i < 30; i++)
      await wal.append({ entries: [entry(i, 1)], hardState: state(i, 1), mustSync: true });
    expect(await read(disk, 1, 2)).toEqual(numbered(1, 2, 1));
    expect(await read(disk, 12, 28)).toEqual(numbered(12, 28, 1));
    await expect(read(disk, 2, 12)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await wal.release(29);
    await expect(read(disk, 12, 28)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await wal.close();
  });

  test('are not what a snapshot that was received took the place of', async () => {
    const disk = new MemoryDisk();
    const wal = await newLog(disk, 100_000);
    const append = (entries: Entry[], hardState: HardState): Promise<void> =>
      wal.append({ entries, hardState, mustSync: true });
    await append([entry(1, 1), entry(2, 1), entry(3, 1)], state(2, 1));
    // Ours: the log has its entry, though the hard state comes behind it.
    await wal.saveSnapshotMarker({ index: 3, term: 1, confState: CONF_STATE });
    await append([], state(3, 1));
    // Never committed anywhere: while this member led alone, the others went on with entries of term 2.
    await append(
      [4, 5, 6, 7, 8, 9].map((index) => entry(index, 1)),
      state(3, 1),
    );
    await wal.saveSnapshotMarker({ index: 7, term: 2, confState: CONF_STATE });
    await append([], state(7, 2));
    await append([entry(8, 2), entry(9, 2), entry(10, 2)], state(10, 2));
    for (const low of [1, 2, 3]) expect(await read(disk, low, 3)).toEqual(numbered(low, 3, 1));
    for (const [low, high] of [
      [1, 7],
      [4, 5],
      [7, 7],
      [5, 10],
    ])
      await expect(read(disk, low, high)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    for (const low of [8, 9, 10]) expect(await read(disk, low, 10)).toEqual(numbered(low, 10, 2));
    await wal.close();
  });

  test('stop at damage, and give what came before it', async () => {
    const disk = new MemoryDisk();
    const wal = await newLog(disk, 10_000_000);
    // Several slices of the file, and an entry that is longer than one.
    for (let i = 1; i <= 8; i++)
      await wal.append({
        entries: [entry(i, 1, i === 4 ? 1_500_000 : 300_000)],
        hardState: state(i, 1),
        mustSync: true,
      });
    await wal.close();
    expect(await read(disk, 1, 8)).toEqual(numbered(1, 8, 1));
    const [name] = await disk.list(DIRECTORY);
    const file = await disk.open(`${DIRECTORY}/${name}`, 'write');
    const last = await file.read(3_200_000, 1);
    await file.write(3_200_000, Buffer.from([last[0] ^ 1]));
    const found: number[] = [];
    const reading = (async () => {
      for await (const entries of committedEntries(disk, DIRECTORY, 1, 8))
        found.push(...entries.map(({ index }) => index));
    })();
    await expect(reading).rejects.toMatchObject({ code: 'CORRUPT' });
    expect(found).toEqual([1, 2, 3, 4, 5, 6]);
    await file.close();
  });
});

test('a stream of records ends where it is told, and a cut record is damage there', async () => {
  const disk = new MemoryDisk();
  const wal = await newLog(disk, 100_000);
  await wal.append({ entries: [entry(1, 1)], hardState: state(1, 1), mustSync: true });
  await wal.close();
  const [name] = await disk.list(DIRECTORY);
  const file = await disk.open(`${DIRECTORY}/${name}`, 'read');
  const whole = new RecordStream(file);
  const records = (await whole.next()) ?? [];
  expect(records.map(({ type }) => type)).toEqual([4, 1, 5, 4, 2, 3]);
  expect(await whole.next()).toBe(undefined);
  const same = new RecordStream(file, { end: whole.position });
  expect((await same.next())?.length).toBe(6);
  expect(await same.next()).toBe(undefined);
  expect(same.crc).toBe(whole.crc);
  const cut = new RecordStream(file, { end: whole.position - 8 });
  expect((await cut.next())?.length).toBe(5);
  await expect(cut.next()).rejects.toMatchObject({ code: 'CORRUPT' });
  await expect(new RecordStream(file, { crc: 77 }).next()).rejects.toThrow('checksum mismatch');
  await file.close();
});
