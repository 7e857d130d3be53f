/**
 * What a server shows, believes and signs with, gathered from the files that flags name and, where they name none, from
 * what it makes for itself (own-pairs.ts). A file that is named and cannot be used ends the start.
 */

import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';

import { keyIdOf, type VerificationKey } from '../authn/jwt.ts';
import type { RequestHeaderOptions } from '../authn/request-header.ts';
import type { ServerConfig } from '../options/config.ts';
import type { CertificatePair } from '../pki/authority.ts';
import type { CredentialStore } from './credential-store.ts';
import {
  foreignServerPair,
  ownAdminPair,
  ownAuthority,
  ownFrontProxy,
  ownServerPair,
  ownTokenKey,
  publicKeysOf,
} from './own-pairs.ts';

export interface ServerCredentials {
  /** What the port shows. */
  readonly serving: CertificatePair;
  /** PEM of what clients verify the port by: whoever signed its certificate, as far as that is known. */
  readonly rootCertificate: string;
  /** PEM of authorities whose certificates name users. */
  readonly clientCa: string;
  /** PEM of front proxies' authorities. */
  readonly requestHeaderCa: string | undefined;
  /** In which headers front proxies say who asks; undefined where none is believed. */
  readonly requestHeader: RequestHeaderOptions | undefined;
  /** What this server shows to aggregated servers, as it made it itself; undefined where flags name it, or nothing. */
  readonly frontProxy: CertificatePair | undefined;
  readonly signingKey: KeyObject;
  /** The signing key's own half among them. */
  readonly verificationKeys: readonly VerificationKey[];
  /** The authority's own key signs users' certificates; undefined with --client-ca-file, whose key we do not have. */
  readonly clientAuthority: CertificatePair | undefined;
  /** The administrator as the server itself made him; undefined where that is another authority's affair. */
  readonly admin: CertificatePair | undefined;
}

export interface CredentialSources {
  readonly config: ServerConfig;
  readonly store: CredentialStore;
  /** A file's text. @throws with a message that names it */
  readonly readFile: (path: string) => string;
  /** DNS names and addresses clients reach the server by. */
  readonly names: readonly string[];
  readonly nowMs: number;
}

/** As kubeadm sets the flags. */
const OWN_REQUEST_HEADER: RequestHeaderOptions = {
  allowedNames: ['front-proxy-client'],
  usernameHeaders: ['X-Remote-User'],
  uidHeaders: ['X-Remote-Uid'],
  groupHeaders: ['X-Remote-Group'],
  extraHeaderPrefixes: ['X-Remote-Extra-'],
};

/** @throws Error naming the flag or file that is at fault */
export function gatherCredentials({
  config,
  store,
  readFile,
  names,
  nowMs,
}: CredentialSources): ServerCredentials {
  const ownClients = config.clientCaFile === '';
  const given = givenServerPair(config, store, readFile);
  const authority = given === undefined || ownClients ? ownAuthority(store, nowMs) : undefined;
  const serving = given ?? ownServerPair(store, authority ?? ownAuthority(store, nowMs), names, nowMs);
  const signingKey = tokenKey(config, store, readFile);
  const { requestHeader } = config;
  const frontProxy =
    ownClients && requestHeader === undefined && config.aggregation.certFile === ''
      ? ownFrontProxy(store, nowMs)
      : undefined;
  return {
    serving,
    // A certificate of somebody else's, self-signed mostly, is its own authority.
    rootCertificate:
      given === undefined && authority !== undefined ? authority.certificate : serving.certificate,
    clientCa: ownClients && authority !== undefined ? authority.certificate : readFile(config.clientCaFile),
    requestHeaderCa: requestHeader === undefined ? frontProxy?.authority : readFile(requestHeader.caFile),
    requestHeader: requestHeader ?? (frontProxy === undefined ? undefined : OWN_REQUEST_HEADER),
    frontProxy: frontProxy?.pair,
    signingKey,
    verificationKeys: verificationKeys(config, signingKey, readFile),
    clientAuthority:
      ownClients && authority !== undefined
        ? { certificate: authority.certificate, key: authority.key }
        : undefined,
    admin: ownClients && authority !== undefined ? ownAdminPair(store, authority, nowMs) : undefined,
  };
}

/** A certificate for the host names that its flag says, or that it is made out to. */
export interface NamedPair extends CertificatePair {
  /** `*.example.com` or plain names, in lower case. */
  readonly names: readonly string[];
}

/** The pairs of --tls-sni-cert-key. @throws Error for one that cannot be used */
export function sniPairs(config: ServerConfig, readFile: (path: string) => string): NamedPair[] {
  return config.sniPairs.map(({ certFile, keyFile, names }) => {
    const certificate = readFile(certFile);
    const key = readFile(keyFile);
    try {
      const leaf = new X509Certificate(certificate);
      if (!leaf.checkPrivateKey(createPrivateKey(key)))
        throw new Error('private key does not match public key');
      const own = [...(leaf.subjectAltName ?? '').matchAll(/DNS:([^\s,]+)/g)].map((match) => match[1]);
      return {
        certificate,
        key,
        names: (names.length === 0 ? own : names).map((name) => name.toLowerCase()),
      };
    } catch (error) {
      throw new Error(`failed to load SNI cert and key: ${messageOf(error)}`, { cause: error });
    }
  });
}

function givenServerPair(
  { certFile, keyFile }: ServerConfig,
  store: CredentialStore,
  readFile: (path: string) => string,
): CertificatePair | undefined {
  if (certFile === '') return foreignServerPair(store);
  return { certificate: readFile(certFile), key: readFile(keyFile) };
}

function tokenKey(
  { serviceAccounts: { signingKeyFile } }: ServerConfig,
  store: CredentialStore,
  readFile: (path: string) => string,
): KeyObject {
  if (signingKeyFile === '') return ownTokenKey(store);
  try {
    return createPrivateKey(readFile(signingKeyFile));
  } catch (error) {
    throw new Error(`failed to parse service-account-issuer-key-file: ${messageOf(error)}`, { cause: error });
  }
}

/** Each key once; that of the signing key counts beside others that are named. */
function verificationKeys(
  { serviceAccounts: { keyFiles } }: ServerConfig,
  signingKey: KeyObject,
  readFile: (path: string) => string,
): VerificationKey[] {
  const own = publicKeysOf(signingKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  const named = keyFiles.flatMap((path) => {
    try {
      return publicKeysOf(readFile(path));
    } catch (error) {
      throw new Error(`error reading public key file ${path}: ${messageOf(error)}`, { cause: error });
    }
  });
  const keys = new Map<string, VerificationKey>();
  for (const key of [...named, ...own]) keys.set(keyIdOf(key), { id: keyIdOf(key), key });
  return [...keys.values()];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
