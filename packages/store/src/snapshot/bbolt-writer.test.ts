import { readFile } from 'node:fs/promises';
import { describe, expect, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import * as fc from 'fast-check';
import { BboltReader, type BboltFile } from './bbolt-reader.ts';
import { planBbolt, writeBbolt } from './bbolt-writer.ts';
import { BboltError, type BucketSource, type KeyValuePair } from './pages.ts';

function fileOf(bytes: Buffer): BboltFile {
  return {
    size: async () => bytes.length,
    read: async (position, length) => bytes.subarray(position, position + length),
  };
}

function source(name: string, pairs: readonly KeyValuePair[], batch = 100): BucketSource {
  return {
    name: Buffer.from(name, 'latin1'),
    *entries() {
      for (let i = 0; i < pairs.length; i += batch) yield pairs.slice(i, i + batch);
    },
  };
}

async function written(buckets: readonly BucketSource[]): Promise<Buffer> {
  const plan = await planBbolt(buckets);
  const chunks: Buffer[] = [];
  for await (const chunk of writeBbolt(plan, buckets)) {
    expect(chunk.length).toBeGreaterThan(0);
    expect(chunk.length).toBeLessThanOrEqual(256 * 1024);
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  expect(bytes.length).toBe(plan.bytes);
  expect(plan.bytes).toBe(plan.pageCount * 4096);
  return bytes;
}

/** Reads all back, and lets the full check agree. */
async function contents(bytes: Buffer): Promise<Map<string, [string, Buffer][]>> {
  const reader = await BboltReader.open(fileOf(bytes));
  const found = new Map<string, [string, Buffer][]>();
  let pairCount = 0;
  for (const bucket of await reader.buckets()) {
    const pairs: [string, Buffer][] = [];
    for await (const batch of bucket.entries()) {
      for (const { key, value } of batch) pairs.push([key.toString('latin1'), Buffer.from(value)]);
    }
    pairCount += pairs.length;
    found.set(bucket.name.toString('latin1'), pairs);
  }
  expect(await reader.check()).toEqual({
    pageSize: 4096,
    pageCount: bytes.length / 4096,
    freePageCount: 0,
    bucketCount: found.size,
    pairCount,
  });
  return found;
}

/** A bucket's worth of random pairs, sorted, without duplicates. */
function randomPairs(prng: Prng, count: number, keyBytesMax: number, valueBytesMax: number): KeyValuePair[] {
  const keys = new Map<string, Buffer>();
  while (keys.size < count) {
    const key = Buffer.alloc(1 + prng.below(keyBytesMax));
    for (let i = 0; i < key.length; i++) key[i] = prng.below(256);
    keys.set(key.toString('latin1'), key);
  }
  const sorted = [...keys.values()].sort((a, b) => Buffer.compare(a, b));
  return sorted.map((key) => ({ key, value: Buffer.alloc(prng.below(valueBytesMax + 1), prng.below(256)) }));
}

/** Keys 0…count-1 in `keyBytes` bytes. */
function numbered(count: number, keyBytes: number, valueBytes: number): KeyValuePair[] {
  return Array.from({ length: count }, (_, i) => {
    const key = Buffer.alloc(keyBytes);
    key.writeUInt32BE(i, keyBytes - 4);
    return { key, value: Buffer.alloc(valueBytes, i & 0xff) };
  });
}

describe('there and back', () => {
  test('random buckets, sizes and batches', async () => {
    const bucketShape = fc.record({
      name: fc.uint8Array({ minLength: 1, maxLength: 40 }),
      count: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 100, max: 800 })),
      keyBytesMax: fc.constantFrom(3, 17, 300, 3000),
      valueBytesMax: fc.constantFrom(0, 30, 5000, 102_400),
      batch: fc.constantFrom(1, 7, 1000),
      seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    });
    const shapes = fc.uniqueArray(bucketShape, {
      maxLength: 5,
      selector: (shape) => Buffer.from(shape.name).toString('latin1'),
    });
    await fc.assert(
      fc.asyncProperty(shapes, async (buckets) => {
        const want = new Map<string, [string, Buffer][]>();
        const sources = buckets.map((shape) => {
          // Keep one run below a few megabytes: many pairs or large ones, not both.
          const count = shape.valueBytesMax > 5000 ? Math.min(shape.count, 20) : shape.count;
          const pairs = randomPairs(new Prng(shape.seed), count, shape.keyBytesMax, shape.valueBytesMax);
          const name = Buffer.from(shape.name).toString('latin1');
          want.set(
            name,
            pairs.map(({ key, value }) => [key.toString('latin1'), value]),
          );
          return source(name, pairs, shape.batch);
        });
        const found = await contents(await written(sources));
        expect([...found.keys()]).toEqual([...want.keys()].sort());
        for (const [name, pairs] of want) {
          const got = found.get(name)!;
          expect(got.map(([key]) => key)).toEqual(pairs.map(([key]) => key));
          expect(got.every(([, value], i) => value.equals(pairs[i][1]))).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  test.each<[string, KeyValuePair[], number]>([
    ['nothing', [], 0],
    ['one pair', numbered(1, 4, 0), 1],
    ['a full leaf exactly', numbered(2, 17, 2007), 1],
    [
      'one byte more than a leaf',
      [...numbered(1, 17, 2008), { key: Buffer.alloc(18, 9), value: Buffer.alloc(2007) }],
      1,
    ],
    ['two levels', numbered(1000, 17, 50), 2],
    ['a last leaf that would stand alone in its branch', numbered(240, 3000, 0).slice(0, 5), 2],
    ['many levels of large keys', numbered(300, 1500, 10), 8],
    ['three levels of small ones', numbered(60_000, 17, 12), 3],
    ['values larger than a chunk', numbered(3, 17, 600_000), 2],
    ['an empty value', numbered(10, 5, 0), 1],
  ])('%s', async (_name, pairs, levels) => {
    const buckets = [source('key', pairs)];
    const plan = await planBbolt(buckets);
    expect(plan.trees[0]?.levels.length ?? 0).toBe(levels);
    expect(plan.pairCount).toBe(pairs.length);
    for (const level of plan.trees[0]?.levels.slice(1) ?? []) {
      for (let i = 0; i < level.nodeCount; i++) expect(level.counts.at(i)).toBeGreaterThanOrEqual(2);
    }
    const got = (await contents(await written(buckets))).get('key')!;
    expect(got.length).toBe(pairs.length);
    for (const [i, [key, value]] of got.entries()) {
      if (key !== pairs[i].key.toString('latin1') || !value.equals(pairs[i].value))
        throw new Error(`pair ${i}`);
    }
  });

  test('a database without buckets', async () => {
    expect(await contents(await written([]))).toEqual(new Map());
  });

  test('more buckets than one root leaf holds', async () => {
    const buckets = Array.from({ length: 300 }, (_, i) =>
      source(`bucket-${String(i).padStart(4, '0')}`, numbered(i % 3, 4, 4)),
    );
    const plan = await planBbolt(buckets);
    expect(plan.root.levels.length).toBe(2);
    expect((await contents(await written(buckets))).size).toBe(300);
  });
});

test('small pairs fill their leaves', async () => {
  const plan = await planBbolt([source('key', numbered(50_000, 17, 64))]);
  // 42 pairs of 97 bytes a leaf, 4,090 of 4,096 bytes; 1 % for branches.
  expect(plan.pageCount).toBeLessThan((50_000 / 42) * 1.01 + 10);
});

test('both meta pages open the file alone', async () => {
  const bytes = await written([source('key', numbered(100, 17, 9))]);
  for (const broken of [0, 4096]) {
    const copy = Buffer.from(bytes);
    copy.fill(0, broken, broken + 4096);
    const reader = await BboltReader.open(fileOf(copy));
    expect(reader.meta.txid).toBe(broken === 0 ? 1 : 0);
    expect((await reader.check()).pairCount).toBe(100);
  }
});

test('the event loop turns while a large bucket is planned and written', async () => {
  const pairs = numbered(40_000, 17, 100);
  const buckets = [source('key', pairs, 10_000)];
  let turns = 0;
  let timer = setImmediate(function count() {
    turns++;
    timer = setImmediate(count);
  });
  try {
    const plan = await planBbolt(buckets);
    expect(turns).toBeGreaterThanOrEqual(8);
    turns = 0;
    for await (const chunk of writeBbolt(plan, buckets)) expect(chunk.length).toBeGreaterThan(0);
    expect(turns).toBeGreaterThanOrEqual(15);
  } finally {
    clearImmediate(timer);
  }
});

describe('sources that are refused', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((key) => ({ key: Buffer.from(key), value: Buffer.from('1') }));

  test.each<[string, BucketSource[], RegExp]>([
    ['keys out of order', [source('key', [b, a])], /bucket "key": key 61 is not above/],
    ['the same key twice', [source('key', [a, a])], /not above/],
    ['an empty key', [source('key', [{ key: Buffer.alloc(0), value: Buffer.alloc(1) }])], /key of 0 bytes/],
    [
      'a key past bbolt',
      [source('key', [{ key: Buffer.alloc(32_769), value: Buffer.alloc(1) }])],
      /32769 bytes/,
    ],
    ['a name twice', [source('key', [a]), source('key', [])], /6b6579 is not above/],
    ['an empty name', [source('', [a])], /key of 0 bytes/],
  ])('%s', async (_name, buckets, message) => {
    const failure = await planBbolt(buckets).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BboltError);
    expect(failure).toMatchObject({ code: 'BAD_SOURCE', message: expect.stringMatching(message) });
  });

  test.each<[string, KeyValuePair[], KeyValuePair[]]>([
    ['fewer the second time', [a, b], [a]],
    ['more', [a, b], [a, b, c]],
    ['some where there were none', [], [a]],
    ['none where there were some', [a], []],
    ['another first key', [a, b], [b, c]],
    ['a larger value', [a, b], [a, { key: b.key, value: Buffer.alloc(5000) }]],
  ])('a source that gives %s', async (_name, first, second) => {
    const plan = await planBbolt([source('key', first)]);
    const drain = async (): Promise<void> => {
      for await (const chunk of writeBbolt(plan, [source('key', second)])) expect(chunk).toBeDefined();
    };
    await expect(drain()).rejects.toMatchObject({ name: 'BboltError', code: 'BAD_SOURCE' });
  });

  test("a source's own failure passes through, and its iterator is closed when the consumer leaves", async () => {
    let closed = false;
    const failing: BucketSource = {
      name: Buffer.from('key'),
      *entries() {
        try {
          yield numbered(2000, 17, 1000);
          throw new Error('disk gone');
        } finally {
          closed = true;
        }
      },
    };
    await expect(planBbolt([failing])).rejects.toThrow('disk gone');
    expect(closed).toBe(true);
    closed = false;
    const plan = await planBbolt([source('key', numbered(2000, 17, 1000))]);
    for await (const chunk of writeBbolt(plan, [failing])) {
      expect(chunk).toBeDefined();
      break;
    }
    expect(closed).toBe(true);
  });
});

test('the example of docs/formats/bbolt.md, byte by byte', async () => {
  const bytes = await written([source('key', [{ key: Buffer.from('a'), value: Buffer.from('1') }])]);
  expect(bytes.length).toBe(20_480);
  const page = await readFile(new URL('../../../../docs/formats/bbolt.md', import.meta.url), 'utf8');
  const lines = [...page.matchAll(/^([34]0[0-9]0) {2}((?:[0-9a-f]{2} {1,2})+)/gm)];
  expect(lines.length).toBe(6);
  for (const [, at, hex] of lines) {
    const want = hex.replaceAll(' ', '');
    const start = Number.parseInt(at, 16);
    expect(bytes.toString('hex', start, start + want.length / 2)).toBe(want);
  }
});
