/**
 * JSON Web Tokens in their compact form (RFC 7515, 7519): signing with our keys, and verifying with keys that
 * are given, by signature alone. What the claims mean is for whoever asked. A token never chooses how it is
 * verified: its algorithm must be one that the key is for.
 */

import {
  createHash,
  createPublicKey,
  sign,
  verify,
  type JsonWebKey,
  type KeyObject,
  constants,
} from 'node:crypto';

import { assert } from '@keelson/base';

import { fieldsOf, textOf } from '../api/fields.ts';

/** A token longer than this is no token: headers of requests are bounded anyway. */
const TOKEN_CHARS_MAX = 64 * 1024;

/** Header and claims of a token, before anybody believed them. */
export interface UnverifiedJwt {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

/** A key with the name tokens call it by. */
export interface VerificationKey {
  readonly id: string;
  readonly key: KeyObject;
}

interface Algorithm {
  readonly type: 'rsa' | 'ec';
  readonly hash: string;
  readonly curve?: string;
  readonly pss?: boolean;
}

const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  RS256: { type: 'rsa', hash: 'sha256' },
  RS384: { type: 'rsa', hash: 'sha384' },
  RS512: { type: 'rsa', hash: 'sha512' },
  PS256: { type: 'rsa', hash: 'sha256', pss: true },
  PS384: { type: 'rsa', hash: 'sha384', pss: true },
  PS512: { type: 'rsa', hash: 'sha512', pss: true },
  ES256: { type: 'ec', hash: 'sha256', curve: 'prime256v1' },
  ES384: { type: 'ec', hash: 'sha384', curve: 'secp384r1' },
  ES512: { type: 'ec', hash: 'sha512', curve: 'secp521r1' },
};

/** Takes a token apart; undefined for a text that is none. */
export function parseJwt(token: string): UnverifiedJwt | undefined {
  if (token.length > TOKEN_CHARS_MAX) return undefined;
  const parts = token.split('.');
  if (parts.length !== 3 || !parts.every((part) => /^[\w-]+$/.test(part))) return undefined;
  const [header, claims] = parts.slice(0, 2).map((part) => jsonObject(Buffer.from(part, 'base64url')));
  if (header === undefined || claims === undefined) return undefined;
  return {
    header,
    claims,
    signed: Buffer.from(`${parts[0]}.${parts[1]}`, 'latin1'),
    signature: Buffer.from(parts[2], 'base64url'),
  };
}

function jsonObject(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const found: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof found === 'object' && found !== null && !Array.isArray(found) ? fieldsOf(found) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Whether one of the keys signed the token. A token that names a key is tried with the keys of that name, and
 * with all when none has it.
 *
 * @param namedAlone a name that no key has is a refusal: a provider's keys have names
 */
export function verifyJwt(jwt: UnverifiedJwt, keys: readonly VerificationKey[], namedAlone = false): boolean {
  const algorithm = Object.hasOwn(ALGORITHMS, textOf(jwt.header.alg))
    ? ALGORITHMS[textOf(jwt.header.alg)]
    : undefined;
  if (algorithm === undefined || jwt.header.crit !== undefined) return false;
  const id = textOf(jwt.header.kid);
  const named = id === '' ? [] : keys.filter((one) => one.id === id);
  const tried = named.length > 0 || (namedAlone && id !== '') ? named : keys;
  for (const { key } of tried) {
    if (fits(algorithm, key) && signatureHolds(algorithm, key, jwt)) return true;
  }
  return false;
}

function fits({ type, curve }: Algorithm, key: KeyObject): boolean {
  if (key.type !== 'public' || key.asymmetricKeyType !== type) return false;
  return curve === undefined || key.asymmetricKeyDetails?.namedCurve === curve;
}

function signatureHolds({ hash, type, pss }: Algorithm, key: KeyObject, jwt: UnverifiedJwt): boolean {
  const options =
    type === 'ec'
      ? { key, dsaEncoding: 'ieee-p1363' as const }
      : pss === true
        ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
        : { key };
  return verify(hash, jwt.signed, options, jwt.signature);
}

/** The algorithm a private or public key signs with here: ES256/384/512 by its curve, RS256 for RSA. */
function algorithmOf(key: KeyObject): string {
  if (key.asymmetricKeyType === 'rsa') return 'RS256';
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const found = Object.entries(ALGORITHMS).find(
    ([, one]) => one.type === 'ec' && one.curve === curve && key.asymmetricKeyType === 'ec',
  );
  assert(found !== undefined, `a key of type ${key.asymmetricKeyType} signs no tokens`);
  return found[0];
}

/** Signs claims; members of header and claims stand in the order given. */
export function signJwt(claims: object, privateKey: KeyObject, keyId: string): string {
  const algorithm = algorithmOf(privateKey);
  const part = (value: object): string => Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
  const signed = `${part({ alg: algorithm, kid: keyId })}.${part(claims)}`;
  const options =
    privateKey.asymmetricKeyType === 'ec'
      ? { key: privateKey, dsaEncoding: 'ieee-p1363' as const }
      : { key: privateKey };
  const signature = sign(ALGORITHMS[algorithm].hash, Buffer.from(signed, 'latin1'), options);
  return `${signed}.${signature.toString('base64url')}`;
}

/** The name of a public key: SHA-256 of its info, as Kubernetes names its keys. */
export function keyIdOf(publicKey: KeyObject): string {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('base64url');
}

/** A public key as it stands in a key set (RFC 7517). */
export function publicJwk(publicKey: KeyObject): Record<string, unknown> {
  const { kty, ...parts } = publicKey.export({ format: 'jwk' });
  return { use: 'sig', kty, kid: keyIdOf(publicKey), alg: algorithmOf(publicKey), ...parts };
}

/** Keys of a key set; those of kinds that sign no tokens are left out. */
export function keysOfSet(set: unknown): VerificationKey[] {
  const { keys } = fieldsOf(set);
  const found: VerificationKey[] = [];
  for (const one of Array.isArray(keys) ? keys : []) {
    const jwk = fieldsOf(one);
    if (jwk.kty !== 'RSA' && jwk.kty !== 'EC') continue;
    const key: JsonWebKey = { ...jwk };
    try {
      found.push({ id: textOf(jwk.kid), key: createPublicKey({ key, format: 'jwk' }) });
    } catch {
      // A key that cannot be read verifies nothing; the others still do.
    }
  }
  return found;
}
