/** Sizes and writers at every edge, and what they refuse. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  putCountInt64,
  putId,
  putInt32,
  putString,
  putVarint,
  sizeCountInt64,
  sizeCountUint64,
  sizeDelimited,
  sizeIdInt64,
  sizeIdUint64,
  sizeInt32,
  sizeUint32,
  sizeVarint,
  stringLength,
} from './writer.ts';

/** The varint of a 64-bit two's complement value, over bigints. */
function plainVarint(value: bigint): string {
  let rest = BigInt.asUintN(64, value);
  const out: number[] = [];
  for (; rest >= 0x80n; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...out, Number(rest)]).toString('hex');
}

/** What `put` writes before the end of a buffer, after checking that it wrote `size` bytes and no others. */
function written(size: number, put: (buffer: Buffer, end: number) => number): string {
  const buffer = Buffer.alloc(40, 0xee);
  const start = put(buffer, 30);
  expect(30 - start).toBe(size);
  expect(buffer.subarray(0, start).every((byte) => byte === 0xee)).toBe(true);
  expect(buffer.subarray(30).every((byte) => byte === 0xee)).toBe(true);
  return buffer.subarray(start, 30).toString('hex');
}

const EDGES = Array.from({ length: 65 }, (_, bits) => 2n ** BigInt(bits)).flatMap((power) => [
  power - 1n,
  power,
  power + 1n,
]);

test('counts and ids at each power of two', () => {
  for (const edge of EDGES) {
    const most = BigInt(Number.MAX_SAFE_INTEGER);
    for (const value of [edge, -edge]) {
      if (value >= -(2n ** 63n) && value < 2n ** 63n) {
        expect(written(sizeIdInt64(value), (b, end) => putId(b, end, value))).toBe(plainVarint(value));
      } else expect(() => sizeIdInt64(value)).toThrow(`${value} is not an int64`);
      if (value >= 0n && value < 2n ** 64n) {
        expect(written(sizeIdUint64(value), (b, end) => putId(b, end, value))).toBe(plainVarint(value));
      } else expect(() => sizeIdUint64(value)).toThrow(`${value} is not a uint64`);
      const count = Number(value);
      if (value >= -most && value <= most) {
        expect(written(sizeCountInt64(count), (b, end) => putCountInt64(b, end, count))).toBe(
          plainVarint(value),
        );
      } else expect(() => sizeCountInt64(count)).toThrow('is not a count');
      if (value >= 0n && value <= most) {
        expect(written(sizeCountUint64(count), (b, end) => putVarint(b, end, count))).toBe(
          plainVarint(value),
        );
        expect(sizeVarint(count)).toBe(plainVarint(value).length / 2);
      } else expect(() => sizeCountUint64(count)).toThrow('is not an unsigned count');
    }
  }
});

test('random counts and ids', () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), (count, id) => {
      expect(written(sizeCountInt64(count), (b, end) => putCountInt64(b, end, count))).toBe(
        plainVarint(BigInt(count)),
      );
      expect(written(sizeIdInt64(id), (b, end) => putId(b, end, id))).toBe(plainVarint(id));
    }),
    { numRuns: 2000 },
  );
});

test.each([0, 1, 127, 128, 2 ** 31 - 1, -1, -128, -(2 ** 31)])('the int32 %i', (value) => {
  expect(written(sizeInt32(value), (b, end) => putInt32(b, end, value))).toBe(plainVarint(BigInt(value)));
});

describe('refused', () => {
  test.each([NaN, Infinity, -Infinity, 0.5, 2 ** 53, -(2 ** 53)])('%p as a count', (value) => {
    expect(() => sizeCountInt64(value)).toThrow(RangeError);
    expect(() => sizeCountUint64(value)).toThrow(RangeError);
  });

  test.each([NaN, 0.5, 2 ** 31, -(2 ** 31) - 1])('%p as an int32', (value) => {
    expect(() => sizeInt32(value)).toThrow(RangeError);
  });

  test.each([NaN, 0.5, -1, 2 ** 32])('%p as a uint32', (value) => {
    expect(() => sizeUint32(value)).toThrow(RangeError);
  });
});

test('strings of every length and width', () => {
  const unit = fc.constantFrom('a', 'é', '€', '😀', '\ud800');
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 40 }), (units) => {
      const value = units.join('');
      const want = Buffer.from(value, 'utf8');
      expect(stringLength(value)).toBe(want.length);
      const buffer = Buffer.alloc(200, 0xee);
      const start = putString(buffer, 190, value);
      expect(190 - start).toBe(sizeDelimited(want.length));
      expect(buffer.subarray(190 - want.length, 190).equals(want)).toBe(true);
      expect(buffer.subarray(190).every((byte) => byte === 0xee)).toBe(true);
    }),
  );
});
