import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Inflights } from './inflights.ts';

test.each<[string, number, number, [number, number][], boolean]>([
  ['empty', 2, 10, [], false],
  ['just below both bounds', 2, 10, [[1, 9]], false],
  [
    'full by count',
    2,
    10,
    [
      [1, 1],
      [2, 1],
    ],
    true,
  ],
  ['full by bytes', 2, 10, [[1, 10]], true],
])('full: %s', (_name, countMax, bytesMax, adds, want) => {
  const window = new Inflights(countMax, bytesMax);
  for (const [index, bytes] of adds) window.add(index, bytes);
  expect(window.full()).toBe(want);
});

test('a full window takes nothing more', () => {
  const window = new Inflights(1, Infinity);
  window.add(1, 0);
  expect(() => window.add(2, 0)).toThrow('cannot add into a Full inflights');
});

test('the ring behaves as a list, through growing, freeing and wrapping', () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 1, max: 3 }), bytes: fc.nat(5) }),
    fc.record({ free: fc.nat(60) }),
    fc.constant('reset' as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const window = new Inflights(20, 60);
      let twin: { index: number; bytes: number }[] = [];
      let last = 0;
      for (const each of steps) {
        if (each === 'reset') {
          window.reset();
          twin = [];
        } else if ('free' in each) {
          window.freeTo(each.free);
          twin = twin.filter((item) => item.index > each.free);
        } else if (!window.full()) {
          last += each.add;
          window.add(last, each.bytes);
          twin.push({ index: last, bytes: each.bytes });
        }
        const bytes = twin.reduce((sum, item) => sum + item.bytes, 0);
        expect([window.count, window.full()]).toEqual([twin.length, twin.length === 20 || bytes >= 60]);
      }
    }),
  );
});
