/**
 * --auto-tls and --peer-auto-tls: a certificate that the member makes for itself at its first start and finds
 * again at the next, in <data-dir>/fixtures/{client,peer} as etcd does. It proves nothing to anybody; it only
 * lets the traffic be encrypted.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import type { Clock, Logger } from '@keelson/base';
import { makeCertificate } from './certificate.ts';

const YEAR_MS = 365 * 24 * 3600 * 1000;

export interface SelfSignedFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/**
 * The files of the certificate in `directory`, made if one of them is missing. It is not renewed: when it
 * has run out, whoever runs the member removes it, as with etcd.
 * @param hostnames what it is for: addresses and names
 * @throws node's file errors
 */
export function selfSignedFiles(
  directory: string,
  hostnames: readonly string[],
  validityYears: number,
  clock: Clock,
  logger: Logger,
): SelfSignedFiles {
  const files = {
    certFile: resolve(join(directory, 'cert.pem')),
    keyFile: resolve(join(directory, 'key.pem')),
  };
  if (existsSync(files.certFile) && existsSync(files.keyFile)) return files;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const nowMs = clock.nowMs();
  const notAfterMs = nowMs + validityYears * YEAR_MS;
  logger.warn('automatically generate certificates', {
    'certificate-validity-bound-not-after': new Date(notAfterMs).toISOString(),
  });
  const { certificate, key } = makeCertificate({
    organization: 'etcd',
    dnsNames: hostnames.filter((name) => name !== '' && isIP(name) === 0),
    ipAddresses: hostnames.filter((name) => isIP(name) !== 0),
    notBeforeMs: nowMs,
    notAfterMs,
    usages: ['server'],
  });
  writeFileSync(files.certFile, certificate, { mode: 0o644 });
  logger.info('created cert file', { path: files.certFile });
  writeFileSync(files.keyFile, key, { mode: 0o600 });
  logger.info('created key file', { path: files.keyFile });
  return files;
}
