import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isGrantable, RangeSet } from './permissions.ts';

type Range = readonly [key: string, end: string];
const setOf = (...ranges: Range[]): RangeSet => RangeSet.of(ranges.map(([key, end]) => ({ key, end })));

describe('what a set of ranges covers', () => {
  test.each<[string, Range[], Range, boolean]>([
    ['nothing granted', [], ['a', ''], false],
    ['the key itself', [['a', '']], ['a', ''], true],
    ['a key beside it', [['a', '']], ['a\0', ''], false],
    ['the range of that one key', [['a', '']], ['a', 'a\0'], true],
    ['a range from that one key on', [['a', '']], ['a', '\0'], false],
    ['a prefix', [['a', 'b']], ['abc', ''], true],
    ['the same range', [['a', 'b']], ['a', 'b'], true],
    ['one key beyond the end', [['a', 'b']], ['b', ''], false],
    ['a range beyond the end', [['a', 'b']], ['a', 'b\0'], false],
    ['a range that straddles the start', [['b', 'd']], ['a', 'c'], false],
    ['an open range in a closed one', [['a', 'z']], ['b', '\0'], false],
    ['an open range in an open one', [['a', '\0']], ['b', '\0'], true],
    ['an open range that begins before', [['b', '\0']], ['a', '\0'], false],
    ['everything', [['\0', '\0']], ['\0', '\0'], true],
    [
      'two ranges that touch',
      [
        ['a', 'b'],
        ['b', 'c'],
      ],
      ['a', 'c'],
      true,
    ],
    [
      'two ranges with a hole',
      [
        ['a', 'b'],
        ['b\0', 'c'],
      ],
      ['a', 'c'],
      false,
    ],
    [
      'a key that fills the hole',
      [
        ['a', 'b'],
        ['b', ''],
        ['b\0', 'c'],
      ],
      ['a', 'c'],
      true,
    ],
    [
      'ranges inside each other',
      [
        ['a', 'z'],
        ['b', 'c'],
      ],
      ['b', 'y'],
      true,
    ],
    ['an empty request at a key that is allowed', [['a', 'c']], ['b', 'a'], true],
    ['an empty request at a key that is not', [['a', 'c']], ['d', 'a'], false],
    ['an empty range granted', [['c', 'a']], ['b', ''], false],
    ['bytes above letters', [['\xf0', '\0']], ['\xff\xff', '\0'], true],
  ])('%s', (_name, granted, [key, end], allowed) => {
    expect(setOf(...granted).covers(key, end)).toBe(allowed);
  });

  test('against a set of single keys, one by one', () => {
    // Keys of one letter: a range of them can be counted.
    const letters = 'abcdefgh'.split('');
    const letter = fc.constantFrom(...letters);
    const range = fc.tuple(letter, fc.oneof(letter, fc.constantFrom('', '\0', 'i')));
    const keysOf = ([key, end]: Range): string[] => {
      if (end === '') return [key];
      return letters.filter((one) => one >= key && (end === '\0' || one < end));
    };
    fc.assert(
      fc.property(fc.array(range, { maxLength: 6 }), range, (granted, asked) => {
        const allowed = new Set(granted.flatMap(keysOf));
        const set = setOf(...granted);
        const wanted = keysOf(asked);
        // Between two letters there are keys no single permission covers: only "not allowed" is told by letters.
        if (wanted.some((key) => !allowed.has(key))) expect(set.covers(...asked)).toBe(false);
        if (asked[1] === '') expect(set.covers(...asked)).toBe(allowed.has(asked[0]));
      }),
    );
  });

  test('a range is covered exactly if a merged list of spans holds it', () => {
    const key = fc.string({ unit: fc.constantFrom('a', 'b', '\0'), minLength: 1, maxLength: 3 });
    const range = fc.tuple(key, fc.oneof(key, fc.constant(''), fc.constant('\0')));
    const TOP = '\xff';
    const spanOf = ([low, end]: Range): [string, string] => [
      low,
      end === '' ? `${low}\0` : end === '\0' ? TOP : end,
    ];
    fc.assert(
      fc.property(fc.array(range, { maxLength: 5 }), range, (granted, asked) => {
        let [low, high] = spanOf(asked);
        if (high <= low) high = `${low}\0`;
        // Walk: whatever covers the point we are at takes us to its end.
        const spans = granted.map(spanOf).filter(([from, to]) => from < to);
        for (;;) {
          const step = spans.find(([from, to]) => from <= low && to > low);
          if (step === undefined || low >= high) break;
          low = step[1];
        }
        expect(setOf(...granted).covers(...asked)).toBe(low >= high);
      }),
    );
  });
});

test.each<[string, Range, boolean]>([
  ['no key', ['', ''], false],
  ['no key, open', ['', '\0'], false],
  ['a key', ['a', ''], true],
  ['a range', ['a', 'b'], true],
  ['an empty range', ['b', 'b'], false],
  ['a range that ends before it begins', ['b', 'a'], false],
  ['an open range', ['b', '\0'], true],
  ['every key', ['\0', '\0'], true],
])('whether a permission may be granted: %s', (_name, [key, end], allowed) => {
  expect(isGrantable(key, end)).toBe(allowed);
});
