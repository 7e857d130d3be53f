import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { EMPTY } from '@keelson/base';
import { Entry, EntryType, Message, MessageType, Snapshot } from '@keelson/raft';
import { decodeEntry as decodeLogEntry, encodeEntry } from '../wal/entry-codec.ts';
import {
  assertEntriesFollow,
  decodeEntry,
  decodeMessage,
  encodeMessage,
  isLinkHeartbeat,
  mayStep,
  messageSize,
} from './codec.ts';
import { PeerError } from './peer-error.ts';

const count = fc.oneof(
  fc.nat(300),
  // The greatest safe integer is refused: the log keeps none.
  fc.maxSafeNat().map((value) => Math.min(value, Number.MAX_SAFE_INTEGER - 1)),
  fc.constantFrom(127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER - 1),
);
const id = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(
    0n,
    127n,
    128n,
    2n ** 32n - 1n,
    2n ** 32n,
    2n ** 56n - 1n,
    2n ** 56n,
    2n ** 63n,
    2n ** 64n - 1n,
  ),
);
const ids = fc.array(id, { maxLength: 4 });
const bytes = fc.uint8Array({ maxLength: 300 }).map((b) => Buffer.from(b));
const entry = fc
  .tuple(count, count, fc.constantFrom(0, 1, 2), bytes)
  .map(([term, index, type, data]) => new Entry(term, index, type, data));
const snapshot = fc
  .tuple(count, count, ids, ids, ids, ids, fc.boolean(), bytes)
  .map(
    ([index, term, voters, learners, votersOutgoing, learnersNext, autoLeave, data]) =>
      new Snapshot(
        index === 0 ? 1 : index,
        term,
        { voters, learners, votersOutgoing, learnersNext, autoLeave },
        data,
      ),
  );
const flat = fc.record({
  type: fc.constantFrom(...Object.values(MessageType)),
  to: id,
  from: id,
  term: count,
  logTerm: count,
  index: count,
  commit: count,
  vote: id,
  reject: fc.boolean(),
  rejectHint: count,
  context: bytes,
  entries: fc.array(entry, { maxLength: 4 }),
  snapshot: fc.option(snapshot, { nil: undefined }),
});
const message = fc.tuple(flat, fc.array(flat, { maxLength: 2 })).map(
  ([{ type, ...fields }, responses]) =>
    new Message(type, {
      ...fields,
      responses: responses.map(({ type: responseType, ...rest }) => new Message(responseType, rest)),
    }),
);

/** The message without codec slots, so that two can be compared by value. */
function bare(value: Message): unknown {
  return {
    ...Object.fromEntries(Object.entries(value)),
    context: value.context.toString('hex'),
    entries: value.entries.map((e) => [e.term, e.index, e.type, e.data.toString('hex')]),
    snapshot: value.snapshot && [
      value.snapshot.index,
      value.snapshot.term,
      value.snapshot.confState,
      value.snapshot.data.toString('hex'),
    ],
    responses: value.responses.map(bare),
  };
}

test('every message survives the wire', () => {
  fc.assert(
    fc.property(message, (m) => {
      const encoded = encodeMessage(m);
      expect(encoded.length).toBe(messageSize(m));
      expect(bare(decodeMessage(encoded))).toEqual(bare(m));
    }),
    { numRuns: 500 },
  );
});

test('bytes are those of etcd: all scalars, in field order', () => {
  const hex = (m: Message): string => encodeMessage(m).toString('hex');
  // etcd before 3.6 adds an empty snapshot (field 9) to each; all else is the same.
  expect(hex(new Message(MessageType.Heartbeat))).toBe('0808100018002000280030004000500058006800');
  const app = new Message(MessageType.App, {
    to: 2n,
    from: 1n,
    term: 3,
    logTerm: 2,
    index: 300,
    commit: 299,
    entries: [new Entry(3, 301, EntryType.Normal, Buffer.from('ab'))],
  });
  expect(hex(app)).toBe('0803100218012003280230ac023a0b0800100318ad022202616240ab02500058006800');
});

test.each<[string, Entry, string]>([
  ['normal', new Entry(1, 2, EntryType.Normal, Buffer.from('x')), '080010011802220178'],
  ['empty data is absent', new Entry(5, 6), '080010051806'],
  ['conf change', new Entry(1, 1, EntryType.ConfChange, Buffer.from([1])), '080110011801220101'],
])('entry bytes: %s', (_name, value, want) => {
  expect(encodeEntry(value).toString('hex')).toBe(want);
  expect(encodeEntry(value)).toBe(value.encoded); // encoded once
  const decoded = decodeEntry(Buffer.from(want, 'hex'));
  expect([decoded.term, decoded.index, decoded.type, decoded.data]).toEqual([
    value.term,
    value.index,
    value.type,
    value.data,
  ]);
  expect(decoded.encoded?.toString('hex')).toBe(want); // a follower's log writes these
});

test('an entry that came from the wire leaves with the very same bytes', () => {
  // An unknown field 15 and fields out of order: ours would encode neither.
  const foreign = Buffer.from('1802100108002201787a0101', 'hex');
  const decoded = decodeEntry(foreign);
  expect(decoded.data.toString()).toBe('x');
  expect(encodeEntry(decoded)).toBe(foreign);
});

test('what is let into the log is what the log reads', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), fc.boolean(), (raw, mutate) => {
      const bytes = mutate ? Buffer.from(raw) : Buffer.from([0x08, 0, 0x10, 3, 0x18, 8, ...raw]);
      let entry: Entry;
      try {
        entry = decodeEntry(bytes);
        assertEntriesFollow([entry], entry.index - 1, 0);
      } catch (error) {
        expect(error).toBeInstanceOf(PeerError);
        return;
      }
      if (entry.index < 1) return; // no MsgApp has it: its index would be negative
      expect(decodeLogEntry(bytes)).toEqual(entry);
    }),
    { numRuns: 3000 },
  );
});

test('proposals do not keep their bytes: their index is still to be given', () => {
  const m = new Message(MessageType.Prop, {
    to: 1n,
    from: 2n,
    entries: [new Entry(0, 0, 0, Buffer.from('v'))],
  });
  expect(decodeMessage(encodeMessage(m)).entries[0]?.encoded).toBeUndefined();
});

test('the empty snapshot of older etcds reads as none', () => {
  const withEmpty = Buffer.from('080810004a0a12080a02280010001800', 'hex');
  expect(decodeMessage(withEmpty).snapshot).toBeUndefined();
});

test('ids of a conf state may be packed', () => {
  const packed = Buffer.from('08074a0d120b0a050a0301020310091802', 'hex');
  expect(decodeMessage(packed).snapshot?.confState.voters).toEqual([1n, 2n, 3n]);
});

describe('bytes that are no message', () => {
  test.each<[string, string]>([
    ['a count beyond 2^53-1', '20ffffffffffffffff7f'],
    ['a count of 2^53-1, which the log keeps of nothing', '20ffffffffffffff0f'],
    ['an id beyond 64 bits', '10ffffffffffffffffff02'],
    ['a field nobody knows, beyond 64 bits', '78ffffffffffffffffff02'],
    ['an entry with a field nobody knows, beyond 64 bits', '3a1108001001180128ffffffffffffffffff02'],
    ['a varint of eleven bytes', '208080808080808080808001'],
    ['a varint that is cut', '2080'],
    ['field 0', '0001'],
    ['a group', '0b0c'],
    ['a length past the end', '3a05aa'],
    ['a wrong wire type', '0a0101'],
    ['an entry of an unknown type', '3a020803'],
    ['an unknown field that is cut', '7d010203'],
  ])('%s', (_name, hex) => {
    expect(() => decodeMessage(Buffer.from(hex, 'hex'))).toThrow(PeerError);
  });

  test('responses in responses in responses …', () => {
    let m = new Message(MessageType.AppResp);
    for (let i = 0; i < 6; i++) m = new Message(MessageType.StorageAppend, { responses: [m] });
    const encoded = encodeMessage(m);
    expect(() => decodeMessage(encoded)).toThrow('nest too deep');
  });

  test('any bytes give a message or a PeerError, nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (raw) => {
        try {
          decodeMessage(Buffer.from(raw));
        } catch (error) {
          expect(error).toBeInstanceOf(PeerError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('any flipped byte of a message gives a message or a PeerError', () => {
    const encoded = encodeMessage(
      new Message(MessageType.App, {
        to: 2n ** 63n,
        from: 77n,
        term: 5,
        index: 1000,
        entries: [new Entry(5, 1001, 0, Buffer.alloc(20, 1)), new Entry(5, 1002)],
        snapshot: new Snapshot(9, 2, {
          voters: [1n],
          learners: [],
          votersOutgoing: [],
          learnersNext: [],
          autoLeave: true,
        }),
      }),
    );
    for (let at = 0; at < encoded.length; at++) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const flipped = Buffer.from(encoded);
        flipped[at] = (flipped[at] ?? 0) ^ mask;
        try {
          decodeMessage(flipped);
        } catch (error) {
          expect(error).toBeInstanceOf(PeerError);
        }
      }
    }
  });
});

test('a type of a later version reads as one that is never stepped', () => {
  const m = decodeMessage(Buffer.from('086410021801', 'hex'));
  expect(mayStep(m, 2n, 1n)).toBe(false);
});

test.each<[string, MessageType, bigint, bigint, boolean]>([
  ['a heartbeat from its peer', MessageType.Heartbeat, 1n, 2n, true],
  ['to another member', MessageType.Heartbeat, 1n, 3n, false],
  ['from another member', MessageType.Heartbeat, 9n, 2n, false],
  ['a forwarded proposal', MessageType.Prop, 9n, 2n, true],
  ['a forwarded read', MessageType.ReadIndex, 9n, 2n, true],
  ['a forwarded transfer', MessageType.TransferLeader, 9n, 2n, true],
  ['a vote in another name', MessageType.VoteResp, 9n, 2n, false],
  ['from nobody', MessageType.Prop, 0n, 2n, false],
  ['a local hup', MessageType.Hup, 1n, 2n, false],
  ['a local unreachable', MessageType.Unreachable, 1n, 2n, false],
  ['a storage append', MessageType.StorageAppend, 1n, 2n, false],
])('mayStep: %s', (_name, type, from, to, want) => {
  expect(mayStep(new Message(type, { from, to, term: 1 }), 2n, 1n)).toBe(want);
});

test("term 0 is for what is forwarded: anything else would pass for the member's own", () => {
  const { Prop, ReadIndex, TransferLeader } = MessageType;
  for (const type of Object.values(MessageType)) {
    const message = new Message(type, { from: 1n, to: 2n, term: 0 });
    expect([type, mayStep(message, 2n, 1n)]).toEqual([
      type,
      type === Prop || type === ReadIndex || type === TransferLeader,
    ]);
  }
});

test('the link heartbeat is a heartbeat from nobody to nobody', () => {
  expect(isLinkHeartbeat(new Message(MessageType.Heartbeat, { context: EMPTY }))).toBe(true);
  expect(isLinkHeartbeat(new Message(MessageType.Heartbeat, { from: 1n }))).toBe(false);
  expect(isLinkHeartbeat(new Message(MessageType.HeartbeatResp))).toBe(false);
});
