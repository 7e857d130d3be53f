/**
 * X.509 certificates written (RFC 5280): subject, names, uses and key in, signed DER out. Knows nothing of who
 * may have one, nor where keys are kept; time and serial number are given.
 */

import { createHash, sign, type KeyObject } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';

import { assert } from '@keelson/base';

import {
  bits,
  boolean,
  context,
  contextBytes,
  octets,
  oid,
  sequence,
  set,
  text,
  time,
  unsigned,
} from './der.ts';

export const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  /** Where Kubernetes looks for a user's uid in a subject. */
  userUid: '1.3.6.1.4.1.57683.2',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectKeyId: '2.5.29.14',
  authorityKeyId: '2.5.29.35',
  subjectAltName: '2.5.29.17',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  ecdsaSha256: '1.2.840.10045.4.3.2',
  rsaSha256: '1.2.840.113549.1.1.11',
} as const;

export interface Subject {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  readonly uid?: string;
}

/** What a certificate says; who signs it stands in Issuer. */
export interface CertificateFacts {
  readonly subject: Subject;
  readonly publicKey: KeyObject;
  /** 1 to 20 bytes, positive. */
  readonly serial: Buffer;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly kind: 'authority' | 'server' | 'client' | 'server and client';
  /** DNS names and textual IP addresses the certificate is good for. */
  readonly names?: readonly string[];
}

/** Whoever signs: its name as DER, and its keys. A certificate's own keys make it self-signed. */
export interface Issuer {
  readonly name: Buffer;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** A subject as DER: organizations sorted, then the name, then the uid, each a set of its own as Go writes them. */
export function subjectName({ commonName, organizations = [], uid = '' }: Subject): Buffer {
  const parts: [string, string][] = [
    ...organizations.map((one): [string, string] => [OID.organization, one]),
    [OID.commonName, commonName],
    ...(uid === '' ? [] : [[OID.userUid, uid] satisfies [string, string]]),
  ];
  return sequence(...parts.map(([type, one]) => set(sequence(oid(type), text(one)))));
}

/** A signed certificate as DER. */
export function writeCertificate(facts: CertificateFacts, issuer: Issuer): Buffer {
  return signed(
    facts,
    {
      subject: subjectName(facts.subject),
      publicKey: facts.publicKey,
      extensions: extensions(facts, issuer),
    },
    issuer,
  );
}

/** Whose certificate it is, and what for; subject and extensions as DER. */
export interface Holder {
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Buffer[];
}

/** The certificate (version 3) that the issuer makes of a holder, as DER. */
export function signed(
  { serial, notBeforeMs, notAfterMs }: Pick<CertificateFacts, 'serial' | 'notBeforeMs' | 'notAfterMs'>,
  holder: Holder,
  issuer: Issuer,
): Buffer {
  const algorithm = signatureAlgorithm(issuer.privateKey);
  const body = sequence(
    context(0, unsigned(Buffer.from([2]))),
    unsigned(serial),
    algorithm,
    issuer.name,
    sequence(time(notBeforeMs), time(notAfterMs)),
    holder.subject,
    holder.publicKey.export({ type: 'spki', format: 'der' }),
    context(3, sequence(...holder.extensions)),
  );
  return sequence(body, algorithm, bits(sign('sha256', body, issuer.privateKey)));
}

/** How the key signs, as certificates say it. */
function signatureAlgorithm(key: KeyObject): Buffer {
  switch (key.asymmetricKeyType) {
    case 'ec':
      return sequence(oid(OID.ecdsaSha256));
    case 'rsa':
      return sequence(oid(OID.rsaSha256), Buffer.from([0x05, 0x00]));
    default:
      assert(false, `a key of type ${key.asymmetricKeyType} cannot sign certificates`);
  }
}

function extensions({ kind, publicKey, names = [] }: CertificateFacts, issuer: Issuer): Buffer[] {
  const authority = kind === 'authority';
  const found = [
    // digitalSignature, keyEncipherment, keyCertSign (bits 0, 2, 5); leaves have the first two.
    extension(OID.keyUsage, true, authority ? bits(Buffer.from([0xa4]), 2) : bits(Buffer.from([0xa0]), 5)),
    extension(OID.basicConstraints, true, authority ? sequence(boolean(true)) : sequence()),
    extension(OID.subjectKeyId, false, octets(keyId(publicKey))),
    extension(OID.authorityKeyId, false, sequence(contextBytes(0, keyId(issuer.publicKey)))),
  ];
  const uses = {
    authority: [],
    server: [OID.serverAuth],
    client: [OID.clientAuth],
    'server and client': [OID.serverAuth, OID.clientAuth],
  }[kind];
  if (uses.length > 0) {
    found.push(extension(OID.extendedKeyUsage, false, sequence(...uses.map((use) => oid(use)))));
  }
  if (names.length > 0) {
    found.push(extension(OID.subjectAltName, false, sequence(...names.map((name) => alternative(name)))));
  }
  return found;
}

/** @param contents DER */
export function extension(id: string, critical: boolean, contents: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(contents));
}

/** SHA-1 of the key's info, as most authorities do (RFC 5280 §4.2.1.2): a name for it, no proof of anything. */
function keyId(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
}

/**
 * As isIP says it. That one tries a pattern for IPv6 on what is no IPv4 address, and to compile it takes 5 ms of a start: what
 * has no colon is spared it.
 */
export function addressFamily(name: string): 0 | 4 | 6 {
  if (isIPv4(name)) return 4;
  return name.includes(':') && isIP(name) === 6 ? 6 : 0;
}

function alternative(name: string): Buffer {
  return addressFamily(name) === 0
    ? contextBytes(2, Buffer.from(name, 'latin1'))
    : contextBytes(7, addressBytes(name));
}

/** The 4 or 16 bytes of a textual IP address. */
export function addressBytes(address: string): Buffer {
  const family = addressFamily(address);
  if (family === 4) return Buffer.from(address.split('.').map(Number));
  assert(family === 6, `${address} is no IP address`);
  let plain = address.replace(/%.*$/, '');
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(plain);
  if (dotted !== null) {
    const [a, b, c, d] = dotted.slice(1).map(Number);
    plain = `${plain.slice(0, dotted.index)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  }
  const [head, tail] = plain.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const groups =
    tail === undefined
      ? head
      : [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => '0'), ...tail];
  const bytes = Buffer.alloc(16);
  groups.forEach((group, index) => bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2));
  return bytes;
}
