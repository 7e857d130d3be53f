/**
 * Fuzz targets of the log: frames, whole segments under mutation, and records whose checksums are right but which no
 * log of ours would hold in this order. The oracle is the same throughout: what is read was written, or it is refused.
 */
import { crc32c, Prng } from '@keelson/base';
import { Entry, EntryType } from '@keelson/raft';
import { Mutator } from '../../../base/test/fuzz/mutator.ts';
import { promise, promiseSame, type Execution, type FuzzTarget } from '../../../base/test/fuzz/target.ts';
import {
  encodeEntry,
  encodeHardState,
  encodeMetadata,
  encodeSnapshotMarker,
} from '../../src/wal/entry-codec.ts';
import { FrameCursor, RecordEncoder, RecordType } from '../../src/wal/record.ts';
import { RecordStream } from '../../src/wal/record-stream.ts';
import { Replay } from '../../src/wal/replay.ts';
import { WalError } from '../../src/wal/wal-error.ts';
import { BytesFile } from './bytes-disk.ts';

interface MadeRecord {
  readonly type: RecordType;
  readonly data: Buffer | undefined;
}

const METADATA = encodeMetadata({ memberId: 0x8e9e05c52164694dn, clusterId: 0xcdf818194e3a8c32n });
const HEAD: readonly MadeRecord[] = [
  { type: RecordType.Crc, data: undefined },
  { type: RecordType.Metadata, data: METADATA },
  { type: RecordType.Snapshot, data: encodeSnapshotMarker({ index: 0, term: 0, confState: undefined }) },
];

function bytesOf(records: readonly MadeRecord[], crc = 0): { bytes: Buffer; crc: number } {
  const encoder = new RecordEncoder(crc);
  for (const { type, data } of records) encoder.add(type, data);
  return { bytes: Buffer.concat(encoder.take()), crc: encoder.crc };
}

const entryRecord = (term: number, index: number, type: EntryType, data: Buffer): MadeRecord => ({
  type: RecordType.Entry,
  data: encodeEntry(new Entry(term, index, type, data)),
});

const stateRecord = (term: number, vote: bigint, commit: number): MadeRecord => ({
  type: RecordType.State,
  data: encodeHardState({ term, vote, commit }),
});

/** A log of some writes, each begun by a Crc record; a new leader replaces entries on the way. */
function logRecords(prng: Prng, count: number): MadeRecord[] {
  const records: MadeRecord[] = [...HEAD];
  let index = 0;
  let term = 1;
  let commit = 0;
  for (let i = 0; i < count; i++) {
    records.push({ type: RecordType.Crc, data: undefined });
    if (prng.chance(1, 5)) {
      term++;
      index = prng.between(commit, index);
    }
    for (let left = prng.below(4); left > 0; left--) {
      const type = prng.pick([EntryType.Normal, EntryType.Normal, EntryType.ConfChangeV2]);
      records.push(
        entryRecord(term, ++index, type, Buffer.alloc(prng.below(120), `entry ${index} of ${term} `)),
      );
    }
    commit = prng.between(commit, index);
    if (prng.chance(1, 2)) records.push(stateRecord(term, 0x8e9e05c52164694dn, commit));
  }
  return records;
}

/** What a replay has come to, as text: equal exactly when entries and hard state are. */
function stateOf(replay: Replay): string {
  const { hardState, entries } = replay;
  let text = `${hardState.term}/${hardState.vote}/${hardState.commit}:`;
  for (const { term, index, type, data } of entries)
    text += `${term}.${index}.${type}.${data.length}.${crc32c(data)};`;
  return text;
}

/** @returns undefined when the log is refused */
function replayed(segments: readonly Buffer[]): Replay | undefined {
  const replay = new Replay({ index: 0, term: 0 });
  try {
    segments.forEach((bytes, i) => replay.addSegment(`segment ${i}`, bytes, i === segments.length - 1));
    replay.finish('the log');
    return replay;
  } catch (error) {
    if (error instanceof WalError) return undefined;
    throw error;
  }
}

/** Frames in any bytes: what reads as a record is written as the same bytes, so there is one form of each. */
function openFrames(): Execution {
  const corpus = [1, 2, 3].map((count) => bytesOf(logRecords(new Prng(count), count)).bytes);
  const mutator = new Mutator(corpus, [], 2048);
  const encoder = new RecordEncoder(0);
  return (prng) => {
    const bytes = mutator.next(prng);
    const cursor = new FrameCursor(bytes);
    let step = cursor.step();
    for (; step === 'record'; step = cursor.step()) {
      const { data, next, offset, type, crc } = cursor;
      promise(
        next > offset && next <= bytes.length,
        () => `a record from ${offset} to ${next} of ${bytes.length}`,
      );
      if (type > RecordType.Snapshot) continue;
      encoder.crc = crc;
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- compared with the last of them above
      encoder.add(type as RecordType);
      const [written] = encoder.take();
      if (data === undefined)
        promise(written.equals(bytes.subarray(offset, next)), () => 'a record has two forms');
      else promise(data.length <= next - offset, () => 'data outside its record');
    }
    return step;
  };
}

/** Every state a crash may leave the log in: after each of its records. */
function openReplay(): Execution {
  const logs = Array.from({ length: 12 }, (_, i) => {
    const records = logRecords(new Prng(100 + i), 4 + i);
    const states = new Set<string>();
    for (let end = HEAD.length; end <= records.length; end++) {
      const replay = new Replay({ index: 0, term: 0 });
      replay.addSegment('prefix', bytesOf(records.slice(0, end)).bytes, true);
      states.add(stateOf(replay));
    }
    return { bytes: Buffer.concat([bytesOf(records).bytes, Buffer.alloc(512)]), states };
  });
  const mutator = new Mutator(
    logs.map(({ bytes }) => bytes),
    [],
    16 * 1024,
  );
  return (prng) => {
    const { bytes, states } = prng.pick(logs);
    const replay = replayed([mutator.of(prng, bytes)]);
    if (replay === undefined) return 'refused';
    promise(states.has(stateOf(replay)), () => `a state that never was: ${stateOf(replay)}`);
    return replay.tornReason === undefined ? 'whole' : 'torn';
  };
}

/** Records with right checksums in any order, doubled, left out, with other indexes and terms. */
function openRecords(): Execution {
  const random = (prng: Prng): MadeRecord => {
    switch (prng.below(8)) {
      case 0:
        return { type: RecordType.Crc, data: undefined };
      case 1:
        return stateRecord(prng.below(4), BigInt(prng.below(3)), prng.below(8));
      case 2:
        return {
          type: RecordType.Snapshot,
          data: encodeSnapshotMarker({ index: prng.below(4), term: prng.below(3), confState: undefined }),
        };
      case 3:
        return { type: RecordType.Metadata, data: prng.chance(3, 4) ? METADATA : Buffer.from([8, 1, 16, 1]) };
      default:
        return entryRecord(
          1 + prng.below(3),
          1 + prng.below(6),
          EntryType.Normal,
          Buffer.alloc(prng.below(4), 'x'),
        );
    }
  };
  return (prng) => {
    const records = prng.chance(1, 2) ? logRecords(prng, 1 + prng.below(4)) : [...HEAD];
    for (let left = prng.below(8); left > 0; left--) {
      const at = prng.below(8) === 0 ? prng.below(records.length + 1) : records.length;
      records.splice(at, prng.below(8) === 0 ? 1 : 0, random(prng));
    }
    const replay = replayed([bytesOf(records).bytes]);
    if (replay === undefined) return 'refused';
    assertMeant(records, replay);
    return 'accepted';
  };
}

/** The dumb reading of records in order: later entries replace those from their index on. */
function assertMeant(records: readonly MadeRecord[], replay: Replay): void {
  const entries = new Map<number, Buffer>();
  let state = encodeHardState({ term: 0, vote: 0n, commit: 0 });
  let last = 0;
  for (const { type, data } of records) {
    if (data === undefined) continue;
    if (type === RecordType.State) state = data;
    if (type !== RecordType.Entry) continue;
    const index = indexOf(data);
    entries.set(index, data);
    last = index;
    for (const other of entries.keys()) if (other > index) entries.delete(other);
  }
  promiseSame('the hard state', encodeHardState(replay.hardState).toString('hex'), state.toString('hex'));
  promise(replay.entries.length === last, () => `${replay.entries.length} entries, and the last was ${last}`);
  replay.entries.forEach((entry, i) => {
    promise(entry.index === i + 1, () => `entry ${entry.index} at ${i}`);
    promise(
      i === 0 || entry.term >= replay.entries[i - 1].term,
      () => `the term goes back at ${entry.index}`,
    );
    promiseSame(
      `entry ${entry.index}`,
      encodeEntry(entry).toString('hex'),
      entries.get(entry.index)?.toString('hex') ?? 'none',
    );
  });
  promise(replay.hardState.commit <= replay.lastIndex, () => 'more is committed than there is');
}

/** Field 3 of raftpb.Entry, by a walk of its own: type and term stand before it, one varint each. */
function indexOf(data: Buffer): number {
  let at = 3;
  while (data[at] >= 0x80) at++;
  at += 2;
  let index = 0;
  for (let scale = 1; ; scale *= 128, at++) {
    index += (data[at] & 0x7f) * scale;
    if (data[at] < 0x80) return index;
  }
}

/** A backup's increment, or a segment read in slices: records with checksums that follow, from the first one on. */
function openStream(): Execution {
  const logs = [2, 4, 7].map((count) => bytesOf(logRecords(new Prng(200 + count), count)).bytes);
  const wholes = logs.map((bytes) => describeFrames(bytes));
  const mutator = new Mutator(logs, [], 16 * 1024);
  return async (prng) => {
    const place = prng.below(logs.length);
    const bytes = Buffer.from(mutator.of(prng, logs[place]));
    const stream = new RecordStream(
      new BytesFile(bytes),
      prng.chance(1, 2) ? { end: bytes.length, crc: 0 } : {},
    );
    let text = '';
    try {
      for (let records = await stream.next(); records !== undefined; records = await stream.next())
        for (const { type, data } of records) text += `${type}:${data?.toString('hex') ?? ''};`;
    } catch (error) {
      if (!(error instanceof WalError)) throw error;
      promise(unchained(wholes[place]).startsWith(unchained(text)), () => `records that never were: ${text}`);
      return 'refused';
    }
    promise(unchained(wholes[place]).startsWith(unchained(text)), () => `records that never were: ${text}`);
    return 'accepted';
  };
}

function describeFrames(bytes: Buffer): string {
  const cursor = new FrameCursor(bytes);
  let text = '';
  while (cursor.step() === 'record') text += `${cursor.type}:${cursor.data?.toString('hex') ?? ''};`;
  return text;
}

/** Data alone: Crc records may stand anywhere, and no checksum covers a type. */
function unchained(text: string): string {
  return text.replaceAll(/\d+:;/g, '').replaceAll(/\d+:/g, '');
}

export const walTargets: readonly FuzzTarget[] = [
  { name: 'wal-frames', gateExecutions: 20_000, outcomes: ['end', 'broken'], open: openFrames },
  { name: 'wal-replay', gateExecutions: 6_000, outcomes: ['refused', 'whole', 'torn'], open: openReplay },
  { name: 'wal-records', gateExecutions: 6_000, outcomes: ['refused', 'accepted'], open: openRecords },
  { name: 'wal-stream', gateExecutions: 4_000, outcomes: ['refused', 'accepted'], open: openStream },
];
