/**
 * Rot: every bit of a small log flipped, every length cut, every sector zeroed. The result is the same
 * replay, or one that lacks only the end of the newest write, or a refusal with a name: never wrong entries.
 */
import { beforeAll, describe, expect, test } from '@jest/globals';
import { Entry, EntryType, type HardState } from '@keelson/raft';
import { MemoryDisk } from '@keelson/sim';
import { encodeMetadata } from './entry-codec.ts';
import { FrameCursor, RecordType } from './record.ts';
import { Replay } from './replay.ts';
import { Wal } from './wal.ts';
import { WalError } from './wal-error.ts';

const SEGMENT_BYTES = 1400;
const DIRECTORY = '/wal';
const START = { index: 0, term: 0 };
const CLUSTER = { memberId: 0x8e9e05c52164694dn, clusterId: 0xcdf818194e3a8c32n };

interface SegmentBytes {
  readonly name: string;
  readonly bytes: Buffer;
}

interface Outcome {
  readonly entries: string[];
  readonly hardState: HardState;
}

let segments: SegmentBytes[];
let whole: Outcome;
/** What is left when nothing of the newest write is: all that was synced before it began. */
let beforeLastWrite: Outcome;
/** As above, without what shares a sector with the beginning of the newest write. */
let beforeLastSector: Outcome;

/** Several segments; entries of all types, empty, small, over several sectors; states; a marker. */
async function buildLog(): Promise<SegmentBytes[]> {
  const disk = new MemoryDisk();
  const wal = await Wal.create(disk, DIRECTORY, encodeMetadata(CLUSTER), { segmentBytes: SEGMENT_BYTES });
  let index = 0;
  const sizes = [0, 1, 64, 130, 700, 20, 1400, 9, 300, 37, 0, 256];
  for (const [turn, size] of sizes.entries()) {
    const term = 1 + Math.floor(turn / 4);
    const entries = [
      new Entry(term, ++index, EntryType.Normal, Buffer.alloc(size, `entry ${index} `)),
      new Entry(
        term,
        ++index,
        turn % 3 === 0 ? EntryType.ConfChangeV2 : EntryType.Normal,
        Buffer.alloc(turn % 2 ? 0 : 33, 'c'),
      ),
    ];
    await wal.append({
      entries,
      hardState: { term, vote: CLUSTER.memberId, commit: index - 2 },
      mustSync: true,
    });
  }
  await wal.saveSnapshotMarker({
    index: 4,
    term: 1,
    confState: {
      voters: [CLUSTER.memberId],
      learners: [],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    },
  });
  // A segment that is cut behind the newest write would prove that write, too.
  for (let i = 0; i < 3; i++) {
    const entry = new Entry(3, ++index, EntryType.Normal, Buffer.alloc(170, `tail ${i} `));
    await wal.append({ entries: [entry], hardState: undefined, mustSync: true });
  }
  const last = new Entry(4, ++index, EntryType.Normal, Buffer.alloc(700, 'the newest write '));
  await wal.append({ entries: [last], hardState: { term: 4, vote: 0n, commit: index - 1 }, mustSync: true });
  expect(wal.counters.cuts).toBeGreaterThan(1);
  await wal.close();
  const names = await disk.list(DIRECTORY);
  return Promise.all(
    names.map(async (name) => ({ name, bytes: await disk.readFile(`${DIRECTORY}/${name}`, 1e6) })),
  );
}

function replay(files: readonly SegmentBytes[]): Outcome & { replay: Replay } {
  const result = new Replay(START);
  for (const [i, { name, bytes }] of files.entries()) result.addSegment(name, bytes, i === files.length - 1);
  result.finish('the log');
  return { entries: result.entries.map(describeEntry), hardState: result.hardState, replay: result };
}

const describeEntry = ({ term, index, type, data }: Entry) =>
  `${term}/${index}/${type}/${data.toString('latin1')}`;

/**
 * 'same', 'tail' (only the newest write is missing, in whole or from a record on) or 'refused'.
 * @param least what must be there at least
 */
function judge(files: readonly SegmentBytes[], least = beforeLastWrite): 'same' | 'tail' | 'refused' {
  let got: Outcome;
  try {
    got = replay(files);
  } catch (error) {
    if (!(error instanceof WalError)) throw error;
    if (!error.message.startsWith('wal: ')) throw error;
    return 'refused';
  }
  if (got.entries.length === whole.entries.length && got.hardState.commit === whole.hardState.commit) {
    expect(got.entries).toEqual(whole.entries);
    expect(got.hardState).toEqual(whole.hardState);
    return 'same';
  }
  expect(got.entries.length).toBeGreaterThanOrEqual(least.entries.length);
  expect(got.entries).toEqual(whole.entries.slice(0, got.entries.length));
  expect([whole.hardState, beforeLastWrite.hardState, least.hardState]).toContainEqual(got.hardState);
  return 'tail';
}

function withBytes(index: number, bytes: Buffer): SegmentBytes[] {
  return segments.map((segment, i) => (i === index ? { name: segment.name, bytes } : segment));
}

/** Offsets at which the records of a segment begin, and where they end. */
function boundaries(bytes: Buffer): number[] {
  const cursor = new FrameCursor(bytes);
  const found = [0];
  while (cursor.step() === 'record') found.push(cursor.next);
  return found;
}

beforeAll(async () => {
  segments = await buildLog();
  whole = replay(segments);
  const last = segments[segments.length - 1];
  const cursor = new FrameCursor(last.bytes);
  let lastWrite = 0;
  while (cursor.step() === 'record') if (cursor.type === RecordType.Crc) lastWrite = cursor.offset;
  const cut = Buffer.from(last.bytes);
  cut.fill(0, lastWrite);
  beforeLastWrite = replay(withBytes(segments.length - 1, cut));
  cut.fill(0, lastWrite - (lastWrite % 512));
  beforeLastSector = replay(withBytes(segments.length - 1, cut));
});

test('the log is worth the name', () => {
  expect(segments.length).toBeGreaterThanOrEqual(3);
  expect(whole.entries.length).toBe(28);
  expect(beforeLastWrite.entries.length).toBe(27);
  expect(judge(segments)).toBe('same');
});

describe('every bit flipped', () => {
  test('is refused, or harmless, or in the newest write', () => {
    const counts = { same: 0, tail: 0, refused: 0 };
    const believed: string[] = [];
    for (const [index, { name, bytes }] of segments.entries()) {
      for (let at = 0; at < bytes.length; at++) {
        for (let bit = 0; bit < 8; bit++) {
          bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at);
          const outcome = judge(segments);
          counts[outcome]++;
          if (index < segments.length - 1 && outcome !== 'refused')
            believed.push(`${name} byte ${at} bit ${bit}`);
          bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at);
        }
      }
    }
    expect(believed).toEqual([]);
    // A flip is no lost sector: in the records it is always refused. What is left are zeros behind them.
    expect(counts.refused).toBeGreaterThan(40_000);
    expect(counts.tail).toBeLessThan(20);
  });
});

describe('every length', () => {
  test('of the last segment: up to a record, or refused', () => {
    const index = segments.length - 1;
    const { bytes } = segments[index];
    const starts = boundaries(bytes);
    for (let length = 0; length < bytes.length; length++) {
      let got: ReturnType<typeof replay>;
      try {
        got = replay(withBytes(index, bytes.subarray(0, length)));
      } catch (error) {
        expect(error).toBeInstanceOf(WalError);
        // A segment's head was there before its name.
        expect(length).toBeLessThan(starts[2]);
        continue;
      }
      expect(starts).toContain(got.replay.end);
      expect(got.replay.end).toBeLessThanOrEqual(length);
      expect(got.entries).toEqual(whole.entries.slice(0, got.entries.length));
    }
  });

  test('of an earlier segment: refused', () => {
    for (let index = 0; index < segments.length - 1; index++) {
      for (let length = 0; length < segments[index].bytes.length; length++) {
        expect(judge(withBytes(index, segments[index].bytes.subarray(0, length)))).toBe('refused');
      }
    }
  });
});

describe('every sector', () => {
  test.each<[string, (bytes: Buffer, start: number, end: number) => void]>([
    ['zeroed', (bytes, start, end) => bytes.fill(0, start, end)],
    ['filled with ones', (bytes, start, end) => bytes.fill(0xff, start, end)],
    [
      'repeated from the one before',
      (bytes, start, end) => bytes.copyWithin(start, Math.max(0, start - 512), end - 512),
    ],
  ])('%s: refused, or of the newest write', (_name, damage) => {
    for (const [index, { bytes }] of segments.entries()) {
      for (let start = 0; start < bytes.length; start += 512) {
        const rotten = Buffer.from(bytes);
        damage(rotten, start, Math.min(start + 512, bytes.length));
        // The proof that the write before the newest was synced is in the newest: lost with its first sector.
        const outcome = judge(withBytes(index, rotten), beforeLastSector);
        if (index < segments.length - 1 && !rotten.equals(bytes)) expect(outcome).toBe('refused');
      }
    }
  });
});

describe('records moved', () => {
  test('dropped, repeated and swapped records are refused', () => {
    const { bytes } = segments[1];
    const starts = boundaries(bytes);
    const frames = starts.slice(1).map((end, i) => bytes.subarray(starts[i], end));
    const content = frames.filter((_, i) => i > 2);
    for (let i = 3; i < frames.length; i++) {
      const dropped = frames.filter((_, j) => j !== i);
      const repeated = frames.flatMap((frame, j) => (j === i ? [frame, frame] : [frame]));
      const swapped = frames.map((frame, j) => (j === i ? frames[3] : j === 3 ? frames[i] : frame));
      const isCrc = frames[i][9] === RecordType.Crc;
      // A Crc record carries no content: without it, or with it twice, the log says the same.
      for (const list of isCrc ? [] : [dropped, repeated])
        expect(judge(withBytes(1, Buffer.concat(list)))).toBe('refused');
      if (i > 3) expect(judge(withBytes(1, Buffer.concat(swapped)))).toBe('refused');
    }
    expect(content.length).toBeGreaterThan(4);
  });

  test('segments of another order, or missing, are refused', () => {
    expect(judge([segments[0], ...segments.slice(2)])).toBe('refused');
    expect(judge(segments.toReversed())).toBe('refused');
  });
});

test('opening names file and offset, and leaves a refused log as it was', async () => {
  const disk = new MemoryDisk();
  await disk.makeDirectory(DIRECTORY);
  for (const { name, bytes } of segments) await disk.writeFileAtomic(`${DIRECTORY}/${name}`, bytes);
  const path = `${DIRECTORY}/${segments[1].name}`;
  disk.flip(path, 700, 4);
  const before = await disk.readFile(path, 1e6);
  await expect(Wal.open(disk, DIRECTORY, START)).rejects.toMatchObject({
    code: 'CORRUPT',
    message: new RegExp(`${path} is damaged at offset \\d+: `),
  });
  expect(await disk.readFile(path, 1e6)).toEqual(before);
  disk.flip(path, 700, 4);
  const { wal, entries } = await Wal.open(disk, DIRECTORY, START, { segmentBytes: SEGMENT_BYTES });
  expect(entries.map(describeEntry)).toEqual(whole.entries);
  await wal.close();
});

test.each([0, 60, 200, 700, 1399])(
  'a last segment cut to %s bytes is damage, not a torn write',
  async (length) => {
    const disk = new MemoryDisk();
    await disk.makeDirectory(DIRECTORY);
    for (const { name, bytes } of segments) await disk.writeFileAtomic(`${DIRECTORY}/${name}`, bytes);
    const path = `${DIRECTORY}/${segments[segments.length - 1].name}`;
    const file = await disk.open(path, 'write');
    await file.truncate(length);
    await file.close();
    await expect(Wal.open(disk, DIRECTORY, START, { segmentBytes: SEGMENT_BYTES })).rejects.toMatchObject({
      code: 'CORRUPT',
    });
    expect((await disk.readFile(path, 1e6)).length).toBe(length);
  },
);
