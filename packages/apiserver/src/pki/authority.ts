/**
 * A certificate authority: made anew or loaded, issues certificates for servers and users. Keys are EC P-256,
 * made in about 0.1 ms; nothing is written to disk here.
 */

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  X509Certificate,
  type KeyObject,
} from 'node:crypto';

import { readNames } from './certificate-reader.ts';
import {
  subjectName,
  writeCertificate,
  type CertificateFacts,
  type Issuer,
  type Subject,
} from './certificate.ts';
import { SigningError, writeRequested } from './requested-certificate.ts';

/** A certificate and its private key, both PEM. */
export interface CertificatePair {
  readonly certificate: string;
  readonly key: string;
}

/** Clocks of clients run behind: certificates are good from a little before they are made. */
const BACKDATED_MS = 5 * 60_000;
/** Of what is shorter, the time before it was made does not count. */
const SHORT_MS = 8 * 3_600_000;
export const DAY_MS = 24 * 3_600_000;

export class CertificateAuthority {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  private readonly issuer: Issuer;
  private readonly notAfterMs: number;

  private constructor(certificate: string, privateKey: KeyObject, name: Buffer, notAfterMs: number) {
    this.certificate = certificate;
    this.key = keyPem(privateKey);
    this.issuer = { name, privateKey, publicKey: createPublicKey(privateKey) };
    this.notAfterMs = notAfterMs;
  }

  /** A new self-signed authority. */
  static create(commonName: string, nowMs: number, days = 3650): CertificateAuthority {
    const { publicKey, privateKey } = newKeys();
    const subject = { commonName };
    const name = subjectName(subject);
    const notAfterMs = nowMs + days * DAY_MS;
    const der = writeCertificate(
      {
        subject,
        publicKey,
        serial: newSerial(),
        notBeforeMs: nowMs - BACKDATED_MS,
        notAfterMs,
        kind: 'authority',
      },
      { name, publicKey, privateKey },
    );
    return new CertificateAuthority(certificatePem(der), privateKey, name, notAfterMs);
  }

  /**
   * An authority from its certificate and key.
   *
   * @throws Error when one of them cannot be read, they do not belong together, or it may sign nothing
   */
  static load({ certificate, key }: CertificatePair): CertificateAuthority {
    const parsed = new X509Certificate(certificate);
    const privateKey = createPrivateKey(key);
    if (!parsed.checkPrivateKey(privateKey))
      throw new Error('the key is not that of the certificate authority');
    if (!parsed.ca) throw new Error('the certificate is no certificate authority');
    const { subjectBytes } = readNames(parsed.raw);
    return new CertificateAuthority(certificate, privateKey, subjectBytes, Date.parse(parsed.validTo));
  }

  /** A certificate for a server under these DNS names and IP addresses. */
  server(commonName: string, names: readonly string[], nowMs: number, days = 365): CertificatePair {
    return this.issue({ subject: { commonName }, kind: 'server', names }, nowMs, days);
  }

  /** A certificate for a user: the name is the user's, the organizations are his groups. */
  client(subject: Subject, nowMs: number, days = 365): CertificatePair {
    return this.issue({ subject, kind: 'client' }, nowMs, days);
  }

  /** A certificate for new keys; it ends with the authority at the latest. */
  issue(
    facts: Pick<CertificateFacts, 'subject' | 'kind' | 'names'>,
    nowMs: number,
    days: number,
  ): CertificatePair {
    const { publicKey, privateKey } = newKeys();
    const certificate = this.sign({ ...facts, publicKey }, nowMs, days * DAY_MS);
    return { certificate, key: keyPem(privateKey) };
  }

  /** A certificate (PEM) for a key of somebody else, as signers of requests need it. */
  sign(
    facts: Pick<CertificateFacts, 'subject' | 'kind' | 'names' | 'publicKey'>,
    nowMs: number,
    durationMs: number,
  ): string {
    const der = writeCertificate(
      {
        ...facts,
        serial: newSerial(),
        notBeforeMs: nowMs - BACKDATED_MS,
        notAfterMs: Math.min(nowMs + durationMs, this.notAfterMs),
      },
      this.issuer,
    );
    return certificatePem(der);
  }

  /**
   * A certificate (PEM) for a request (PKCS #10), with its names and its key.
   *
   * Modelled on kubernetes' signer: good from a little earlier on, which counts unless it is short; it ends with the
   * authority at the latest.
   *
   * @param encoded base64 of the PEM
   * @param usages as spec.usages of a CertificateSigningRequest
   * @throws SigningError when the authority has ended, or for a usage there is not
   */
  signRequest(encoded: string, usages: readonly string[], nowMs: number, durationMs: number): string {
    if (nowMs >= this.notAfterMs) {
      const ended = new Date(this.notAfterMs).toISOString();
      throw new SigningError(`refusing to sign a certificate that expired in the past: NotAfter=${ended}`);
    }
    const endMs = nowMs + durationMs - (durationMs < SHORT_MS ? 0 : BACKDATED_MS);
    const facts = {
      usages,
      serial: newSerial(),
      notBeforeMs: nowMs - BACKDATED_MS,
      notAfterMs: Math.min(endMs, this.notAfterMs),
    };
    return certificatePem(writeRequested(encoded, facts, this.issuer, this.certificate));
  }
}

/** EC P-256 keys. */
export function newKeys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** A private key as PEM (PKCS #8). */
export function keyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** DER as PEM, 64 characters a line. */
function certificatePem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** 16 random bytes, positive and not zero. */
function newSerial(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] & 0x7f) | 0x40;
  return bytes;
}
