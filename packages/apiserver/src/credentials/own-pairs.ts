/**
 * The certificates a server makes for itself when none are given: an authority, its own certificate, one for the
 * administrator with the kubeconfig that holds it, and the key that signs tokens. Made once; what is about to run out,
 * or does not name an address the server has now, is made anew at the next start. The authority and the key of tokens
 * stay, so that a kubeconfig and a token outlive restarts.
 *
 *   ca.crt ca.key   apiserver.crt apiserver.key   admin.crt admin.key admin.conf   sa.key sa.pub
 *   front-proxy-ca.crt front-proxy-ca.key   front-proxy-client.crt front-proxy-client.key
 */

import { createPrivateKey, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';

import { CertificateAuthority, DAY_MS, keyPem, newKeys, type CertificatePair } from '../pki/authority.ts';
import { addressFamily } from '../pki/certificate.ts';
import { kubeconfig } from '../pki/kubeconfig.ts';
import type { CredentialStore } from './credential-store.ts';

const AUTHORITY = 'ca';
const SERVER = 'apiserver';
const ADMIN = 'admin';
const ADMIN_FILE = 'admin.conf';
const TOKENS = 'sa';
const FRONT_PROXY_AUTHORITY = 'front-proxy-ca';
const FRONT_PROXY = 'front-proxy-client';

/** Renewed when less is left, so that a server which is started now and then never meets the end. */
const RENEW_MS = 30 * DAY_MS;
/** As kubeadm names them. */
const ADMIN_SUBJECT = { commonName: 'kubernetes-admin', organizations: ['system:masters'] };
const CLUSTER = 'kubernetes';

/** The authority, made where there is none. @throws Error when what is there cannot be used */
export function ownAuthority(store: CredentialStore, nowMs: number): CertificateAuthority {
  return authorityAt(store, AUTHORITY, CLUSTER, nowMs);
}

function authorityAt(
  store: CredentialStore,
  name: string,
  commonName: string,
  nowMs: number,
): CertificateAuthority {
  const found = readPair(store, name);
  if (found !== undefined) {
    try {
      return CertificateAuthority.load(found);
    } catch (error) {
      throw new Error(`${store.where(`${name}.crt`)} cannot be used: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
  const made = CertificateAuthority.create(commonName, nowMs);
  writePair(store, name, made);
  return made;
}

/** Who this server is to servers of aggregated APIs, and whose word for that they take. */
export function ownFrontProxy(
  store: CredentialStore,
  nowMs: number,
): { readonly authority: string; readonly pair: CertificatePair } {
  const authority = authorityAt(store, FRONT_PROXY_AUTHORITY, FRONT_PROXY_AUTHORITY, nowMs);
  const pair = kept(
    store,
    FRONT_PROXY,
    (found) => lasts(found, authority, nowMs),
    () => authority.client({ commonName: FRONT_PROXY }, nowMs),
  );
  return { authority: authority.certificate, pair };
}

/** A certificate that lies there and is not ours to change: another authority's, or a self-signed one. */
export function foreignServerPair(store: CredentialStore): CertificatePair | undefined {
  const found = readPair(store, SERVER);
  if (found === undefined) return undefined;
  const authority = store.read(`${AUTHORITY}.crt`);
  if (authority === undefined) return found;
  return new X509Certificate(found.certificate).verify(new X509Certificate(authority).publicKey)
    ? undefined
    : found;
}

/** The server's certificate for these names and addresses. */
export function ownServerPair(
  store: CredentialStore,
  authority: CertificateAuthority,
  names: readonly string[],
  nowMs: number,
): CertificatePair {
  return kept(
    store,
    SERVER,
    (found) => lasts(found, authority, nowMs) && covers(found, names),
    () => authority.server('kube-apiserver', names, nowMs),
  );
}

/** The administrator's certificate. */
export function ownAdminPair(
  store: CredentialStore,
  authority: CertificateAuthority,
  nowMs: number,
): CertificatePair {
  return kept(
    store,
    ADMIN,
    (found) => lasts(found, authority, nowMs),
    () => authority.client(ADMIN_SUBJECT, nowMs),
  );
}

/**
 * The administrator's kubeconfig, written where it is not there yet or says something else.
 *
 * @param server `https://127.0.0.1:6443`
 * @returns its text and where it lies
 */
export function writeAdminConfig(
  store: CredentialStore,
  server: string,
  certificateAuthority: string,
  admin: CertificatePair,
): { readonly text: string; readonly path: string } {
  const text = kubeconfig({
    cluster: CLUSTER,
    server,
    certificateAuthority,
    user: ADMIN_SUBJECT.commonName,
    credentials: { kind: 'certificate', ...admin },
  });
  if (store.read(ADMIN_FILE) !== text) store.write(ADMIN_FILE, text, true);
  return { text, path: store.where(ADMIN_FILE) };
}

/** The key that signs tokens of service accounts. @throws Error when what is there is no key */
export function ownTokenKey(store: CredentialStore): KeyObject {
  const found = store.read(`${TOKENS}.key`);
  if (found !== undefined) return createPrivateKey(found);
  const { privateKey, publicKey } = newKeys();
  store.write(`${TOKENS}.key`, keyPem(privateKey), true);
  store.write(`${TOKENS}.pub`, publicKey.export({ type: 'spki', format: 'pem' }).toString(), false);
  return privateKey;
}

/**
 * Keys of a PEM file: public ones, those of certificates, and the public halves of private ones.
 *
 * @throws Error when there is none, or one cannot be read
 */
export function publicKeysOf(pem: string): KeyObject[] {
  const blocks = pem.match(/-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g) ?? [];
  if (blocks.length === 0) throw new Error('data does not contain any valid RSA or ECDSA public keys');
  return blocks
    .filter((block) => !block.startsWith('-----BEGIN EC PARAMETERS'))
    .map((block) =>
      block.startsWith('-----BEGIN CERTIFICATE')
        ? new X509Certificate(block).publicKey
        : createPublicKey(block),
    );
}

/** The pair that lies there while it will do; made anew and laid there where it will not. */
function kept(
  store: CredentialStore,
  name: string,
  willDo: (found: CertificatePair) => boolean,
  make: () => CertificatePair,
): CertificatePair {
  const found = readPair(store, name);
  if (found !== undefined && willDo(found)) return found;
  const made = make();
  writePair(store, name, made);
  return made;
}

function readPair(store: CredentialStore, name: string): CertificatePair | undefined {
  const certificate = store.read(`${name}.crt`);
  const key = store.read(`${name}.key`);
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}

/** The key first: a certificate without its key is made anew. */
function writePair(store: CredentialStore, name: string, { certificate, key }: CertificatePair): void {
  store.write(`${name}.key`, key, true);
  store.write(`${name}.crt`, certificate, false);
}

function lasts({ certificate }: CertificatePair, authority: CertificateAuthority, nowMs: number): boolean {
  const leaf = new X509Certificate(certificate);
  const issuer = new X509Certificate(authority.certificate);
  return Date.parse(leaf.validTo) - nowMs > RENEW_MS && leaf.verify(issuer.publicKey);
}

function covers({ certificate }: CertificatePair, names: readonly string[]): boolean {
  const leaf = new X509Certificate(certificate);
  return names.every((name) =>
    addressFamily(name) === 0 ? leaf.checkHost(name) !== undefined : leaf.checkIP(name) !== undefined,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
