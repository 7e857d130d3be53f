import { expect, test } from '@jest/globals';
import { indexOfToken, SimpleTokens } from './simple-tokens.ts';

test('a token lives as long as it is used', () => {
  const tokens = new SimpleTokens(10);
  const word = tokens.assign('u', 'abc', 7);
  expect(word).toBe('abc.7');
  // Assigned while entries are applied, which knows no time: its life begins afterwards.
  expect(tokens.use(word, 1_000)).toBe('u');
  tokens.arm(1_000);
  expect(tokens.use(word, 10_999)).toBe('u');
  expect(tokens.use(word, 20_998)).toBe('u');
  expect(tokens.use(word, 30_998)).toBeUndefined();
  tokens.sweep(30_998);
  expect(tokens.size).toBe(0);
});

test('what is swept is what has ended', () => {
  const tokens = new SimpleTokens(1);
  tokens.assign('u', 'a', 1);
  tokens.arm(0);
  tokens.assign('u', 'b', 2);
  tokens.sweep(1_000);
  expect(tokens.use('a.1', 1_000)).toBeUndefined();
  expect(tokens.use('b.2', 1_000)).toBe('u');
});

test('a user is forgotten with all tokens, others are not', () => {
  const tokens = new SimpleTokens(1);
  tokens.assign('u', 'a', 1);
  tokens.assign('u', 'b', 2);
  tokens.assign('v', 'c', 3);
  tokens.forgetUser('u');
  expect(['a.1', 'b.2', 'c.3'].map((word) => tokens.use(word, 0))).toEqual([undefined, undefined, 'v']);
  tokens.forgetAll();
  expect(tokens.size).toBe(0);
});

test.each<[string, number | undefined]>([
  ['abc.7', 7],
  ['.7', 7],
  ['abc.', undefined],
  ['abc', undefined],
  ['a.b.7', undefined],
  ['abc.-1', undefined],
  ['abc.1e3', undefined],
  ['abc.99999999999999999999999', undefined],
  ['', undefined],
])('the index in %j', (word, index) => {
  expect(indexOfToken(word)).toBe(index);
});
