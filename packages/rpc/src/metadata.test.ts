import { expect, test } from '@jest/globals';
import { Metadata } from './metadata.ts';
import { RpcError, StatusCode, statusCodeFrom, statusName, toRpcError } from './status.ts';

test('keys are lower case, values keep their order', () => {
  const metadata = Metadata.of({ Token: 'a' });
  metadata.add('TOKEN', 'b');
  metadata.set('x-bin', Buffer.from([1]));
  expect(metadata.all('token')).toEqual(['a', 'b']);
  expect([metadata.first('token'), metadata.text('x-bin'), metadata.size]).toEqual(['a', undefined, 2]);
  const copy = metadata.clone();
  copy.add('token', 'c');
  metadata.delete('X-Bin');
  expect([metadata.all('token').length, metadata.has('x-bin'), copy.has('x-bin')]).toEqual([2, false, true]);
});

test.each<[string, string, string | Buffer]>([
  ['a pseudo header', ':path', 'x'],
  ['an empty key', '', 'x'],
  ['a key with blanks', 'a b', 'x'],
  ['a value with a line break', 'a', 'x\r\nb: c'],
  ['a value beyond ASCII', 'a', 'ä'],
  ['bytes under a text key', 'a', Buffer.from('x')],
  ['text under a binary key', 'a-bin', 'x'],
])('refused: %s', (_name, key, value) => {
  const metadata = new Metadata();
  expect(() => metadata.set(key, value)).toThrow(TypeError);
  expect(() => metadata.add(key, value)).toThrow(TypeError);
});

test('codes have the numbers and names of gRPC in Go', () => {
  expect(Object.values(StatusCode)).toEqual(Array.from({ length: 17 }, (_unused, i) => i));
  expect([statusName(0), statusName(1), statusName(14), statusName(99)]).toEqual([
    'OK',
    'Canceled',
    'Unavailable',
    'Code(99)',
  ]);
  expect([statusCodeFrom(7), statusCodeFrom(17), statusCodeFrom(Number.NaN)]).toEqual([7, 2, 2]);
});

test('what is thrown becomes an RpcError once', () => {
  const error = new RpcError(StatusCode.NotFound, 'gone');
  expect(toRpcError(error)).toBe(error);
  expect(toRpcError(new Error('x'))).toMatchObject({ code: StatusCode.Unknown, details: 'x', unsent: false });
  expect(toRpcError('text').message).toBe('text');
});
