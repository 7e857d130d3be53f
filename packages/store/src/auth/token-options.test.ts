import { expect, test } from '@jest/globals';
import { parseTokenOptions } from './token-options.ts';

const jwt = { signMethod: 'RS256', publicKeyFile: '', privateKeyFile: 'k', ttlMs: 300_000 };

test.each<[string, object | undefined]>([
  ['simple', { kind: 'simple' }],
  ['simple,x=1', { kind: 'simple' }],
  ['jwt,sign-method=RS256,priv-key=k', { kind: 'jwt', jwt, unknown: [] }],
  ['jwt,priv-key=k,sign-method=RS256,ttl=90s', { kind: 'jwt', jwt: { ...jwt, ttlMs: 90_000 }, unknown: [] }],
  ['jwt,sign-method=EdDSA,pub-key=p', { kind: 'jwt', jwt: { signMethod: 'EdDSA', publicKeyFile: 'p' } }],
  ['jwt,sign-method=RS256,priv-key=k,colour=red', { kind: 'jwt', jwt, unknown: ['colour'] }],
  ['jwt', undefined],
  ['jwt,sign-method=none', undefined],
  ['jwt,sign-method=RS257', undefined],
  ['jwt,sign-method=RS256,ttl=soon', undefined],
  ['jwt,sign-method=RS256,sign-method=RS256', undefined],
  ['jwt,sign-method', undefined],
  ['jwt,a=b=c,sign-method=RS256', undefined],
  ['opaque', undefined],
  ['', { kind: 'none' }],
])('--auth-token=%s', (text, want) => {
  const got = parseTokenOptions(text);
  if (want === undefined) expect(got).toBeUndefined();
  else expect(got).toMatchObject(want);
});
