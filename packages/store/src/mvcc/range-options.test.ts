import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { KeyValue } from './key-value.ts';
import {
  answerRange,
  selectRange,
  SortOrder,
  SortTarget,
  storeOptions,
  type RangeSelection,
} from './range-options.ts';

const PLAIN: RangeSelection = {
  limit: 0,
  revision: 0,
  sortOrder: SortOrder.NONE,
  sortTarget: SortTarget.KEY,
  keysOnly: false,
  countOnly: false,
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
};

/** In key order: name, created, modified, version, value. */
const KVS = [
  ['a', 5, 9, 2, 'z'],
  ['b', 2, 8, 4, 'y'],
  ['c', 7, 7, 1, 'x'],
  ['d', 3, 6, 3, 'w'],
].map(([name, created, modified, version, value]) =>
  KeyValue.write(
    String(name),
    Number(created),
    Number(modified),
    Number(version),
    Buffer.from(String(value)),
    1n,
  ),
);

const { NONE, ASCEND, DESCEND } = SortOrder;
const { KEY, VERSION, CREATE, MOD, VALUE } = SortTarget;

/** As the store does: the first `limit`, all of them counted. */
function answer(selection: Partial<RangeSelection>): { keys: string; more: boolean; count: number } {
  const request = { ...PLAIN, ...selection, key: Buffer.from('a'), rangeEnd: Buffer.from('\0') };
  const source = {
    range: (_key: string, _end: string, { limit = 0 }: { limit?: number }) => ({
      kvs: limit > 0 ? KVS.slice(0, limit) : KVS,
      count: KVS.length,
      revision: 9,
    }),
  };
  const result = answerRange(source, request);
  if (typeof result === 'string') throw new Error(result);
  return { keys: result.kvs.map((kv) => kv.keyString).join(''), more: result.more, count: result.count };
}

describe('range options', () => {
  test.each<[string, Partial<RangeSelection>, string, boolean]>([
    ['plain', {}, 'abcd', false],
    ['limit', { limit: 2 }, 'ab', true],
    ['limit that is just enough', { limit: 4 }, 'abcd', false],
    ['negative limit is none', { limit: -1 }, 'abcd', false],
    ['largest limit', { limit: Number.MAX_SAFE_INTEGER }, 'abcd', false],
    ['key descending', { sortOrder: DESCEND, limit: 3 }, 'dcb', true],
    ['key ascending', { sortOrder: ASCEND, limit: 3 }, 'abc', true],
    ['by version', { sortOrder: ASCEND, sortTarget: VERSION }, 'cadb', false],
    ['by creation, descending', { sortOrder: DESCEND, sortTarget: CREATE, limit: 2 }, 'ca', true],
    ['by modification', { sortOrder: ASCEND, sortTarget: MOD, limit: 1 }, 'd', true],
    ['by value', { sortOrder: ASCEND, sortTarget: VALUE }, 'dcba', false],
    ['order none with another target: ascending', { sortOrder: NONE, sortTarget: MOD }, 'dcba', false],
    [
      '… but the limit came first, with one more key',
      { sortOrder: NONE, sortTarget: MOD, limit: 2 },
      'cb',
      true,
    ],
    ['min modified, inclusive', { minModRevision: 8 }, 'ab', false],
    ['max modified, inclusive', { maxModRevision: 7 }, 'cd', false],
    ['min and max created', { minCreateRevision: 3, maxCreateRevision: 5 }, 'ad', false],
    ['a filter comes before the limit', { minModRevision: 7, limit: 2 }, 'ab', true],
    ['a filter that leaves just the limit', { minModRevision: 8, limit: 2 }, 'ab', false],
    ['negative max excludes all', { maxModRevision: -1 }, '', false],
    [
      'filter, sort, limit',
      { minModRevision: 7, sortOrder: DESCEND, sortTarget: CREATE, limit: 1 },
      'c',
      true,
    ],
  ])('%s', (_name, selection, keys, more) => {
    expect(answer(selection)).toEqual({ keys, more, count: 4 });
  });

  test('keys only is left to the index, but for a sort by value', () => {
    expect(storeOptions({ ...PLAIN, keysOnly: true, sortTarget: MOD }).keysOnly).toBe(true);
    const byValue = { ...PLAIN, keysOnly: true, sortTarget: VALUE, sortOrder: ASCEND };
    expect(storeOptions(byValue).keysOnly).toBe(false);
    const { kvs } = selectRange({ kvs: KVS, count: 4, revision: 9 }, byValue);
    expect(kvs.map((kv) => [kv.keyString, kv.value.length, kv.lease])).toEqual([
      ['d', 0, 1n],
      ['c', 0, 1n],
      ['b', 0, 1n],
      ['a', 0, 1n],
    ]);
    expect(KVS[0].value.toString()).toBe('z');
  });

  test('the store’s answer is not changed', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(NONE, ASCEND, DESCEND),
        fc.constantFrom(KEY, VERSION, CREATE, MOD, VALUE),
        (sortOrder, sortTarget) => {
          const kvs = KVS.slice();
          selectRange({ kvs, count: 4, revision: 9 }, { ...PLAIN, sortOrder, sortTarget, limit: 2 });
          expect(kvs).toEqual(KVS);
        },
      ),
    );
  });
});
