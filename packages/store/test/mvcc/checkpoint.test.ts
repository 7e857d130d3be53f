/**
 * The index checkpoint against its twin, the full scan: whatever happened before (writes and compactions while it
 * was being written, failures of the disk, a crash), a store restored with it answers like one without.
 */
import { expect, test } from '@jest/globals';
import { MemoryDisk } from '@keelson/sim';
import { Prng, silentLogger, type LogFields, type Logger } from '@keelson/base';
import * as fc from 'fast-check';
import { batchRecordKey } from '../../src/backend/batch-record.ts';
import { Buckets } from '../../src/backend/buckets.ts';
import { MemoryBackend } from '../../src/backend/memory-backend.ts';
import { CheckpointFile } from '../../src/mvcc/checkpoint-file.ts';
import { encodeRevision } from '../../src/mvcc/revision.ts';
import type { MvccOptions, MvccStore } from '../../src/mvcc/store.ts';
import { Bench, found, noPause } from './bench.ts';

const DIRECTORY = '/snap';
const KEYS = ['', 'a', 'aa', 'aab', 'ab', 'b', '\0', 'ÿ', 'ÿÿa'];
const PUT_KEYS = KEYS.slice(1);

/** Keeps what was logged, to tell whether a checkpoint was used. */
class Lines {
  readonly lines: string[] = [];
  readonly logger: Logger = {
    ...silentLogger,
    info: (message: string) => void this.lines.push(message),
    warn: (message: string, fields?: LogFields) =>
      void this.lines.push(`${message}: ${String(fields?.['error'])}`),
  };
}

const USED = 'restored the key index from its checkpoint';

class Place {
  readonly disk = new MemoryDisk();
  readonly backend = new MemoryBackend();
  readonly lines = new Lines();
  bench!: Bench;
  /** As the lessor knows them. */
  leases = new Map<string, bigint>();

  static async open(): Promise<Place> {
    const place = new Place();
    await place.disk.makeDirectory(DIRECTORY);
    await place.disk.syncDirectory('/');
    await place.start();
    return place;
  }

  options(leases: Map<string, bigint>): MvccOptions {
    const file = new CheckpointFile(this.disk.boot(), DIRECTORY);
    return {
      compactionBatchLimit: 2,
      checkpoint: { file, logger: this.lines.logger, sliceKeys: 1 },
      onLease: (lease, key) => leases.set(key, lease),
    };
  }

  /** With what is durable; compares with a start that reads everything. */
  async start(): Promise<void> {
    this.leases = new Map();
    this.bench = await Bench.open(this.backend, this.options(this.leases));
    const leases = new Map<string, bigint>();
    const twin = await Bench.open(this.backend, { onLease: (lease, key) => leases.set(key, lease) });
    expect(this.leases).toEqual(leases);
    await expectEqual(this.bench.store, twin.store);
  }

  put(key: string, value: string, lease: bigint): void {
    this.bench.put(key, value, lease);
    if (lease === 0n) this.leases.delete(key);
    else this.leases.set(key, lease);
  }

  delete(key: string): void {
    this.bench.delete(key);
    this.leases.delete(key);
  }

  checkpoint(pause: () => Promise<void> = noPause): Promise<boolean> {
    return this.bench.store.writeCheckpoint((key) => this.leases.get(key) ?? 0n, pause);
  }

  get used(): boolean {
    return this.lines.lines.includes(USED);
  }
}

/** Every question at every revision; positions in time; what compaction has left to do. */
async function expectEqual(store: MvccStore, twin: MvccStore): Promise<void> {
  const facts = (of: MvccStore): unknown[] => [
    of.currentRevision,
    of.compactRevision,
    of.finishedCompactRevision,
    of.newestRevision,
    of.keysTotal,
    of.restoredMark,
  ];
  expect(facts(store)).toEqual(facts(twin));
  const first = Math.max(twin.compactRevision, 1);
  for (let revision = first; revision <= twin.currentRevision; revision++) {
    for (const [key, end] of [['', '\0'], ['a', 'b'], ...KEYS.map((name) => [name, ''])]) {
      const read = (of: MvccStore): unknown[] =>
        found(of.range(key, end, { revision })).kvs.map((kv) => kv.encoded.toString('latin1'));
      expect(read(store)).toEqual(read(twin));
    }
  }
  for (const revision of [first, twin.currentRevision])
    expect(await store.hashKV(revision)).toEqual(await twin.hashKV(revision));
  if (first >= twin.currentRevision) return;
  const past = (of: MvccStore): unknown[] =>
    of
      .history(first + 1, of.currentRevision, 10_000, 1e9)
      .events.map(({ type, kv }) => [type, kv.keyString, kv.modRevision]);
  expect(past(store)).toEqual(past(twin));
}

type Step =
  | {
      readonly kind: 'write';
      readonly key: string;
      readonly value: string | undefined;
      readonly lease: bigint;
    }
  | { readonly kind: 'txn'; readonly keys: readonly string[] }
  | { readonly kind: 'compact'; readonly part: number }
  | { readonly kind: 'work'; readonly slices: number }
  | { readonly kind: 'commit' };

type Turn =
  | Step
  /** Steps between its slices; at so many it is given up. */
  | { readonly kind: 'checkpoint'; readonly between: readonly (readonly Step[])[]; readonly end: number }
  | { readonly kind: 'fault'; readonly after: number; readonly code: string }
  | { readonly kind: 'restart'; readonly crash: number | undefined };

const write = fc.record({
  kind: fc.constant('write' as const),
  key: fc.constantFrom(...PUT_KEYS),
  value: fc.constantFrom('x', 'y', undefined),
  lease: fc.constantFrom(0n, 0n, 5n, -3n, 2n ** 62n),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: write },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('txn' as const),
      keys: fc.uniqueArray(fc.constantFrom(...PUT_KEYS), { minLength: 1 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('compact' as const),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('work' as const), slices: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('commit' as const) }) },
);
const turn: fc.Arbitrary<Turn> = fc.oneof(
  { weight: 10, arbitrary: step },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('checkpoint' as const),
      between: fc.array(fc.array(step, { maxLength: 2 }), { maxLength: 8 }),
      end: fc.constantFrom(1000, 1000, 1000, 4),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('fault' as const),
      after: fc.nat(20),
      code: fc.constantFrom('EIO', 'ENOSPC'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('restart' as const),
      crash: fc.option(fc.nat(), { nil: undefined }),
    }),
  },
);

async function perform(place: Place, each: Step): Promise<void> {
  const { bench } = place;
  switch (each.kind) {
    case 'write':
      if (each.value === undefined) place.delete(each.key);
      else place.put(each.key, each.value, each.lease);
      break;
    case 'txn':
      bench.write((txn) => {
        for (const key of each.keys) txn.put(key, Buffer.from('t'), 0n);
      });
      for (const key of each.keys) place.leases.delete(key);
      break;
    case 'compact':
      bench.compact(Math.floor(each.part * (bench.store.currentRevision + 1)));
      break;
    case 'work': {
      let left = each.slices;
      await bench.store
        .runCompaction(() => (left-- > 0 ? Promise.resolve() : Promise.reject(new Error('enough'))))
        .catch(() => undefined);
      break;
    }
    case 'commit':
      await bench.buffer.commit();
  }
}

async function take(place: Place, each: Turn): Promise<void> {
  switch (each.kind) {
    case 'checkpoint': {
      let slice = 0;
      await place
        .checkpoint(async () => {
          if (slice === each.end) throw new Error('given up');
          for (const inner of each.between[slice++] ?? []) await perform(place, inner);
        })
        .catch(() => undefined);
      break;
    }
    case 'fault': {
      let left = each.after;
      place.disk.configure({ fault: () => (left-- === 0 ? each.code : undefined) });
      break;
    }
    case 'restart':
      if (each.crash === undefined) await place.bench.buffer.commit();
      else place.disk.crash(new Prng(each.crash));
      place.disk.configure({});
      await place.start();
      break;
    default:
      await perform(place, each);
  }
}

test('whatever happens, a start with a checkpoint equals one without', async () => {
  let used = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(turn, { minLength: 5, maxLength: 40 }), async (turns) => {
      const place = await Place.open();
      for (const each of turns) await take(place, each);
      await place.bench.buffer.commit();
      place.disk.configure({});
      await place.start();
      await place.bench.store.runCompaction(noPause);
      await place.bench.buffer.commit();
      await place.start();
      used += place.lines.lines.filter((line) => line === USED).length;
    }),
    { numRuns: 80 },
  );
  // Not by never using it.
  expect(used).toBeGreaterThan(40);
});

async function loaded(): Promise<Place> {
  const place = await Place.open();
  for (let i = 0; i < 30; i++) place.put(`key ${i % 10}`, `${i}`, i % 3 === 0 ? 7n : 0n);
  place.delete('key 4');
  expect(await place.checkpoint()).toBe(true);
  place.put('key 4', 'after', 0n);
  await place.bench.buffer.commit();
  return place;
}

test('used when it is whole; only what came after it is read', async () => {
  const place = await loaded();
  await place.start();
  expect(place.lines.lines).toEqual([USED]);
  expect(place.bench.store.checkpointRevision).toBe(32);
  expect(place.bench.store.currentRevision).toBe(33);
  expect(place.bench.store.storedBytes).toBe((await Bench.open(place.backend)).store.storedBytes);
});

test.each([0, 9, 100, -5, -1])('a flipped bit at byte %i: every revision is read', async (offset) => {
  const place = await loaded();
  const path = `${DIRECTORY}/index.checkpoint`;
  const size = (await place.disk.readFile(path, 1e6)).length;
  place.disk.flip(path, offset < 0 ? size + offset : offset, 4);
  await place.start();
  expect(place.lines.lines).toHaveLength(1);
  expect(place.lines.lines[0]).toMatch(/^the index checkpoint is not used; reading every revision: /);
  expect(place.bench.store.checkpointRevision).toBe(0);
});

test.each([0, 7, 60, 200])('cut to %i bytes: every revision is read', async (bytes) => {
  const place = await loaded();
  const file = await place.disk.open(`${DIRECTORY}/index.checkpoint`, 'write');
  await file.truncate(bytes);
  await file.close();
  await place.start();
  expect(place.used).toBe(false);
  // The next one takes its place.
  expect(await place.checkpoint()).toBe(true);
  await place.start();
  expect(place.used).toBe(true);
});

test('a checkpoint of another backend, or of a later state of it, is not used', async () => {
  const [ours, foreign] = [await loaded(), await loaded()];
  foreign.put('more', 'x', 0n);
  expect(await foreign.checkpoint()).toBe(true);
  await ours.disk.writeFileAtomic(
    `${DIRECTORY}/index.checkpoint`,
    await foreign.disk.readFile(`${DIRECTORY}/index.checkpoint`, 1e6),
  );
  await ours.start();
  expect(ours.used).toBe(false);
  const fresh = new MemoryBackend();
  const lines = new Lines();
  const file = new CheckpointFile(foreign.disk, DIRECTORY);
  const bench = await Bench.open(fresh, { checkpoint: { file, logger: lines.logger } });
  expect([bench.store.currentRevision, lines.lines]).toEqual([1, []]);
});

test('overtaken by a compaction: every revision is read; one at or below it is no hindrance', async () => {
  const place = await loaded();
  place.bench.compact(20);
  await place.bench.store.runCompaction(noPause);
  await place.bench.buffer.commit();
  await place.start();
  expect(place.used).toBe(true);
  place.lines.lines.length = 0;
  place.bench.compact(33);
  await place.bench.buffer.commit();
  await place.start();
  expect(place.lines.lines).toEqual([
    'the index checkpoint is not used; reading every revision: a compaction has overtaken it',
  ]);
});

test('nothing new: nothing is written', async () => {
  const place = await Place.open();
  expect(await place.checkpoint()).toBe(true);
  expect(await place.checkpoint()).toBe(false);
});

test('a batch that is lost below the checkpoint, where a damaged log may lose one, is found all the same', async () => {
  const place = await Place.open();
  for (const [i, key] of ['a', 'b', 'c', 'd'].entries()) {
    place.put(key, `${i}`, 0n);
    await place.bench.buffer.commit();
  }
  expect(await place.checkpoint()).toBe(true);
  const lost = encodeRevision(3, 0);
  await place.backend.write([
    { key: Buckets.key.prefix + lost, value: undefined },
    { key: batchRecordKey(lost), value: undefined },
  ]);
  await expect(Bench.open(place.backend, place.options(new Map()))).rejects.toThrow(
    'backend: batch 3 ending at revision 4 follows batch 2, which is missing',
  );
  expect(place.used).toBe(true);
});
