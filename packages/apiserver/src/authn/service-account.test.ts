/** Tokens of service accounts: made on request, published keys, believed and refused; of Secrets as well. */

import { generateKeyPairSync, randomUUID } from 'node:crypto';

import { describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, exportJWK, jwtVerify, SignJWT, type JSONWebKeySet } from 'jose';

import type { KubeObject } from '../api/meta.ts';
import { ApiError } from '../api/status.ts';
import { MetricsRegistry } from '../metrics/registry.ts';
import { accountTokenMetrics } from './authentication-metrics.ts';
import { keysOfSet, parseJwt, verifyJwt } from './jwt.ts';
import { ServiceAccountTokens, type TokenLookups } from './service-account.ts';
import { discoveryDocument, keySet, TokenIssuer } from './token-request.ts';

const NOW = Date.UTC(2030, 0, 2);

/** A cluster of a few objects that tests change. */
class Objects implements TokenLookups {
  readonly all = new Map<string, KubeObject>();

  put(kind: string, namespace: string, name: string, more: object = {}, metadata: object = {}): KubeObject {
    const object = {
      apiVersion: 'v1',
      kind,
      metadata: { name, namespace, uid: `${name}-uid`, ...metadata },
      ...more,
    };
    this.all.set(`${kind}/${namespace}/${name}`, object);
    return object;
  }

  private read(kind: string, namespace: string, name: string): Promise<KubeObject | undefined> {
    return Promise.resolve(this.all.get(`${kind}/${namespace}/${name}`));
  }

  serviceAccount(namespace: string, name: string): Promise<KubeObject | undefined> {
    return this.read('ServiceAccount', namespace, name);
  }

  secret(namespace: string, name: string): Promise<KubeObject | undefined> {
    return this.read('Secret', namespace, name);
  }

  pod(namespace: string, name: string): Promise<KubeObject | undefined> {
    return this.read('Pod', namespace, name);
  }

  node(name: string): Promise<KubeObject | undefined> {
    return this.read('Node', '', name);
  }
}

describe.each(['ec', 'rsa'] as const)('tokens of service accounts, %s keys', (type) => {
  const { privateKey, publicKey } =
    type === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ISSUER = 'https://kubernetes.default.svc';

  function world() {
    const lookups = new Objects();
    const account = lookups.put('ServiceAccount', 'red', 'robot');
    lookups.put('Node', '', 'n1');
    lookups.put('Pod', 'red', 'web', { spec: { serviceAccountName: 'robot', nodeName: 'n1' } });
    let now = NOW;
    const stale: [string, number][] = [];
    const registry = new MetricsRegistry();
    const uses = (): string[] => registry.text().match(/^serviceaccount_\w+ [1-9].*$/gm) ?? [];
    const issuer = new TokenIssuer({
      issuer: ISSUER,
      privateKey,
      audiences: ['api'],
      lookups,
      nowMs: () => now,
      uuid: randomUUID,
    });
    const tokens = new ServiceAccountTokens({
      issuers: [ISSUER],
      keys: [issuer.verificationKey],
      audiences: ['api'],
      lookups,
      nowMs: () => now,
      stale: (subject, late) => stale.push([subject, late]),
      used: accountTokenMetrics(registry),
    });
    const ask = async (spec: object): Promise<{ readonly answer: KubeObject; readonly token: string }> => {
      const answer = await issuer.request(account, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        metadata: {},
        spec,
      });
      return { answer, token: (answer.status as { token: string }).token };
    };
    const pass = (seconds: number): void => {
      now += seconds * 1000;
    };
    return { lookups, account, issuer, tokens, ask, pass, stale, uses };
  }

  const POD = { kind: 'Pod', apiVersion: 'v1', name: 'web', uid: 'web-uid' };

  test('jose verifies what is minted, by the key set, and reads the claims', async () => {
    const { ask } = world();
    const { answer, token } = await ask({ boundObjectRef: POD, expirationSeconds: 900 });
    const keys = createLocalJWKSet(keySet([publicKey]) as JSONWebKeySet);
    const { payload } = await jwtVerify(token, keys, {
      issuer: ISSUER,
      audience: 'api',
      currentDate: new Date(NOW),
    });
    expect(payload).toEqual({
      aud: ['api'],
      exp: NOW / 1000 + 900,
      iat: NOW / 1000,
      nbf: NOW / 1000,
      iss: ISSUER,
      jti: expect.any(String),
      sub: 'system:serviceaccount:red:robot',
      'kubernetes.io': {
        namespace: 'red',
        serviceaccount: { name: 'robot', uid: 'robot-uid' },
        pod: { name: 'web', uid: 'web-uid' },
        node: { name: 'n1', uid: 'n1-uid' },
      },
    });
    expect(answer.spec).toMatchObject({ audiences: ['api'], expirationSeconds: 900 });
    expect(answer.status).toMatchObject({ expirationTimestamp: '2030-01-02T00:15:00Z' });
  });

  test('what jose signs is verified, and nothing that was changed', async () => {
    const alg = type === 'ec' ? 'ES256' : 'RS256';
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k' };
    const keys = keysOfSet({ keys: [jwk, { kty: 'oct', k: 'AAAA' }] });
    expect(keys).toHaveLength(1);
    const token = await new SignJWT({ a: 1 }).setProtectedHeader({ alg, kid: 'k' }).sign(privateKey);
    const jwt = parseJwt(token);
    if (jwt === undefined) throw new Error('no token');
    expect(verifyJwt(jwt, keys)).toBe(true);
    const [header, claims, signature] = token.split('.');
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const changed of [
      `${header}.${part({ a: 2 })}.${signature}`,
      `${part({ alg: 'none' })}.${claims}.${signature}`,
      `${part({ alg: 'HS256', kid: 'k' })}.${claims}.${signature}`,
      `${part({ alg: type === 'ec' ? 'RS256' : 'ES256' })}.${claims}.${signature}`,
      `${part({ alg: 'toString' })}.${claims}.${signature}`,
    ]) {
      const other = parseJwt(changed);
      expect(other !== undefined && verifyJwt(other, keys)).toBe(false);
    }
  });

  test('the user of a token', async () => {
    const { ask, tokens } = world();
    const { token } = await ask({ boundObjectRef: POD });
    expect(await tokens.authenticateToken(token, [])).toEqual({
      audiences: ['api'],
      user: {
        name: 'system:serviceaccount:red:robot',
        uid: 'robot-uid',
        groups: ['system:serviceaccounts', 'system:serviceaccounts:red'],
        extra: {
          'authentication.kubernetes.io/credential-id': [expect.stringMatching(/^JTI=/)],
          'authentication.kubernetes.io/pod-name': ['web'],
          'authentication.kubernetes.io/pod-uid': ['web-uid'],
          'authentication.kubernetes.io/node-name': ['n1'],
          'authentication.kubernetes.io/node-uid': ['n1-uid'],
        },
      },
    });
  });

  test('audiences: for others it is no token of the server', async () => {
    const { ask, tokens } = world();
    const { token } = await ask({ audiences: ['vault', 'x'] });
    await expect(tokens.authenticateToken(token, [])).rejects.toThrow(
      'token audiences ["vault" "x"] is invalid for the target audiences ["api"]',
    );
    expect((await tokens.authenticateToken(token, ['vault']))?.audiences).toEqual(['vault']);
  });

  test('a token ends with its time, its account and its pod', async () => {
    const expired = world();
    const { token } = await expired.ask({ expirationSeconds: 600 });
    expired.pass(661);
    await expect(expired.tokens.authenticateToken(token, [])).rejects.toThrow('has expired');

    const early = world();
    const future = (await early.ask({})).token;
    early.pass(-120);
    await expect(early.tokens.authenticateToken(future, [])).rejects.toThrow('could not be validated');

    const reborn = world();
    const old = (await reborn.ask({})).token;
    reborn.lookups.put('ServiceAccount', 'red', 'robot', {}, { uid: 'new' });
    await expect(reborn.tokens.authenticateToken(old, [])).rejects.toThrow(
      'service account UID (new) does not match claim (robot-uid)',
    );

    const gone = world();
    const bound = (await gone.ask({ boundObjectRef: POD })).token;
    gone.lookups.put('Pod', 'red', 'web', {}, { deletionTimestamp: new Date(NOW).toISOString() });
    expect(await gone.tokens.authenticateToken(bound, [])).toBeDefined();
    gone.pass(61);
    await expect(gone.tokens.authenticateToken(bound, [])).rejects.toThrow('has been invalidated');
    gone.lookups.all.delete('Pod/red/web');
    await expect(gone.tokens.authenticateToken(bound, [])).rejects.toThrow('has been invalidated');
  });

  test('tokens of another issuer are for others; of another key they are wrong', async () => {
    const { tokens, lookups, account } = world();
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const mint = async (issuer: string): Promise<string> => {
      const other = new TokenIssuer({
        issuer,
        privateKey: keys.privateKey,
        audiences: ['api'],
        lookups,
        nowMs: () => NOW,
        uuid: randomUUID,
      });
      const answer = await other.request(account, { apiVersion: '', kind: '', metadata: {}, spec: {} });
      return (answer.status as { token: string }).token;
    };
    expect(await tokens.authenticateToken(await mint('https://elsewhere'), [])).toBeUndefined();
    expect(await tokens.authenticateToken('opaque', [])).toBeUndefined();
    await expect(tokens.authenticateToken(await mint(ISSUER), [])).rejects.toThrow(
      'error in cryptographic primitive',
    );
  });

  test('a token of an hour and seven seconds lives a year, with a warning', async () => {
    const { ask, tokens, pass, stale } = world();
    const { answer, token } = await ask({ boundObjectRef: POD, expirationSeconds: 3607 });
    expect(answer.status).toMatchObject({ expirationTimestamp: '2030-01-02T01:00:07Z' });
    pass(3608 + 59);
    expect(await tokens.authenticateToken(token, [])).toBeDefined();
    expect(stale).toEqual([['system:serviceaccount:red:robot', 60]]);
  });

  test.each<[string, object, number, string]>([
    ['too short', { expirationSeconds: 599 }, 422, 'may not specify a duration less than 10 minutes'],
    [
      'too long',
      { expirationSeconds: 2 ** 32 + 1 },
      422,
      'may not specify a duration larger than 2^32 seconds',
    ],
    [
      'another kind',
      { boundObjectRef: { kind: 'ConfigMap', apiVersion: 'v1', name: 'x' } },
      400,
      'cannot bind token to object of type /v1, Kind=ConfigMap',
    ],
    ['no such pod', { boundObjectRef: { ...POD, name: 'gone' } }, 404, 'pods "gone" not found'],
    [
      'another pod of the name',
      { boundObjectRef: { ...POD, uid: 'old' } },
      409,
      'Operation cannot be fulfilled on Pod "web": the UID in the bound object reference (old) does not match the UID in record',
    ],
  ])('a request that is %s', async (_name, spec, code, text) => {
    const error: unknown = await world()
      .ask(spec)
      .catch((reason: unknown) => reason);
    if (!(error instanceof ApiError)) throw new Error(String(error));
    expect(error.code).toBe(code);
    expect(error.message).toContain(text);
  });

  test('a pod of another account binds no token', async () => {
    const { ask, lookups } = world();
    lookups.put('Pod', 'red', 'web', { spec: { serviceAccountName: 'other' } });
    await expect(ask({ boundObjectRef: POD })).rejects.toThrow(
      'cannot bind token for serviceaccount "robot" to pod running with different serviceaccount name.',
    );
  });

  test('the old tokens live with their Secret', async () => {
    const { issuer, account, tokens, lookups, uses } = world();
    const token = issuer.legacyToken(account, 'robot-token');
    await expect(tokens.authenticateToken(token, [])).rejects.toThrow('has been invalidated');
    const data = { token: Buffer.from(token).toString('base64') };
    lookups.put('Secret', 'red', 'robot-token', { data });
    expect((await tokens.authenticateToken(token, []))?.user.name).toBe('system:serviceaccount:red:robot');
    lookups.put('Secret', 'red', 'robot-token', { data: { token: 'AAAA' } });
    await expect(tokens.authenticateToken(token, [])).rejects.toThrow("token does not match server's copy");
    const labels = { 'kubernetes.io/legacy-token-invalid-since': '2029-01-01' };
    lookups.put('Secret', 'red', 'robot-token', { data }, { labels });
    await expect(tokens.authenticateToken(token, [])).rejects.toThrow('token has been marked as invalid');
    expect(uses()).toEqual([
      'serviceaccount_invalid_legacy_auto_token_uses_total 1',
      'serviceaccount_legacy_manual_token_uses_total 1',
      'serviceaccount_legacy_tokens_total 4',
    ]);
  });

  test('the issuer tells where its keys are', () => {
    expect(discoveryDocument(ISSUER, `${ISSUER}/openid/v1/jwks`, [publicKey])).toEqual({
      issuer: ISSUER,
      jwks_uri: `${ISSUER}/openid/v1/jwks`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [type === 'ec' ? 'ES256' : 'RS256'],
    });
  });
});
