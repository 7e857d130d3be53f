/** The keys of an issuer: fetched when they are asked for first, again when one is unknown, not more often than that. */
import { expect, test } from '@jest/globals';
import { systemClock, type Clock } from '@keelson/base';

import { AuthenticationError } from '../authn/authenticator.ts';
import { keyIdOf, publicJwk } from '../authn/jwt.ts';
import { OidcProvider, type KeySource } from './oidc-provider.ts';
import { newKeys } from '../pki/authority.ts';

const { publicKey } = newKeys();
const ISSUER = 'https://id.example/realm/';

function provider(
  answers: Readonly<Record<string, unknown>>,
  source: Partial<KeySource> = {},
): { readonly keys: OidcProvider; readonly asked: string[]; readonly pass: (ms: number) => void } {
  const asked: string[] = [];
  let nowMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
  const keys = new OidcProvider(
    { issuer: ISSUER, discoveryUrl: undefined, ca: undefined, ...source },
    (url) => {
      asked.push(url);
      return url in answers ? Promise.resolve(answers[url]) : Promise.reject(new Error(`${url}: 404`));
    },
    clock,
  );
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { keys, asked, pass };
}

const WELL_KNOWN = 'https://id.example/realm/.well-known/openid-configuration';
const DOCUMENT = { issuer: ISSUER, jwks_uri: 'https://id.example/keys' };
const ANSWERS = { [WELL_KNOWN]: DOCUMENT, 'https://id.example/keys': { keys: [publicJwk(publicKey)] } };

test('once for many, again for a key that is unknown, at most every ten seconds', async () => {
  const { keys, asked, pass } = provider(ANSWERS);
  const [first, second] = await Promise.all([keys.current(false), keys.current(false)]);
  expect(first.map(({ id }) => id)).toEqual([keyIdOf(publicKey)]);
  expect(second).toBe(first);
  await keys.current(true);
  expect(asked).toEqual([WELL_KNOWN, 'https://id.example/keys']);
  pass(10_000);
  await keys.current(false);
  expect(asked).toHaveLength(2);
  await keys.current(true);
  expect(asked).toHaveLength(4);
});

test('a discovery document elsewhere', async () => {
  const elsewhere = 'https://inside.example/configuration';
  const { keys, asked } = provider({ ...ANSWERS, [elsewhere]: DOCUMENT }, { discoveryUrl: elsewhere });
  await keys.current(false);
  expect(asked[0]).toBe(elsewhere);
});

test.each<[string, Readonly<Record<string, unknown>>, string]>([
  ['nobody answers', {}, `oidc: authenticator not initialized: ${WELL_KNOWN}: 404`],
  [
    'another issuer',
    { [WELL_KNOWN]: { ...DOCUMENT, issuer: 'https://evil.example' } },
    `oidc: authenticator not initialized: oidc: issuer did not match the issuer returned by provider, expected "${ISSUER}" got "https://evil.example"`,
  ],
])('%s: tokens cannot be judged', async (_name, answers, message) => {
  const { keys, asked, pass } = provider(answers);
  await expect(keys.current(false)).rejects.toThrow(new AuthenticationError(message));
  await expect(keys.current(false)).rejects.toThrow(new AuthenticationError(message));
  expect(asked).toHaveLength(1);
  pass(10_000);
  await expect(keys.current(false)).rejects.toThrow(new AuthenticationError(message));
  expect(asked).toHaveLength(2);
});
