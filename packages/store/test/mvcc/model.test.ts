import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { MemoryBackend } from '../../src/backend/memory-backend.ts';
import type { WriteTxn } from '../../src/mvcc/write-txn.ts';
import { Bench, found, noPause } from './bench.ts';
import { Model, type ModelChange, type ModelOperation } from './model.ts';

const KEYS = ['a', 'aa', 'b', 'c', '\0', 'ÿ', 'ÿa'];
const key = fc.constantFrom(...KEYS);
const end = fc.oneof(fc.constant(''), fc.constant('\0'), key);

const operation: fc.Arbitrary<ModelOperation> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      key,
      value: fc.string({ maxLength: 3, unit: 'binary-ascii' }),
      lease: fc.constantFrom(0n, 0n, 5n, -1n),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), key, end }) },
);

type Step =
  | { readonly kind: 'txn'; readonly operations: ModelOperation[] }
  | { readonly kind: 'compact'; readonly part: number }
  | { readonly kind: 'work'; readonly slices: number }
  | { readonly kind: 'commit' | 'restart' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('txn' as const),
      operations: fc.array(operation, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('compact' as const),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('work' as const), slices: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('commit' as const, 'restart' as const) }) },
);

const RANGES: [string, string][] = [
  ...KEYS.map((name): [string, string] => [name, '']),
  ['', '\0'],
  ['a', 'b'],
  ['aa', 'ÿ'],
  ['c', 'a'],
  ['b', '\0'],
];

const options = fc.record({
  valueCacheBytes: fc.constantFrom(0, 4000, 1_000_000),
  compactionBatchLimit: fc.constantFrom(1, 3, 1000),
});

function perform(txn: WriteTxn, change: ModelOperation): void {
  if (change.kind === 'put') txn.put(change.key, Buffer.from(change.value, 'latin1'), change.lease);
  else if (change.end === '') txn.delete(change.key);
  else txn.deleteRange(change.key, change.end);
}

function describeChange(change: ModelChange): unknown[] {
  return [change.key, change.value, change.created, change.main, change.version, change.lease];
}

/** Every question the store answers, at every revision that may be asked for. */
function compare(bench: Bench, model: Model): void {
  const { store } = bench;
  expect(store.currentRevision).toBe(model.current);
  expect(store.compactRevision).toBe(model.compacted);
  expect(store.keysTotal).toBe(model.range('', '\0', model.current).length);
  for (let revision = Math.max(model.compacted, 1); revision <= model.current; revision++) {
    for (const [from, to] of RANGES) {
      const want = model.range(from, to, revision).map(describeChange);
      const { kvs, count } = found(store.range(from, to, { revision }));
      expect(
        kvs.map((kv) => [
          kv.keyString,
          kv.value.toString('latin1'),
          kv.createRevision,
          kv.modRevision,
          kv.version,
          kv.lease,
        ]),
      ).toEqual(want);
      expect(count).toBe(want.length);
      const limited = found(store.range(from, to, { revision, limit: 2, keysOnly: true }));
      expect(
        limited.kvs.map((kv) => [kv.keyString, kv.createRevision, kv.modRevision, kv.version, kv.lease]),
      ).toEqual(
        want.slice(0, 2).map(([name, , created, main, version]) => [name, created, main, version, 0n]),
      );
      expect(limited.count).toBe(want.length);
      expect(found(store.range(from, to, { revision, countOnly: true })).count).toBe(want.length);
    }
  }
  expect(store.range('a', '', { revision: model.current + 1 })).toBe('FUTURE');
  if (model.compacted > 1) expect(store.range('a', '', { revision: model.compacted - 1 })).toBe('COMPACTED');
  const from = Math.max(model.compacted + 1, 2);
  if (from <= model.current) {
    const { events } = store.history(from, model.current, 10_000, 1e9);
    expect(
      events.map(({ type, kv }) => [type, kv.keyString, kv.modRevision, kv.version, kv.createRevision]),
    ).toEqual(
      model.changes
        .filter(({ main }) => main >= from)
        .map(({ key: name, value, main, version, created }) => [
          value === undefined ? 1 : 0,
          name,
          main,
          version,
          created,
        ]),
    );
  }
}

test('random writes, compactions and restarts: equal to the twin at every revision', async () => {
  await fc.assert(
    fc.asyncProperty(options, fc.array(step, { minLength: 1, maxLength: 40 }), async (chosen, steps) => {
      let bench = await Bench.open(new MemoryBackend(), chosen);
      const model = new Model();
      for (const each of steps) {
        switch (each.kind) {
          case 'txn': {
            const events = bench.write((txn) => {
              for (const change of each.operations) perform(txn, change);
            });
            const made = model.apply(each.operations);
            expect(events.map(({ type, kv }) => [type, kv.keyString, kv.modRevision])).toEqual(
              made.map(({ key: name, value, main }) => [value === undefined ? 1 : 0, name, main]),
            );
            for (const [i, event] of events.entries()) {
              const before =
                made[i].value !== undefined && made[i].created === made[i].main
                  ? undefined
                  : model.newest(made[i].key, made[i].main - 1);
              const want =
                before === undefined || made[i].main - 1 < model.compacted ? null : describeChange(before);
              const previous = bench.store.previousOf(event);
              expect(
                previous && [
                  previous.keyString,
                  previous.value.toString('latin1'),
                  previous.createRevision,
                  previous.modRevision,
                  previous.version,
                  previous.lease,
                ],
              ).toEqual(want);
            }
            break;
          }
          case 'compact': {
            const revision = Math.floor(each.part * (model.current + 2));
            const want =
              revision <= model.compacted ? 'COMPACTED' : revision > model.current ? 'FUTURE' : 'ok';
            expect(bench.compact(revision)).toBe(want);
            if (want === 'ok') model.compacted = revision;
            break;
          }
          case 'work': {
            let left = each.slices;
            const pause = (): Promise<void> =>
              left-- > 0 ? Promise.resolve() : Promise.reject(new Error('enough'));
            await bench.store.runCompaction(pause).catch(() => undefined);
            break;
          }
          case 'commit':
            await bench.buffer.commit();
            break;
          case 'restart':
            bench = await bench.reopen(chosen);
            compare(bench, model);
            break;
        }
      }
      compare(bench, model);
      for (const revision of [
        0,
        Math.max(model.compacted, 1),
        Math.ceil((Math.max(model.compacted, 1) + model.current) / 2),
      ]) {
        if (bench.store.compactionPending) break;
        expect(await bench.store.hashKV(revision)).toEqual({
          hash: model.hash(revision || model.current),
          compactRevision: model.compacted,
          hashRevision: revision || model.current,
          currentRevision: model.current,
        });
      }
      await bench.store.runCompaction(noPause);
      compare(bench, model);
      bench = await bench.reopen(chosen);
      compare(bench, model);
      expect(await bench.store.hashKV(0)).toMatchObject({ hash: model.hash(model.current) });
    }),
    { numRuns: 120 },
  );
});

test('the hash does not depend on how far compaction has got', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(operation, { minLength: 1, maxLength: 3 }), { minLength: 3, maxLength: 20 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (txns, part) => {
        const bench = await Bench.open(new MemoryBackend(), { compactionBatchLimit: 1 });
        const model = new Model();
        for (const operations of txns) {
          bench.write((txn) => {
            for (const change of operations) perform(txn, change);
          });
          model.apply(operations);
        }
        const revision = Math.max(1, Math.floor(part * model.current));
        // With no key left etcd's rule counts what is stored; then the hash may differ, as it does there.
        fc.pre(model.range('', '\0', model.current).length > 0);
        expect(bench.compact(revision)).toBe('ok');
        const scheduled = await bench.store.hashKV(0);
        let slices = 2;
        await bench.store
          .runCompaction(() => (slices-- > 0 ? Promise.resolve() : Promise.reject(new Error('enough'))))
          .catch(() => undefined);
        expect(await bench.store.hashKV(0)).toEqual(scheduled);
        await bench.store.runCompaction(noPause);
        expect(await bench.store.hashKV(0)).toEqual(scheduled);
      },
    ),
    { numRuns: 60 },
  );
});

test('a compaction scheduled while hashing starts the hash anew', async () => {
  const bench = await Bench.open();
  const model = new Model();
  for (let i = 0; i < 2000; i++) {
    bench.put(`k${i % 700}`, `${i}`);
    model.apply([{ kind: 'put', key: `k${i % 700}`, value: `${i}`, lease: 0n }]);
  }
  bench.compact(1000);
  const hashing = bench.store.hashKV(1990);
  await bench.buffer.commit();
  bench.compact(1900);
  const refused = bench.store.hashKV(1899);
  await bench.store.runCompaction(noPause);
  model.compacted = 1900;
  expect(await hashing).toEqual({
    hash: model.hash(1990),
    compactRevision: 1900,
    hashRevision: 1990,
    currentRevision: 2001,
  });
  expect(await refused).toBe('COMPACTED');
  expect(await bench.store.hashKV(2002)).toBe('FUTURE');
});
