/**
 * X.509 certificates and revocation lists made here: for --auto-tls, for `keelson up --tls`, and for tests. EC
 * keys on P-256, signed with SHA-256 (RFC 5280, RFC 5480). Whoever calls says what stands in them; nothing is
 * read from or written to disk.
 */
import { type KeyObject, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { isIPv4, SocketAddress } from 'node:net';
import {
  Tag,
  bitString,
  contextTag,
  der,
  derValues,
  inside,
  integer,
  objectId,
  pem,
  sequence,
  time,
} from './der.ts';

export interface CertificateFields {
  readonly organization?: string;
  readonly commonName?: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** What its key may be used for in TLS; none for an authority. */
  readonly usages: readonly ('server' | 'client')[];
  /** May sign others. */
  readonly authority?: boolean;
}

/** A certificate with its key, as PEM. */
export interface Certified {
  readonly certificate: string;
  readonly key: string;
}

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  organization: '2.5.4.10',
  commonName: '2.5.4.3',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  server: '1.3.6.1.5.5.7.3.1',
  client: '1.3.6.1.5.5.7.3.2',
} as const;

/** Bits of keyUsage from the left: digitalSignature, …, keyEncipherment (2), …, keyCertSign (5), cRLSign (6). */
const LEAF_USAGE = bitString(Buffer.from([0b1010_0000]), 5);
const AUTHORITY_USAGE = bitString(Buffer.from([0b1000_0110]), 1);
const ALGORITHM = sequence(objectId(OID.ecdsaWithSha256));
const TRUE = der(Tag.Boolean, Buffer.from([0xff]));

/** A new key and a certificate for it. @param issuer who signs; undefined: the key itself */
export function makeCertificate(fields: CertificateFields, issuer?: Certified): Certified {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subject = nameOf(fields);
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const keyId = keyIdOf(spki);
  const signer = issuer === undefined ? undefined : new X509Certificate(issuer.certificate);
  const signerKeyId =
    signer === undefined ? keyId : keyIdOf(signer.publicKey.export({ type: 'spki', format: 'der' }));
  const authority = fields.authority === true;
  const tbs = sequence(
    der(contextTag(0, true), integer(2n)),
    integer(serialNumber()),
    ALGORITHM,
    signer === undefined ? subject : subjectOf(signer.raw),
    sequence(time(fields.notBeforeMs), time(fields.notAfterMs)),
    subject,
    spki,
    der(
      contextTag(3, true),
      sequence(
        extension(OID.keyUsage, authority ? AUTHORITY_USAGE : LEAF_USAGE, true),
        ...(fields.usages.length > 0
          ? [extension(OID.extendedKeyUsage, sequence(...fields.usages.map((usage) => objectId(OID[usage]))))]
          : []),
        extension(OID.basicConstraints, authority ? sequence(TRUE) : sequence(), true),
        extension(OID.subjectKeyId, der(Tag.OctetString, keyId)),
        extension(OID.authorityKeyId, sequence(der(contextTag(0, false), signerKeyId))),
        ...alternativeNames(fields),
      ),
    ),
  );
  return {
    certificate: pem('CERTIFICATE', signed(tbs, issuer?.key ?? privateKey)),
    key: privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
  };
}

/** A list of revoked certificates, signed by `issuer`, as DER. */
export function makeRevocationList(
  issuer: Certified,
  revoked: readonly X509Certificate[],
  nowMs: number,
  nextUpdateMs: number,
): Buffer {
  const signer = new X509Certificate(issuer.certificate);
  const entries = revoked.map((certificate) =>
    sequence(integer(BigInt(`0x${certificate.serialNumber}`)), time(nowMs)),
  );
  const keyId = keyIdOf(signer.publicKey.export({ type: 'spki', format: 'der' }));
  const tbs = sequence(
    integer(1n),
    ALGORITHM,
    subjectOf(signer.raw),
    time(nowMs),
    time(nextUpdateMs),
    ...(entries.length > 0 ? [sequence(...entries)] : []),
    der(
      contextTag(0, true),
      sequence(
        extension(OID.authorityKeyId, sequence(der(contextTag(0, false), keyId))),
        extension(OID.crlNumber, integer(1n)),
      ),
    ),
  );
  return signed(tbs, issuer.key);
}

function signed(tbs: Buffer, key: string | KeyObject): Buffer {
  return sequence(tbs, ALGORITHM, bitString(sign('sha256', tbs, key)));
}

/** 127 random bits: unique without a register. */
function serialNumber(): bigint {
  const bytes = randomBytes(16);
  bytes[0] &= 0x7f;
  return BigInt(`0x${bytes.toString('hex')}`) + 1n;
}

function nameOf({ organization, commonName }: CertificateFields): Buffer {
  const part = (oid: string, text: string): Buffer =>
    der(Tag.Set, sequence(objectId(oid), der(Tag.Utf8String, Buffer.from(text, 'utf8'))));
  return sequence(
    ...(organization === undefined ? [] : [part(OID.organization, organization)]),
    ...(commonName === undefined ? [] : [part(OID.commonName, commonName)]),
  );
}

/** The subject of a certificate, as it stands there: an issuer is compared byte by byte. */
function subjectOf(certificate: Buffer): Buffer {
  const [tbs] = inside(derValues(certificate)[0], Tag.Sequence);
  // version [0], serial, algorithm, issuer, validity, subject
  return inside(tbs, Tag.Sequence)[5].whole;
}

/** The first 20 bytes after the algorithm: any value that is the key's own will do (RFC 5280 §4.2.1.2). */
function keyIdOf(spki: Buffer): Buffer {
  return spki.subarray(spki.length - 20);
}

function extension(oid: string, value: Buffer, critical = false): Buffer {
  return sequence(objectId(oid), ...(critical ? [TRUE] : []), der(Tag.OctetString, value));
}

function alternativeNames({ dnsNames = [], ipAddresses = [] }: CertificateFields): Buffer[] {
  if (dnsNames.length + ipAddresses.length === 0) return [];
  const names = [
    ...dnsNames.map((name) => der(contextTag(2, false), Buffer.from(name, 'latin1'))),
    ...ipAddresses.map((address) => der(contextTag(7, false), addressBytes(address))),
  ];
  return [extension(OID.subjectAltName, sequence(...names))];
}

/** 4 or 16 bytes. */
function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  // The runtime writes the shortest form: at most one "::", no IPv4 tail left but for mapped addresses.
  const text = new SocketAddress({ address, family: 'ipv6' }).address;
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const hex =
    tail === null
      ? text
      : tail[1] +
        addressBytes(tail[2])
          .toString('hex')
          .replace(/^(.{4})/, '$1:');
  const [left, right] = hex.split('::');
  const groups = (part: string | undefined): string[] =>
    part === undefined || part === '' ? [] : part.split(':');
  const before = groups(left);
  const after = groups(right);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return Buffer.from([...before, ...zeros, ...after].map((group) => group.padStart(4, '0')).join(''), 'hex');
}
