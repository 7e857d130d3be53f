/**
 * Certificates of a cluster under test: an authority of its own, one pair for the members, as servers and as each
 * other's clients, and one for those who connect. The latter has no common name: nobody is logged in by it.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { KeyPairFiles, readAuthorities, type DialTls } from '@keelson/rpc';

/** `KEELSON_TLS=1`: clients and peers of the clusters compared speak TLS, with certificates on both sides. */
export const TLS_EVERYWHERE = (process.env['KEELSON_TLS'] ?? '') !== '';

export interface ClusterTls {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
  /** For connections of a client of ours. */
  readonly dial: DialTls;
}

const HOUR_MS = 3_600_000;

/** Makes them, below `home`. Valid for a day, for 127.0.0.1 and localhost. */
export async function makeClusterTls(home: string): Promise<ClusterTls> {
  // Only now: most clusters go without, and the store is much to load.
  const { makeCertificate } = await import('@keelson/store');
  const directory = path.join(home, 'tls');
  mkdirSync(directory, { recursive: true });
  const valid = { notBeforeMs: Date.now() - HOUR_MS, notAfterMs: Date.now() + 24 * HOUR_MS };
  const authority = makeCertificate({ commonName: 'test authority', usages: [], authority: true, ...valid });
  const write = (name: string, text: string): string => {
    const file = path.join(directory, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const member = makeCertificate(
    {
      commonName: 'member',
      dnsNames: ['localhost'],
      ipAddresses: ['127.0.0.1'],
      usages: ['server', 'client'],
      ...valid,
    },
    authority,
  );
  const client = makeCertificate({ organization: 'clients', usages: ['client'], ...valid }, authority);
  const files = {
    caFile: write('ca.pem', authority.certificate),
    certFile: write('member.pem', member.certificate),
    keyFile: write('member.key', member.key),
    clientCertFile: write('client.pem', client.certificate),
    clientKeyFile: write('client.key', client.key),
  };
  const ca = readAuthorities(files.caFile);
  const pair = new KeyPairFiles(files.clientCertFile, files.clientKeyFile);
  return { ...files, dial: () => ({ ca, ...pair.read() }) };
}

/**
 * Flags of a member: clients and peers must show certificates. To name an authority is enough to have clients asked;
 * with --client-cert-auth their certificates would also log them in, and what is compared would be another thing.
 */
export function memberTlsFlags({ caFile, certFile, keyFile }: ClusterTls): string[] {
  return [
    `--cert-file=${certFile}`,
    `--key-file=${keyFile}`,
    `--trusted-ca-file=${caFile}`,
    `--peer-cert-file=${certFile}`,
    `--peer-key-file=${keyFile}`,
    `--peer-trusted-ca-file=${caFile}`,
    '--peer-client-cert-auth',
  ];
}

/** Flags of etcdctl. */
export function clientTlsFlags({ caFile, clientCertFile, clientKeyFile }: ClusterTls): string[] {
  return [`--cacert=${caFile}`, `--cert=${clientCertFile}`, `--key=${clientKeyFile}`];
}
