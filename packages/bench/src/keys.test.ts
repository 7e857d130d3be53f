import { expect, test } from '@jest/globals';
import { Keys, type KeyOptions } from './keys.ts';
import { parseCpuSeconds, parseMemory } from './proc.ts';

const OPTIONS: KeyOptions = { keyBytes: 8, valueBytes: 16, keySpace: 100, sequential: false, seed: 5 };

test('the same seed asks the same', () => {
  const draw = (seed: number): string => {
    const keys = new Keys({ ...OPTIONS, seed });
    return Array.from(
      { length: 50 },
      () => `${keys.pick().toString()}=${keys.value().toString('hex')}`,
    ).join();
  };
  expect(draw(5)).toBe(draw(5));
  expect(draw(5)).not.toBe(draw(6));
});

test('keys have their size, values too, and both vary', () => {
  const keys = new Keys(OPTIONS);
  const names = new Set(Array.from({ length: 2000 }, () => keys.pick().toString()));
  expect(names.size).toBe(100);
  expect([...names].every((name) => /^0{6}\d\d$/.test(name))).toBe(true);
  const values = Array.from({ length: 100 }, () => keys.value());
  expect(values.every((value) => value.length === 16)).toBe(true);
  expect(new Set(values.map((value) => value.toString('hex'))).size).toBeGreaterThan(90);
});

test('in order, around and around', () => {
  const keys = new Keys({ ...OPTIONS, keySpace: 3, keyBytes: 1, sequential: true });
  expect(Array.from({ length: 7 }, () => keys.pick().toString()).join('')).toBe('0120120');
});

test('keys too short for their space are refused', () => {
  expect(() => new Keys({ ...OPTIONS, keyBytes: 1, keySpace: 11 })).toThrow(RangeError);
});

test('what /proc says: a name with spaces and parentheses', () => {
  const stat = '42 (a) b (c) S 1 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 7 0 99 1 2 3';
  expect(parseCpuSeconds(stat)).toBe(2);
  const status = 'Name:\tx\nVmRSS:\t    2048 kB\nRssAnon:\t    1024 kB\nRssFile:\t     512 kB\n';
  expect(parseMemory(status)).toEqual({ rssBytes: 2 ** 21, rssAnonBytes: 2 ** 20, rssFileBytes: 2 ** 19 });
});
