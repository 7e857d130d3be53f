/** RFC 7541: the vectors of its Appendix C, the errors it names, and both coders against each other. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HeaderDecoder, HeaderEncoder } from './hpack.ts';
import { huffmanCodes, huffmanDecode, huffmanEncode, huffmanLength } from './huffman.ts';
import { HpackTwin } from '../test/hpack-twin.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const fresh = (table = 4096): HeaderDecoder => new HeaderDecoder(65_536, 128, table);
const decode = (decoder: HeaderDecoder, text: string): readonly string[] => {
  const bytes = hex(text);
  return decoder.decode(bytes, 0, bytes.length).fields;
};

describe('appendix C', () => {
  test.each<[string, string, string[], number]>([
    [
      'C.2.1 literal with indexing',
      '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
      ['custom-key', 'custom-header'],
      55,
    ],
    ['C.2.2 literal without indexing', '040c 2f73 616d 706c 652f 7061 7468', [':path', '/sample/path'], 0],
    ['C.2.3 literal never indexed', '1008 7061 7373 776f 7264 0673 6563 7265 74', ['password', 'secret'], 0],
    ['C.2.4 indexed', '82', [':method', 'GET'], 0],
  ])('%s', (_name, bytes, fields, size) => {
    const decoder = fresh();
    expect(decode(decoder, bytes)).toEqual(fields);
    expect(decoder.tableSize).toBe(size);
  });

  const requests: [string, string, string][] = [
    [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
    [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
  ];
  test.each([
    ['C.3 plain', requests[0]],
    ['C.4 Huffman', requests[1]],
  ] as const)('%s requests', (_name, blocks) => {
    const decoder = fresh();
    const base = (scheme: string, path: string): string[] => [
      ':method',
      'GET',
      ':scheme',
      scheme,
      ':path',
      path,
      ':authority',
      'www.example.com',
    ];
    expect(decode(decoder, blocks[0])).toEqual(base('http', '/'));
    expect(decoder.tableSize).toBe(57);
    expect(decode(decoder, blocks[1])).toEqual([...base('http', '/'), 'cache-control', 'no-cache']);
    expect(decoder.tableSize).toBe(110);
    expect(decode(decoder, blocks[2])).toEqual([
      ...base('https', '/index.html'),
      'custom-key',
      'custom-value',
    ]);
    expect(decoder.tableSize).toBe(164);
    expect(decoder.table()).toEqual([
      ['custom-key', 'custom-value'],
      ['cache-control', 'no-cache'],
      [':authority', 'www.example.com'],
    ]);
  });

  const responses: [string, string, string][] = [
    [
      '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '4803 3330 37c1 c0bf',
      '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
    ],
    [
      '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
      '4883 640e ffc1 c0bf',
      '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
    ],
  ];
  test.each([
    ['C.5 plain', responses[0]],
    ['C.6 Huffman', responses[1]],
  ] as const)('%s responses, with eviction', (_name, blocks) => {
    const decoder = fresh(256);
    const date = (second: number): string[] => ['date', `Mon, 21 Oct 2013 20:13:${second} GMT`];
    const base = (status: string): string[] => [
      ':status',
      status,
      'cache-control',
      'private',
      ...date(21),
      'location',
      'https://www.example.com',
    ];
    expect(decode(decoder, blocks[0])).toEqual(base('302'));
    expect(decoder.tableSize).toBe(222);
    expect(decode(decoder, blocks[1])).toEqual(base('307'));
    expect(decoder.tableSize).toBe(222);
    const cookie = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';
    expect(decode(decoder, blocks[2])).toEqual([
      ':status',
      '200',
      'cache-control',
      'private',
      ...date(22),
      'location',
      'https://www.example.com',
      'content-encoding',
      'gzip',
      'set-cookie',
      cookie,
    ]);
    expect(decoder.tableSize).toBe(215);
    expect(decoder.table().map(([name]) => name)).toEqual(['set-cookie', 'content-encoding', 'date']);
  });

  test('C.1 integers', () => {
    const table = new HeaderDecoder(65_536, 128, 4096);
    // 1337 with a 5-bit prefix, as a size update.
    expect(decode(table, '3f9a0a')).toEqual([]);
    expect(decode(table, '2a')).toEqual([]);
  });
});

test.each<[string, string]>([
  ['index 0', '80'],
  ['an index beyond the tables', 'be'],
  ['a name beyond the tables', '7f00 00'],
  ['an integer without its end', 'ffff'],
  ['an integer too large', 'ff ff ff ff ff ff 7f'],
  ['a string longer than its block', '0005 6162'],
  ['a name without a value', '0001 61'],
  ['a size update above the limit', '3fe2 1f'],
  ['a size update behind a field', '82 20'],
  ['Huffman padding of zeros', '0001 61 81 18'],
  ['Huffman padding of eight bits', '0001 61 82 1fff'],
  ['an end-of-string symbol', '0001 61 84 ffff ffff'],
  ['a string cut in the middle of a symbol', '0001 61 81 fe'],
  ['a length of 2^28', '0001 61 7f 81ff ffff 7f'],
  ['two updates, the second above the limit', '20 3fe2 1f'],
  ['an index just behind the last entry', '4001 6101 62 bf'],
  ['an index of an entry that was evicted', '4001 6101 62 20 be'],
])('%s is a compression error', (_name, bytes) => {
  expect(() => decode(fresh(), bytes)).toThrow(expect.objectContaining({ code: 9 }));
});

describe('4 the dynamic table', () => {
  test.each<[string, string[], string[], number]>([
    // 34 bytes an entry; 3f 25 is a size of 68, 3f 24 one of 67.
    ['two entries fit exactly', ['3f25', '4001 6101 62', '4001 6301 64'], ['c d', 'a b'], 68],
    ['a byte less evicts the oldest', ['3f24', '4001 6101 62', '4001 6301 64'], ['c d'], 34],
    ['4.3 a smaller size evicts', ['4001 6101 62', '4001 6301 64', '3f03'], ['c d'], 34],
    ['4.3 a size of 0 empties it', ['4001 6101 62', '20'], [], 0],
    ['4.2 down and up again in one block', ['4001 6101 62', '20 3fe1 1f 4001 6301 64'], ['c d'], 34],
    ['4.4 the name may be of the entry that makes room', ['3f03', '4001 6101 62', '7e01 63'], ['a c'], 34],
    ['6.2.2 a literal without indexing stays out', ['0001 6101 62'], [], 0],
    ['6.2.3 so does one never indexed', ['1001 6101 62'], [], 0],
    ['a block may be nothing but an update', ['3fe1 1f'], [], 0],
    ['the same pair twice is two entries', ['4001 6101 62', '4001 6101 62'], ['a b', 'a b'], 68],
  ])('%s', (_name, blocks, table, size) => {
    const decoder = fresh();
    for (const block of blocks) decode(decoder, block);
    expect(decoder.table().map((pair) => pair.join(' '))).toEqual(table);
    expect(decoder.tableSize).toBe(size);
  });

  test('its order survives many evictions', () => {
    const decoder = fresh(340);
    for (let i = 0; i < 1000; i++) {
      const digits = `${i}`.padStart(3, '0');
      decode(decoder, `4001 61 03 ${Buffer.from(digits).toString('hex')}`);
      expect(decode(decoder, 'be')).toEqual(['a', digits]);
      if (i >= 8) expect(decode(decoder, 'c6')).toEqual(['a', `${i - 8}`.padStart(3, '0')]);
    }
  });
});

describe('5.1 integers at their bounds', () => {
  // Each is a size update, pattern 001 and a prefix of five bits, on a table of a hundred entries of 34 bytes.
  test.each<[string, string, number]>([
    ['C.1.1 at most 30 stand in the prefix', '3e', 30],
    ['31 does not', '3f00', 31],
    ['C.1.2 two more bytes', '3f9a 0a', 1337],
    ['zeros behind it', '3f80 8000', 31],
    ['all that is allowed', '3fe1 1f', 4096],
  ])('%s', (_name, bytes, value) => {
    const decoder = fresh();
    for (let i = 0; i < 100; i++) decode(decoder, '4001 6101 62');
    decode(decoder, bytes);
    expect(decoder.tableSize).toBe(Math.min(100, Math.floor(value / 34)) * 34);
  });
});

describe('7.1.3 what applications say', () => {
  test('is never indexed, not even where a table has it', () => {
    const encoder = new HeaderEncoder();
    encoder.begin();
    encoder.field('token', 'secret', 'indexed');
    encoder.field('token', 'secret', 'never');
    encoder.field('accept-encoding', 'gzip, deflate', 'never');
    const bytes = encoder.end();
    // The names by their indexes, behind the pattern 0001.
    const want = [hex('1f2f 06'), Buffer.from('secret'), hex('1f01 0d'), Buffer.from('gzip, deflate')];
    expect(bytes.subarray(-Buffer.concat(want).length)).toEqual(Buffer.concat(want));
    const decoder = fresh();
    decoder.decode(bytes, 0, bytes.length);
    expect(decoder.table()).toEqual([['token', 'secret']]);
  });
});

test('an entry larger than the table empties it', () => {
  const decoder = fresh(64);
  decode(decoder, '4001 6101 62');
  expect(decoder.tableSize).toBe(34);
  decode(decoder, `4001 6140${'63'.repeat(64)}`);
  expect(decoder.tableSize).toBe(0);
});

test.each([
  ['at the bound of pairs', 128, false],
  ['one pair more', 129, true],
])('%s', (_name, pairs, excessive) => {
  const bytes = Buffer.alloc(pairs, 0x82);
  expect(fresh().decode(bytes, 0, pairs).excessive).toBe(excessive);
});

test('a bomb of references costs nothing but the reading', () => {
  const decoder = new HeaderDecoder(65_536, 1_000_000);
  decode(decoder, `4001 617f a11e${'62'.repeat(4000)}`);
  const bytes = Buffer.alloc(16_000, 0xbe);
  expect(decoder.decode(bytes, 0, bytes.length)).toEqual({ fields: [], excessive: true });
});

describe('twins', () => {
  const text = fc
    .string({ unit: 'binary-ascii', maxLength: 40 })
    .map((value) => Buffer.from(value, 'latin1').toString('latin1'));
  const latin1 = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'));

  test('Huffman: decode undoes encode', () => {
    fc.assert(
      fc.property(latin1, (value) => {
        const bytes = Buffer.alloc(huffmanLength(value));
        expect(huffmanEncode(value, bytes, 0)).toBe(bytes.length);
        expect(huffmanDecode(bytes, 0, bytes.length)).toBe(value);
      }),
    );
  });

  test('Huffman: no code is the beginning of another, and each symbol comes back', () => {
    const codes = huffmanCodes();
    const sorted = codes.toSorted();
    for (let i = 1; i < sorted.length; i++) expect(sorted[i].startsWith(sorted[i - 1])).toBe(false);
    for (let symbol = 0; symbol < 256; symbol++) {
      const bits = codes[symbol].padEnd(Math.ceil(codes[symbol].length / 8) * 8, '1');
      const bytes = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
      expect(huffmanDecode(bytes, 0, bytes.length)).toBe(String.fromCharCode(symbol));
    }
  });

  test('two decoders agree about bent blocks, field by field and in their tables', () => {
    const byte = fc.oneof(
      fc.integer({ min: 0, max: 255 }),
      fc.constantFrom(
        0x82,
        0xbe,
        0xbf,
        0x40,
        0x20,
        0x3f,
        0x10,
        0x00,
        0x01,
        0x61,
        0x7e,
        0x81,
        0x1f,
        0xff,
        0x8c,
      ),
    );
    const block = fc.oneof(
      fc.array(byte, { maxLength: 40 }),
      fc
        .array(
          fc.constantFrom(
            '4001 6101 62',
            '4003 616263 0178',
            'be',
            'bf',
            '7e01 63',
            '3f25',
            '0001 61 81 1f',
            '82',
          ),
          {
            maxLength: 8,
          },
        )
        .map((parts) => [...hex(parts.join(''))]),
    );
    fc.assert(
      fc.property(fc.array(block, { maxLength: 12 }), (blocks) => {
        const decoder = fresh();
        const twin = new HpackTwin();
        for (const each of blocks) {
          const bytes = Buffer.from(each);
          const want = twin.decode(bytes);
          if (want === undefined) {
            expect(() => decoder.decode(bytes, 0, bytes.length)).toThrow(
              expect.objectContaining({ code: 9 }),
            );
            return;
          }
          expect(decoder.decode(bytes, 0, bytes.length).fields).toEqual(want);
          expect(decoder.table()).toEqual(twin.table);
          expect(decoder.tableSize).toBe(twin.tableSize);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('what the encoder writes, the decoder reads, over many blocks and table sizes', () => {
    const field = fc.tuple(
      fc.constantFrom(':path', 'a', 'te', 'content-type', 'x'),
      fc.oneof(text, latin1),
      fc.constantFrom('indexed' as const, 'plain' as const),
    );
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.array(field, { maxLength: 8 }) },
      { weight: 1, arbitrary: fc.constantFrom(0, 50, 300, 4096) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const encoder = new HeaderEncoder();
        const decoder = fresh();
        for (const item of steps) {
          if (typeof item === 'number') {
            encoder.setTableSize(item);
            continue;
          }
          encoder.begin();
          for (const [name, value, indexing] of item) encoder.field(name, value, indexing);
          const bytes = encoder.end();
          expect(decoder.decode(bytes, 0, bytes.length).fields).toEqual(
            item.flatMap(([name, value]) => [name, value]),
          );
        }
      }),
    );
  });

  test('random bytes decode or are refused, and never do anything else', () => {
    const decoder = fresh();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (random) => {
        try {
          decoder.decode(Buffer.from(random), 0, random.length);
        } catch (error) {
          expect(error).toMatchObject({ name: 'ConnectionError', code: 9 });
        }
        expect(decoder.tableSize).toBeLessThanOrEqual(4096);
      }),
      { numRuns: 2000 },
    );
  });
});
