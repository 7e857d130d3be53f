/**
 * Certificates of one cluster: an authority made for it and one pair for every end, members and generator alike, in
 * the cluster's own directory. TLS as Kubernetes runs etcd with it: both ends of every connection prove who they are.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { DialTlsOptions } from '@keelson/rpc';
import { makeCertificate } from '@keelson/store';

const HOUR_MS = 3_600_000;
/** Longer than any soak. */
const VALID_MS = 7 * 24 * HOUR_MS;

export interface Credentials {
  /** For every member, whatever the program: etcd's flags. */
  readonly flags: readonly string[];
  readonly tls: DialTlsOptions;
}

/** @param directory exists; removed by its owner */
export function makeCredentials(directory: string): Credentials {
  const home = path.join(directory, 'tls');
  mkdirSync(home);
  const nowMs = Date.now();
  const valid = { notBeforeMs: nowMs - HOUR_MS, notAfterMs: nowMs + VALID_MS };
  const authority = makeCertificate({
    commonName: 'keelson bench',
    ...valid,
    usages: [],
    authority: true,
  });
  const pair = makeCertificate(
    {
      commonName: 'member',
      dnsNames: ['localhost'],
      ipAddresses: ['127.0.0.1'],
      ...valid,
      usages: ['server', 'client'],
    },
    authority,
  );
  const write = (name: string, text: string): string => {
    const file = path.join(home, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const ca = write('ca.pem', authority.certificate);
  const cert = write('cert.pem', pair.certificate);
  const key = write('key.pem', pair.key);
  const flags = ['', 'peer-'].flatMap((of) => [
    `--${of}cert-file=${cert}`,
    `--${of}key-file=${key}`,
    `--${of}trusted-ca-file=${ca}`,
    `--${of}client-cert-auth`,
  ]);
  return { flags, tls: readCredentials(ca, cert, key) };
}

/** Of a client, from files. @throws node's file errors, which name the file */
export function readCredentials(
  authority: string,
  certificate: string | undefined,
  key: string | undefined,
): DialTlsOptions {
  return {
    ca: [readFileSync(authority)],
    cert: certificate === undefined ? undefined : readFileSync(certificate),
    key: key === undefined ? undefined : readFileSync(key),
  };
}
