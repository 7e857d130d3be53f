/**
 * Whose certificate the other end of a connection showed: read from the TLS socket once it is verified, never
 * from anything a client can write. What it may do is not decided here.
 */
import type { X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

export interface PeerCertificate {
  /** The last CN of the subject, as Go reads it; '' when there is none. */
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** The certificate that was verified against a trusted CA; undefined for any other connection. */
export function verifiedCertificate(socket: Duplex): PeerCertificate | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? undefined : describeCertificate(certificate);
}

export function describeCertificate(certificate: X509Certificate): PeerCertificate {
  return { commonName: commonNameOf(certificate), ...alternativeNames(certificate) };
}

/** Last of the subject's common names: Go's pkix keeps the last one it meets. */
function commonNameOf(certificate: X509Certificate): string {
  const { CN } = certificate.toLegacyObject().subject;
  return (Array.isArray(CN) ? CN.at(-1) : CN) ?? '';
}

/** OpenSSL's text of one name: kind, then the value, quoted like JSON where it could be mistaken. */
const NAME = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g;

function alternativeNames(certificate: X509Certificate): { dnsNames: string[]; ipAddresses: string[] } {
  const dnsNames: string[] = [];
  const ipAddresses: string[] = [];
  for (const [, kind, text] of (certificate.subjectAltName ?? '').matchAll(NAME)) {
    const value = text.startsWith('"') ? text.slice(1, -1).replace(/\\(.)/g, '$1') : text;
    if (kind === 'DNS') dnsNames.push(value);
    else if (kind === 'IP Address') ipAddresses.push(shortAddress(value));
  }
  return { dnsNames, ipAddresses };
}

/** An address as Go prints it: OpenSSL writes IPv6 in full, in upper case. */
function shortAddress(text: string): string {
  if (!text.includes(':')) return text;
  try {
    return new URL(`http://[${text}]`).hostname.slice(1, -1);
  } catch {
    return text;
  }
}
