/** Broken bytes: every decoder answers with a message or a ProtoError, and agrees with the dumb twin on which. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { ProtoError, etcdserverpb, mvccpb, raftpb, snappb } from '../gen/index.ts';
import { messageArbitrary } from './arbitrary.ts';
import { canonical, messageOf, messages, type GeneratedMessage } from './codecs.ts';
import { Refusal, referenceDecode } from './reference-decoder.ts';

/** FUZZ_FACTOR=100 makes a long run of it. */
const FACTOR = Number(process.env.FUZZ_FACTOR ?? 1);

const names = [...messages.keys()];

/** The message as text, or the code it was refused with; anything else thrown is a failure. */
function outcome(message: GeneratedMessage, bytes: Uint8Array): string {
  try {
    return canonical(message.model, message.decode(bytes));
  } catch (error) {
    if (error instanceof ProtoError) return error.code;
    throw error;
  }
}

function expected(message: GeneratedMessage, bytes: Uint8Array): string {
  try {
    return canonical(message.model, referenceDecode(message.model, bytes));
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

describe.each(names)('%s', (fullName) => {
  const message = messageOf(fullName);
  const arbitrary = messageArbitrary(message.model, 2);

  test('cut anywhere', () => {
    fc.assert(
      fc.property(arbitrary, (value) => {
        const bytes = message.encode(value);
        // Long messages are cut at a stride: each offset class is met over the runs.
        const stride = 1 + Math.floor(bytes.length / 100);
        for (let length = 0; length < bytes.length; length += stride) {
          const cut = bytes.subarray(0, length);
          expect(outcome(message, cut)).toBe(expected(message, cut));
        }
      }),
      { numRuns: 4 * FACTOR },
    );
  });

  test('bytes changed, inserted and removed', () => {
    const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom('set', 'insert', 'remove')), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(arbitrary, edits, (value, changes) => {
        const bytes = [...message.encode(value)];
        for (const [place, byte, change] of changes) {
          const at = bytes.length === 0 ? 0 : place % bytes.length;
          if (change === 'insert') bytes.splice(at, 0, byte);
          else if (change === 'remove') bytes.splice(at, 1);
          else bytes[at] = byte;
        }
        const broken = Uint8Array.from(bytes);
        const got = outcome(message, broken);
        expect(got).toBe(expected(message, broken));
        // What was accepted has one meaning: writing it and reading it again changes nothing.
        if (got.startsWith('{')) expect(outcome(message, message.encode(message.decode(broken)))).toBe(got);
      }),
      { numRuns: 40 * FACTOR },
    );
  });
});

test('random bytes, as every message', () => {
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.uint8Array({ maxLength: 64 }), (fullName, bytes) => {
      const message = messageOf(fullName);
      expect(outcome(message, bytes)).toBe(expected(message, bytes));
    }),
    { numRuns: 5000 * FACTOR },
  );
});

const decodePut = etcdserverpb.decodePutRequest;

test.each<[string, string, string, string, number]>([
  ['length past the end', '0a05616263', 'TRUNCATED', 'etcdserverpb.PutRequest.key', 2],
  ['length varint cut', '0a80', 'TRUNCATED', 'etcdserverpb.PutRequest.key', 2],
  ['length beyond 32 bits', '0a808080808020', 'TRUNCATED', 'etcdserverpb.PutRequest.key', 7],
  ['value missing', '18', 'TRUNCATED', 'etcdserverpb.PutRequest.lease', 1],
  ['tag cut', '80', 'TRUNCATED', 'etcdserverpb.PutRequest', 1],
  ['varint of eleven bytes', '1880808080808080808080808000', 'VARINT', 'etcdserverpb.PutRequest.lease', 1],
  ['tenth byte over 1', '18ffffffffffffffffff02', 'VARINT', 'etcdserverpb.PutRequest.lease', 1],
  ['field number 0', '0200', 'FIELD_NUMBER', 'etcdserverpb.PutRequest', 0],
  ['field number 0, overlong', '828000', 'FIELD_NUMBER', 'etcdserverpb.PutRequest', 0],
  ['field number 2^29', '8080808010', 'FIELD_NUMBER', 'etcdserverpb.PutRequest', 0],
  ['wire type 6', '56', 'WIRE_TYPE', 'etcdserverpb.PutRequest', 1],
  ['wire type 7 on a known field', '0f', 'WIRE_TYPE', 'etcdserverpb.PutRequest', 1],
  ['group never ended', '53', 'TRUNCATED', 'etcdserverpb.PutRequest', 1],
  ['group ended by another number', '535c', 'GROUP', 'etcdserverpb.PutRequest', 1],
  ['end of a group that never began', '54', 'GROUP', 'etcdserverpb.PutRequest', 1],
  ['fixed64 cut', '5100000000000000', 'TRUNCATED', 'etcdserverpb.PutRequest', 1],
  ['fixed32 cut', '55000000', 'TRUNCATED', 'etcdserverpb.PutRequest', 1],
])('PutRequest: %s', (_name, hex, code, where, offset) => {
  const decode = (): unknown => decodePut(Buffer.from(hex, 'hex'));
  expect(decode).toThrow(expect.objectContaining({ name: 'ProtoError', code, where, offset }));
  expect(decode).toThrow(`${where}: `);
  expect(decode).toThrow(ProtoError);
});

test.each<[string, string]>([
  ['an unknown group with a group and fields within', '530b0800 0c 5200 54'],
  ['an unknown fixed64 and fixed32', '510000000000000000 5500000000'],
  ['a known bytes field as a varint', '0807'],
  ['a known varint field as bytes', '1a0161'],
  ['a known bytes field as a group', '0b0c'],
])('PutRequest: %s is skipped', (_name, hex) => {
  const bytes = Buffer.from(`${hex}2001`.replaceAll(' ', ''), 'hex');
  expect(decodePut(bytes)).toEqual(new etcdserverpb.PutRequest({ prevKv: true }));
});

test.each([
  ['a lone continuation byte', '80'],
  ['an overlong slash', 'c0af'],
  ['a surrogate', 'eda080'],
  ['above U+10FFFF', 'f4908080'],
  ['a cut sequence', 'e282'],
])('strings: %s is refused', (_name, hex) => {
  const content = Buffer.from(hex, 'hex');
  const short = Buffer.concat([Buffer.from([0x0a, content.length]), content]);
  const long = Buffer.concat([Buffer.from([0x0a, 100 + content.length]), Buffer.alloc(100, 0x61), content]);
  for (const bytes of [short, long]) {
    expect(() => etcdserverpb.decodeAuthUserAddRequest(bytes)).toThrow('string field contains invalid UTF-8');
  }
});

/** A transaction nested `levels` deep: two messages a level. */
function nestedTxn(levels: number): Buffer {
  let bytes: Buffer = Buffer.alloc(0);
  for (let i = 0; i < levels; i++) {
    for (const tag of [0x22, 0x12]) bytes = Buffer.concat([Buffer.from([tag]), varint(bytes.length), bytes]);
  }
  return bytes;
}

function varint(value: number): Buffer {
  const out: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) out.push((rest & 0x7f) | 0x80);
  return Buffer.from([...out, rest]);
}

describe('limits', () => {
  test.each([
    [32, true],
    [49, true],
    [50, false],
    [10_000, false],
  ])('a transaction within %i transactions is accepted: %s', (levels, accepted) => {
    const decode = (): unknown => etcdserverpb.decodeTxnRequest(nestedTxn(levels));
    if (accepted) expect(decode).not.toThrow();
    else expect(decode).toThrow('nested deeper than 100 messages');
  });

  test('groups count towards the depth', () => {
    const groups = (count: number): Buffer => Buffer.from('53'.repeat(count) + '54'.repeat(count), 'hex');
    expect(() => decodePut(groups(99))).not.toThrow();
    expect(() => decodePut(groups(100))).toThrow('nested deeper than 100 messages');
    expect(() => decodePut(groups(1_000_000))).toThrow(ProtoError);
  });

  test('the depth is given back', () => {
    const op = new etcdserverpb.RequestOp({ requestPut: new etcdserverpb.PutRequest() });
    const txn = new etcdserverpb.TxnRequest({ success: Array.from({ length: 500 }, () => op) });
    expect(etcdserverpb.decodeTxnRequest(etcdserverpb.encodeTxnRequest(txn)).success).toHaveLength(500);
  });

  test('bytesMax', () => {
    const bytes = etcdserverpb.encodePutRequest(new etcdserverpb.PutRequest({ key: Buffer.alloc(8) }));
    const limits = { depthMax: 100, bytesMax: bytes.length };
    expect(() => decodePut(bytes, limits)).not.toThrow();
    expect(() => decodePut(bytes, { ...limits, bytesMax: bytes.length - 1 })).toThrow(
      'etcdserverpb.PutRequest: 10 bytes exceed the limit of 9',
    );
  });
});

describe('rules of the wire', () => {
  const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

  test('a repeated occurrence of a scalar wins, of a message merges', () => {
    expect(decodePut(hex('0a0161 0a0162')).key.toString()).toBe('b');
    const event = mvccpb.decodeEvent(hex('1203 0a0161 1202 2007 1202 1005'));
    expect(event.kv).toEqual(new mvccpb.KeyValue({ key: Buffer.from('a'), version: 7, createRevision: 5 }));
  });

  test('a message that is always written merges too', () => {
    const snapshot = raftpb.decodeSnapshot(hex('1202 1005 1202 1803'));
    expect(snapshot.metadata).toEqual(new raftpb.SnapshotMetadata({ index: 5, term: 3 }));
  });

  test('the last member of a oneof wins; the same member merges', () => {
    const op = etcdserverpb.decodeRequestOp(hex('1203 0a0161 0a03 0a0162 0a02 1801'));
    expect(op).toEqual(
      new etcdserverpb.RequestOp({
        requestRange: new etcdserverpb.RangeRequest({ key: Buffer.from('b'), limit: 1 }),
      }),
    );
    const compare = etcdserverpb.decodeCompare(hex('2005 3a00'));
    expect(compare).toEqual(new etcdserverpb.Compare({ value: Buffer.alloc(0) }));
  });

  test('a zero in a oneof is present', () => {
    expect(etcdserverpb.decodeCompare(hex('2000')).version).toBe(0);
    expect(etcdserverpb.decodeCompare(hex('')).version).toBeUndefined();
    expect(etcdserverpb.encodeCompare(new etcdserverpb.Compare({ lease: 0n })).toString('hex')).toBe('4000');
  });

  test('present but empty bytes are kept apart from absent ones in proto2', () => {
    expect(raftpb.decodeEntry(hex('2200')).Data).toEqual(Buffer.alloc(0));
    expect(raftpb.decodeEntry(hex('')).Data).toBeUndefined();
    const entry = new raftpb.Entry({ Data: Buffer.alloc(0) });
    expect(raftpb.encodeEntry(entry).toString('hex')).toBe('0800100018002200');
    expect(snappb.encodeSnapshot(new snappb.Snapshot()).toString('hex')).toBe('0800');
  });

  test('repeated scalars: packed, unpacked and mixed', () => {
    for (const text of ['0a03 01 ac02', '0801 08ac02', '0801 0a02 ac02', '0a00 0a01 01 08ac02']) {
      expect(raftpb.decodeConfState(hex(text)).voters).toEqual([1n, 300n]);
    }
    expect(etcdserverpb.decodeWatchCreateRequest(hex('2800 2a02 0107')).filters).toEqual([0, 1, 7]);
  });

  test('a packed element cut by its own field', () => {
    expect(() => raftpb.decodeConfState(hex('0a0180 0801'))).toThrow(ProtoError);
  });

  test.each<[string, string, number]>([
    ['2^53-1', '10ffffffffffffff0f', Number.MAX_SAFE_INTEGER],
    ['2^53', '1080808080808080 10', Number.MAX_SAFE_INTEGER],
    ['2^63-1', '10ffffffffffffffff7f', Number.MAX_SAFE_INTEGER],
    ['-1', '10ffffffffffffffffff01', -1],
    ['-2^53+1', '1081808080808080f0ff01', Number.MIN_SAFE_INTEGER],
    ['-2^53', '1080808080808080f0ff01', Number.MIN_SAFE_INTEGER],
    ['-2^63', '1080808080808080808001', Number.MIN_SAFE_INTEGER],
  ])('a count of %s saturates', (_name, text, want) => {
    expect(mvccpb.decodeKeyValue(hex(text)).createRevision).toBe(want);
  });

  test('unsigned counts saturate, ids never do', () => {
    const all = 'ffffffffffffffffff01';
    const header = etcdserverpb.decodeResponseHeader(hex(`08${all}18${all}20${all}`));
    expect(header).toMatchObject({
      clusterId: 2n ** 64n - 1n,
      revision: -1,
      raftTerm: Number.MAX_SAFE_INTEGER,
    });
    expect(decodePut(hex(`18${all}`)).lease).toBe(-1n);
  });

  test('wide varints of narrow fields keep their low bits, bools any bit', () => {
    expect(etcdserverpb.decodeRangeRequest(hex('28ffffffffffffffffff01')).sortOrder).toBe(-1);
    expect(etcdserverpb.decodeHashResponse(hex('10ffffffffffffffffff01')).hash).toBe(0xffff_ffff);
    expect(decodePut(hex('2080808080808001')).prevKv).toBe(true);
  });

  test('bytes fields are views into the input', () => {
    const bytes = hex('0a03 666f6f');
    const { key } = decodePut(bytes);
    expect(key.buffer).toBe(bytes.buffer);
    bytes[2] = 0x67;
    expect(key.toString()).toBe('goo');
  });

  test('a Uint8Array in the middle of another buffer', () => {
    const bytes = new Uint8Array([9, 9, 0x0a, 1, 0x61, 9]).subarray(2, 5);
    expect(decodePut(bytes).key.toString()).toBe('a');
  });
});
