/** Differences as messages show them: against what the original's differ says of the same values. */

import { expect, test } from '@jest/globals';

import { goValue } from './go-values.ts';
import { lineDiff, valueDiff } from './line-diff.ts';

const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index));

test.each<[string, readonly string[], readonly string[], string]>([
  ['alike', ['a', 'b'], ['a', 'b'], ''],
  ['one line', ['a'], ['b'], '@@ -1 +1 @@\n-a\n+b\n'],
  ['one is empty', [], ['a', 'b'], '@@ -0,0 +1,2 @@\n+a\n+b\n'],
  ['a line goes', ['a', 'b', 'c'], ['a', 'c'], '@@ -1,3 +1,2 @@\n a\n-b\n c\n'],
  [
    'three lines around',
    numbers(10),
    numbers(10).map((each) => (each === '5' ? 'five' : each)),
    '@@ -3,7 +3,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n',
  ],
  [
    'changes that are six lines apart are shown together',
    numbers(10),
    numbers(10).map((each) => (each === '1' || each === '8' ? 'x' : each)),
    '@@ -1,10 +1,10 @@\n 0\n-1\n+x\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n+x\n 9\n',
  ],
  [
    'changes that are seven apart are not',
    numbers(11),
    numbers(11).map((each) => (each === '1' || each === '9' ? 'x' : each)),
    '@@ -1,5 +1,5 @@\n 0\n-1\n+x\n 2\n 3\n 4\n@@ -7,5 +7,5 @@\n 6\n 7\n 8\n-9\n+x\n 10\n',
  ],
])('lines: %s', (_name, before, after, want) => {
  expect(lineDiff(before, after)).toBe(want);
});

test('lines that stand everywhere begin no run in a long text', () => {
  const noise = Array.from({ length: 250 }, (_, index) => (index % 2 === 0 ? '}' : `line ${index}`));
  const changed = noise.map((line, index) => (index === 100 ? 'new' : line));
  expect(lineDiff(noise, changed)).toBe(
    '@@ -98,7 +98,7 @@\n line 97\n }\n line 99\n-}\n+new\n line 101\n }\n line 103\n',
  );
});

test("values of Go's types: names, zeros, parts that stand beside their holder in JSON, keys in order", () => {
  const spec = { containers: [{ name: 'c' }], hostNetwork: true, nodeSelector: { b: '1', a: '<2>' } };
  const shown = goValue('core.PodSpec', spec) as Record<string, unknown>;
  expect(Object.keys(shown).slice(0, 4)).toEqual([
    'Volumes',
    'InitContainers',
    'Containers',
    'EphemeralContainers',
  ]);
  expect(shown['SecurityContext']).toMatchObject({ HostNetwork: true, HostPID: false, SELinuxOptions: null });
  expect(JSON.stringify(shown['NodeSelector'])).toBe('{"a":"<2>","b":"1"}');
  expect(goValue('core.PodSpec', undefined)).toBeNull();
  expect(valueDiff({ a: '<' }, { a: '>' })).toBe(
    String.raw`@@ -1,3 +1,3 @@
 {
- "a": "\u003c"
+ "a": "\u003e"
 }
`,
  );
});
