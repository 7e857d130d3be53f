/**
 * The files behind the TLS flags, as they are now: read for each handshake, so that a certificate is renewed by
 * replacing its files. Authorities are read once, at start, as in etcd. A pair that cannot be used fails the
 * handshake that asked, not the server.
 */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import { errorCodeOf, errorMessageOf } from '../disk/error-code.ts';
import { FatalError } from '../errors.ts';
import { goQuote } from '../config/go-values.ts';
import { pemBlocks, pem } from './der.ts';
import { hasCertificate, type TlsSettings } from './tls-settings.ts';

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
    const code = errorCodeOf(error);
    const text =
      code === 'EISDIR'
        ? `read ${path}: is a directory`
        : `open ${path}: ${OPEN_TEXTS[code ?? ''] ?? errorMessageOf(error)}`;
    throw new TlsFileError(text, code === 'ENOENT', { cause: error });
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

const NO_CERT = 'tls: failed to find any PEM data in certificate input';
const NO_KEY = 'tls: failed to find any PEM data in key input';

function checkPair(cert: Buffer, key: Buffer): void {
  if (!cert.includes('-----BEGIN ')) throw new TlsFileError(NO_CERT, false);
  if (!key.includes('-----BEGIN ')) throw new TlsFileError(NO_KEY, false);
  const [leaf] = pemBlocks(cert.toString('latin1'), 'CERTIFICATE');
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

/**
 * Who may sign the other side's certificates: the given file's, or the system's.
 * @throws TlsFileError
 */
export function authorities(trustedCaFile: string): string[] {
  if (trustedCaFile === '') return getCACertificates('system');
  const blocks = pemBlocks(readTlsFile(trustedCaFile).toString('latin1'), 'CERTIFICATE');
  for (const block of blocks) {
    try {
      void new X509Certificate(block);
    } catch (cause) {
      throw new TlsFileError(`x509: malformed certificate in ${trustedCaFile}`, false, { cause });
    }
  }
  return blocks.map((block) => pem('CERTIFICATE', block));
}

/** Everything the settings name is there and fits, before anybody connects. @throws FatalError in etcd's words */
export function checkTlsSettings(settings: TlsSettings): void {
  const { certFile, keyFile, clientCertFile, clientKeyFile, allowedCns, allowedHostnames } = settings;
  if (!hasCertificate(settings)) return;
  if (certFile === '' || keyFile === '')
    throw new FatalError(`KeyFile and CertFile must both be present[key: ${keyFile}, cert: ${certFile}]`);
  if ((clientCertFile === '') !== (clientKeyFile === ''))
    throw new FatalError(
      `ClientKeyFile and ClientCertFile must both be present or both absent: key: ${clientKeyFile}, cert: ${clientCertFile}]`,
    );
  if (allowedCns.length > 0 && allowedHostnames.length > 0) {
    const list = (texts: readonly string[]): string => `[${texts.map(goQuote).join(' ')}]`;
    throw new FatalError(
      `AllowedCNs and AllowedHostnames are mutually exclusive (cns=${list(allowedCns)}, hostnames=${list(allowedHostnames)})`,
    );
  }
  try {
    new KeyPairFiles(certFile, keyFile).read();
    if (clientCertFile !== '') new KeyPairFiles(clientCertFile, clientKeyFile).read();
    authorities(settings.trustedCaFile);
  } catch (error) {
    if (error instanceof TlsFileError) throw new FatalError(error.message, { cause: error });
    throw error;
  }
}
