import { describe, expect, test } from '@jest/globals';
import { fnv1a64, readMetaPage, readU64LE, writeMetaPage, writeU64LE, type Meta } from './pages.ts';

const META: Meta = { pageSize: 4096, root: 3, freelist: 2, pageCount: 4, txid: 1 };

function metaPage(meta: Meta): Buffer {
  const bytes = Buffer.alloc(meta.pageSize, 0xaa);
  writeMetaPage(bytes, 1, meta);
  return bytes;
}

// Published vectors of FNV-1a, 64 bits.
test.each<[string, bigint]>([
  ['', 0xcbf29ce484222325n],
  ['a', 0xaf63dc4c8601ec8cn],
  ['foobar', 0x85944171f73967e8n],
])('fnv1a64(%j)', (text, want) => {
  expect(fnv1a64(Buffer.from(text))).toBe(want);
});

test.each<[number, string]>([
  [0, '0000000000000000'],
  [1, '0100000000000000'],
  [2 ** 32, '0000000001000000'],
  [Number.MAX_SAFE_INTEGER, 'ffffffffffff1f00'],
])('u64 %d is little-endian', (value, hex) => {
  const bytes = Buffer.alloc(8);
  writeU64LE(bytes, 0, value);
  expect(bytes.toString('hex')).toBe(hex);
  expect(readU64LE(bytes, 0)).toBe(value);
});

describe('meta page', () => {
  test('layout, byte by byte', () => {
    const bytes = metaPage({
      pageSize: 4096,
      root: 0x0102,
      freelist: 0x0304,
      pageCount: 0x0506,
      txid: 0x0708,
    });
    const fields = [
      '0100000000000000',
      '0400',
      '0000',
      '00000000', // page header: id, flags, count, overflow
      'edda0ced', // magic
      '02000000',
      '00100000',
      '00000000', // version, page size, flags
      '0201000000000000',
      '0000000000000000', // root bucket: page, sequence
      '0403000000000000',
      '0605000000000000',
      '0807000000000000', // freelist, pages, txid
    ].join('');
    expect(bytes.toString('hex', 0, 72)).toBe(fields);
    expect(bytes.readBigUInt64LE(72)).toBe(fnv1a64(bytes.subarray(16, 72)));
    expect(bytes.subarray(80).every((byte) => byte === 0)).toBe(true);
  });

  test.each<[string, Meta]>([
    ['with a freelist', META],
    ['without one', { ...META, freelist: undefined }],
    ['largest pages', { ...META, pageSize: 65_536 }],
    ['a long life', { ...META, txid: Number.MAX_SAFE_INTEGER, pageCount: 2 ** 40 }],
  ])('there and back: %s', (_name, meta) => {
    expect(readMetaPage(metaPage(meta), 0)).toEqual(meta);
  });

  test('an unsynced freelist is all ones', () => {
    expect(metaPage({ ...META, freelist: undefined }).toString('hex', 48, 56)).toBe('ffffffffffffffff');
  });

  test('any flipped bit in the checked fields or the checksum makes it invalid', () => {
    const bytes = metaPage(META);
    for (let bit = 16 * 8; bit < 80 * 8; bit++) {
      bytes[bit >> 3] ^= 1 << (bit & 7);
      expect(readMetaPage(bytes, 0)).toBeUndefined();
      bytes[bit >> 3] ^= 1 << (bit & 7);
    }
    expect(readMetaPage(bytes, 0)).toEqual(META);
  });

  test.each<[string, (bytes: Buffer) => void]>([
    ['page size 2048', (bytes) => bytes.writeUInt32LE(2048, 24)],
    ['page size 131072', (bytes) => bytes.writeUInt32LE(131_072, 24)],
    ['page size 4097', (bytes) => bytes.writeUInt32LE(4097, 24)],
    ['version 3', (bytes) => bytes.writeUInt32LE(3, 20)],
    ['another magic', (bytes) => bytes.writeUInt32LE(0xed0cdaee, 16)],
    ['a root past 2^53', (bytes) => bytes.fill(0xff, 32, 40)],
    ['a freelist past 2^53 that is not "none"', (bytes) => bytes.fill(0xff, 49, 56)],
    ['a page count past 2^53', (bytes) => bytes.fill(0xff, 56, 64)],
    ['a txid past 2^53', (bytes) => bytes.fill(0xff, 64, 72)],
  ])('refused even with a right checksum: %s', (_name, change) => {
    const bytes = metaPage(META);
    change(bytes);
    bytes.writeBigUInt64LE(fnv1a64(bytes.subarray(16, 72)), 72);
    expect(readMetaPage(bytes, 0)).toBeUndefined();
  });

  test.each([0, 16, 79])('cut at %d bytes', (length) => {
    expect(readMetaPage(metaPage(META).subarray(0, length), 0)).toBeUndefined();
  });
});
