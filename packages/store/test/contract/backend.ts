/** What every Backend must do: run on LevelDB and on the one in memory. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { Backend, BackendPair, BackendRange, BackendSnapshot } from '../../src/backend/backend.ts';

export interface BackendUnderTest {
  readonly backend: Backend;
  /** Closes it and opens what is durable again. */
  reopen(): Promise<Backend>;
  dispose(): Promise<void>;
}

const value = (text: string) => Buffer.from(text, 'latin1');

async function collect(source: Backend | BackendSnapshot, range: BackendRange): Promise<[string, string][]> {
  const all: BackendPair[] = [];
  for await (const pairs of source.iterate(range)) {
    expect(pairs.length).toBeGreaterThan(0);
    expect(pairs.length).toBeLessThanOrEqual(1000);
    all.push(...pairs);
  }
  return all.map((pair) => [pair.key, pair.value.toString('latin1')]);
}

export function backendContract(name: string, create: () => Promise<BackendUnderTest>): void {
  describe(`backend contract: ${name}`, () => {
    let made: BackendUnderTest;
    let backend: Backend;

    beforeEach(async () => {
      made = await create();
      backend = made.backend;
    });

    afterEach(() => made.dispose());

    const putAll = (pairs: Record<string, string>) =>
      backend.write(Object.entries(pairs).map(([key, text]) => ({ key, value: value(text) })));

    test('what is written is read at once; what is removed or absent is undefined', async () => {
      expect(backend.getSync('ka')).toBeUndefined();
      await putAll({ ka: '1', kb: '' });
      expect(backend.getSync('ka')).toEqual(value('1'));
      expect(backend.getSync('kb')).toEqual(value(''));
      await backend.write([
        { key: 'ka', value: undefined },
        { key: 'kc', value: value('3') },
        { key: 'none', value: undefined },
      ]);
      expect(backend.getSync('ka')).toBeUndefined();
      expect(backend.getSync('kc')).toEqual(value('3'));
    });

    test('the last operation on a key of one batch wins', async () => {
      await backend.write([
        { key: 'a', value: value('1') },
        { key: 'a', value: undefined },
        { key: 'b', value: undefined },
        { key: 'b', value: value('2') },
      ]);
      expect(backend.getSync('a')).toBeUndefined();
      expect(backend.getSync('b')).toEqual(value('2'));
    });

    test('keys are bytes: all 256 of them, in their order', async () => {
      const keys = Array.from({ length: 256 }, (_, i) => `k${String.fromCharCode(i)}`);
      await backend.write(keys.map((key) => ({ key, value: value(key) })));
      expect((await collect(backend, { gte: 'k', lt: 'l' })).map(([key]) => key)).toEqual(keys);
      for (const key of keys) expect(backend.getSync(key)).toEqual(value(key));
    });

    test.each<[string, BackendRange, string[]]>([
      ['everything', { gte: '', lt: '\xff' }, ['a', 'b', 'b\0', 'c', 'd']],
      ['half-open', { gte: 'b', lt: 'd' }, ['b', 'b\0', 'c']],
      ['reverse', { gte: 'b', lt: 'd', reverse: true }, ['c', 'b\0', 'b']],
      ['limit', { gte: '', lt: '\xff', limit: 2 }, ['a', 'b']],
      ['reverse with limit', { gte: '', lt: '\xff', reverse: true, limit: 1 }, ['d']],
      ['nothing there', { gte: 'e', lt: 'f' }, []],
      ['empty range', { gte: 'b', lt: 'b' }, []],
    ])('range: %s', async (_name, range, want) => {
      await putAll({ a: '1', b: '2', 'b\0': '3', c: '4', d: '5' });
      expect((await collect(backend, range)).map(([key]) => key)).toEqual(want);
    });

    test('a long range comes in slices, in both directions', async () => {
      const keys = Array.from({ length: 2500 }, (_, i) => String(i).padStart(5, '0'));
      await backend.write(keys.map((key) => ({ key, value: value(key) })));
      expect((await collect(backend, { gte: '', lt: '\xff' })).map(([key]) => key)).toEqual(keys);
      expect(
        (await collect(backend, { gte: '', lt: '\xff', reverse: true, limit: 1300 })).map(([key]) => key),
      ).toEqual(keys.toReversed().slice(0, 1300));
      for await (const pairs of backend.iterate({ gte: '', lt: '\xff' })) {
        expect(pairs[0].key).toBe('00000');
        break;
      }
    });

    test('a range and a snapshot see no later write', async () => {
      const keys = Array.from({ length: 600 }, (_, i) => String(i).padStart(5, '0'));
      await backend.write(keys.map((key) => ({ key, value: value('old') })));
      const snapshot = backend.snapshot();
      let count = 0;
      for await (const pairs of backend.iterate({ gte: '', lt: '\xff' })) {
        if (count === 0) {
          await backend.write(keys.map((key) => ({ key, value: key > '00300' ? undefined : value('new') })));
        }
        count += pairs.length;
        expect(pairs.every((pair) => pair.value.equals(value('old')))).toBe(true);
      }
      expect(count).toBe(600);
      expect((await collect(snapshot, { gte: '00299', lt: '00303' })).map(([, text]) => text)).toEqual([
        'old',
        'old',
        'old',
        'old',
      ]);
      expect((await collect(backend, { gte: '00299', lt: '00303' })).map(([, text]) => text)).toEqual([
        'new',
        'new',
      ]);
      await snapshot.close();
    });

    test('values are the caller’s to keep', async () => {
      await putAll({ a: 'one' });
      const before = backend.getSync('a');
      await putAll({ a: 'two' });
      expect(before).toEqual(value('one'));
    });

    test('sizes grow with what is stored; compaction leaves the content', async () => {
      const keys = Array.from({ length: 500 }, (_, i) => `k${String(i).padStart(5, '0')}`);
      await backend.write(keys.map((key) => ({ key, value: Buffer.alloc(1000, key) })));
      await backend.compact('k', 'l');
      const size = await backend.sizeBytes();
      expect(size).toBeGreaterThan(1000);
      expect(await backend.rangeSizeBytes('k', 'l')).toBeGreaterThan(1000);
      expect(await backend.rangeSizeBytes('x', 'y')).toBe(0);
      await backend.write(keys.slice(10).map((key) => ({ key, value: undefined })));
      await backend.compact('k', 'l');
      expect(await backend.sizeBytes()).toBeLessThan(size);
      expect((await collect(backend, { gte: '', lt: '\xff' })).map(([key]) => key)).toEqual(
        keys.slice(0, 10),
      );
    });

    test('what was written is there after a reopen', async () => {
      await putAll({ a: '1', b: '2' });
      await backend.write([{ key: 'a', value: undefined }]);
      backend = await made.reopen();
      expect(await collect(backend, { gte: '', lt: '\xff' })).toEqual([['b', '2']]);
    });

    test('any history agrees with a plain map', async () => {
      const key = fc.string({ unit: fc.constantFrom('\0', 'a', '\x80', '\xff'), minLength: 1, maxLength: 3 });
      const operation = fc.record({ key, text: fc.option(fc.string({ maxLength: 3 }), { nil: undefined }) });
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(operation, { maxLength: 8 }), { maxLength: 8 }),
          async (batches) => {
            const everything = await collect(backend, { gte: '', lt: '\xff\xff\xff\xff' });
            await backend.write(everything.map(([one]) => ({ key: one, value: undefined })));
            const model = new Map<string, string>();
            for (const batch of batches) {
              await backend.write(
                batch.map((one) => ({
                  key: one.key,
                  value: one.text === undefined ? undefined : value(one.text),
                })),
              );
              for (const one of batch) {
                if (one.text === undefined) model.delete(one.key);
                else model.set(one.key, value(one.text).toString('latin1'));
              }
            }
            const want = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
            expect(await collect(backend, { gte: '', lt: '\xff\xff\xff\xff' })).toEqual(want);
          },
        ),
        { numRuns: 30 },
      );
    });
  });
}
