/**
 * Certificates, keys and authorities in files, as they are now: read for each handshake, so that a certificate is
 * renewed by replacing its files. A pair that cannot be used fails the handshake that asked and nothing else.
 * Texts are Go's.
 */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { toError } from '@keelson/base';
import { fieldOf } from './tls-text.ts';

/** A certificate and its key, as PEM. */
export interface KeyPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** A file of TLS that cannot be used; the message is Go's. */
export class TlsFileError extends Error {
  override readonly name = 'TlsFileError';
  /** The file is not there. */
  readonly absent: boolean;

  constructor(message: string, absent: boolean, options?: ErrorOptions) {
    super(message, options);
    this.absent = absent;
  }
}

/** Go's texts of a failed open. */
const OPEN_TEXTS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  ENOTDIR: 'not a directory',
};

/** @throws TlsFileError */
export function readTlsFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const cause = toError(error);
    const code = fieldOf(cause, 'code') ?? '';
    const text =
      code === 'EISDIR'
        ? `read ${path}: is a directory`
        : `open ${path}: ${OPEN_TEXTS[code] ?? cause.message}`;
    throw new TlsFileError(text, code === 'ENOENT', { cause });
  }
}

/**
 * A pair of files, read whenever it is asked for; judged again only when a byte of it has changed. Both
 * files are replaced one after the other, so for a moment they may not fit: that handshake fails.
 */
export class KeyPairFiles {
  readonly certFile: string;
  readonly keyFile: string;
  private good: KeyPair | undefined = undefined;

  constructor(certFile: string, keyFile: string) {
    this.certFile = certFile;
    this.keyFile = keyFile;
  }

  /** The same object as long as the files do not change. @throws TlsFileError */
  read(): KeyPair {
    const cert = readTlsFile(this.certFile);
    const key = readTlsFile(this.keyFile);
    const { good } = this;
    if (good !== undefined && good.cert.equals(cert) && good.key.equals(key)) return good;
    checkPair(cert, key);
    this.good = { cert, key };
    return this.good;
  }
}

function checkPair(cert: Buffer, key: Buffer): void {
  if (!cert.includes('-----BEGIN '))
    throw new TlsFileError('tls: failed to find any PEM data in certificate input', false);
  if (!key.includes('-----BEGIN '))
    throw new TlsFileError('tls: failed to find any PEM data in key input', false);
  const [leaf] = pemCertificates(cert);
  if (leaf === undefined)
    throw new TlsFileError('tls: failed to find "CERTIFICATE" PEM block in certificate input', false);
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(leaf);
  } catch (cause) {
    throw new TlsFileError('x509: malformed certificate', false, { cause });
  }
  let matches: boolean;
  try {
    matches = certificate.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw new TlsFileError('tls: failed to parse private key', false, { cause });
  }
  if (!matches) throw new TlsFileError('tls: private key does not match public key', false);
}

/** The certificates of a file of authorities, each as PEM; other things in it are passed over. @throws TlsFileError */
export function readAuthorities(path: string): string[] {
  const certificates = pemCertificates(readTlsFile(path));
  for (const certificate of certificates) {
    try {
      void new X509Certificate(certificate);
    } catch (cause) {
      throw new TlsFileError(`x509: malformed certificate in ${path}`, false, { cause });
    }
  }
  return certificates;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g;

function pemCertificates(bytes: Buffer): string[] {
  return bytes.toString('latin1').match(CERTIFICATE) ?? [];
}
