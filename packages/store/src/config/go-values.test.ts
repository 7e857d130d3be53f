import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import {
  formatGoDuration,
  goQuote,
  parseGoBool,
  parseGoDecimal,
  parseGoDuration,
  parseGoInt,
  parseGoUint,
} from './go-values.ts';

describe('Go values', () => {
  test.each<[string, boolean | undefined]>([
    ['1', true],
    ['t', true],
    ['T', true],
    ['TRUE', true],
    ['true', true],
    ['True', true],
    ['0', false],
    ['f', false],
    ['F', false],
    ['FALSE', false],
    ['false', false],
    ['False', false],
    ['tRUE', undefined],
    ['yes', undefined],
    ['', undefined],
    ['2', undefined],
  ])('bool %j', (text, want) => {
    const got = parseGoBool(text);
    expect(got.ok ? got.value : undefined).toBe(want);
  });

  test.each<[string, 32 | 64, number | string]>([
    ['0', 64, 0],
    ['10', 64, 10],
    ['0x10', 64, 16],
    ['0b101', 64, 5],
    ['0o17', 64, 15],
    ['017', 64, 15],
    ['1_000', 64, 1000],
    ['0x_ff', 64, 255],
    ['08', 64, 'invalid syntax'],
    ['1__0', 64, 'invalid syntax'],
    ['_1', 64, 'invalid syntax'],
    ['-1', 64, 'invalid syntax'],
    ['+1', 64, 'invalid syntax'],
    ['', 64, 'invalid syntax'],
    ['1.5', 64, 'invalid syntax'],
    ['4294967295', 32, 4294967295],
    ['4294967296', 32, 'value out of range'],
    ['9007199254740993', 64, Number.MAX_SAFE_INTEGER],
    ['18446744073709551615', 64, Number.MAX_SAFE_INTEGER],
    ['18446744073709551616', 64, 'value out of range'],
  ])('uint %j of %d bits', (text, bits, want) => {
    const got = parseGoUint(text, bits);
    expect(got.ok ? got.value : got.error).toBe(want);
  });

  test.each<[string, number | string]>([
    ['-5', -5],
    ['+5', 5],
    ['-0x10', -16],
    ['9223372036854775807', Number.MAX_SAFE_INTEGER],
    ['9223372036854775808', 'value out of range'],
    ['-9223372036854775808', -Number.MAX_SAFE_INTEGER],
    ['-9223372036854775809', 'value out of range'],
    ['--5', 'invalid syntax'],
    ['abc', 'invalid syntax'],
  ])('int %j', (text, want) => {
    const got = parseGoInt(text);
    expect(got.ok ? got.value : got.error).toBe(want);
  });

  test.each<[string, number | string]>([
    ['10', 10],
    ['-1', -1],
    ['010', 10],
    ['0x10', 'invalid syntax'],
    ['9223372036854775808', 'value out of range'],
  ])('decimal %j', (text, want) => {
    const got = parseGoDecimal(text);
    expect(got.ok ? got.value : got.error).toBe(want);
  });

  test.each<[string, number | string]>([
    ['0', 0],
    ['5s', 5_000],
    ['100ms', 100],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['1.s', 1_000],
    ['-2s', -2_000],
    ['+2s', 2_000],
    ['250us', 0.25],
    ['250\u00b5s', 0.25],
    ['1ns', 1e-6],
    ['1.9ns', 1e-6],
    ['', 'time: invalid duration ""'],
    ['abc', 'time: invalid duration "abc"'],
    ['-', 'time: invalid duration "-"'],
    ['.s', 'time: invalid duration ".s"'],
    ['5', 'time: missing unit in duration "5"'],
    ['-1', 'time: missing unit in duration "-1"'],
    ['5x', 'time: unknown unit "x" in duration "5x"'],
    ['1d', 'time: unknown unit "d" in duration "1d"'],
    ['1toString', 'time: unknown unit "toString" in duration "1toString"'],
    ['2562048h', 'time: invalid duration "2562048h"'],
  ])('duration %j', (text, want) => {
    const got = parseGoDuration(text);
    expect(got.ok ? got.value : got.error).toBe(want);
  });

  test.each<[number, string]>([
    [0, '0s'],
    [1e-6, '1ns'],
    [0.0015, '1.5\u00b5s'],
    [1.5, '1.5ms'],
    [100, '100ms'],
    [5_000, '5s'],
    [1_500, '1.5s'],
    [60_000, '1m0s'],
    [600_000, '10m0s'],
    [7_200_000, '2h0m0s'],
    [60_000.000_003, '1m0.000000003s'],
    [-1_000, '-1s'],
  ])('formats %d ms', (ms, want) => {
    expect(formatGoDuration(ms)).toBe(want);
  });

  test('a formatted duration reads back as itself', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(10 ** 12), max: 10 ** 12 }), (micros) => {
        const ms = micros / 1_000;
        const back = parseGoDuration(formatGoDuration(ms));
        expect(back.ok && Math.abs(back.value - ms) < 1e-5).toBe(true);
      }),
    );
  });

  test('quotes as %q does', () => {
    expect(goQuote('a"b\\c\n\t\u0001\u007f\u00e9')).toBe('"a\\"b\\\\c\\n\\t\\x01\\x7f\u00e9"');
  });

  test('no text makes a reader throw', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseGoBool(text);
        parseGoUint(text, 64);
        parseGoInt(text);
        parseGoDuration(text);
      }),
    );
  });
});
