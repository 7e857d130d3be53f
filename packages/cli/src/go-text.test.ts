import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  GoTextError,
  bytesOf,
  formatDurationMs,
  formatSize,
  idHex,
  parseDurationMs,
  parseInt64,
  quote,
  textOf,
  unquote,
} from './go-text.ts';

test('any bytes survive being a string', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(bytesOf(textOf(bytes))).toEqual(Buffer.from(bytes));
    }),
  );
});

test('what is quoted is read back', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const quoted = quote(bytes);
      const { value, length } = unquote(`${quoted} and more`);
      expect(bytesOf(value)).toEqual(Buffer.from(bytes));
      expect(length).toBe(quoted.length);
    }),
  );
});

test.each<[string, Buffer, string]>([
  ['plain', Buffer.from('a b'), '"a b"'],
  ['not UTF-8', Buffer.from([0x76, 0x01, 0xff, 0x22, 0x0a]), String.raw`"v\x01\xff\"\n"`],
  ['Chinese', Buffer.from('中文'), '"中文"'],
  ['no-break space', Buffer.from('\u00a0'), String.raw`"\u00a0"`],
  ['beyond the first plane, not printable', Buffer.from('\u{e0001}'), String.raw`"\U000e0001"`],
  ['cut short', Buffer.from([0xe4, 0xb8]), String.raw`"\xe4\xb8"`],
])('quote: %s', (_name, bytes, want) => {
  expect(quote(bytes)).toBe(want);
});

test.each(['"open', 'bare', String.raw`"\q"`, String.raw`"\'"`])('unquote refuses %s', (text) => {
  expect(() => unquote(text)).toThrow(GoTextError);
});

describe('integers', () => {
  test.each<[string, 10 | 16, bigint]>([
    ['0', 10, 0n],
    ['-7', 10, -7n],
    ['+7', 10, 7n],
    ['9223372036854775807', 10, 9223372036854775807n],
    ['694da1fc4a7cd10c', 16, 0x694da1fc4a7cd10cn],
  ])('%s in base %d', (text, base, want) => {
    expect(parseInt64(text, base)).toBe(want);
  });
  test.each([
    ['', 'strconv.ParseInt: parsing "": invalid syntax'],
    ['1e3', 'strconv.ParseInt: parsing "1e3": invalid syntax'],
    ['9223372036854775808', 'strconv.ParseInt: parsing "9223372036854775808": value out of range'],
  ])('refuses %j', (text, message) => {
    expect(() => parseInt64(text)).toThrow(message);
  });
});

describe('durations', () => {
  test.each<[string, number]>([
    ['5s', 5000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['100ms', 100],
    ['10us', 0.01],
    ['0', 0],
    ['-2s', -2000],
  ])('%s', (text, want) => {
    expect(parseDurationMs(text)).toBeCloseTo(want, 9);
  });
  test.each([
    ['x', 'time: invalid duration "x"'],
    ['5', 'time: missing unit in duration "5"'],
    ['', 'time: invalid duration ""'],
  ])('refuses %j', (text, message) => {
    expect(() => parseDurationMs(text)).toThrow(message);
  });
  test.each<[number, string]>([
    [0, '0s'],
    [0.00025, '250ns'],
    [0.99246, '992.46µs'],
    [1.26483, '1.26483ms'],
    [5001.191827, '5.001191827s'],
    [60_000, '1m0s'],
    [3_723_500, '1h2m3.5s'],
  ])('prints %d ms as %s', (durationMs, want) => {
    expect(formatDurationMs(durationMs)).toBe(want);
  });
});

test.each<[number, string]>([
  [0, '0 B'],
  [9, '9 B'],
  [10, '10 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [20_480, '20 kB'],
  [24_576, '25 kB'],
  [2_147_483_648, '2.1 GB'],
])('formatSize(%d) is %s', (bytes, want) => {
  expect(formatSize(bytes)).toBe(want);
});

test('ids are hex', () => {
  expect([idHex(0x8e9e05c52164694dn), idHex(5n, 16), idHex(-1n, 16)]).toEqual([
    '8e9e05c52164694d',
    '0000000000000005',
    '-000000000000001',
  ]);
});
