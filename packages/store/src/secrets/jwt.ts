/**
 * JSON web tokens with etcd's claims: username, revision, exp (server/auth/jwt.go). One algorithm is configured and
 * only that one is accepted, whatever a token says of itself. Checked tokens are remembered until they end, so that a
 * client's every request does not cost a signature.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import type * as jose from 'jose';
import type { Identity } from '../auth/identity.ts';
import type { SignedTokens } from '../auth/secrets.ts';
import type { JwtOptions, SignMethod } from '../auth/token-options.ts';
import { FatalError, StoreError } from '../errors.ts';
import { JWT_CACHE_MAX } from '../limits.ts';

interface Keys {
  /** Undefined: tokens are only checked. */
  readonly sign: KeyObject | Uint8Array | undefined;
  readonly verify: KeyObject | Uint8Array;
}

interface Known {
  readonly identity: Identity;
  readonly endsMs: number;
}

/** @throws FatalError with etcd's text */
export async function openJwt(
  options: JwtOptions,
  readFile: (path: string) => Promise<Buffer>,
  nowMs: () => number,
): Promise<SignedTokens> {
  const read = async (path: string): Promise<Buffer | undefined> => {
    if (path === '') return undefined;
    try {
      const content = await readFile(path);
      return content.length === 0 ? undefined : content;
    } catch (error) {
      throw new FatalError('auth: invalid auth options', { cause: error });
    }
  };
  const publicKey = await read(options.publicKeyFile);
  const privateKey = await read(options.privateKeyFile);
  const keys = keysOf(options.signMethod, publicKey, privateKey);
  // Loaded only where tokens are signed: it costs a start tens of milliseconds.
  return new Jwt(await import('jose'), options, keys, nowMs);
}

function keysOf(method: SignMethod, publicPem: Buffer | undefined, privatePem: Buffer | undefined): Keys {
  if (method.startsWith('HS')) {
    if (privatePem === undefined) throw new FatalError('auth: missing key data');
    return { sign: privatePem, verify: privatePem };
  }
  let sign: KeyObject | undefined;
  let verify: KeyObject | undefined;
  try {
    if (privatePem !== undefined) sign = createPrivateKey(privatePem);
    if (publicPem !== undefined) verify = createPublicKey(publicPem);
  } catch (error) {
    throw new FatalError('auth: the keys of --auth-token cannot be read', { cause: error });
  }
  const wanted = method.startsWith('ES') ? 'ec' : method === 'EdDSA' ? 'ed25519' : 'rsa';
  for (const key of [sign, verify])
    if (key !== undefined && key.asymmetricKeyType !== wanted)
      throw new FatalError(`auth: ${method} needs keys of type ${wanted}, not ${key.asymmetricKeyType}`);
  if (sign === undefined) {
    if (verify === undefined) throw new FatalError('auth: missing key data');
    return { sign: undefined, verify };
  }
  const derived = createPublicKey(sign);
  if (verify !== undefined && !verify.equals(derived))
    throw new FatalError("auth: public and private keys don't match");
  return { sign, verify: derived };
}

class Jwt implements SignedTokens {
  private readonly library: typeof jose;
  private readonly options: JwtOptions;
  private readonly keys: Keys;
  private readonly nowMs: () => number;
  /** By the whole token; the oldest goes first. */
  private readonly known = new Map<string, Known>();

  constructor(library: typeof jose, options: JwtOptions, keys: Keys, nowMs: () => number) {
    this.library = library;
    this.options = options;
    this.keys = keys;
    this.nowMs = nowMs;
  }

  async issue(username: string, revision: number): Promise<string> {
    if (this.keys.sign === undefined) throw new StoreError('TOKEN_VERIFY_ONLY');
    return new this.library.SignJWT({ username, revision })
      .setProtectedHeader({ alg: this.options.signMethod, typ: 'JWT' })
      .setExpirationTime(Math.floor((this.nowMs() + this.options.ttlMs) / 1000))
      .sign(this.keys.sign);
  }

  identify(token: string): Identity | undefined | Promise<Identity | undefined> {
    const known = this.known.get(token);
    if (known === undefined) return this.check(token);
    if (known.endsMs > this.nowMs()) return known.identity;
    this.known.delete(token);
    return undefined;
  }

  private async check(token: string): Promise<Identity | undefined> {
    let payload: jose.JWTPayload;
    try {
      const options = { algorithms: [this.options.signMethod], currentDate: new Date(this.nowMs()) };
      ({ payload } = await this.library.jwtVerify(token, this.keys.verify, options));
    } catch {
      // Not ours, ended, or no token at all: the caller learns no more than that it is not valid.
      return undefined;
    }
    const { username, revision, exp } = payload;
    if (typeof username !== 'string' || typeof revision !== 'number') return undefined;
    if (!Number.isSafeInteger(revision) || revision < 0) return undefined;
    const identity = { username, revision };
    this.remember(token, { identity, endsMs: exp === undefined ? Infinity : exp * 1000 });
    return identity;
  }

  private remember(token: string, known: Known): void {
    if (this.known.size >= JWT_CACHE_MAX) {
      const [oldest] = this.known.keys();
      this.known.delete(oldest);
    }
    this.known.set(token, known);
  }
}
