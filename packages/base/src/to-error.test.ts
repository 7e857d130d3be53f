import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';
import { toError } from './to-error.ts';

test('an error stays the same object, one of another realm too', () => {
  const own = new TypeError('own');
  const foreign: unknown = runInNewContext('new RangeError("foreign")');
  expect(toError(own)).toBe(own);
  expect(toError(foreign)).toBe(foreign);
});

test.each<[string, unknown, string]>([
  ['a text', 'full', 'full'],
  ['nothing', undefined, 'undefined'],
  ['null', null, 'null'],
  ['a plain object', { code: 1 }, '[object Object]'],
])('%s becomes an error that carries it', (_name, reason, message) => {
  const error = toError(reason);
  expect(error).toBeInstanceOf(Error);
  expect([error.message, error.cause]).toEqual([message, reason]);
});
