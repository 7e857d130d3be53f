/**
 * The certificates of `keelson up --tls`, below the data directory: an authority of this cluster alone, one pair for
 * its members and one for who connects. Made at the first start; what is about to run out is renewed at the next.
 *
 *   tls/ca.pem ca.key      tls/member.pem member.key      tls/client.pem client.key
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { KeyPairFiles, readAuthorities, type DialTls } from '@keelson/rpc';
import type { Certified } from '@keelson/store';

/** Where a member, and who connects, find theirs. */
export interface UpCertificates {
  readonly caFile: string;
  readonly member: PairFiles;
  readonly client: PairFiles;
  /** For connections of our own. */
  readonly dial: DialTls;
}

export interface PairFiles {
  readonly cert: string;
  readonly key: string;
}

const DAY_MS = 24 * 3_600_000;
const AUTHORITY_DAYS = 3650;
const LEAF_DAYS = 365;
/** Renewed when less is left, so that a cluster which is started now and then never meets the end. */
const RENEW_DAYS = 30;
/** Clocks of containers and their hosts may differ. */
const BACKDATED_MS = 3_600_000;

/** Finds or makes them. @throws node's file errors */
export async function upCertificates(dataDir: string, nowMs: number): Promise<UpCertificates> {
  // Only with --tls: the store is much to load.
  const { makeCertificate } = await import('@keelson/store');
  const directory = path.join(dataDir, 'tls');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const files = (name: string): PairFiles => ({
    cert: path.join(directory, `${name}.pem`),
    key: path.join(directory, `${name}.key`),
  });
  const valid = (days: number): { notBeforeMs: number; notAfterMs: number } => ({
    notBeforeMs: nowMs - BACKDATED_MS,
    notAfterMs: nowMs + days * DAY_MS,
  });
  const ca = files('ca');
  let authority = lasting(ca, nowMs);
  const isNew = authority === undefined;
  if (authority === undefined) {
    authority = makeCertificate({
      commonName: 'keelson up',
      usages: [],
      authority: true,
      ...valid(AUTHORITY_DAYS),
    });
    write(ca, authority);
  }
  const member = files('member');
  if (isNew || lasting(member, nowMs) === undefined) {
    const fields = {
      commonName: 'member',
      dnsNames: ['localhost'],
      ipAddresses: ['127.0.0.1', '::1'],
      usages: ['server', 'client'] as const,
      ...valid(LEAF_DAYS),
    };
    write(member, makeCertificate(fields, authority));
  }
  const client = files('client');
  if (isNew || lasting(client, nowMs) === undefined) {
    const fields = { commonName: 'client', usages: ['client'] as const, ...valid(LEAF_DAYS) };
    write(client, makeCertificate(fields, authority));
  }
  const pair = new KeyPairFiles(client.cert, client.key);
  const trusted = readAuthorities(ca.cert);
  return { caFile: ca.cert, member, client, dial: () => ({ ca: trusted, ...pair.read() }) };
}

/** What is there and good for a while yet. */
function lasting({ cert, key }: PairFiles, nowMs: number): Certified | undefined {
  if (!existsSync(cert) || !existsSync(key)) return undefined;
  const certificate = readFileSync(cert, 'utf8');
  const left = Date.parse(new X509Certificate(certificate).validTo) - nowMs;
  return left < RENEW_DAYS * DAY_MS ? undefined : { certificate, key: readFileSync(key, 'utf8') };
}

/** The key first: a certificate without its key is made anew. */
function write({ cert, key }: PairFiles, certified: Certified): void {
  writeFileSync(key, certified.key, { mode: 0o600 });
  writeFileSync(cert, certified.certificate, { mode: 0o600 });
}
