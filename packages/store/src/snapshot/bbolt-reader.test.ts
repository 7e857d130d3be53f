import { describe, expect, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import * as fc from 'fast-check';
import { BboltReader, type BboltFile } from './bbolt-reader.ts';
import { planBbolt, writeBbolt } from './bbolt-writer.ts';
import {
  BboltError,
  PageFlag,
  writeMetaPage,
  writePageHeader,
  writeU64LE,
  type BucketSource,
  type KeyValuePair,
} from './pages.ts';

/** A file in memory that counts what is read of it. */
class CountedFile implements BboltFile {
  bytesRead = 0;
  longestRead = 0;
  private readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  async size(): Promise<number> {
    return this.bytes.length;
  }

  async read(position: number, length: number): Promise<Buffer> {
    this.bytesRead += length;
    this.longestRead = Math.max(this.longestRead, length);
    return this.bytes.subarray(position, position + length);
  }
}

function numbered(count: number, valueBytes: number): KeyValuePair[] {
  return Array.from({ length: count }, (_, i) => {
    const key = Buffer.alloc(17);
    key.writeUInt32BE(i, 4);
    return { key, value: Buffer.alloc(valueBytes, i & 0xff) };
  });
}

async function written(buckets: readonly (readonly [string, readonly KeyValuePair[]])[]): Promise<Buffer> {
  const sources = buckets.map(([name, pairs]): BucketSource => ({
    name: Buffer.from(name),
    entries: () => [pairs],
  }));
  const chunks: Buffer[] = [];
  for await (const chunk of writeBbolt(await planBbolt(sources), sources)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Everything a reader can be asked: all buckets in order, then the full check. */
async function readAll(file: BboltFile): Promise<number> {
  const reader = await BboltReader.open(file);
  let pairCount = 0;
  for (const bucket of await reader.buckets()) {
    let previous = Buffer.alloc(0);
    for await (const batch of bucket.entries()) {
      for (const { key } of batch) {
        if (previous.compare(key) >= 0) throw new Error('the reader gave keys out of order');
        previous = Buffer.from(key);
        pairCount++;
      }
    }
  }
  await reader.check();
  return pairCount;
}

async function failure(work: Promise<unknown>): Promise<BboltError> {
  const error = await work.then(
    () => new Error('nothing was refused'),
    (cause: unknown) => cause,
  );
  if (error instanceof BboltError) return error;
  throw error;
}

/** One node by hand; leaf elements are [flags, key, value], branch elements [key, page]. */
function leaf(
  id: number,
  elements: readonly (readonly [number, string, Uint8Array | string])[],
  pages = 1,
): Buffer {
  const bytes = Buffer.alloc(4096 * pages);
  writePageHeader(bytes, 0, id, PageFlag.Leaf, elements.length, pages - 1);
  let data = 16 + 16 * elements.length;
  for (const [i, [flags, key, value]] of elements.entries()) {
    const at = 16 + 16 * i;
    bytes.writeUInt32LE(flags, at);
    bytes.writeUInt32LE(data - at, at + 4);
    bytes.writeUInt32LE(key.length, at + 8);
    bytes.writeUInt32LE(value.length, at + 12);
    data += Buffer.from(key, 'latin1').copy(bytes, data);
    data += (typeof value === 'string' ? Buffer.from(value, 'latin1') : Buffer.from(value)).copy(bytes, data);
  }
  return bytes;
}

function branch(id: number, elements: readonly (readonly [string, number])[]): Buffer {
  const bytes = Buffer.alloc(4096);
  writePageHeader(bytes, 0, id, PageFlag.Branch, elements.length, 0);
  let data = 16 + 16 * elements.length;
  for (const [i, [key, page]] of elements.entries()) {
    const at = 16 + 16 * i;
    bytes.writeUInt32LE(data - at, at);
    bytes.writeUInt32LE(key.length, at + 4);
    writeU64LE(bytes, at + 8, page);
    data += Buffer.from(key, 'latin1').copy(bytes, data);
  }
  return bytes;
}

function freelist(id: number, pages: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4096);
  writePageHeader(bytes, 0, id, PageFlag.Freelist, pages.length, 0);
  for (const [i, page] of pages.entries()) writeU64LE(bytes, 16 + 8 * i, page);
  return bytes;
}

function bucketAt(root: number): Buffer {
  const value = Buffer.alloc(16);
  writeU64LE(value, 0, root);
  return value;
}

function inlineBucket(elements: readonly (readonly [number, string, Uint8Array | string])[]): Buffer {
  const page = leaf(0, elements);
  const length = elements.reduce((sum, [, key, value]) => sum + 16 + key.length + value.length, 16);
  return Buffer.concat([bucketAt(0), page.subarray(0, length)]);
}

/** A file of hand-made nodes from page 2 on. */
function fileOf(
  nodes: readonly Buffer[],
  change: { root?: number; freelist?: number; pageCount?: number } = {},
): CountedFile {
  const body = Buffer.concat(nodes);
  const metas = Buffer.alloc(8192);
  const meta = { pageSize: 4096, root: 3, freelist: 2, pageCount: 2 + body.length / 4096, ...change };
  writeMetaPage(metas, 0, { ...meta, txid: 6 });
  writeMetaPage(metas.subarray(4096), 1, { ...meta, txid: 7 });
  return new CountedFile(Buffer.concat([metas, body]));
}

const BUCKET = 1;

describe('well-formed files bbolt makes and our writer does not', () => {
  test('inline bucket, free pages, unsynced freelist, bytes behind the end', async () => {
    const nodes = [
      Buffer.alloc(4096, 0xee),
      leaf(3, [
        [BUCKET, 'a', inlineBucket([[0, 'k', 'v']])],
        [BUCKET, 'b', bucketAt(5)],
      ]),
      Buffer.alloc(4096, 0xee),
      leaf(5, [[0, 'x', 'y'.repeat(5000)]], 2),
    ];
    const file = fileOf(nodes);
    const whole = await file.read(0, await file.size());
    writeMetaPage(whole, 0, { pageSize: 4096, root: 3, freelist: undefined, pageCount: 7, txid: 8 });
    const reader = await BboltReader.open(new CountedFile(Buffer.concat([whole, Buffer.alloc(32, 1)])));
    expect(reader.meta).toEqual({ pageSize: 4096, root: 3, freelist: undefined, pageCount: 7, txid: 8 });
    const found: string[] = [];
    for (const bucket of await reader.buckets()) {
      for await (const batch of bucket.entries()) {
        for (const { key, value } of batch)
          found.push(`${bucket.name.toString()} ${key.toString()} ${value.length}`);
      }
    }
    expect(found).toEqual(['a k 1', 'b x 5000']);
    expect((await reader.bucket('b'))?.name.toString()).toBe('b');
    expect(await reader.bucket('c')).toBeUndefined();
    expect(await reader.check()).toEqual({
      pageSize: 4096,
      pageCount: 7,
      freePageCount: 2,
      bucketCount: 2,
      pairCount: 2,
    });
  });

  test('a freelist with its count in the first item', async () => {
    const list = freelist(2, []);
    list.writeUInt16LE(0xffff, 10);
    writeU64LE(list, 16, 1);
    writeU64LE(list, 24, 4);
    const reader = await BboltReader.open(fileOf([list, leaf(3, []), Buffer.alloc(4096)]));
    expect(await reader.check()).toMatchObject({ freePageCount: 1, bucketCount: 0 });
  });

  test('pages of 16 KiB, first meta page lost', async () => {
    const bytes = Buffer.alloc(4 * 16_384);
    writeMetaPage(bytes.subarray(16_384), 1, {
      pageSize: 16_384,
      root: 3,
      freelist: 2,
      pageCount: 4,
      txid: 3,
    });
    freelist(2, []).copy(bytes, 2 * 16_384);
    leaf(3, [[BUCKET, 'a', inlineBucket([])]]).copy(bytes, 3 * 16_384);
    const reader = await BboltReader.open(new CountedFile(bytes));
    expect(await reader.check()).toMatchObject({ pageSize: 16_384, bucketCount: 1 });
  });

  test('nested buckets: checked, but not given as pairs', async () => {
    const reader = await BboltReader.open(
      fileOf([
        freelist(2, []),
        leaf(3, [[BUCKET, 'a', bucketAt(4)]]),
        leaf(4, [[BUCKET, 'n', bucketAt(5)]]),
        leaf(5, [[0, 'k', 'v']]),
      ]),
    );
    expect(await reader.check()).toMatchObject({ bucketCount: 2, pairCount: 1 });
    const [bucket] = await reader.buckets();
    const drain = async (): Promise<void> => {
      for await (const batch of bucket.entries()) expect(batch).toBeDefined();
    };
    expect(await failure(drain())).toMatchObject({ code: 'NESTED_BUCKET', page: 4 });
  });
});

test('a bucket may be walked again and again, also after a walk left early', async () => {
  const reader = await BboltReader.open(new CountedFile(await written([['key', numbered(500, 100)]])));
  const bucket = (await reader.bucket('key'))!;
  for (const stopAfter of [1, 3, 1e9]) {
    let seen = 0;
    for await (const batch of bucket.entries()) {
      seen += batch.length;
      if (seen >= stopAfter) break;
    }
    expect(seen).toBe(stopAfter === 1e9 ? 500 : 30);
  }
});

test('reads each byte of an orderly file about once, ahead', async () => {
  const bytes = await written([['key', numbered(20_000, 200)]]);
  const file = new CountedFile(bytes);
  expect(await readAll(file)).toBe(20_000);
  // Two walks (read, check), plus what a window reads beyond the leaves.
  expect(file.bytesRead).toBeLessThan(bytes.length * 2 + 2 ** 20);
  expect(file.longestRead).toBe(256 * 1024);
});

describe('files that lie', () => {
  const list = freelist(2, []);
  const root = leaf(3, [[BUCKET, 'a', bucketAt(4)]]);
  const two = leaf(3, [
    [BUCKET, 'a', bucketAt(4)],
    [BUCKET, 'b', bucketAt(5)],
  ]);
  const pair = leaf(4, [[0, 'k', 'v']]);
  const changed = (bytes: Buffer, change: (copy: Buffer) => void): Buffer => {
    const copy = Buffer.from(bytes);
    change(copy);
    return copy;
  };

  test.each<[string, CountedFile, number | undefined, RegExp]>([
    ['empty', new CountedFile(Buffer.alloc(0)), undefined, /no valid meta/],
    ['zeros', new CountedFile(Buffer.alloc(65_536)), undefined, /no valid meta/],
    ['shorter than its pages', fileOf([list, leaf(3, [])], { pageCount: 5 }), undefined, /5 pages of 4096/],
    [
      'more pages than any file',
      fileOf([list, leaf(3, [])], { pageCount: 2 ** 40 }),
      undefined,
      /1099511627776 pages/,
    ],
    ['root on a meta page', fileOf([list, root, pair], { root: 1 }), 1, /not one of the 5 pages/],
    ['root past the end', fileOf([list, root, pair], { root: 5 }), 5, /not one of/],
    ['root is the freelist', fileOf([list, root, pair], { root: 2 }), 2, /of kind 10/],
    ['freelist past the end', fileOf([list, root, pair], { freelist: 5 }), 5, /not one of/],
    ['freelist is a leaf', fileOf([list, root, pair], { freelist: 4 }), 4, /of kind 2/],
    [
      'bucket past the end',
      fileOf([list, leaf(3, [[BUCKET, 'a', bucketAt(2 ** 50)]])]),
      2 ** 50,
      /not one of/,
    ],
    ['bucket is its root', fileOf([list, leaf(3, [[BUCKET, 'a', bucketAt(3)]])]), 3, /two buckets/],
    [
      'bucket header cut',
      fileOf([list, leaf(3, [[BUCKET, 'a', Buffer.alloc(15)]])]),
      3,
      /without its header/,
    ],
    ['plain key beside buckets', fileOf([list, leaf(3, [[0, 'a', 'v']])]), 3, /plain key/],
    ['another page id', fileOf([list, root, leaf(9, [])]), 4, /id of another/],
    ['two kinds at once', fileOf([list, root, changed(pair, (p) => p.writeUInt16LE(3, 8))]), 4, /of kind 3/],
    [
      'overflow past the end',
      fileOf([list, root, changed(pair, (p) => p.writeUInt32LE(1, 12))]),
      4,
      /overflows/,
    ],
    [
      'overflow 2^32-1',
      fileOf([list, root, changed(pair, (p) => p.writeUInt32LE(0xffffffff, 12))]),
      4,
      /overflows/,
    ],
    [
      'too many elements',
      fileOf([list, root, changed(pair, (p) => p.writeUInt16LE(256, 10))]),
      4,
      /do not fit/,
    ],
    ['element flags', fileOf([list, root, leaf(4, [[4, 'k', 'v']])]), 4, /element 0 has flags 4/],
    ['empty key', fileOf([list, root, leaf(4, [[0, '', 'v']])]), 4, /key of 0 bytes/],
    ['key past bbolt', fileOf([list, root, leaf(4, [[0, 'k'.repeat(32_769), '']], 9)]), 4, /key of 32769/],
    ['a leaf without elements', fileOf([list, root, leaf(4, [])]), 4, /without elements/],
    ['a count that drops a pair', fileOf([list, root, changed(leaf(4, [[0, 'a', 'v'], [0, 'b', 'w']]), (p) => p.writeUInt16LE(1, 10))]), 4, /spans 48/], // prettier-ignore
    ['a count that drops a child', fileOf([list, root, changed(branch(4, [['a', 5], ['b', 6]]), (p) => p.writeUInt16LE(1, 10))]), 4, /spans 48/], // prettier-ignore
    ['an inline count that drops a pair', fileOf([list, leaf(3, [[BUCKET, 'a', changed(inlineBucket([[0, 'k', 'v']]), (p) => p.writeUInt16LE(0, 26))]])]), 3, /inline bucket of 16 bytes in a value of 34/], // prettier-ignore
    ['data in the header', fileOf([list, root, changed(pair, (p) => p.writeUInt32LE(8, 20))]), 4, /spans 24/],
    [
      'data past the page',
      fileOf([list, root, changed(pair, (p) => p.writeUInt32LE(4080, 20))]),
      4,
      /spans 4096/,
    ],
    [
      'value past the page',
      fileOf([list, root, changed(pair, (p) => p.writeUInt32LE(0xffffffff, 28))]),
      4,
      /spans/,
    ],
    [
      'elements that overlap',
      fileOf([list, root, changed(leaf(4, [[0, 'a', 'v'], [0, 'b', 'w']]), (p) => p.writeUInt32LE(17, 36))]), // prettier-ignore
      4,
      /element 1 spans/,
    ],
    ['keys out of order', fileOf([list, root, leaf(4, [[0, 'b', ''], [0, 'a', '']])]), 4, /key 1 is not above/], // prettier-ignore
    ['a key twice', fileOf([list, root, leaf(4, [[0, 'b', ''], [0, 'b', '']])]), 4, /key 1 is not above/], // prettier-ignore
    ['bucket names twice', fileOf([list, leaf(3, [[BUCKET, 'a', bucketAt(4)], [BUCKET, 'a', bucketAt(4)]]), pair]), 3, /not above/], // prettier-ignore
    ['branch without children', fileOf([list, root, branch(4, [])]), 4, /without children/],
    ['branch to itself', fileOf([list, root, branch(4, [['a', 4]])]), 4, /used twice/],
    ['a cycle of two', fileOf([list, root, branch(4, [['a', 5]]), branch(5, [['a', 4]])]), 4, /used twice/],
    ['a child twice', fileOf([list, root, branch(4, [['a', 5], ['b', 5]]), leaf(5, [[0, 'a', '']])]), 5, /used twice/], // prettier-ignore
    ['branch keys out of order', fileOf([list, root, branch(4, [['b', 5], ['a', 6]])]), 4, /key 1 is not above/], // prettier-ignore
    [
      'leaf below its branch',
      fileOf([list, root, branch(4, [['b', 5]]), leaf(5, [[0, 'a', '']])]),
      5,
      /below its/,
    ],
    [
      'leaf past its branch',
      fileOf([list, root, branch(4, [['a', 5], ['b', 6]]), leaf(5, [[0, 'a', ''], [0, 'b', '']]), leaf(6, [])]), // prettier-ignore
      5,
      /past its/,
    ],
    [
      'one tree for two buckets',
      fileOf([list, changed(two, (p) => writeU64LE(p, 16 + 32 + 17 + 1, 4)), pair]),
      4,
      /two buckets/,
    ],
    [
      'a shared leaf',
      fileOf([list, two, branch(4, [['k', 6]]), branch(5, [['k', 6]]), leaf(6, [[0, 'k', '']])]),
      6,
      /two buckets/,
    ],
    ['inline without a page', fileOf([list, leaf(3, [[BUCKET, 'a', bucketAt(0)]])]), 3, /without a page/],
    ['inline of another kind', fileOf([list, leaf(3, [[BUCKET, 'a', Buffer.alloc(40)]])]), 3, /not one leaf/],
    [
      'inline past its value',
      fileOf([list, leaf(3, [[BUCKET, 'a', inlineBucket([[0, 'k', 'value']]).subarray(0, 50)]])]),
      3,
      /element 0 spans/,
    ],
    ['a page lost', fileOf([list, root, pair, Buffer.alloc(4096)]), 5, /neither in use nor free/],
    ['in use and free', fileOf([freelist(2, [4]), root, pair]), 4, /in use and free/],
    ['freed twice', fileOf([freelist(2, [5, 5]), root, pair, Buffer.alloc(4096)]), 5, /freed twice/],
    ['frees a meta page', fileOf([freelist(2, [1]), root, pair]), 2, /frees page 1/],
    ['frees past the end', fileOf([freelist(2, [5]), root, pair]), 2, /frees page 5/],
    [
      'freelist count',
      fileOf([changed(list, (p) => p.writeUInt16LE(511, 10)), root, pair]),
      2,
      /past its page/,
    ],
    [
      'freelist wide count',
      fileOf([changed(list, (p) => p.writeUInt16LE(0xffff, 10) && p.fill(0xff, 16, 24)), root, pair]),
      2,
      /past its page/,
    ],
  ])('%s', async (_name, file, page, message) => {
    const error = await failure(readAll(file));
    expect(error.message).toMatch(message);
    expect(error.page).toBe(page);
    expect(file.longestRead).toBeLessThanOrEqual(Math.max(await file.size(), 0));
  });

  test('a chain of branches as deep as the file is long', async () => {
    const nodes = [list, root];
    for (let id = 4; id < 1000; id++) nodes.push(branch(id, [['a', id + 1]]));
    nodes.push(leaf(1000, [[0, 'a', '']]));
    expect(await failure(readAll(fileOf(nodes)))).toMatchObject({ code: 'CORRUPT', page: 68 });
  });

  test('many buckets that share one large tree cost one walk', async () => {
    const tree = Array.from({ length: 100 }, (_, i) => leaf(i + 5, [[0, String.fromCharCode(i + 1), '']]));
    const top = branch(
      4,
      Array.from({ length: 100 }, (_, i) => [String.fromCharCode(i + 1), i + 5] as const),
    );
    const names = Array.from(
      { length: 100 },
      (_, i) => [BUCKET, String.fromCharCode(i + 1), bucketAt(4)] as const,
    );
    const file = fileOf([list, leaf(3, names), top, ...tree]);
    expect(await failure(readAll(file))).toMatchObject({ code: 'CORRUPT', page: 4 });
    expect(file.bytesRead).toBeLessThan(3 * (await file.size()));
  });
});

describe('random damage', () => {
  const files = Promise.all([
    written([
      ['alarm', []],
      ['key', numbered(900, 60)],
      ['meta', numbered(3, 8)],
      ['big', numbered(4, 9000)],
    ]),
    written([['deep', Array.from({ length: 60 }, (_, i) => ({ key: Buffer.alloc(1500, i + 1), value: Buffer.from('v') }))]]), // prettier-ignore
  ]);

  test('flipped, copied and cut bytes: a BboltError or readable data, within bounds', async () => {
    const originals = await files;
    const pairCounts = await Promise.all(originals.map((bytes) => readAll(new CountedFile(bytes))));
    let refused = 0;
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: originals.length - 1 }), fc.integer({ min: 1 }), async (which, seed) => {
        const prng = new Prng(seed);
        let bytes = Buffer.from(originals[which]);
        const kind = prng.below(10);
        const pages = bytes.length / 4096;
        if (kind === 0) bytes = bytes.subarray(0, prng.below(bytes.length));
        else if (kind === 1) {
          // One page written where another belongs.
          const from = prng.below(pages) * 4096;
          bytes.copy(bytes, prng.below(pages) * 4096, from, from + 4096);
        } else {
          for (let i = prng.between(1, 4); i > 0; i--) {
            // Mostly in headers and element tables, where a byte means something.
            const at = prng.below(pages) * 4096 + (prng.chance(3, 4) ? prng.below(64) : prng.below(4096));
            bytes[at] = prng.chance(1, 3) ? 0xff : prng.below(256);
          }
        }
        const file = new CountedFile(bytes);
        try {
          // Undetectable damage is a changed value or a key that kept its place: the shape is as it was.
          expect(await readAll(file)).toBe(pairCounts[which]);
          accepted++;
        } catch (error) {
          if (!(error instanceof BboltError)) throw error;
          refused++;
        }
        expect(file.bytesRead).toBeLessThanOrEqual(8 * originals[which].length + 2 ** 20);
        expect(file.longestRead).toBeLessThanOrEqual(Math.max(bytes.length, 1));
      }),
      { numRuns: 1500 },
    );
    expect(refused).toBeGreaterThan(300);
    expect(accepted).toBeGreaterThan(50);
  });
});
