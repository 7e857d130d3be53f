/**
 * Certificates for requests (PKCS #10): what a request asks for, read from its DER, and the certificate that a signer
 * makes of it. Uses are the caller's; of the request only its names and its key go over. Who may have what is others'
 * to say, and that the request is signed with its key was checked when it came in (certificate-request.ts).
 *
 * Modelled on kubernetes' pkg/controller/certificates/authority and Go's crypto/x509.
 */

import { createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';

import { extension, OID, signed, type Issuer } from './certificate.ts';
import { nameParts, textsOfType } from './certificate-reader.ts';
import {
  bits,
  contextBytes,
  DerError,
  inside,
  oid,
  only,
  readOid,
  sequence,
  set,
  TAG,
  text,
  type DerValue,
} from './der.ts';

/** Names in a request, as texts. */
export interface RequestNames {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly emailAddresses: readonly string[];
  /** IP addresses. */
  readonly addresses: readonly string[];
  readonly uris: readonly string[];
}

interface ReadRequest extends RequestNames {
  /** Subject and key as the request has them. */
  readonly subject: DerValue;
  readonly publicKey: KeyObject;
  /** General names, each whole. */
  readonly alternatives: readonly DerValue[];
}

/** A usage that no certificate has, or a signer whose time is over. */
export class SigningError extends Error {
  override readonly name = 'SigningError';
}

const PEM = /-----BEGIN CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----/;
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const KIND = { email: 1, dns: 2, uri: 6, address: 7 } as const;
/** What a subject may say, in the order in which Go writes it; anything else a request says is left out. */
const SUBJECT_TYPES: readonly string[] = [
  '2.5.4.6', // country
  OID.organization,
  '2.5.4.11', // organizational unit
  '2.5.4.7', // locality
  '2.5.4.8', // province
  '2.5.4.9', // street
  '2.5.4.17', // postal code
];
const LAST_TYPES: readonly string[] = [OID.commonName, '2.5.4.5'];

/** Bits of the key usage extension, from the highest. */
const KEY_USAGES: ReadonlyMap<string, number> = new Map([
  ['signing', 0],
  ['digital signature', 0],
  ['content commitment', 1],
  ['key encipherment', 2],
  ['data encipherment', 3],
  ['key agreement', 4],
  ['cert sign', 5],
  ['crl sign', 6],
  ['encipher only', 7],
  ['decipher only', 8],
]);
/** In the order in which they are written. */
const EXTENDED_USAGES: readonly (readonly [name: string, oid: string])[] = [
  ['any', '2.5.29.37.0'],
  ['server auth', OID.serverAuth],
  ['client auth', OID.clientAuth],
  ['code signing', '1.3.6.1.5.5.7.3.3'],
  ['email protection', '1.3.6.1.5.5.7.3.4'],
  ['s/mime', '1.3.6.1.5.5.7.3.4'],
  ['ipsec end system', '1.3.6.1.5.5.7.3.5'],
  ['ipsec tunnel', '1.3.6.1.5.5.7.3.6'],
  ['ipsec user', '1.3.6.1.5.5.7.3.7'],
  ['timestamping', '1.3.6.1.5.5.7.3.8'],
  ['ocsp signing', '1.3.6.1.5.5.7.3.9'],
  ['microsoft sgc', '1.3.6.1.4.1.311.10.3.3'],
  ['netscape sgc', '2.16.840.1.113730.4.1'],
];

/**
 * The names in a request.
 *
 * @param encoded base64 of the PEM
 * @throws DerError when it is no certificate request
 */
export function requestNames(encoded: string): RequestNames {
  const { commonName, organizations, dnsNames, emailAddresses, addresses, uris } = read(encoded);
  return { commonName, organizations, dnsNames, emailAddresses, addresses, uris };
}

function read(encoded: string): ReadRequest {
  const found = PEM.exec(Buffer.from(encoded, 'base64').toString('latin1'));
  if (found === null) throw new DerError('PEM block type must be CERTIFICATE REQUEST');
  const [info] = inside(only(Buffer.from(found[1], 'base64')));
  const [, subject, keyInfo, attributes] = inside(info);
  if (subject === undefined || keyInfo === undefined) throw new DerError('a request that is cut short');
  const parts = nameParts(subject);
  const alternatives = alternativesOf(attributes);
  const texts = (kind: number): string[] =>
    alternatives
      .filter(({ tag }) => tag === (0x80 | kind))
      .map(({ contents }) => contents.toString('latin1'));
  return {
    subject,
    publicKey: createPublicKey({ key: Buffer.from(keyInfo.bytes), format: 'der', type: 'spki' }),
    alternatives,
    commonName: textsOfType(parts, OID.commonName).at(-1) ?? '',
    organizations: textsOfType(parts, OID.organization),
    dnsNames: texts(KIND.dns),
    emailAddresses: texts(KIND.email),
    uris: texts(KIND.uri),
    addresses: alternatives
      .filter(({ tag }) => tag === (0x80 | KIND.address))
      .map(({ contents }) => addressText(contents)),
  };
}

/** General names of the request's subjectAltName; none without one. */
function alternativesOf(attributes: DerValue | undefined): DerValue[] {
  if (attributes?.tag !== 0xa0) return [];
  for (const attribute of inside(attributes, 0xa0)) {
    const [type, wanted] = inside(attribute);
    if (readOid(type) !== EXTENSION_REQUEST) continue;
    const bytes = extensionOf(inside(wanted, TAG.set)[0], OID.subjectAltName);
    if (bytes !== undefined) return inside(only(bytes));
  }
  return [];
}

/** The contents of an extension among others. */
function extensionOf(extensions: DerValue | undefined, id: string): Buffer | undefined {
  for (const one of inside(extensions)) {
    const [type, ...rest] = inside(one);
    if (readOid(type) === id) return rest.at(-1)?.contents;
  }
  return undefined;
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new DerError('cannot parse IP address');
  return Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(group * 2).toString(16)).join(':');
}

/** How a certificate for a request is to be. */
export interface RequestedFacts {
  /** spec.usages of a CertificateSigningRequest. */
  readonly usages: readonly string[];
  readonly serial: Buffer;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/**
 * The certificate for a request, as DER.
 *
 * @param authority PEM of whoever signs
 * @throws SigningError for a usage there is not
 * @throws DerError for what is no request
 */
export function writeRequested(
  encoded: string,
  facts: RequestedFacts,
  issuer: Issuer,
  authority: string,
): Buffer {
  const request = read(encoded);
  const { publicKey } = request;
  const subject = subjectOf(request.subject);
  const extensions = extensionsFor(request, facts.usages, authority);
  return signed(facts, { subject, publicKey, extensions }, issuer);
}

/** The parts that Go knows, those of one type together. */
function subjectOf(subject: DerValue): Buffer {
  const parts = nameParts(subject);
  const sets = SUBJECT_TYPES.flatMap((type) => {
    const texts = textsOfType(parts, type);
    if (texts.length === 0) return [];
    return [
      set(...texts.map((one) => sequence(oid(type), text(one))).toSorted((a, b) => Buffer.compare(a, b))),
    ];
  });
  // Of these there is one: the last.
  const singles = LAST_TYPES.flatMap((type) => {
    const last = textsOfType(parts, type).at(-1);
    return last === undefined || last === '' ? [] : [set(sequence(oid(type), text(last)))];
  });
  return sequence(...sets, ...singles);
}

function extensionsFor(request: ReadRequest, usages: readonly string[], authority: string): Buffer[] {
  const known = new Set(EXTENDED_USAGES.map(([name]) => name));
  const unknown = usages.filter((usage) => !KEY_USAGES.has(usage) && !known.has(usage));
  if (unknown.length > 0) {
    throw new SigningError(
      `unrecognized usage values: [${unknown.map((one) => JSON.stringify(one)).join(' ')}]`,
    );
  }
  const asked = new Set(usages);
  const extended = [...new Set(EXTENDED_USAGES.filter(([name]) => asked.has(name)).map(([, id]) => id))];
  const authorityId = subjectKeyId(authority);
  const { alternatives, subject } = request;
  // The original writes names in this order, whatever order the request has.
  const names = [KIND.dns, KIND.email, KIND.address, KIND.uri].flatMap((kind) =>
    alternatives.filter(({ tag }) => tag === (0x80 | kind)),
  );
  const nameless = inside(subject).length === 0;
  return [
    ...keyUsage(usages),
    ...(extended.length === 0
      ? []
      : [extension(OID.extendedKeyUsage, false, sequence(...extended.map((id) => oid(id))))]),
    extension(OID.basicConstraints, true, sequence()),
    ...(authorityId === undefined
      ? []
      : [extension(OID.authorityKeyId, false, sequence(contextBytes(0, authorityId)))]),
    ...(names.length === 0
      ? []
      : [extension(OID.subjectAltName, nameless, sequence(...names.map(({ bytes }) => bytes)))]),
  ];
}

function keyUsage(usages: readonly string[]): Buffer[] {
  const bytes = [0, 0];
  for (const usage of usages) {
    const bit = KEY_USAGES.get(usage);
    if (bit !== undefined) bytes[bit >> 3] |= 0x80 >> (bit & 7);
  }
  if (bytes[0] === 0 && bytes[1] === 0) return [];
  const long = bytes[1] !== 0;
  const last = long ? bytes[1] : bytes[0];
  const unused = 31 - Math.clz32(last & -last);
  return [extension(OID.keyUsage, true, bits(Buffer.from(long ? bytes : bytes.slice(0, 1)), unused))];
}

/** By which name the authority's certificate calls its key; undefined where it says none. */
function subjectKeyId(authority: string): Buffer | undefined {
  const [body] = inside(only(new X509Certificate(authority).raw));
  const extensions = inside(body).find(({ tag }) => tag === 0xa3);
  if (extensions === undefined) return undefined;
  const bytes = extensionOf(inside(extensions, 0xa3)[0], OID.subjectKeyId);
  return bytes === undefined ? undefined : only(bytes).contents;
}

/** When a certificate (PEM) ends, ms; undefined when it cannot be read. */
export function certificateEnd(certificate: string): number | undefined {
  try {
    return Date.parse(new X509Certificate(certificate).validTo);
  } catch {
    // What cannot be read says no end.
    return undefined;
  }
}
