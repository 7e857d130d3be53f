import { expect, test } from '@jest/globals';
import { fragmentEnds } from './fragment.ts';

test.each<[string, number, number[], number, number[]]>([
  ['below the limit', 10, [20, 20], 51, [2]],
  ['just at the limit', 10, [20, 20], 50, [1, 2]],
  ['a single event is never cut', 10, [500], 50, [1]],
  ['one event too large among others', 10, [5, 500, 5, 5], 50, [1, 2, 4]],
  ['first event too large', 10, [500, 5], 50, [1, 2]],
  ['the flag counts: 10 + 2 + 20 + 18 is at the limit', 10, [20, 18, 5], 50, [1, 3]],
  ['the flag counts: one byte less fits', 10, [20, 17, 20], 50, [2, 3]],
  ['no event', 10, [], 5, [0]],
])('%s', (_name, fixed, events, limit, want) => {
  expect(fragmentEnds(fixed, events, limit)).toEqual(want);
});
