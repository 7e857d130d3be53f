/** Frames, record by record and as a whole; the codecs of their payloads against the generated ones. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { AssertionError, crc32c } from '@keelson/base';
import { raftpb, walpb } from '@keelson/proto';
import { Entry, EntryType } from '@keelson/raft';
import {
  decodeEntry,
  decodeHardState,
  decodeMetadata,
  decodeSnapshotMarker,
  encodeEntries,
  encodeEntry,
  encodeHardState,
  encodeMetadata,
  encodeSnapshotMarker,
} from './entry-codec.ts';
import { WAL_RECORD_BYTES_MAX } from '../limits.ts';
import { FrameCursor, isCrcFrameAt, RecordEncoder, RecordType } from './record.ts';
import { judgeTail } from './repair.ts';

/** Frames as their definition says, by the generated codec. */
function frame(type: number, crc: number, data?: Buffer): Buffer {
  const record = walpb.encodeRecord(
    new walpb.Record(data === undefined ? { type, crc } : { type, crc, data }),
  );
  const padding = (8 - (record.length % 8)) % 8;
  const word = Buffer.alloc(8);
  word.writeBigUInt64LE(BigInt(record.length) | (padding === 0 ? 0n : BigInt(0x80 | padding) << 56n));
  return Buffer.concat([word, record, Buffer.alloc(padding)]);
}

const bytesUpTo = (maxLength: number) => fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes));

describe('frames', () => {
  test('the first records of an etcd log, byte for byte', () => {
    const encoder = new RecordEncoder(0);
    encoder.add(RecordType.Crc);
    encoder.add(RecordType.Snapshot, encodeSnapshotMarker({ index: 0, term: 0, confState: undefined }));
    expect(Buffer.concat(encoder.take()).toString('hex')).toBe(
      // length word, type and checksum, padding; the second with its data
      `04000000000000840804100000000000` +
        `0e00000000000082080510${varintHex(crc32c(Buffer.from('08001000', 'hex')))}1a04080010000000`,
    );
  });

  test('the example of docs/formats/wal.md', () => {
    const encoder = new RecordEncoder(0);
    encoder.add(RecordType.Metadata, encodeMetadata({ memberId: 1n, clusterId: 300n }));
    expect(Buffer.concat(encoder.take()).toString('hex')).toBe(
      '0f00000000000081080110fec3fdd8091a05080110ac0200',
    );
  });

  test('any records are framed as defined, in buffers that add up', () => {
    const record = fc.record({
      type: fc.constantFrom(...Object.values(RecordType)),
      data: fc.option(bytesUpTo(200), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 30 }), fc.nat(), (records, seed) => {
        const encoder = new RecordEncoder(seed);
        let crc = seed;
        const want: Buffer[] = [];
        for (const { type, data } of records) {
          if (data !== undefined) crc = crc32c(data, crc);
          want.push(frame(type, crc, data));
          if (data === undefined) encoder.add(type);
          else encoder.add(type, data);
        }
        const all = Buffer.concat(want);
        expect(encoder.bytes).toBe(all.length);
        expect(Buffer.concat(encoder.take())).toEqual(all);
        expect(encoder.crc).toBe(crc);
        const cursor = new FrameCursor(all);
        for (const { type, data } of records) {
          expect(cursor.step()).toBe('record');
          expect(cursor.type).toBe(type);
          expect(cursor.data).toEqual(data);
        }
        expect(cursor.step()).toBe('end');
      }),
    );
  });

  test('large data is not copied, small is; more than the staging buffer holds is right', () => {
    const encoder = new RecordEncoder(0);
    const large = Buffer.alloc(100_000, 'large');
    let crc = 0;
    const want: Buffer[] = [];
    for (let i = 0; i < 200; i++) {
      const data = i % 50 === 0 ? large : Buffer.alloc(i * 37, i);
      crc = crc32c(data, crc);
      want.push(frame(2, crc, data));
      encoder.add(RecordType.Entry, data);
    }
    const buffers = encoder.take();
    expect(buffers.filter((buffer) => buffer === large).length).toBe(4);
    expect(Buffer.concat(buffers).equals(Buffer.concat(want))).toBe(true);
    encoder.add(RecordType.Crc);
    expect(Buffer.concat(encoder.take())).toEqual(frame(4, crc));
  });

  test('a record beyond the bound is refused by the writer', () => {
    expect(() => new RecordEncoder(0).add(RecordType.Entry, Buffer.alloc(WAL_RECORD_BYTES_MAX))).toThrow(
      AssertionError,
    );
  });

  const good = frame(2, 7, Buffer.from('012345678'));
  const change = (at: number, byte: number) => {
    const bytes = Buffer.from(good);
    bytes[at] = byte;
    return bytes;
  };
  test.each<[string, Buffer, string]>([
    ['the file ends inside the length word', good.subarray(0, 5), 'cut inside a length word'],
    ['the file ends inside the record', good.subarray(0, 20), 'the record goes beyond the end of the file'],
    ['a length beyond the bound', change(3, 0x7f), 'not a length word'],
    ['a length beyond 32 bits', change(5, 1), 'not a length word'],
    ['wrong padding', change(7, 0x82), 'not a length word'],
    ['padding that is not zero', change(good.length - 1, 1), 'padding is not zero'],
    ['another field first', change(8, 0x10), 'not a record'],
    ['an inner length that differs', change(13, 8), 'not a record'],
  ])('%s', (_name, bytes, reason) => {
    const cursor = new FrameCursor(bytes);
    expect(cursor.step()).toBe('broken');
    expect(cursor.reason).toBe(reason);
  });

  test('arbitrary bytes neither throw nor hang', () => {
    fc.assert(
      fc.property(bytesUpTo(2000), fc.nat({ max: 500 }), (bytes, at) => {
        const cursor = new FrameCursor(bytes);
        for (let steps = 0; cursor.step() === 'record'; steps++) expect(steps).toBeLessThan(300);
        const offset = Math.min(at & ~7, bytes.length);
        expect(['clean', 'torn', 'corrupt']).toContain(judgeTail(bytes, offset, 'x').kind);
      }),
      { numRuns: 500 },
    );
  });

  test('a Crc record is found where it is', () => {
    const bytes = Buffer.concat([good, frame(4, 0xffff_ffff), good, frame(4, 0)]);
    const found: number[] = [];
    for (let at = 0; at + 16 <= bytes.length; at += 8) if (isCrcFrameAt(bytes, at)) found.push(at);
    expect(found).toEqual([24, 64]);
  });
});

describe('judging a tail', () => {
  const crc = frame(4, 99);
  const entry = frame(2, 1, Buffer.alloc(1500, 1));
  const pad = (bytes: Buffer, size = 4096) => Buffer.concat([bytes, Buffer.alloc(size - bytes.length)]);
  const zeroed = (bytes: Buffer, start: number, end: number) => Buffer.from(bytes).fill(0, start, end);
  const twoWrites = pad(Buffer.concat([crc, entry, crc, entry]));

  test.each<[string, string, Buffer]>([
    ['only zeros', 'clean', Buffer.alloc(4096)],
    ['nothing', 'clean', Buffer.alloc(0)],
    ['a sector of the only write was lost', 'torn', zeroed(pad(Buffer.concat([crc, entry])), 512, 1024)],
    ['the first sector of it was lost', 'torn', zeroed(pad(Buffer.concat([entry])), 0, 512)],
    ['the file ends inside it', 'torn', entry.subarray(0, 1024)],
    ['the file ends inside its length word', 'torn', entry.subarray(0, 4)],
    ['it is all there', 'corrupt', pad(entry)],
    ['a write after it was begun', 'corrupt', zeroed(twoWrites, 512, 1024)],
    ['zeros, then data in the same sector', 'corrupt', zeroed(pad(entry), 0, 8)],
    [
      'the length word differs from the length inside',
      'corrupt',
      Buffer.concat([Buffer.of(0xd0), zeroed(pad(entry), 512, 1024).subarray(1)]),
    ],
  ])('%s: %s', (_name, want, bytes) => {
    expect(judgeTail(bytes, bytes.subarray(0, crc.length).equals(crc) ? crc.length : 0, 'x').kind).toBe(want);
  });
});

describe('payloads', () => {
  test('an entry is encoded as the generated codec does, and once', () => {
    const index = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 1 });
    fc.assert(
      fc.property(
        index,
        index,
        fc.constantFrom(...Object.values(EntryType)),
        bytesUpTo(300),
        (Term, Index, Type, Data) => {
          const entry = new Entry(Term, Index, Type, Data);
          const bytes = encodeEntry(entry);
          expect(bytes).toEqual(
            raftpb.encodeEntry(
              new raftpb.Entry(Data.length === 0 ? { Term, Index, Type } : { Term, Index, Type, Data }),
            ),
          );
          expect(encodeEntry(entry)).toBe(bytes);
          if (Type === EntryType.ConfChange && Data.length === 0) return;
          const read = decodeEntry(bytes);
          expect([read.term, read.index, read.type, read.data, read.encoded]).toEqual([
            Term,
            Index,
            Type,
            Data,
            bytes,
          ]);
        },
      ),
    );
  });

  test('entries of one turn are encoded side by side; one that is keeps its bytes', () => {
    const payload = fc.record({ data: bytesUpTo(300), before: fc.boolean() });
    fc.assert(
      fc.property(fc.array(payload, { minLength: 1, maxLength: 20 }), (payloads) => {
        const entries = payloads.map(({ data }, i) => new Entry(7, 100 + i, EntryType.Normal, data));
        const alone = payloads.map(({ data }, i) =>
          encodeEntry(new Entry(7, 100 + i, EntryType.Normal, data)),
        );
        const early = entries.filter((_, i) => payloads[i].before);
        for (const entry of early) encodeEntry(entry);
        const blocks = early.map(({ block }) => block);
        encodeEntries(entries);
        expect(early.map(({ block }) => block)).toEqual(blocks);
        expect(entries.map(({ encoded }) => encoded)).toEqual(alone);
        expect(entries.map(({ data }) => data)).toEqual(payloads.map(({ data }) => data));
        const late = new Set(entries.filter((_, i) => !payloads[i].before).map(({ block }) => block));
        expect(late.size).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('an entry that gets another place in the log forgets its encoded form, not its payload', () => {
    const entry = new Entry(0, 0, EntryType.Normal, Buffer.from('payload'));
    encodeEntry(entry);
    const placed = entry.placedAt(3, 9);
    expect(placed.encoded).toBeUndefined();
    expect(decodeEntry(encodeEntry(placed))).toMatchObject({
      term: 3,
      index: 9,
      data: Buffer.from('payload'),
    });
  });

  test.each<[string, string]>([
    ['an unknown type', '080310011801'],
    ['term 0', '080010001801'],
    ['index 0', '080010011800'],
    ['a term beyond 2^53', '080010ffffffffffffffffff011801'],
    ['an empty v1 membership change', '080110011801'],
    ['cut', '08001001180122ff'],
  ])('an entry with %s is refused', (_name, hex) => {
    expect(() => decodeEntry(Buffer.from(hex, 'hex'))).toThrow();
  });

  // No checksum covers a record's type: one flipped bit makes an entry's 2 a hard state's 3 (docs/bugs.md).
  test.each<[string, (bytes: Buffer) => unknown, Entry]>([
    ['hard state', decodeHardState, new Entry(2, 3, EntryType.Normal, Buffer.from('put'))],
    ['hard state', decodeHardState, new Entry(2, 3, EntryType.ConfChangeV2, Buffer.from('change'))],
    ['hard state', decodeHardState, new Entry(2, 3, EntryType.Normal, Buffer.alloc(0))],
    ['marker', decodeSnapshotMarker, new Entry(2, 3, EntryType.Normal, Buffer.from('put'))],
    ['marker', decodeSnapshotMarker, new Entry(2, 3, EntryType.ConfChangeV2, Buffer.from('change'))],
  ])('an entry is no %s', (_name, decode, entry) => {
    expect(() => decode(encodeEntry(entry))).toThrow(RangeError);
  });

  test('a hard state is no marker', () => {
    expect(() => decodeSnapshotMarker(encodeHardState({ term: 5, vote: 7n, commit: 3 }))).toThrow(RangeError);
  });

  test('hard state, marker and metadata come back', () => {
    const state = { term: 5, vote: 0xffff_ffff_ffff_ffffn, commit: 2 ** 50 };
    expect(decodeHardState(encodeHardState(state))).toEqual(state);
    const confState = {
      voters: [2n, 1n],
      learners: [3n],
      votersOutgoing: [4n],
      learnersNext: [5n],
      autoLeave: true,
    };
    const marker = { index: 9, term: 2, confState };
    expect(decodeSnapshotMarker(encodeSnapshotMarker(marker))).toEqual(marker);
    const metadata = { memberId: 0x8e9e05c52164694dn, clusterId: 0xcdf818194e3a8c32n };
    expect(decodeMetadata(encodeMetadata(metadata))).toEqual(metadata);
    expect(encodeMetadata({ memberId: 1n, clusterId: 300n }).toString('hex')).toBe('080110ac02');
    expect(encodeMetadata({ memberId: 0n, clusterId: 0n }).toString('hex')).toBe('08001000');
    for (const hex of ['08', '0880', '1a00'])
      expect(() => decodeMetadata(Buffer.from(hex, 'hex'))).toThrow(RangeError);
  });
});

function varintHex(value: number): string {
  const bytes: number[] = [];
  while (value > 0x7f) {
    bytes.push((value & 0x7f) | 0x80);
    value >>>= 7;
  }
  return Buffer.from([...bytes, value]).toString('hex');
}
