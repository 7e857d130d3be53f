/**
 * What went wrong in TLS, in the words of Go's crypto/tls and crypto/x509: etcd's logs and its clients' errors
 * are made of them, and people search for them. Texts only; who is trusted is decided elsewhere.
 */
import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { describeCertificate } from './peer-certificate.ts';

const UNKNOWN_AUTHORITY = 'x509: certificate signed by unknown authority';
const VERIFY = 'tls: failed to verify certificate: ';

/** OpenSSL's verdicts on a chain, as node names them. */
const CHAIN_TEXTS: Readonly<Record<string, string>> = {
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  CERT_UNTRUSTED: UNKNOWN_AUTHORITY,
  CERT_SIGNATURE_FAILURE: UNKNOWN_AUTHORITY,
  INVALID_CA: 'x509: invalid signature: parent certificate cannot sign this kind of certificate',
  INVALID_PURPOSE: 'x509: certificate specifies an incompatible key usage',
  CERT_HAS_EXPIRED: 'x509: certificate has expired or is not yet valid',
  CERT_NOT_YET_VALID: 'x509: certificate has expired or is not yet valid',
};

const NO_HANDSHAKE = 'tls: first record does not look like a TLS handshake';

/** Node's codes of a failed handshake; alerts of the other end are "remote error". */
const HANDSHAKE_TEXTS: Readonly<Record<string, string>> = {
  ERR_SSL_HTTP_REQUEST: NO_HANDSHAKE,
  ERR_SSL_HTTPS_PROXY_REQUEST: NO_HANDSHAKE,
  ERR_SSL_WRONG_VERSION_NUMBER: NO_HANDSHAKE,
  ERR_SSL_UNKNOWN_PROTOCOL: NO_HANDSHAKE,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_HANDSHAKE,
  ERR_SSL_RECORD_LAYER_FAILURE: NO_HANDSHAKE,
  ERR_SSL_NO_SHARED_CIPHER: 'tls: no cipher suite supported by both client and server',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'tls: client offered only unsupported versions',
  ERR_SSL_VERSION_TOO_LOW: 'tls: client offered only unsupported versions',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "tls: client didn't provide a certificate",
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'tls: client requested unsupported application protocols',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'remote error: tls: protocol version not supported',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'remote error: tls: unknown certificate authority',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'remote error: tls: no application protocol',
  ERR_SSL_TLSV1_ALERT_ACCESS_DENIED: 'remote error: tls: access denied',
  ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR: 'remote error: tls: error decrypting message',
  ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR: 'remote error: tls: internal error',
  ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY: 'remote error: tls: insufficient security level',
  ERR_SSL_TLSV1_UNRECOGNIZED_NAME: 'remote error: tls: unrecognized name',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'remote error: tls: certificate required',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'remote error: tls: bad certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'remote error: tls: expired certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: 'remote error: tls: revoked certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: 'remote error: tls: unknown certificate',
  ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: 'remote error: tls: unsupported certificate',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'remote error: tls: handshake failure',
  ERR_SSL_SSLV3_ALERT_ILLEGAL_PARAMETER: 'remote error: tls: illegal parameter',
  ERR_SSL_SSLV3_ALERT_UNEXPECTED_MESSAGE: 'remote error: tls: unexpected message',
  // A close before the end of the handshake.
  ECONNRESET: 'EOF',
  EPIPE: 'EOF',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'context deadline exceeded',
};

/** A chain that was not accepted. @param code node's `authorizationError` */
export function chainText(code: string, certificate?: X509Certificate, nowMs?: number): string {
  const text = CHAIN_TEXTS[code];
  if (text === undefined) return `${VERIFY}x509: ${code.toLowerCase().replaceAll('_', ' ')}`;
  return `${VERIFY}${text}${validityText(code, certificate, nowMs)}`;
}

/** ": current time … is after …", when it is the leaf that is out of time. */
function validityText(code: string, certificate: X509Certificate | undefined, nowMs?: number): string {
  if (certificate === undefined || nowMs === undefined) return '';
  const now = goTime(nowMs);
  const first = Date.parse(certificate.validFrom);
  const last = Date.parse(certificate.validTo);
  if (code === 'CERT_HAS_EXPIRED' && nowMs > last) return `: current time ${now} is after ${goTime(last)}`;
  if (code === 'CERT_NOT_YET_VALID' && nowMs < first)
    return `: current time ${now} is before ${goTime(first)}`;
  return '';
}

/** RFC 3339 to the second. */
function goTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** A handshake, or a connection in it, that failed. */
export function handshakeText(error: Error): string {
  const code = fieldOf(error, 'code');
  if (code === undefined) return error.message;
  // OpenSSL 3.5 renamed the alerts that TLS has from SSL 3.0.
  const known = HANDSHAKE_TEXTS[code.replace('ERR_SSL_SSL/TLS_ALERT_', 'ERR_SSL_SSLV3_ALERT_')];
  if (known !== undefined) return known;
  // Other errors of OpenSSL carry the place in its source and its own words; the last words say what it is.
  const reason = fieldOf(error, 'reason');
  return isTlsCode(code) && reason !== undefined ? `tls: ${reason}` : error.message;
}

/** Whether node's error code is one of OpenSSL's errors. */
export function isTlsCode(code: string | undefined): boolean {
  return code?.startsWith('ERR_SSL_') === true;
}

/** A text that node puts on its errors. */
export function fieldOf(error: Error, name: 'code' | 'reason'): string | undefined {
  const value: unknown = Reflect.get(error, name);
  return typeof value === 'string' ? value : undefined;
}

/**
 * Whether the certificate is for `host`, by its alternative names alone (RFC 6125; a common name counts for
 * nothing, as in Go).
 * @returns why not, as Go's x509.HostnameError; undefined when it is
 */
export function hostnameProblem(certificate: X509Certificate, host: string): string | undefined {
  const address = /^\[(.*)\]$/.exec(host)?.[1] ?? host;
  const { commonName, dnsNames, ipAddresses } = describeCertificate(certificate);
  if (isIP(address) !== 0) {
    if (certificate.checkIP(address) !== undefined) return undefined;
    if (ipAddresses.length === 0)
      return `x509: cannot validate certificate for ${host} because it doesn't contain any IP SANs`;
    return `x509: certificate is valid for ${ipAddresses.join(', ')}, not ${host}`;
  }
  const found = certificate.checkHost(address, {
    subject: 'never',
    partialWildcards: false,
    multiLabelWildcards: false,
    singleLabelSubdomains: false,
  });
  if (found !== undefined) return undefined;
  if (dnsNames.length === 0 && ipAddresses.length === 0 && commonName !== '')
    return 'x509: certificate relies on legacy Common Name field, use SANs instead';
  if (dnsNames.length === 0)
    return `x509: certificate is not valid for any names, but wanted to match ${host}`;
  return `x509: certificate is valid for ${dnsNames.join(', ')}, not ${host}`;
}
