import { describe, expect, test } from '@jest/globals';

import type { Json } from '../api/json.ts';
import { CertificateAuthority, newKeys } from '../pki/authority.ts';
import { jwtTokens, readAuthenticationConfig } from './authentication-config.ts';
import { keyIdOf, signJwt } from './jwt.ts';

const ISSUER = 'https://issuer.example.com';

function config(jwt: readonly object[], more: object = {}): Json {
  const file = {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt,
    ...more,
  };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is written here is JSON
  return JSON.parse(JSON.stringify(file)) as Json;
}

const GOOD = {
  issuer: { url: ISSUER, audiences: ['cluster'] },
  claimMappings: { username: { claim: 'sub', prefix: 'ex:' } },
};
const issuer = (more: object): object => ({ ...GOOD, issuer: { ...GOOD.issuer, ...more } });
const mappings = (more: object): object => ({ ...GOOD, claimMappings: { ...GOOD.claimMappings, ...more } });

describe('AuthenticationConfiguration', () => {
  test('issuers and nobody', () => {
    const { certificate } = CertificateAuthority.create('ca', Date.now());
    expect(
      readAuthenticationConfig(
        config(
          [
            {
              issuer: {
                url: ISSUER,
                discoveryURL: 'https://inside.example.com/doc',
                certificateAuthority: certificate,
                audiences: ['a', 'b'],
                audienceMatchPolicy: 'MatchAny',
              },
              claimValidationRules: [{ claim: 'tenant', requiredValue: 'red' }],
              claimMappings: {
                username: { claim: 'email', prefix: '' },
                groups: { claim: 'roles', prefix: 'r:' },
                uid: { claim: 'oid' },
              },
            },
          ],
          { anonymous: { enabled: true, conditions: [{ path: '/livez' }] } },
        ),
        [],
      ),
    ).toEqual({
      jwt: [
        {
          url: ISSUER,
          discoveryUrl: 'https://inside.example.com/doc',
          certificateAuthority: certificate,
          audiences: ['a', 'b'],
          requiredClaims: { tenant: 'red' },
          username: { claim: 'email', prefix: '' },
          groups: { claim: 'roles', prefix: 'r:' },
          uidClaim: 'oid',
        },
      ],
      anonymous: { enabled: true, paths: ['/livez'] },
    });
    expect(readAuthenticationConfig(config([]), [])).toEqual({ jwt: [], anonymous: undefined });
  });

  test.each<[string, readonly object[], string]>([
    ['no URL', [issuer({ url: '' })], 'jwt[0].issuer.url: Required value: URL is required'],
    [
      'no https',
      [issuer({ url: 'http://x.example.com' })],
      'jwt[0].issuer.url: Invalid value: "http://x.example.com": URL scheme must be https',
    ],
    [
      'a query',
      [issuer({ url: 'https://x.example.com?a=b' })],
      'jwt[0].issuer.url: Invalid value: "https://x.example.com?a=b": URL must not contain a query',
    ],
    [
      'its own issuer',
      [issuer({ url: 'https://own' })],
      'jwt[0].issuer.url: Invalid value: "https://own": URL must not overlap with disallowed issuers: [https://own]',
    ],
    ['an issuer twice', [GOOD, GOOD], `jwt[1].issuer.url: Duplicate value: "${ISSUER}"`],
    [
      'discovery at the same place',
      [issuer({ discoveryURL: ISSUER })],
      `jwt[0].issuer.discoveryURL: Invalid value: "${ISSUER}": discoveryURL must be different from URL`,
    ],
    [
      'no certificate',
      [issuer({ certificateAuthority: 'x' })],
      'jwt[0].issuer.certificateAuthority: Invalid value: "<omitted>": data does not contain any valid RSA or ECDSA certificates',
    ],
    [
      'no audience',
      [issuer({ audiences: [] })],
      'jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required',
    ],
    [
      'several audiences without a policy',
      [issuer({ audiences: ['a', 'b'] })],
      'jwt[0].issuer.audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be MatchAny for multiple audiences',
    ],
    [
      'no username',
      [{ ...GOOD, claimMappings: {} }],
      'jwt[0].claimMappings.username: Required value: claim or expression is required',
    ],
    [
      'no prefix',
      [mappings({ username: { claim: 'sub' } })],
      'jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing',
    ],
    [
      'a prefix of nothing',
      [mappings({ groups: { prefix: 'x' } })],
      'jwt[0].claimMappings.groups.claim: Required value: non-empty claim name is required when prefix is set',
    ],
    [
      'an expression',
      [mappings({ username: { expression: 'claims.sub' } })],
      'jwt[0].claimMappings.username.expression: Forbidden: expressions in CEL are not evaluated by this server',
    ],
    [
      'a rule of nothing',
      [{ ...GOOD, claimValidationRules: [{}] }],
      'jwt[0].claimValidationRules[0]: Required value: claim or expression is required',
    ],
  ])('%s', (_name, jwt, message) => {
    expect(() => readAuthenticationConfig(config(jwt), ['https://own'])).toThrow(new Error(message));
  });
});

test('tokens of an issuer become users as it says', async () => {
  const { publicKey, privateKey } = newKeys();
  const key = { id: keyIdOf(publicKey), key: publicKey };
  const { jwt } = readAuthenticationConfig(
    config([
      {
        ...mappings({
          username: { claim: 'sub', prefix: 'ex:' },
          groups: { claim: 'roles', prefix: 'r:' },
          uid: { claim: 'oid' },
        }),
        claimValidationRules: [{ claim: 'tenant', requiredValue: 'red' }],
      },
    ]),
    [],
  );
  const tokens = jwtTokens(
    jwt[0],
    () => Promise.resolve([key]),
    () => 1_000_000,
  );
  const claims = {
    iss: ISSUER,
    aud: ['cluster'],
    exp: 2_000,
    sub: 'jane',
    roles: ['a'],
    oid: '7',
    tenant: 'red',
  };
  const sign = (more: object): string => signJwt({ ...claims, ...more }, privateKey, key.id);
  expect((await tokens.authenticateToken(sign({})))?.user).toEqual({
    name: 'ex:jane',
    uid: '7',
    groups: ['r:a'],
    extra: {},
  });
  await expect(tokens.authenticateToken(sign({ tenant: 'blue' }))).rejects.toThrow('required claim tenant');
  await expect(tokens.authenticateToken(sign({ oid: undefined }))).rejects.toThrow('claim not present');
});
