import { describe, expect, test } from '@jest/globals';

import { CertificateAuthority, newKeys } from '../pki/authority.ts';
import { jwtTokens, readAuthenticationConfig } from './authentication-config.ts';
import { keyIdOf, signJwt } from './jwt.ts';

const ISSUER = 'https://issuer.example.com';

function config(jwt: readonly object[], more: object = {}): string {
  const file = {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt,
    ...more,
  };
  return JSON.stringify(file);
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
          expressions: { extra: [], claimRules: [], userRules: [] },
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
      'discovery at the same place but for a slash',
      [issuer({ discoveryURL: `${ISSUER}/` })],
      `jwt[0].issuer.discoveryURL: Invalid value: "${ISSUER}/": discoveryURL must be different from URL`,
    ],
    [
      'one place of discovery for two',
      [
        issuer({ discoveryURL: 'https://d' }),
        issuer({ url: 'https://other.example.com', discoveryURL: 'https://d' }),
      ],
      'jwt[1].issuer.discoveryURL: Duplicate value: "https://d"',
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
      'a prefix of an expression',
      [mappings({ username: { expression: 'claims.sub', prefix: 'x' } })],
      'jwt[0].claimMappings.username.prefix: Invalid value: "x": may not be specified when expression is set',
    ],
    [
      'an expression that is none',
      [mappings({ username: { expression: 'claim.sub' } })],
      "jwt[0].claimMappings.username.expression: Invalid value: \"claim.sub\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'claim' (in container '')\n | claim.sub\n | ^",
    ],
    [
      'an address that nobody verified',
      [mappings({ username: { expression: "has(claims.email) ? claims.?email.orValue('') : ''" } })],
      `jwt[0].claimMappings.username.expression: Invalid value: "has(claims.email) ? claims.?email.orValue('') : ''": claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression`,
    ],
    [
      'a rule that says no yes or no',
      [{ ...GOOD, claimValidationRules: [{ expression: "'x'" }] }],
      `jwt[0].claimValidationRules[0].expression: Invalid value: "'x'": must evaluate to bool`,
    ],
    [
      'a rule twice',
      [{ ...GOOD, userValidationRules: [{ expression: 'true' }, { expression: 'true' }] }],
      'jwt[0].userValidationRules[1].expression: Duplicate value: "true"',
    ],
    [
      'a key of Kubernetes',
      [mappings({ extra: [{ key: 'x.k8s.io/a', valueExpression: "'b'" }] })],
      'jwt[0].claimMappings.extra[0].key: Invalid value: "x.k8s.io/a": k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use',
    ],
    [
      'a rule of nothing',
      [{ ...GOOD, claimValidationRules: [{}] }],
      'jwt[0].claimValidationRules[0]: Required value: claim or expression is required',
    ],
  ])('%s', (_name, jwt, message) => {
    expect(() => readAuthenticationConfig(config(jwt), ['https://own'])).toThrow(new Error(message));
  });

  test.each<[string, string, string]>([
    [
      'a word that is none',
      config([{ ...GOOD, rules: [] }]),
      'strict decoding error: unknown field "jwt[0].rules"',
    ],
    [
      'another kind',
      '{"apiVersion": "apiserver.config.k8s.io/v1", "kind": "Pod"}',
      'no kind "Pod" is registered for version "apiserver.config.k8s.io/v1"',
    ],
    ['nothing', '', 'empty config data'],
  ])('a file of %s', (_name, file, message) => {
    expect(() => readAuthenticationConfig(file, [])).toThrow(expect.objectContaining({ message }));
  });
});

test('a uid by a claim without a name is none', () => {
  const { jwt } = readAuthenticationConfig(config([mappings({ uid: { claim: '' } })]), []);
  expect(jwt[0].uidClaim).toBeUndefined();
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

test('tokens of an issuer become users as its expressions say', async () => {
  const { publicKey, privateKey } = newKeys();
  const key = { id: keyIdOf(publicKey), key: publicKey };
  const { jwt } = readAuthenticationConfig(
    config([
      {
        issuer: GOOD.issuer,
        claimMappings: {
          username: { expression: "'ext:' + claims.sub" },
          groups: { expression: "has(claims.roles) ? claims.roles.split(',') : []" },
          uid: { expression: 'string(claims.number)' },
          extra: [
            { key: 'example.org/tenant', valueExpression: 'claims.tenant' },
            { key: 'example.org/none', valueExpression: "''" },
            {
              key: 'example.org/account',
              valueExpression: 'claims.kubernetes__dot__io.accounts[0].the__dash__name',
            },
          ],
        },
        claimValidationRules: [{ expression: "claims.hd == 'example.com'", message: 'not of ours' }],
        userValidationRules: [
          { expression: "!user.username.startsWith('ext:system:')", message: 'no system users' },
          {
            expression:
              "!has(user.extra.example__dot__org__slash__tenant) || !('root' in user.extra['example.org/tenant'])",
            message: 'not that tenant',
          },
        ],
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
    hd: 'example.com',
    number: 7.5,
    'kubernetes.io': { accounts: [{ 'the-name': 'robot' }] },
  };
  const sign = (more: object): string => signJwt({ ...claims, ...more }, privateKey, key.id);
  const found = await tokens.authenticateToken(sign({ roles: 'a,,b', tenant: ['x', 'y'], jti: '9' }));
  expect(found?.user).toEqual({
    name: 'ext:jane',
    uid: '7.5',
    groups: ['a', 'b'],
    extra: {
      'authentication.kubernetes.io/credential-id': ['JTI=9'],
      'example.org/tenant': ['x', 'y'],
      'example.org/account': ['robot'],
    },
  });
  await expect(tokens.authenticateToken(sign({ tenant: 'root' }))).rejects.toThrow('failed: not that tenant');
  await expect(tokens.authenticateToken(sign({ tenant: 'x', hd: 'else' }))).rejects.toThrow(
    "oidc: error evaluating claim validation expression: validation expression 'claims.hd == 'example.com'' failed: not of ours",
  );
  await expect(tokens.authenticateToken(sign({ tenant: 'x', sub: 'system:x' }))).rejects.toThrow(
    'failed: no system users',
  );
  await expect(tokens.authenticateToken(sign({}))).rejects.toThrow(
    "expression 'claims.tenant' resulted in error: no such key: tenant",
  );
  await expect(tokens.authenticateToken(sign({ tenant: 5 }))).rejects.toThrow(
    'oidc: error evaluating extra claim expression: claims.tenant: expression must return a string or a list of strings',
  );
  // A provider's keys have names: one that none has signed nothing.
  await expect(
    tokens.authenticateToken(signJwt({ ...claims, tenant: 'x' }, privateKey, 'another')),
  ).rejects.toThrow('failed to verify id token signature');
});
