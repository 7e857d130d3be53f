import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { ByteSink, ByteSource } from './index-codec.ts';
import {
  describeIndex,
  historyOf,
  KeyHistory,
  putOnce,
  Sweep,
  versionAt,
  type KeyIndex,
} from './key-index.ts';

describe('a key put once', () => {
  test.each<[string, number, number, boolean]>([
    ['the first revision', 2, 0, true],
    ['inside a transaction', 2, 1, true],
    ['the largest that is a number', 2 ** 32 - 1, 2 ** 20 - 1, true],
    ['a sub revision too large', 2, 2 ** 20, false],
    ['a main revision too large for a sub revision', 2 ** 32, 1, false],
    ['the largest main revision', Number.MAX_SAFE_INTEGER, 0, true],
  ])('%s', (_name, main, sub, isNumber) => {
    const index = putOnce(main, sub);
    expect(typeof index === 'number').toBe(isNumber);
    expect(versionAt(index, main - 1)).toBeUndefined();
    expect(versionAt(index, main)).toEqual({ main, sub, created: main, version: 1 });
    const history = typeof index === 'number' ? historyOf(index) : index;
    expect([history.main, history.sub, history.created, history.version]).toEqual([main, sub, main, 1]);
    expect(describeIndex(index)).toBe(`{created ${main} version 1: ${main}.${sub}}`);
  });
});

/** Revisions of one key: how far each is from the one before, and whether it is a tombstone where it can be. */
const changes = fc.array(
  fc.record({ gap: fc.integer({ min: 0, max: 3 }), sub: fc.nat(2), tombstone: fc.boolean() }),
  { minLength: 1, maxLength: 12 },
);

function build(
  steps: readonly { gap: number; sub: number; tombstone: boolean }[],
  upTo: number,
): KeyIndex | undefined {
  let index: KeyHistory | undefined;
  let [main, sub] = [1, 0];
  for (const step of steps) {
    [main, sub] = step.gap === 0 ? [main, sub + 1 + step.sub] : [main + step.gap, step.sub];
    if (main > upTo) break;
    if (index === undefined) index = new KeyHistory(main, main, sub, 1);
    else if (step.tombstone && index.version > 0) index.tombstone(main, sub);
    else index.put(main, sub);
  }
  return index;
}

test('what was known at a revision is what there was then', () => {
  fc.assert(
    fc.property(changes, fc.integer({ min: 0, max: 40 }), (steps, revision) => {
      const all = build(steps, Infinity);
      const then = build(steps, revision);
      if (!(all instanceof KeyHistory)) throw new Error('a history');
      const before = all.describe();
      const past = all.asOf(revision);
      expect(past === undefined ? undefined : describeIndex(past)).toBe(
        then === undefined ? undefined : describeIndex(then),
      );
      expect(all.describe()).toBe(before);
    }),
  );
});

test('as bytes and back, whatever compaction has left', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(fc.string({ unit: 'binary-ascii', maxLength: 6 }), changes), {
        selector: ([key]) => key,
        maxLength: 8,
      }),
      fc.integer({ min: 0, max: 40 }),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      (keys, compacted, lease) => {
        const sink = new ByteSink();
        const put: [string, string, bigint][] = [];
        for (const [key, steps] of keys.sort(([a], [b]) => (a < b ? -1 : 1))) {
          const index = build(steps, Infinity);
          if (!(index instanceof KeyHistory)) throw new Error('a history');
          if (index.compact(compacted, new Sweep(0, Infinity, () => {})) === 0) continue;
          const once =
            index.version === 1 && index.closed === undefined ? putOnce(index.main, index.sub) : index;
          const leased = put.length % 2 === 0 ? lease : 0n;
          sink.putKey(key, once, leased);
          put.push([key, describeIndex(once), leased]);
        }
        const source = new ByteSource(Buffer.from(sink.view));
        const got: [string, string, bigint][] = [];
        while (!source.done) got.push([source.key(), describeIndex(source.index()), source.lease]);
        expect(got).toEqual(put);
      },
    ),
  );
});
