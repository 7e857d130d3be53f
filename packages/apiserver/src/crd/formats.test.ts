/** Texts that are written to hold a format up are answered at once. What they cost is CPU time: a busy machine spoils nothing. */

import { expect, test } from '@jest/globals';

import { hasFormat } from './formats.ts';

/** Each is read once, in some milliseconds; from each of its places again, it takes seconds. */
const CPU_MAX_MS = 500;
const LENGTH = 65_000;

test.each<[string, string]>([
  ['ipv4', `1.${'0'.repeat(LENGTH)}x`],
  ['cidr', `${'0'.repeat(LENGTH)}x`],
  ['duration', '1'.repeat(LENGTH)],
])('a long text that is no %s', (format, text) => {
  const before = process.cpuUsage();
  expect(hasFormat(format, text)).toBe(false);
  const { user } = process.cpuUsage(before);
  expect(user / 1_000).toBeLessThan(CPU_MAX_MS);
});

test.each<[string, string, boolean]>([
  ['ipv4', '010.000.0001.1', true],
  ['ipv4', '010.000.0x1.1', false],
  ['cidr', '010.0.0.0/08', true],
  ['cidr', '2001:0db8::/032', true],
  ['cidr', '::ffff:010.0.0.1/0100', true],
  ['duration', 'about 12  hours', true],
  ['duration', '12 34 h', true],
  ['duration', '12 x', false],
])('%s: %s', (format, text, told) => {
  expect(hasFormat(format, text)).toBe(told);
});
