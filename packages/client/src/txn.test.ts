import { expect, test } from '@jest/globals';
import { rangeOf, type KeyRange } from './bytes.ts';
import { comparisons } from './kv.ts';
import { compare, op, writes, type TxnSpec } from './txn.ts';

test.each<[string, string, KeyRange | undefined, string, string]>([
  ['one key', 'a', undefined, '61', ''],
  ['a prefix', 'ab', { prefix: true }, '6162', '6163'],
  ['everything', '', { prefix: true }, '00', '00'],
  ['from a key on', 'a', { fromKey: true }, '61', '00'],
  ['from the start on', '', { fromKey: true }, '00', '00'],
  ['up to an end', 'a', { end: 'c' }, '61', '63'],
])('range: %s', (_name, key, range, wantKey, wantEnd) => {
  const { key: bytes, rangeEnd } = rangeOf(key, range);
  expect([bytes.toString('hex'), rangeEnd.toString('hex')]).toEqual([wantKey, wantEnd]);
});

test('a prefix of 0xff bytes has no end; two kinds of range at once are refused', () => {
  expect(rangeOf(Buffer.from([0xff, 0xff]), { prefix: true }).rangeEnd).toEqual(Buffer.from([0]));
  expect(rangeOf(Buffer.from([0x61, 0xff]), { prefix: true }).rangeEnd).toEqual(Buffer.from([0x62]));
  expect(() => rangeOf('a', { prefix: true, fromKey: true })).toThrow(TypeError);
  expect(() => rangeOf('a', { prefix: true, end: 'b' })).toThrow(TypeError);
});

test.each<[string, TxnSpec, boolean]>([
  ['nothing', {}, false],
  ['reads', { success: [op.get('a')], failure: [op.get('b', { prefix: true })] }, false],
  ['a put', { success: [op.get('a'), op.put('a', 'b')] }, true],
  ['a delete in the other branch', { failure: [op.delete('a')] }, true],
  ['a nested read', { success: [op.txn({ success: [op.get('a')] })] }, false],
  ['a nested put', { success: [op.txn({ failure: [op.txn({ success: [op.put('a', '')] })] })] }, true],
])('may be repeated or not: %s', (_name, spec, want) => {
  expect(writes(spec)).toBe(want);
});

test('conditions of a swap become comparisons, all of them', () => {
  const list = comparisons('k', { prevValue: 'v', prevModRevision: 3, prevVersion: 1, prevExist: true });
  expect(list).toEqual([
    compare.value('k', '=', 'v'),
    compare.modRevision('k', '=', 3),
    compare.version('k', '=', 1),
    compare.exists('k'),
  ]);
  expect(() => comparisons('k', {})).toThrow(TypeError);
});
