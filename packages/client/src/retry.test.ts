import { expect, test } from '@jest/globals';
import { Prng } from '@keelson/base';
import { RpcError, StatusCode } from '@keelson/rpc';
import { EtcdError, parseGoError, toEtcdError } from './errors.ts';
import { pauseMs, verdict } from './retry.ts';

const C = StatusCode;

test.each<[string, StatusCode, string, boolean, string, string, boolean]>([
  // name, code, text, unsent → for a read, for a write, definite
  ['no connection was made', C.Unavailable, 'connection error', true, 'elsewhere', 'elsewhere', true],
  ['the connection was lost', C.Unavailable, 'Connection dropped', false, 'elsewhere', 'give-up', false],
  ['no leader', C.Unavailable, 'etcdserver: no leader', false, 'elsewhere', 'give-up', false],
  ['leader changed', C.Unavailable, 'etcdserver: leader changed', false, 'elsewhere', 'give-up', false],
  ['server timeout', C.Unavailable, 'etcdserver: request timed out', false, 'elsewhere', 'give-up', false],
  ['deadline', C.DeadlineExceeded, 'context deadline exceeded', false, 'give-up', 'give-up', false],
  ['cancelled', C.Cancelled, 'context canceled', false, 'give-up', 'give-up', false],
  [
    'invalid token',
    C.Unauthenticated,
    'etcdserver: invalid auth token',
    false,
    'new-token',
    'new-token',
    true,
  ],
  [
    'old auth revision',
    C.InvalidArgument,
    'etcdserver: revision of auth store is old',
    false,
    'new-token',
    'new-token',
    true,
  ],
  ['no user', C.InvalidArgument, 'etcdserver: user name is empty', false, 'new-token', 'new-token', true],
  [
    'a learner',
    C.FailedPrecondition,
    'etcdserver: rpc not supported for learner',
    false,
    'elsewhere',
    'elsewhere',
    true,
  ],
  [
    'compacted',
    C.OutOfRange,
    'etcdserver: mvcc: required revision has been compacted',
    false,
    'give-up',
    'give-up',
    true,
  ],
  ['denied', C.PermissionDenied, 'etcdserver: permission denied', false, 'give-up', 'give-up', true],
  ['bad argument', C.InvalidArgument, 'etcdserver: key is not provided', false, 'give-up', 'give-up', true],
  ['not found', C.NotFound, 'etcdserver: requested lease not found', false, 'give-up', 'give-up', true],
  ['too large', C.InvalidArgument, 'etcdserver: request is too large', false, 'give-up', 'give-up', true],
  [
    'too many, which travels as Unknown',
    C.Unknown,
    'etcdserver: too many requests',
    false,
    'give-up',
    'give-up',
    true,
  ],
  [
    'no space, whose entry is applied',
    C.ResourceExhausted,
    'etcdserver: mvcc: database space exceeded',
    false,
    'give-up',
    'give-up',
    false,
  ],
  [
    'an answer too large to receive',
    C.ResourceExhausted,
    'grpc: received message larger than max (5 vs. 4)',
    false,
    'give-up',
    'give-up',
    false,
  ],
  ['anything', C.Unknown, 'boom', false, 'give-up', 'give-up', false],
  ['internal', C.Internal, 'Received RST_STREAM with code 2', false, 'give-up', 'give-up', false],
])('verdict and definiteness: %s', (_name, code, text, unsent, read, write, definite) => {
  const error = new EtcdError(code, text, unsent);
  expect([verdict(error, 'read'), verdict(error, 'write'), error.definite]).toEqual([read, write, definite]);
});

test.each<[string, StatusCode, string]>([
  [
    'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
    C.PermissionDenied,
    'etcdserver: permission denied',
  ],
  ['rpc error: code = Canceled desc = x', C.Cancelled, 'x'],
  ['rpc error: code = Strange desc = x', C.Unknown, 'x'],
  ['mvcc: watcher range is empty', C.Unknown, 'mvcc: watcher range is empty'],
])('a cancel reason: %s', (line, code, message) => {
  const error = parseGoError(line);
  expect([error.code, error.message]).toEqual([code, message]);
});

test('errors keep their cause, and stay themselves', () => {
  const cause = new RpcError(C.NotFound, 'etcdserver: member not found');
  const error = toEtcdError(cause);
  expect([error.reason, error.cause]).toEqual(['MEMBER_NOT_FOUND', cause]);
  expect(toEtcdError(error)).toBe(error);
  expect(toEtcdError('text')).toMatchObject({ code: C.Unknown, message: 'text', definite: false });
});

test('pauses grow, keep a random half, and stay under a second', () => {
  const prng = new Prng(7);
  for (let attempt = 0; attempt < 40; attempt++) {
    const most = Math.min(1000, 25 * 2 ** attempt);
    const pause = pauseMs(attempt, prng);
    expect(pause).toBeGreaterThanOrEqual(Math.floor(most / 2));
    expect(pause).toBeLessThanOrEqual(most);
  }
});
