/** Headers by which another server is told who asks: client-go's TestAuthProxyRoundTripper, and what must not come through. */

import { expect, test } from '@jest/globals';

import { identityHeaders, identityOf, isIdentity } from './identity.ts';

test('who asks, with everything that is known of him', () => {
  const user = {
    name: 'jané',
    uid: '7',
    groups: ['a', 'b'],
    extra: { scopes: ['x', 'y'], 'example.org/%foo': ['1'], ünì: ['2'], none: [] },
  };
  expect(identityOf(identityHeaders(undefined), user)).toEqual(
    new Map([
      ['x-remote-user', [Buffer.from('jané').toString('latin1')]],
      ['x-remote-uid', ['7']],
      ['x-remote-group', ['a', 'b']],
      ['x-remote-extra-scopes', ['x', 'y']],
      ['x-remote-extra-example.org%2f%25foo', ['1']],
      ['x-remote-extra-%c3%bcn%c3%ac', ['2']],
    ]),
  );
});

test.each([
  ['x-remote-user', true],
  ['x-remote-group', true],
  ['x-remote-uid', true],
  ['x-remote-extra-scopes', true],
  ['x_remote_user', true],
  ['x-remote_extra_scopes', true],
  ['x-front-user', true],
  ['x-front-extra-a', true],
  ['x-remote-users', false],
  ['x-forwarded-for', false],
  ['authorization', false],
])('%s would say who asks: %s', (name, expected) => {
  const names = identityHeaders({
    usernameHeaders: ['X-Front-User'],
    uidHeaders: [],
    groupHeaders: ['X-Front-Group'],
    extraHeaderPrefixes: ['X-Front-Extra-'],
  });
  expect(isIdentity(names, name)).toBe(expected);
  expect(names).toMatchObject({ user: 'x-front-user', uid: 'x-remote-uid', extraPrefix: 'x-front-extra-' });
});
