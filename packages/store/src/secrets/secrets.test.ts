import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { SIGN_METHODS, type JwtOptions, type SignMethod } from '../auth/token-options.ts';
import { openJwt } from './jwt.ts';
import { systemSecrets } from './system-secrets.ts';

const CURVES: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };

function pairFor(method: SignMethod): { publicKey: KeyObject; privateKey: KeyObject } {
  if (method === 'EdDSA') return generateKeyPairSync('ed25519');
  const namedCurve = CURVES[method];
  return namedCurve === undefined
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve });
}

const pem = (key: KeyObject): Buffer =>
  Buffer.from(key.export({ format: 'pem', type: key.type === 'public' ? 'spki' : 'pkcs8' }));

const options = (signMethod: SignMethod, fields: Partial<JwtOptions> = {}): JwtOptions => ({
  signMethod,
  publicKeyFile: '',
  privateKeyFile: 'private',
  ttlMs: 60_000,
  ...fields,
});

const filesOf =
  (files: Readonly<Record<string, Buffer>>) =>
  (path: string): Promise<Buffer> =>
    path in files ? Promise.resolve(files[path]) : Promise.reject(new Error(`no ${path}`));

const claims = (token: string): unknown =>
  JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token signed by hand with a shared secret. */
function byHand(header: object, payload: object, secret = 'secret'): string {
  const content = `${part(header)}.${part(payload)}`;
  return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
}

describe('JSON web tokens', () => {
  test.each(SIGN_METHODS)('%s: issued, checked here, checked with the public key alone', async (method) => {
    const shared = method.startsWith('HS');
    const pair = shared ? undefined : pairFor(method);
    const files = filesOf(
      pair === undefined
        ? { private: Buffer.from('a secret of some length') }
        : { private: pem(pair.privateKey), public: pem(pair.publicKey) },
    );
    const jwt = await openJwt(options(method), files, () => 1_000_000);
    const token = await jwt.issue('anna', 7);
    expect(claims(token)).toEqual({ username: 'anna', revision: 7, exp: 1_060 });
    expect(await jwt.identify(token)).toEqual({ username: 'anna', revision: 7 });
    expect(await jwt.identify(`${token.slice(0, -4)}AAAA`)).toBeUndefined();
    if (shared) return;
    const fields = { privateKeyFile: '', publicKeyFile: 'public' };
    const verifier = await openJwt(options(method, fields), files, () => 1_000_000);
    expect(await verifier.identify(token)).toEqual({ username: 'anna', revision: 7 });
    await expect(verifier.issue('anna', 7)).rejects.toMatchObject({ code: 'TOKEN_VERIFY_ONLY' });
  });

  test('ends when it says, also for one that was checked before', async () => {
    let nowMs = 0;
    const files = filesOf({ private: Buffer.from('secret') });
    const jwt = await openJwt(options('HS256'), files, () => nowMs);
    const token = await jwt.issue('anna', 7);
    nowMs = 59_999;
    expect(await jwt.identify(token)).toBeDefined();
    nowMs = 60_000;
    expect(await jwt.identify(token)).toBeUndefined();
    const other = await openJwt(options('HS256'), files, () => nowMs);
    expect(await other.identify(token)).toBeUndefined();
  });

  test.each<[string, string, boolean]>([
    ['a good one', byHand({ alg: 'HS256' }, { username: 'a', revision: 1, exp: 9_999_999_999 }), true],
    ['one without an end, as etcd takes it', byHand({ alg: 'HS256' }, { username: 'a', revision: 1 }), true],
    ['no algorithm', `${part({ alg: 'none' })}.${part({ username: 'a', revision: 1 })}.`, false],
    ['another algorithm', byHand({ alg: 'HS512' }, { username: 'a', revision: 1 }), false],
    ['another secret', byHand({ alg: 'HS256' }, { username: 'a', revision: 1 }, 'guess'), false],
    ['no user', byHand({ alg: 'HS256' }, { revision: 1 }), false],
    ['no revision', byHand({ alg: 'HS256' }, { username: 'a' }), false],
    ['a revision that is text', byHand({ alg: 'HS256' }, { username: 'a', revision: '1' }), false],
    ['a revision that is no whole number', byHand({ alg: 'HS256' }, { username: 'a', revision: 1.5 }), false],
    ['a revision below zero', byHand({ alg: 'HS256' }, { username: 'a', revision: -1 }), false],
    ['a revision beyond counting', byHand({ alg: 'HS256' }, { username: 'a', revision: 1e300 }), false],
    ['a user that is no text', byHand({ alg: 'HS256' }, { username: 5, revision: 1 }), false],
    [
      'one that has not begun',
      byHand({ alg: 'HS256' }, { username: 'a', revision: 1, nbf: 9_999_999_999 }),
      false,
    ],
    ['no token', 'abc.1', false],
    ['nothing', '', false],
  ])('%s', async (_name, token, good) => {
    const files = filesOf({ private: Buffer.from('secret') });
    const jwt = await openJwt(options('HS256'), files, () => 1_000_000);
    expect((await jwt.identify(token)) !== undefined).toBe(good);
  });

  test('a token signed with the public key as a secret is none', async () => {
    const { publicKey, privateKey } = pairFor('RS256');
    const files = filesOf({ private: pem(privateKey) });
    const jwt = await openJwt(options('RS256'), files, () => 0);
    const forged = byHand({ alg: 'HS256' }, { username: 'root', revision: 1 }, pem(publicKey).toString());
    expect(await jwt.identify(forged)).toBeUndefined();
  });

  test.each<[string, Partial<JwtOptions>, string]>([
    ['no key', { privateKeyFile: '' }, 'auth: missing key data'],
    ['a file that is not there', { privateKeyFile: 'elsewhere' }, 'auth: invalid auth options'],
    ['keys of different pairs', { publicKeyFile: 'other' }, "auth: public and private keys don't match"],
    ['what is no key', { privateKeyFile: 'nonsense' }, 'auth: the keys of --auth-token cannot be read'],
    ['a key of another kind', { signMethod: 'ES256' }, 'auth: ES256 needs keys of type ec, not rsa'],
  ])('%s is refused when it starts', async (_name, fields, text) => {
    const files = filesOf({
      private: pem(pairFor('RS256').privateKey),
      other: pem(pairFor('RS256').publicKey),
      nonsense: Buffer.from('nonsense'),
    });
    await expect(openJwt(options('RS256', fields), files, () => 0)).rejects.toThrow(text);
  });
});

describe('the machine’s own', () => {
  test('a hash is one of Go, and matches its password alone', async () => {
    const hash = await systemSecrets.hash('pw', 4);
    expect(hash).toMatch(/^\$2a\$04\$[./A-Za-z0-9]{53}$/);
    expect(await systemSecrets.matches('pw', hash)).toBe(true);
    expect(await systemSecrets.matches('pw\0', hash)).toBe(false);
    expect(await systemSecrets.matches('', hash)).toBe(false);
    expect(await systemSecrets.matches('pw', '')).toBe(false);
    expect(await systemSecrets.matches('pw', systemSecrets.hashNow('pw', 4))).toBe(true);
  });

  test('the event loop goes on while passwords are hashed', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await Promise.all([systemSecrets.hash('a', 11), systemSecrets.hash('b', 11)]);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
  });

  test('letters are letters, and not the same twice', () => {
    const words = Array.from({ length: 100 }, () => systemSecrets.letters(23));
    for (const word of words) expect(word).toMatch(/^[a-zA-Z]{23}$/);
    expect(new Set(words).size).toBe(100);
  });
});
