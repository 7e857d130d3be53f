import { expect, test } from '@jest/globals';

import { ageOf, humanDuration } from './ages.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

// As TestHumanDuration of apimachinery has them.
test.each<[number, string]>([
  [-2 * SECOND, '<invalid>'],
  [-SECOND, '0s'],
  [0, '0s'],
  [SECOND, '1s'],
  [70 * SECOND, '70s'],
  [190 * SECOND, '3m10s'],
  [70 * MINUTE, '70m'],
  [47 * HOUR, '47h'],
  [49 * HOUR, '2d1h'],
  [8 * DAY + 2 * HOUR, '8d'],
  [367 * DAY, '367d'],
  [2 * YEAR - HOUR, '729d'],
  [2 * YEAR + 25 * HOUR, '2y1d'],
  [8 * YEAR + 2 * DAY, '8y'],
  [3 * HOUR, '3h'],
  [7 * HOUR + 5 * MINUTE, '7h5m'],
  [4 * MINUTE, '4m'],
])('%d ms is %s', (ms, wanted) => {
  expect(humanDuration(ms)).toBe(wanted);
});

test('the age of a time, and of none', () => {
  expect(ageOf('2026-01-01T00:00:00Z', Date.UTC(2026, 0, 1, 0, 5))).toBe('5m');
  expect(ageOf(undefined, 0)).toBe('<unknown>');
  expect(ageOf(null, 0)).toBe('<unknown>');
});
