/** RFC 7541: the vectors of its Appendix C, the errors it names, and both coders against each other. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HeaderDecoder, HeaderEncoder } from './hpack.ts';
import { huffmanDecode, huffmanEncode, huffmanLength } from './huffman.ts';

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
])('%s is a compression error', (_name, bytes) => {
  expect(() => decode(fresh(), bytes)).toThrow(expect.objectContaining({ code: 9 }));
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
