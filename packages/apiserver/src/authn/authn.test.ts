import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto';

import { describe, expect, test } from '@jest/globals';
import { SignJWT } from 'jose';

import { bareRequest } from '../../test/bare-request.ts';
import type { ApiRequest, ApiResponse } from '../api/exchange.ts';
import type { KubeObject } from '../api/meta.ts';
import { ApiError } from '../api/status.ts';
import type { UserInfo } from '../api/user-info.ts';
import { CertificateAuthority, DAY_MS } from '../pki/authority.ts';
import { authenticate } from './authenticate.ts';
import {
  AuthenticationError,
  firstRequest,
  firstToken,
  forOwnAudiences,
  type AnonymousPolicy,
  type RequestAuthenticator,
  type TokenAuthenticator,
} from './authenticator.ts';
import { BearerToken, WebSocketToken } from './bearer-token.ts';
import { BootstrapTokens } from './bootstrap-token.ts';
import { CertificateChain } from './certificate-chain.ts';
import { OidcTokens, type OidcOptions } from './oidc.ts';
import { proxyHeaders, RequestHeaderUsers } from './request-header.ts';
import { reviewSelf, reviewToken } from './reviews.ts';
import { MetricsRegistry } from '../metrics/registry.ts';
import { jwtMetrics, tokenCacheMetrics } from './authentication-metrics.ts';
import { TokenCache } from './token-cache.ts';
import { TokenFile } from './token-file.ts';
import { WebhookTokens } from './webhook-token.ts';
import { X509Users } from './x509.ts';

const NOW = Date.UTC(2030, 0, 2);
const JANE: UserInfo = { name: 'jane', uid: 'u1', groups: ['dev'], extra: {} };
const DONE: ApiResponse = { kind: 'json', code: 200, value: null };

function der(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
}

function request(
  headers: Record<string, string[]> = {},
  certificates: readonly Buffer[] = [],
  path = '/api/v1/pods',
): ReturnType<typeof bareRequest> {
  return bareRequest(path, { headers, peer: { certificates } });
}

/** Runs the filter; the request as it is behind, or the code it is refused with. */
async function run(
  authenticator: RequestAuthenticator,
  asked: ApiRequest,
  anonymous: AnonymousPolicy = { enabled: false },
  removed: string[] = [],
): Promise<ApiRequest | number> {
  let behind: ApiRequest | undefined;
  try {
    await authenticate(authenticator, { anonymous, proxyHeaders: removed })(asked, (seen) => {
      behind = seen;
      return Promise.resolve(DONE);
    });
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
  return behind ?? 0;
}

const FILE = new TokenFile('t0ken,jane,u1,dev\nother,"Doe, J.",u2,"a, b"\n', 'tokens.csv');
const BEARER = new BearerToken(FILE);

describe('the filter', () => {
  test.each<[string, Record<string, string[]>, boolean, string | number]>([
    ['a good token', { authorization: ['Bearer t0ken'] }, false, 'jane'],
    ['the scheme in any case', { authorization: ['bearer t0ken'] }, false, 'jane'],
    ['a wrong token is never anonymous', { authorization: ['Bearer nope'] }, true, 401],
    ['nothing, anonymous off', {}, false, 401],
    ['nothing, anonymous on', {}, true, 'system:anonymous'],
    ['another scheme', { authorization: ['Basic eDp5'] }, true, 'system:anonymous'],
  ])('%s', async (_name, headers, enabled, want) => {
    const behind = await run(BEARER, request(headers), { enabled });
    expect(typeof behind === 'number' ? behind : behind.context.user?.name).toBe(want);
  });

  test('who is known is in the group of all who are; the token is gone behind', async () => {
    const behind = await run(BEARER, request({ authorization: ['Bearer t0ken'], accept: ['*/*'] }));
    if (typeof behind === 'number') throw new Error(`refused with ${behind}`);
    expect(behind.context.user).toEqual({ ...JANE, groups: ['dev', 'system:authenticated'] });
    expect([...behind.headers.keys()]).toEqual(['accept']);
  });

  test('anonymous on some paths only', async () => {
    const policy = { enabled: true, paths: ['/healthz'] };
    expect(await run(BEARER, request({}, [], '/healthz/etcd'), policy)).toBe(401);
    expect(await run(BEARER, request({}, [], '/healthz'), policy)).not.toBe(401);
  });

  test('an extra space before the token is told', async () => {
    const asked = request({ authorization: ['Bearer  t0ken'] });
    expect(await run(BEARER, asked)).toBe(401);
    expect(asked.warnings).toEqual([
      'the provided Authorization header contains extra space before the bearer token, and is ignored',
    ]);
  });

  test('a token as a subprotocol', async () => {
    const protocol = `base64url.bearer.authorization.k8s.io.${Buffer.from('t0ken').toString('base64url')}`;
    const asked = (all: string): ApiRequest =>
      request({ upgrade: ['websocket'], 'sec-websocket-protocol': [all] });
    const sockets = new WebSocketToken(FILE);
    const behind = await run(sockets, asked(`v5.channel.k8s.io, ${protocol}`));
    if (typeof behind === 'number') throw new Error(`refused with ${behind}`);
    expect(behind.headers.get('sec-websocket-protocol')).toEqual(['v5.channel.k8s.io']);
    expect(await run(sockets, asked(protocol))).toBe(401);
    expect(await run(sockets, asked(`x, ${protocol}, ${protocol}`))).toBe(401);
    expect(await run(sockets, asked('x, base64url.bearer.authorization.k8s.io.a+b'))).toBe(401);
  });
});

test('a token file: quoted values, and lines that are too short', async () => {
  expect((await FILE.authenticateToken('other'))?.user).toEqual({
    name: 'Doe, J.',
    uid: 'u2',
    groups: ['a', 'b'],
    extra: {},
  });
  expect(() => new TokenFile('a,b\n', 'f')).toThrow(
    "token file 'f' must have at least 3 columns (token, user name, user uid), found 2",
  );
});

describe('certificates', () => {
  const users = CertificateAuthority.create('users', NOW);
  const proxies = CertificateAuthority.create('proxies', NOW);
  const ends: number[] = [];
  const x509 = new X509Users(
    new CertificateChain(users.certificate),
    () => NOW,
    (seconds) => ends.push(seconds),
  );
  const shown = (pem: string): ApiRequest => request({}, [der(pem)]);

  test('name, groups, uid and the id of the credential', async () => {
    const pair = users.client({ commonName: 'jane', organizations: ['dev', 'ops'], uid: 'u-1' }, NOW);
    const found = await x509.authenticate(shown(pair.certificate));
    expect(found?.user).toMatchObject({ name: 'jane', uid: 'u-1', groups: ['dev', 'ops'] });
    expect(found?.user.extra['authentication.kubernetes.io/credential-id'][0]).toMatch(
      /^X509SHA256=[0-9a-f]{64}$/,
    );
    expect(ends).toEqual([(Date.parse(new X509Certificate(pair.certificate).validTo) - NOW) / 1_000]);
    expect(ends[0]).toBeGreaterThan(86_400);
  });

  test('what is not of the authority, out of its time, or for servers is refused', async () => {
    const other = proxies.client({ commonName: 'jane', organizations: ['system:masters'] }, NOW);
    await expect(x509.authenticate(shown(other.certificate))).rejects.toThrow('unknown authority');
    const old = users.client({ commonName: 'jane' }, NOW - 10 * DAY_MS, 5);
    await expect(x509.authenticate(shown(old.certificate))).rejects.toThrow('has expired');
    const server = users.server('jane', ['localhost'], NOW);
    await expect(x509.authenticate(shown(server.certificate))).rejects.toThrow('incompatible key usage');
    expect(await run(x509, shown(other.certificate), { enabled: true })).toBe(401);
    const peer = { address: '::1', certificates: [], secure: true, certificateError: 'unknown ca' };
    expect(await run(x509, { ...request(), peer }, { enabled: true })).toBe(401);
  });

  test('a connection is verified once, and again when something of its chain has run out', async () => {
    let nowMs = NOW;
    const timed = new X509Users(new CertificateChain(users.certificate), () => nowMs);
    const pair = users.client({ commonName: 'jane' }, NOW, 5);
    const asked = shown(pair.certificate);
    const first = await timed.authenticate(asked);
    nowMs += DAY_MS;
    expect((await timed.authenticate(asked))?.user).toBe(first?.user);
    nowMs = NOW + 6 * DAY_MS;
    await expect(timed.authenticate(asked)).rejects.toThrow('has expired');
    nowMs = NOW + DAY_MS;
    expect((await timed.authenticate(asked))?.user).toBe(first?.user);
    nowMs = NOW - 10 * DAY_MS;
    await expect(timed.authenticate(asked)).rejects.toThrow('not yet valid');
    // What one authority vouches for is nothing to another.
    const other = new X509Users(new CertificateChain(proxies.certificate), () => NOW);
    await expect(other.authenticate(asked)).rejects.toThrow('unknown authority');
  });

  test('a refusal is found out once as well, and again when its time may have come', async () => {
    let nowMs = NOW;
    const asked = shown(users.client({ commonName: 'jane' }, NOW + 5 * DAY_MS).certificate);
    const refusal = (chain: X509Users): Promise<unknown> =>
      chain.authenticate(asked).catch((error: unknown) => error);
    const others = new X509Users(new CertificateChain(proxies.certificate), () => nowMs);
    const timed = new X509Users(new CertificateChain(users.certificate), () => nowMs);
    const early = await refusal(others);
    expect(String(early)).toContain('not yet valid');
    expect(await refusal(others)).toBe(early);
    expect(String(await refusal(timed))).toContain('not yet valid');
    nowMs = NOW + 6 * DAY_MS;
    expect(String(await refusal(others))).toContain('unknown authority');
    expect((await timed.authenticate(asked))?.user.name).toBe('jane');
  });

  test('an authority that the client shows himself is not trusted', async () => {
    const forged = CertificateAuthority.create('users', NOW);
    const pair = forged.client({ commonName: 'jane' }, NOW);
    const asked = request({}, [der(pair.certificate), der(forged.certificate)]);
    await expect(x509.authenticate(asked)).rejects.toThrow('unknown authority');
  });

  test('a leaf is no authority for another one', async () => {
    const leaf = users.client({ commonName: 'mallory' }, NOW);
    const pair = { certificate: leaf.certificate, key: leaf.key };
    expect(() => CertificateAuthority.load(pair)).toThrow('is no certificate authority');
    await expect(
      x509.authenticate(
        request({}, [der(proxies.client({ commonName: 'x' }, NOW).certificate), der(leaf.certificate)]),
      ),
    ).rejects.toThrow(AuthenticationError);
  });

  test('headers of a front proxy count from its certificate alone', async () => {
    const options = {
      usernameHeaders: ['X-Remote-User'],
      uidHeaders: ['X-Remote-Uid'],
      groupHeaders: ['X-Remote-Group'],
      extraHeaderPrefixes: ['X-Remote-Extra-'],
      allowedNames: ['front'],
    };
    const proxied = new RequestHeaderUsers(options, new CertificateChain(proxies.certificate), () => NOW);
    const both = firstRequest([proxied, x509]);
    const headers = {
      'x-remote-user': ['anne'],
      'x-remote-uid': ['7'],
      'x-remote-group': ['a', 'b'],
      'x-remote-extra-acme.com%2fproject': ['p'],
    };
    const front = proxies.client({ commonName: 'front' }, NOW);
    const behind = await run(
      both,
      request(headers, [der(front.certificate)]),
      { enabled: false },
      proxyHeaders(options),
    );
    if (typeof behind === 'number') throw new Error(`refused with ${behind}`);
    expect(behind.context.user).toEqual({
      name: 'anne',
      uid: '7',
      groups: ['a', 'b', 'system:authenticated'],
      extra: { 'acme.com/project': ['p'] },
    });
    expect(behind.headers.size).toBe(0);
    const jane = users.client({ commonName: 'jane' }, NOW);
    const direct = await run(both, request(headers, [der(jane.certificate)]));
    expect(typeof direct === 'number' ? direct : direct.context.user?.name).toBe('jane');
    const other = proxies.client({ commonName: 'other' }, NOW);
    expect(await run(both, request(headers, [der(other.certificate)]))).toBe(401);
    expect(await run(both, request(headers), { enabled: true }, proxyHeaders(options))).not.toBe(401);
  });
});

describe('bootstrap tokens', () => {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const good = {
    'token-id': 'abcdef',
    'token-secret': '0123456789abcdef',
    'usage-bootstrap-authentication': 'true',
    'auth-extra-groups': 'system:bootstrappers:kubeadm:default-node-token',
    expiration: '2031-01-01T00:00:00Z',
  };

  test.each<[string, Record<string, string>, string, boolean]>([
    ['good', {}, 'abcdef.0123456789abcdef', true],
    ['another secret', {}, 'abcdef.0123456789abcdeX', false],
    ['wrong secret', {}, 'abcdef.0123456789abcde0', false],
    ['expired', { expiration: '2029-01-01T00:00:00Z' }, 'abcdef.0123456789abcdef', false],
    ['an end that is no time', { expiration: 'soon' }, 'abcdef.0123456789abcdef', false],
    ['not for this', { 'usage-bootstrap-authentication': 'false' }, 'abcdef.0123456789abcdef', false],
    ['a group of others', { 'auth-extra-groups': 'system:masters' }, 'abcdef.0123456789abcdef', false],
    ['another id inside', { 'token-id': 'fedcba' }, 'abcdef.0123456789abcdef', false],
  ])('%s', async (_name, more, token, want) => {
    const data = Object.fromEntries(
      Object.entries({ ...good, ...more }).map(([key, value]) => [key, base64(value)]),
    );
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'bootstrap.kubernetes.io/token',
      metadata: { name: 'bootstrap-token-abcdef' },
      data,
    };
    const tokens = new BootstrapTokens(
      (name) => Promise.resolve(name === 'bootstrap-token-abcdef' ? secret : undefined),
      () => NOW,
    );
    const found = await tokens.authenticateToken(token);
    expect(found?.user).toEqual(
      want
        ? {
            name: 'system:bootstrap:abcdef',
            uid: '',
            groups: ['system:bootstrappers', 'system:bootstrappers:kubeadm:default-node-token'],
            extra: {},
          }
        : undefined,
    );
  });
});

test('the cache asks once for ten seconds, and anew for failures and other audiences', async () => {
  let asked = 0;
  let now = 0;
  const inner: TokenAuthenticator = {
    authenticateToken: (token) => {
      asked += 1;
      if (token === 'bad') return Promise.reject(new AuthenticationError('bad'));
      return Promise.resolve({ user: JANE });
    },
  };
  const cache = new TokenCache(inner, () => now);
  await Promise.all([cache.authenticateToken('t', []), cache.authenticateToken('t', [])]);
  await cache.authenticateToken('t', []);
  expect(asked).toBe(1);
  await cache.authenticateToken('t', ['x']);
  expect(asked).toBe(2);
  now = 10_001;
  await cache.authenticateToken('t', []);
  expect(asked).toBe(3);
  await expect(cache.authenticateToken('bad', [])).rejects.toThrow('bad');
  await expect(cache.authenticateToken('bad', [])).rejects.toThrow('bad');
  expect(asked).toBe(5);
});

test('what a cache of tokens does is counted', async () => {
  const registry = new MetricsRegistry();
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = () => resolve()));
  const inner: TokenAuthenticator = {
    authenticateToken: async (token) => {
      await gate;
      if (token === 'bad') throw new AuthenticationError('bad');
      return { user: JANE };
    },
  };
  const cache = new TokenCache(inner, () => 0, 10_000, tokenCacheMetrics(registry));
  const of = (name: string): string[] =>
    registry.text().match(new RegExp(`^authentication_token_cache_${name}\\{.*$`, 'gm')) ?? [];
  const asked = Promise.allSettled([
    cache.authenticateToken('t', []),
    cache.authenticateToken('t', []),
    cache.authenticateToken('bad', []),
  ]);
  expect(of('active_fetch_count')).toEqual([
    'authentication_token_cache_active_fetch_count{status="blocked"} 3',
    'authentication_token_cache_active_fetch_count{status="in_flight"} 2',
  ]);
  open();
  await asked;
  await cache.authenticateToken('t', []);
  expect(of('request_total').toSorted()).toEqual([
    'authentication_token_cache_request_total{status="hit"} 1',
    'authentication_token_cache_request_total{status="miss"} 3',
  ]);
  expect(of('fetch_total').toSorted()).toEqual([
    'authentication_token_cache_fetch_total{status="error"} 1',
    'authentication_token_cache_fetch_total{status="ok"} 1',
  ]);
  expect(of('active_fetch_count')).toEqual([
    'authentication_token_cache_active_fetch_count{status="blocked"} 0',
    'authentication_token_cache_active_fetch_count{status="in_flight"} 0',
  ]);
});

test("checks of an issuer's tokens are measured, of others' tokens not", async () => {
  const registry = new MetricsRegistry();
  const issuer = jwtMetrics(registry, () => 0)('https://issuer', {
    authenticateToken: (token) => {
      if (token === 'bad') return Promise.reject(new AuthenticationError('bad'));
      return Promise.resolve(token === 'own' ? { user: JANE } : undefined);
    },
  });
  await Promise.allSettled(['own', 'bad', 'other'].map((token) => issuer.authenticateToken(token, [])));
  const counted = registry.text().match(/^.*latency_seconds_count\{.*$/gm) ?? [];
  expect(counted.map((line) => /result=.*$/.exec(line)?.[0] ?? '').toSorted()).toEqual([
    'result="failure"} 1',
    'result="success"} 1',
  ]);
  expect(counted[0]).toContain(
    `jwt_issuer_hash="sha256:${createHash('sha256').update('https://issuer').digest('hex')}"`,
  );
});

test('a webhook is asked by TokenReview and believed by its status', async () => {
  const posted: unknown[] = [];
  const answers: object[] = [
    { status: { authenticated: true, user: { username: 'w', groups: ['g'], extra: { A: ['1'] } } } },
    { status: { authenticated: false, error: 'expired' } },
    { status: {} },
    { status: { authenticated: true, user: { username: 'w' }, audiences: ['other'] } },
  ];
  const webhook = new WebhookTokens(
    (review) => {
      posted.push(review);
      return Promise.resolve(answers.shift());
    },
    ['api'],
  );
  expect(await webhook.authenticateToken('t', [])).toEqual({
    user: { name: 'w', uid: '', groups: ['g'], extra: { a: ['1'] } },
    audiences: ['api'],
  });
  await expect(webhook.authenticateToken('t', [])).rejects.toThrow('expired');
  expect(await webhook.authenticateToken('t', [])).toBeUndefined();
  // Good for somebody else.
  expect(await webhook.authenticateToken('t', [])).toBeUndefined();
  expect(posted[0]).toMatchObject({ kind: 'TokenReview', spec: { token: 't', audiences: ['api'] } });
});

describe('OpenID Connect', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const issuer = 'https://id.example.com';
  const mint = (claims: Record<string, unknown>): Promise<string> =>
    new SignJWT({ iss: issuer, aud: 'kube', sub: 'jane', exp: NOW / 1000 + 60, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: 'k' })
      .sign(privateKey);
  const tokens = (more: Partial<OidcOptions> = {}): OidcTokens =>
    new OidcTokens({
      issuer,
      audiences: ['kube'],
      keys: () => Promise.resolve([{ id: 'k', key: publicKey }]),
      nowMs: () => NOW,
      ...more,
    });

  test.each<[string, Record<string, unknown>, Partial<OidcOptions>, string]>([
    ['the subject, with the issuer before it', {}, {}, 'https://id.example.com#jane'],
    ['an address, as it is', { email: 'j@x', email_verified: true }, { usernameClaim: 'email' }, 'j@x'],
    ['a prefix', {}, { usernamePrefix: 'oidc:' }, 'oidc:jane'],
    ['no prefix', {}, { usernamePrefix: '-' }, 'jane'],
  ])('%s', async (_name, claims, more, want) => {
    const found = await tokens(more).authenticateToken(await mint(claims));
    expect(found?.user.name).toBe(want);
  });

  test('groups', async () => {
    const more = { groupsClaim: 'groups', groupsPrefix: 'g:' };
    const found = await tokens(more).authenticateToken(await mint({ groups: ['a', 'b'] }));
    expect(found?.user.groups).toEqual(['g:a', 'g:b']);
  });

  test.each<[string, Record<string, unknown>, Partial<OidcOptions>, string]>([
    ['another audience', { aud: 'x' }, {}, 'expected audience'],
    ['expired', { exp: NOW / 1000 - 1 }, {}, 'token is expired'],
    [
      'an address nobody checked',
      { email: 'j@x', email_verified: false },
      { usernameClaim: 'email' },
      'email not verified',
    ],
    [
      'a claim that must be',
      { hd: 'y' },
      { requiredClaims: { hd: 'x' } },
      'required claim hd value does not match',
    ],
    ['another algorithm', {}, { algorithms: ['ES256'] }, 'failed to verify signature'],
  ])('%s', async (_name, claims, more, text) => {
    await expect(tokens(more).authenticateToken(await mint(claims))).rejects.toThrow(text);
  });

  test('of another issuer: for others', async () => {
    expect(await tokens().authenticateToken(await mint({ iss: 'https://other' }))).toBeUndefined();
  });
});

test('several ways: the first that knows wins, errors count when none does', async () => {
  const bad: TokenAuthenticator = { authenticateToken: () => Promise.reject(new AuthenticationError('no')) };
  const both = firstToken([bad, FILE]);
  expect((await both.authenticateToken('t0ken', []))?.user.name).toBe('jane');
  await expect(both.authenticateToken('x', [])).rejects.toThrow('no');
});

test('reviews of tokens and of oneself', async () => {
  const review = (spec: object): KubeObject => ({ apiVersion: 'a', kind: 'TokenReview', metadata: {}, spec });
  expect((await reviewToken(review({ token: 't0ken' }), FILE, ['api'])).status).toEqual({
    authenticated: true,
    user: { username: 'jane', uid: 'u1', groups: ['dev', 'system:authenticated'] },
  });
  expect((await reviewToken(review({ token: 'x' }), FILE, ['api'])).status).toEqual({
    user: {},
    error: 'invalid bearer token',
  });
  await expect(reviewToken(review({}), FILE, ['api'])).rejects.toThrow('token is required');
  expect(reviewSelf(review({}), JANE, NOW)).toEqual({
    apiVersion: 'a',
    kind: 'TokenReview',
    metadata: { creationTimestamp: '2030-01-02T00:00:00Z' },
    status: { userInfo: { username: 'jane', uid: 'u1', groups: ['dev'] } },
  });
});

test('a token that knows no audiences is good for the server alone', async () => {
  const own = forOwnAudiences(['api', 'other'], FILE);
  expect((await own.authenticateToken('t0ken', []))?.audiences).toEqual(['api', 'other']);
  expect((await own.authenticateToken('t0ken', ['vault', 'api']))?.audiences).toEqual(['api']);
  expect(await own.authenticateToken('t0ken', ['vault'])).toBeUndefined();
});
