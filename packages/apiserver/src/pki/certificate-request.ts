/**
 * Certificate requests (PKCS #10) and issued certificates as objects carry them, in PEM: whether they are what they
 * should be, and whether who asks has the key. Who may ask for what is others' to say.
 *
 * Modelled on kubernetes' pkg/apis/certificates and Go's crypto/x509; texts are theirs, save for what is wrong
 * inside of the DER.
 */

import { constants, createPublicKey, verify, X509Certificate, type KeyObject } from 'node:crypto';

import { DerError, inside, only, readOid, type DerValue } from './der.ts';

export interface PemBlock {
  readonly type: string;
  readonly headers: boolean;
  readonly bytes: Buffer;
}

const BLOCK = /-----BEGIN ([^\n\r-]+)-----\s*?\n([\s\S]*?)-----END \1-----/g;

/** In their order; what is no block is passed over. */
export function pemBlocks(text: string): PemBlock[] {
  const found: PemBlock[] = [];
  for (const [, type, body] of text.matchAll(BLOCK)) {
    const lines = body.split('\n').map((line) => line.trim());
    const headers = lines.some((line) => line.includes(':'));
    const base64 = lines.filter((line) => !line.includes(':')).join('');
    if (/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) {
      found.push({ type, headers, bytes: Buffer.from(base64, 'base64') });
    }
  }
  return found;
}

type KeyType = 'rsa' | 'ec' | 'ed25519';

/** How a signature is checked. */
interface Algorithm {
  readonly name: string;
  readonly key: KeyType;
  /** Undefined: the signature takes the bytes as they are. */
  readonly hash: string | undefined;
}

const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  '1.2.840.113549.1.1.11': { name: 'SHA256-RSA', key: 'rsa', hash: 'sha256' },
  '1.2.840.113549.1.1.12': { name: 'SHA384-RSA', key: 'rsa', hash: 'sha384' },
  '1.2.840.113549.1.1.13': { name: 'SHA512-RSA', key: 'rsa', hash: 'sha512' },
  '1.2.840.10045.4.3.2': { name: 'ECDSA-SHA256', key: 'ec', hash: 'sha256' },
  '1.2.840.10045.4.3.3': { name: 'ECDSA-SHA384', key: 'ec', hash: 'sha384' },
  '1.2.840.10045.4.3.4': { name: 'ECDSA-SHA512', key: 'ec', hash: 'sha512' },
  '1.3.101.112': { name: 'Ed25519', key: 'ed25519', hash: undefined },
};
/** Told apart from unknown ones: they are known, and broken. */
const INSECURE: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.4': 'MD5-RSA',
  '1.2.840.113549.1.1.5': 'SHA1-RSA',
  '1.2.840.10045.4.1': 'ECDSA-SHA1',
};
const RSA_PSS = '1.2.840.113549.1.1.10';
const HASHES: Readonly<Record<string, string>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
const FAILED: Readonly<Record<KeyType, string>> = {
  rsa: 'crypto/rsa: verification error',
  ec: 'x509: ECDSA verification failure',
  ed25519: 'x509: Ed25519 verification failure',
};

/**
 * What is wrong with a certificate request; undefined for nothing.
 *
 * @param encoded base64 of the PEM
 */
export function requestError(encoded: string): string | undefined {
  const block = pemBlocks(Buffer.from(encoded, 'base64').toString('latin1')).at(0);
  if (block?.type !== 'CERTIFICATE REQUEST') return 'PEM block type must be CERTIFICATE REQUEST';
  try {
    return derRequestError(block.bytes);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    return `asn1: structure error: ${error.message}`;
  }
}

/** What is wrong with the signature of a request; undefined for nothing. @throws DerError for bytes that are no request */
export function derRequestError(der: Buffer): string | undefined {
  const [info, algorithm, signature] = inside(only(der));
  const [version, subject, keyInfo] = inside(info);
  if (version === undefined || subject === undefined || keyInfo === undefined) {
    throw new DerError('a request that is cut short');
  }
  if (signature?.tag !== 0x03 || signature.contents.length === 0) throw new DerError('no signature');
  const [type, parameters] = inside(algorithm);
  const oid = readOid(type);
  if (Object.hasOwn(INSECURE, oid)) {
    return `x509: cannot verify signature: insecure algorithm ${INSECURE[oid]}`;
  }
  const pss = oid === RSA_PSS ? pssHash(parameters) : undefined;
  const known: Algorithm | undefined =
    pss === undefined
      ? Object.hasOwn(ALGORITHMS, oid)
        ? ALGORITHMS[oid]
        : undefined
      : { name: 'RSAPSS', key: 'rsa', hash: pss };
  const key = publicKey(keyInfo);
  if (known === undefined || key === undefined) {
    return 'x509: cannot verify signature: algorithm unimplemented';
  }
  if (key.asymmetricKeyType !== known.key) {
    return `x509: signature algorithm ${known.name} does not fit a public key of type ${key.asymmetricKeyType}`;
  }
  const padding =
    pss === undefined
      ? {}
      : { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };
  // The first byte of a bit string says how many bits of the last one do not count: none.
  const sound = verify(known.hash, info.bytes, { key, ...padding }, signature.contents.subarray(1));
  return sound ? undefined : FAILED[known.key];
}

function pssHash(parameters: DerValue | undefined): string | undefined {
  const hash = inside(parameters).find(({ tag }) => tag === 0xa0);
  if (hash === undefined) return undefined;
  const [algorithm] = inside(hash, 0xa0);
  const oid = readOid(inside(algorithm).at(0));
  return Object.hasOwn(HASHES, oid) ? HASHES[oid] : undefined;
}

function publicKey(info: DerValue): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(info.bytes), format: 'der', type: 'spki' });
  } catch {
    // A kind of key that OpenSSL does not know, or none at all: nothing was signed with it.
    return undefined;
  }
}

/**
 * What is wrong with issued certificates; undefined for nothing, or where none is issued yet.
 *
 * @param encoded base64 of the PEM
 */
export function certificatesError(encoded: string): string | undefined {
  if (encoded === '') return undefined;
  const blocks = pemBlocks(Buffer.from(encoded, 'base64').toString('latin1'));
  for (const { type, headers, bytes } of blocks) {
    if (type !== 'CERTIFICATE') {
      return `only CERTIFICATE PEM blocks are allowed, found ${JSON.stringify(type)}`;
    }
    if (headers) return 'no PEM block headers are permitted';
    if (bytes.length === 0) return 'found CERTIFICATE PEM block containing 0 certificates';
    if (!isCertificate(bytes)) return 'x509: malformed certificate';
  }
  return blocks.length === 0 ? 'must contain at least one CERTIFICATE PEM block' : undefined;
}

function isCertificate(der: Buffer): boolean {
  try {
    return new X509Certificate(der).subject !== undefined;
  } catch {
    // What OpenSSL cannot read is none.
    return false;
  }
}
