import { describe, expect, test } from '@jest/globals';
import { encodeHeaders, statusOf } from './header-block.ts';

describe('requests', () => {
  test('each field is a literal that no table remembers', () => {
    expect(encodeHeaders([[':method', 'GET']])).toEqual(Buffer.from('\0\x07:method\x03GET', 'latin1'));
  });

  test.each([
    ['the longest of one byte', 126, [126]],
    ['the first of two', 127, [127, 0]],
    ['… and its last', 254, [127, 127]],
    ['three', 255, [127, 128, 1]],
  ])('length of a value: %s', (_name, length, coded) => {
    const block = encodeHeaders([['a', 'x'.repeat(length)]]);
    expect([...block.subarray(3, 3 + coded.length)]).toEqual(coded);
    expect(block.length).toBe(3 + coded.length + length);
  });
});

describe('the status of an answer', () => {
  test.each<[string, number[], number]>([
    ['of the static table', [0x88], 200],
    ['the last one there', [0x8e], 500],
    ['behind an update of the table', [0x20, 0x8d], 404],
    ['literal, to be indexed', [0x48, 3, 0x32, 0x30, 0x31], 201],
    ['literal, not indexed', [0x08, 3, 0x34, 0x30, 0x39], 409],
    ['literal, never indexed', [0x18, 3, 0x34, 0x32, 0x39], 429],
    // 2, 0 and 1 in five bits each; 4, 0 and 9 with six for the first and the last (RFC 7541, appendix B).
    ['in Huffman code', [0x48, 0x82, 0b00010_000, 0b00_00001_1], 201],
    ['in Huffman code, other digits', [0x08, 0x83, 0b011010_00, 0b000_01111, 0b1_1111111], 409],
  ])('%s', (_name, block, status) => {
    expect(statusOf(Buffer.from(block))).toBe(status);
  });

  test.each([
    ['another field of the static table', [0x90]],
    ['another name', [0x41, 1, 0x61]],
    ['no name of the table', [0x40, 1, 0x61, 1, 0x61]],
  ])('is refused where it is %s', (_name, block) => {
    expect(() => statusOf(Buffer.from(block))).toThrow(RangeError);
  });
});
