/** SortedMap against a dumb twin (a sorted array), with sizes that force splits, merges and several levels. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { assert, AssertionError } from './assert.ts';
import { Prng } from './prng.ts';
import { SortedMap, SortedMapBuilder } from './sorted-map.ts';

/** Right by inspection and slow. */
class Twin {
  readonly map = new Map<string, number>();

  entries(low: string, high: string | undefined): [string, number][] {
    return [...this.map.entries()]
      .filter(([key]) => key >= low && (high === undefined || key < high))
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

function collect(map: SortedMap<number>, low: string, high: string | undefined, limit = Infinity) {
  const found: [string, number][] = [];
  map.range(low, high, (key, value) => {
    found.push([key, value]);
    return found.length < limit;
  });
  return found;
}

function collectReverse(map: SortedMap<number>, low: string, high: string | undefined, limit = Infinity) {
  const found: [string, number][] = [];
  map.rangeReverse(low, high, (key, value) => {
    found.push([key, value]);
    return found.length < limit;
  });
  return found;
}

function expectSame(map: SortedMap<number>, twin: Twin, low: string, high: string | undefined): void {
  const want = twin.entries(low, high);
  expect(collect(map, low, high)).toEqual(want);
  expect(collectReverse(map, low, high)).toEqual(want.reverse());
  expect(map.count(low, high)).toBe(want.length);
}

describe('an empty map', () => {
  test('has nothing', () => {
    const map = new SortedMap<number>();
    expect(map.size).toBe(0);
    expect(map.first()).toBeUndefined();
    expect(map.last()).toBeUndefined();
    expect(map.get('')).toBeUndefined();
    expect(map.delete('a')).toBe(false);
    expect(collect(map, '', undefined)).toEqual([]);
    expect(collectReverse(map, '', undefined)).toEqual([]);
    expect(map.count('', undefined)).toBe(0);
  });
});

describe('bounds', () => {
  const map = new SortedMap<number>();
  for (const [i, key] of ['a', 'b', 'b\0', 'c', '\xff'].entries()) map.set(key, i);

  test.each<[string, string, string | undefined, string[]]>([
    ['everything', '', undefined, ['a', 'b', 'b\0', 'c', '\xff']],
    ['high is excluded', 'a', 'c', ['a', 'b', 'b\0']],
    ['low is included', 'b', 'b\0', ['b']],
    ['bytes above 0x7f come last', 'd', undefined, ['\xff']],
    ['empty range', 'b', 'b', []],
    ['reversed bounds', 'c', 'a', []],
    ['past the end', '\xff\xff', undefined, []],
  ])('%s', (_name, low, high, want) => {
    expect(collect(map, low, high).map(([key]) => key)).toEqual(want);
    expect(
      collectReverse(map, low, high)
        .map(([key]) => key)
        .reverse(),
    ).toEqual(want);
    expect(map.count(low, high)).toBe(want.length);
  });

  test('a visit stops when told to', () => {
    expect(collect(map, '', undefined, 2).map(([key]) => key)).toEqual(['a', 'b']);
    expect(collectReverse(map, '', undefined, 2).map(([key]) => key)).toEqual(['\xff', 'c']);
  });
});

test('changing the keys during a visit is caught; replacing a value is allowed', () => {
  const map = new SortedMap<number>();
  for (let i = 0; i < 10; i++) map.set(String(i), i);
  expect(() => map.range('', undefined, (key) => void map.delete(key))).toThrow(AssertionError);
  map.range('', undefined, (key, value) => map.set(key, value + 100));
  expect(map.get('5')).toBe(105);
});

test.each<[string, (i: number) => string]>([
  ['ascending', (i) => String(i).padStart(6, '0')],
  ['descending', (i) => String(999_999 - i).padStart(6, '0')],
  ['scattered', (i) => String((i * 7919) % 20_011).padStart(6, '0')],
])('20,000 keys %s, then all removed', (_name, keyOf) => {
  const map = new SortedMap<number>();
  const count = 20_000;
  for (let i = 0; i < count; i++) map.set(keyOf(i), i);
  map.checkInvariants();
  expect(map.size).toBe(count);
  for (let i = 0; i < count; i += 97) expect(map.get(keyOf(i))).toBe(i);
  const keys = collect(map, '', undefined).map(([key]) => key);
  expect(keys).toEqual(keys.slice().sort());
  for (let i = 0; i < count; i += 997) expect(map.count('', keys[i])).toBe(i);
  for (let i = 0; i < count; i++) {
    assert(map.delete(keyOf(i)), 'the key is there');
    if (i % 1999 === 0) map.checkInvariants();
  }
  expect(map.size).toBe(0);
  expect(map.first()).toBeUndefined();
});

test('random operations agree with the twin over several levels', () => {
  const prng = new Prng(7);
  const map = new SortedMap<number>();
  const twin = new Twin();
  const randomKey = () => String.fromCharCode(prng.below(256)) + prng.below(300).toString(36);
  for (let phase = 0; phase < 4; phase++) {
    const puts = phase % 2 === 0 ? 9 : 2;
    for (let i = 0; i < 15_000; i++) {
      const key = randomKey();
      if (prng.chance(puts, 10)) {
        map.set(key, i);
        twin.map.set(key, i);
      } else {
        assert(map.delete(key) === twin.map.delete(key), 'delete disagrees');
      }
    }
    map.checkInvariants();
    expect(map.size).toBe(twin.map.size);
    for (let i = 0; i < 4; i++)
      expectSame(map, twin, randomKey(), prng.chance(1, 4) ? undefined : randomKey());
    const all = twin.entries('', undefined);
    expect(map.first()).toEqual(all[0]);
    expect(map.last()).toEqual(all[all.length - 1]);
  }
});

test('a clone stands alone', () => {
  const map = new SortedMap<number>();
  for (let i = 0; i < 5000; i++) map.set(String(i), i);
  const before = collect(map, '', undefined);
  const copy = map.clone();
  copy.checkInvariants();
  for (let i = 0; i < 5000; i += 2) map.delete(String(i));
  map.set('1', -1);
  expect(collect(copy, '', undefined)).toEqual(before);
  expect(collectReverse(copy, '', undefined).length).toBe(before.length);
  copy.clear();
  expect(copy.size).toBe(0);
  expect(map.size).toBe(2500);
});

test('any sequence of operations agrees with the twin', () => {
  const key = fc.string({ unit: fc.constantFrom('\0', 'a', 'b', '\x7f', '\xff'), maxLength: 4 });
  const operation = fc.record({ key, remove: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 300 }),
      key,
      fc.option(key, { nil: undefined }),
      (steps, low, high) => {
        const map = new SortedMap<number>();
        const twin = new Twin();
        for (const [i, step] of steps.entries()) {
          if (step.remove) expect(map.delete(step.key)).toBe(twin.map.delete(step.key));
          else {
            map.set(step.key, i);
            twin.map.set(step.key, i);
          }
          expect(map.has(step.key)).toBe(!step.remove);
        }
        map.checkInvariants();
        expectSame(map, twin, low, high);
      },
    ),
    { numRuns: 200 },
  );
});

describe('a builder', () => {
  test.each([0, 1, 63, 64, 65, 128, 64 * 64, 64 * 64 + 1, 64 * 65, 64 * 65 + 1, 64 * 64 * 2 + 1])(
    '%i keys: a map like any other',
    (count) => {
      const builder = new SortedMapBuilder<number>();
      const twin = new Twin();
      const key = (i: number): string => String(i).padStart(6, '0');
      for (let i = 0; i < count; i++) {
        builder.add(key(i), i);
        twin.map.set(key(i), i);
      }
      const map = builder.finish();
      map.checkInvariants();
      expectSame(map, twin, key(count >> 2), key(count >> 1));
      expect(map.size).toBe(count);
      // It grows and shrinks at every place.
      for (let i = 0; i < count; i += 37) {
        map.set(`${key(i)}+`, -i);
        twin.map.set(`${key(i)}+`, -i);
        map.delete(key(i));
        twin.map.delete(key(i));
      }
      map.checkInvariants();
      expectSame(map, twin, '', undefined);
    },
  );

  test('refuses keys that do not ascend', () => {
    const builder = new SortedMapBuilder<number>();
    builder.add('b', 1);
    expect(() => builder.add('b', 2)).toThrow(AssertionError);
    expect(() => builder.add('a', 2)).toThrow(AssertionError);
  });
});
