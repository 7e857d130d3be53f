import { expect, test } from '@jest/globals';
import { RequestIds } from './request-ids.ts';

const BOOT_MS = 1_800_000_000_000;

test('numbers grow by one and name their member', () => {
  const ids = new RequestIds(0xabcd_0000_1234n, BOOT_MS);
  const [first, second] = [ids.next(), ids.next()];
  expect(second).toBe(first + 1);
  expect(ids.owner).toBe(0x1234);
  expect(ids.isOwn({ owner: 0x1234, sequence: 1 })).toBe(true);
  expect(ids.isOwn({ owner: 0x1235, sequence: 1 })).toBe(false);
});

test('a start one millisecond later begins 256 numbers later, as etcd', () => {
  expect(new RequestIds(1n, BOOT_MS + 1).next() - new RequestIds(1n, BOOT_MS).next()).toBe(256);
});

test('numbers stay within 48 bits, and wrap', () => {
  const ids = new RequestIds(1n, 2 ** 40 - 1);
  let last = 0;
  for (let i = 0; i < 257; i++) last = ids.next();
  expect(last).toBe(1);
});

test('bytes and back; what is not ours is undefined', () => {
  const ids = new RequestIds(0xffffn, BOOT_MS);
  const sequence = ids.next();
  const bytes = ids.encode(sequence);
  expect(bytes).toHaveLength(8);
  expect(bytes.readBigUInt64BE()).toBe((0xffffn << 48n) | BigInt(sequence));
  expect(ids.decode(bytes)).toBe(sequence);
  expect(new RequestIds(2n, BOOT_MS).decode(bytes)).toBeUndefined();
  expect(ids.decode(bytes.subarray(1))).toBeUndefined();
});
