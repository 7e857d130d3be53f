import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { finish, WITHOUT_PAUSE } from '../api/sliced.ts';
import { compileRegex, Regex, RegexCache } from './regex.ts';
import { CelError } from './values.ts';

function compiled(pattern: string): Regex {
  const regex = compileRegex(pattern);
  if (regex instanceof CelError) throw new Error(regex.message);
  return regex;
}

/** What is read once takes some 30 ms; read again from each place, a second. */
const CPU_MAX_MS = 400;

/** The same expression with every search done in slices. */
function sliced(pattern: string): Regex {
  const regex = compiled(pattern);
  regex.isLong = () => true;
  return regex;
}

const PATTERNS = [
  'a*',
  '(a|ab)(c|bcd)(d*)',
  String.raw`\b\w+\b`,
  '^$',
  '(?m)^.*$',
  'a?',
  '[^a]',
  'x*y',
  '(?i)STRASSE',
  '.',
  String.raw`\B`,
  '$',
  '(a|b)*c',
  '😀+',
  '(?s).+',
  'a{2,3}?',
  '(?:ab?)+?b',
  '^a|b$',
  String.raw`\pL+`,
  String.raw`\d+$`,
];

describe('a search in slices finds what re2js finds', () => {
  test.each(PATTERNS)('%s', (pattern) => {
    const quick = compiled(pattern);
    const slow = sliced(pattern);
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('a', 'b', 'c', 'd', 'x', 'y', '1', ' ', '\n', '😀', 'é', 'S', 's'),
        }),
        (text) => {
          expect(slow.findAll(text, 100)).toEqual(quick.findAll(text, 100));
          expect(finish(slow.slicedTest(text, WITHOUT_PAUSE))).toBe(quick.test(text));
        },
      ),
      { seed: 8, numRuns: 100 },
    );
  });
});

test.each([
  ['b*', 'abc', ['', 'b', '']],
  ['a*', 'baaac', ['', 'aaa', '']],
  ['', '😀a', ['', '', '']],
  ['a', 'banana', ['a', 'a', 'a']],
])('all matches of %s in %s: an empty one right behind another is none', (pattern, text, found) => {
  expect(compiled(pattern).findAll(text, 100)).toEqual(found);
  expect(sliced(pattern).findAll(text, 100)).toEqual(found);
});

test('a pattern that has a thousand states at once is put down between its steps', () => {
  let text = 'c';
  for (let at = 0, x = 1; at < 3_000; at += 1) {
    x = (x * 1_103_515_245 + 12_345) % 2_147_483_648;
    text += (x & 65_536) === 0 ? 'a' : 'b';
  }
  const regex = compiled('(a|b)*a(a|b){500}c');
  expect(regex.isLong(text)).toBe(true);
  let looks = 0;
  let turns = 0;
  const work = regex.slicedTest(text, { due: () => (looks += 1) % 10 === 0 });
  let step = work.next();
  for (; step.done !== true; step = work.next()) turns += 1;
  expect(step.value).toBe(false);
  // Some 500 threads a character, 5,000 of them between two looks.
  expect(looks).toBeGreaterThan(200);
  expect(turns).toBe(Math.floor(looks / 10));
});

test('a pattern that would take seconds to compile is refused with the words of Go', () => {
  expect(compileRegex('a?'.repeat(20_000))).toEqual(
    new CelError('error parsing regexp: expression too large'),
  );
});

test('groups of one name are made nameless in one pass', () => {
  const before = process.cpuUsage();
  expect(compileRegex(`(?P<n>a)(?P<n>b)${'['.repeat(30_000)}`)).toBeInstanceOf(CelError);
  const { user } = process.cpuUsage(before);
  expect(user / 1_000).toBeLessThan(CPU_MAX_MS);
  expect(compiled(String.raw`(?P<n>a)[(?P<n>][]\]](?P<n>b)[[:alpha:]](?<n>c)`).test('a<]bxc')).toBe(true);
});

describe('what patterns hold is bounded', () => {
  test('states of a pattern that has thousands of them', () => {
    const regex = compiled('(a|b)*a(a|b){14}c');
    let text = '';
    for (let at = 0, x = 1; at < 6_000; at += 1) {
      x = (x * 1_103_515_245 + 12_345) % 2_147_483_648;
      text += (x & 65_536) === 0 ? 'a' : 'b';
    }
    expect(regex.isLong(text)).toBe(false);
    expect(regex.test(text)).toBe(false);
    expect(regex.test(`${text}a${'b'.repeat(14)}c`)).toBe(true);
    expect(regex.stateBytes).toBeGreaterThan(0);
    expect(regex.stateBytes).toBeLessThanOrEqual(256 * 1024);
  });

  test('patterns that are kept, by their number and by what they are compiled to', () => {
    const many = new RegexCache();
    for (let at = 0; at < 1_000; at += 1) many.compile(`x{${at % 7}}y${at}`);
    expect(many.size).toBe(256);
    expect(many.compile('x{6}y999')).toBe(many.compile('x{6}y999'));
    const long = new RegexCache();
    for (let at = 0; at < 60; at += 1) long.compile(`(?:ab?){1000}(?:cd?){1000}(?:ef?){1000}${at}`);
    expect(long.size).toBeLessThan(60);
    expect(long.size).toBeGreaterThan(10);
  });
});
