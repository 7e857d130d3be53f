import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import {
  decodeConfChange,
  decodeConfChangeEntry,
  decodeConfChangeV2,
  encodeConfChange,
  encodeConfChangeV2,
} from './conf-change-codec.ts';
import { ConfChangeTransition, ConfChangeType, Entry, EntryType } from './types.ts';

const { root } = protobuf.parse(`syntax = "proto2"; package raftpb;
  message ConfChange { optional uint64 id = 1; optional int32 type = 2; optional uint64 node_id = 3; optional bytes context = 4; }
  message ConfChangeSingle { optional int32 type = 1; optional uint64 node_id = 2; }
  message ConfChangeV2 { optional int32 transition = 1; repeated ConfChangeSingle changes = 2; optional bytes context = 3; }`);

/** The same message through protobufjs: decoded, then encoded again. */
function throughOracle(type: 'ConfChange' | 'ConfChangeV2', data: Buffer): Buffer {
  const message = root.lookupType(`raftpb.${type}`);
  return Buffer.from(message.encode(message.decode(data)).finish());
}

const id = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
const type = fc.constantFrom(...Object.values(ConfChangeType));
const context = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
const v1 = fc.record({ id, type, nodeId: id, context });
const v2 = fc.record({
  transition: fc.constantFrom(...Object.values(ConfChangeTransition)),
  changes: fc.array(fc.record({ type, nodeId: id }), { maxLength: 5 }),
  context,
});

test('the bytes are those etcd writes', () => {
  const change = { id: 1n, type: ConfChangeType.RemoveNode, nodeId: 300n, context: Buffer.from('x') };
  expect(encodeConfChange(change).toString('hex')).toBe('0801100118ac02220178');
  const leave = { transition: ConfChangeTransition.Auto, changes: [], context: Buffer.alloc(0) };
  expect(encodeConfChangeV2(leave).toString('hex')).toBe('0800');
});

describe('what is written', () => {
  test('reads back, and is canonical, v1', () => {
    fc.assert(
      fc.property(v1, (change) => {
        const data = encodeConfChange(change);
        expect(decodeConfChange(data)).toEqual(change);
        expect(throughOracle('ConfChange', data)).toEqual(data);
      }),
    );
  });

  test('reads back, and is canonical, v2', () => {
    fc.assert(
      fc.property(v2, (change) => {
        const data = encodeConfChangeV2(change);
        expect(decodeConfChangeV2(data)).toEqual(change);
        expect(throughOracle('ConfChangeV2', data)).toEqual(data);
      }),
    );
  });
});

test.each<[string, string]>([
  ['cut in a key', '80'],
  ['cut in a number', '0880'],
  ['a length past the end', '2205aa'],
  ['field 0', '0001'],
  ['a group', '0b0c'],
  ['a number of eleven bytes', '08ffffffffffffffffffff01'],
  ['an unknown kind of change', '1004'],
  ['a fixed field past the end', '2901020304'],
])('malformed: %s', (_name, hex) => {
  expect(decodeConfChange(Buffer.from(hex, 'hex'))).toBeUndefined();
});

test('unknown fields are skipped, absent ones are zero', () => {
  const data = Buffer.from('18057a01ff81010000000000000000850100000000820100', 'hex');
  expect(decodeConfChange(data)?.nodeId).toBe(5n);
  expect(decodeConfChange(data)?.type).toBe(ConfChangeType.AddNode);
});

test('an unknown transition or an inner malformed change spoils the whole', () => {
  expect(decodeConfChangeV2(Buffer.from('0803', 'hex'))).toBeUndefined();
  expect(decodeConfChangeV2(Buffer.from('12020809', 'hex'))).toBeUndefined();
  expect(decodeConfChangeV2(Buffer.alloc(0))?.changes).toEqual([]);
});

test('no bytes make it throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const data = Buffer.from(bytes);
      for (const each of Object.values(EntryType)) decodeConfChangeEntry(new Entry(1, 1, each, data));
    }),
    { numRuns: 2000 },
  );
});
