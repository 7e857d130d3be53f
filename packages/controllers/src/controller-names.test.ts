import { expect, test } from '@jest/globals';

import { enabledControllers, type ControllerName } from './controller-names.ts';

const KNOWN: readonly ControllerName[] = [
  { name: 'a-controller', alias: 'a' },
  { name: 'b-controller', alias: 'b' },
  { name: 'c-controller', alias: 'c', offByDefault: true },
];

test.each<[string, readonly string[], readonly string[]]>([
  ['all that are on by default', ['*'], ['a-controller', 'b-controller']],
  ['all but one', ['*', '-b-controller'], ['a-controller']],
  ['one that is off by default as well', ['*', 'c'], ['a-controller', 'b-controller', 'c-controller']],
  ['one alone', ['b-controller'], ['b-controller']],
  ['none', [], []],
  ['the first word counts', ['-a', 'a', '*'], ['b-controller']],
  ['old names', ['a', '-b'], ['a-controller']],
])('%s', (_name, words, wanted) => {
  expect([...enabledControllers(words, KNOWN)]).toEqual(wanted);
});

test('a loop of the original that is not here may be switched off, not on', () => {
  expect([...enabledControllers(['*', '-deployment', '-node-lifecycle-controller'], KNOWN)]).toEqual([
    'a-controller',
    'b-controller',
  ]);
  expect(() => enabledControllers(['deployment'], KNOWN)).toThrow('not in the list of known controllers');
});

test('a name that no loop has', () => {
  expect(() => enabledControllers(['*', '-zebra'], KNOWN)).toThrow(
    '"zebra" is not in the list of known controllers',
  );
});
