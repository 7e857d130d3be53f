import { expect, test } from '@jest/globals';
import { entriesSize, entrySize, limitEnd, payloadsSize, varintSize } from './entry-size.ts';
import { Entry, EntryType } from './types.ts';

test.each<[number, number]>([
  [0, 1],
  [127, 1],
  [128, 2],
  [2 ** 14 - 1, 2],
  [2 ** 14, 3],
  [2 ** 31 - 1, 5],
  [2 ** 31, 5],
  [2 ** 32, 5],
  [2 ** 35 - 1, 5],
  [2 ** 35, 6],
  [2 ** 49 - 1, 7],
  [2 ** 49, 8],
  [Number.MAX_SAFE_INTEGER, 8],
])('%d takes %i bytes as a varint', (value, size) => {
  expect(varintSize(value)).toBe(size);
});

test('an entry without data has no field for it', () => {
  expect(entrySize(new Entry(1, 1))).toBe(6);
  expect(entrySize(new Entry(1, 1, EntryType.Normal, Buffer.alloc(1)))).toBe(9);
  expect(entrySize(new Entry(2 ** 40, 2 ** 50, EntryType.Normal, Buffer.alloc(200)))).toBe(
    4 + 6 + 8 + 3 + 200,
  );
});

test('a limit admits one entry always, and then what fits', () => {
  const entries = [1, 2, 3].map((index) => new Entry(1, index, EntryType.Normal, Buffer.alloc(1)));
  expect(entriesSize(entries)).toBe(27);
  expect(payloadsSize(entries)).toBe(3);
  expect([0, 9, 17, 18, 27, Infinity].map((max) => limitEnd(entries, 0, 3, max))).toEqual([1, 1, 1, 2, 3, 3]);
  expect(limitEnd(entries, 2, 2, 0)).toBe(2);
});
