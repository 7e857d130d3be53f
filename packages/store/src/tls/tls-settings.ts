/**
 * What the TLS flags say, once for clients and once for peers, with the certificates of --auto-tls filled in.
 * The files behind the names are read elsewhere, again and again.
 */
import { join } from 'node:path';
import type { Clock, Logger } from '@keelson/base';
import { opensslCiphers } from '@keelson/rpc';
import type { ServerConfig } from '../config/flag-table.ts';
import type { EtcdUrl } from '../config/urls.ts';
import { selfSignedFiles } from './self-signed.ts';

export interface TlsSettings {
  /** Shown to whoever connects, and to those we connect to unless there is a pair for that. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Shown to those we connect to; '' for the pair above. */
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
  /** Signs the other side's certificates; '' for the system's authorities. */
  readonly trustedCaFile: string;
  /** A certificate is asked for, also without a CA of one's own. */
  readonly clientCertAuth: boolean;
  readonly crlFile: string;
  readonly allowedCns: readonly string[];
  readonly allowedHostnames: readonly string[];
  /** The names in a certificate need not be those of the address it comes from. */
  readonly skipClientSanVerification: boolean;
  /** Made at start: nobody can verify it, so nobody is verified. */
  readonly selfSigned: boolean;
  /** OpenSSL's list; undefined: the runtime's choice. */
  readonly ciphers: string | undefined;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion: 'TLSv1.2' | 'TLSv1.3';
}

/** Whether there is anything to serve TLS with. */
export function hasCertificate(settings: TlsSettings): boolean {
  return settings.certFile !== '' || settings.keyFile !== '';
}

/** Whether somebody who connects must show a certificate: naming a CA is enough, as in etcd. */
export function asksCertificate(settings: TlsSettings): boolean {
  return settings.clientCertAuth || settings.trustedCaFile !== '';
}

/** etcd's own description, for its log line. */
export function describeSettings(settings: TlsSettings): string {
  const { certFile, keyFile, clientCertFile, clientKeyFile, trustedCaFile, clientCertAuth, crlFile } =
    settings;
  return (
    `cert = ${certFile}, key = ${keyFile}, client-cert=${clientCertFile}, client-key=${clientKeyFile}, ` +
    `trusted-ca = ${trustedCaFile}, client-cert-auth = ${String(clientCertAuth)}, crl-file = ${crlFile}`
  );
}

const VERSIONS: Readonly<Record<string, 'TLSv1.2' | 'TLSv1.3'>> = {
  'TLS1.2': 'TLSv1.2',
  'TLS1.3': 'TLSv1.3',
};

function versionsOf(config: ServerConfig): Pick<TlsSettings, 'ciphers' | 'minVersion' | 'maxVersion'> {
  return {
    ciphers: opensslCiphers(config.cipherSuites),
    minVersion: VERSIONS[config.tlsMinVersion] ?? 'TLSv1.2',
    maxVersion: VERSIONS[config.tlsMaxVersion] ?? 'TLSv1.3',
  };
}

/** For the client ports. Makes the certificate of --auto-tls. @throws node's file errors */
export function clientTlsSettings(config: ServerConfig, clock: Clock, logger: Logger): TlsSettings {
  const settings: TlsSettings = {
    certFile: config.certFile,
    keyFile: config.keyFile,
    clientCertFile: config.clientCertFile,
    clientKeyFile: config.clientKeyFile,
    trustedCaFile: config.trustedCaFile,
    clientCertAuth: config.clientCertAuth,
    crlFile: config.clientCrlFile,
    allowedCns: config.clientCertAllowedCn,
    allowedHostnames: config.clientCertAllowedHostname,
    skipClientSanVerification: true,
    selfSigned: false,
    ...versionsOf(config),
  };
  const urls = [...config.listenClientUrls, ...config.listenClientHttpUrls];
  return config.autoTls ? selfSigned(settings, 'client', urls, config, clock, logger) : settings;
}

/** For the peer ports and for dialling peers. Makes the certificate of --peer-auto-tls. @throws node's file errors */
export function peerTlsSettings(config: ServerConfig, clock: Clock, logger: Logger): TlsSettings {
  const settings: TlsSettings = {
    certFile: config.peerCertFile,
    keyFile: config.peerKeyFile,
    clientCertFile: config.peerClientCertFile,
    clientKeyFile: config.peerClientKeyFile,
    trustedCaFile: config.peerTrustedCaFile,
    clientCertAuth: config.peerClientCertAuth,
    crlFile: config.peerCrlFile,
    allowedCns: config.peerCertAllowedCn,
    allowedHostnames: config.peerCertAllowedHostname,
    skipClientSanVerification: config.peerSkipClientSanVerification,
    selfSigned: false,
    ...versionsOf(config),
  };
  return config.peerAutoTls
    ? selfSigned(settings, 'peer', config.listenPeerUrls, config, clock, logger)
    : settings;
}

function selfSigned(
  settings: TlsSettings,
  who: 'client' | 'peer',
  urls: readonly EtcdUrl[],
  config: ServerConfig,
  clock: Clock,
  logger: Logger,
): TlsSettings {
  if (hasCertificate(settings)) {
    logger.warn(`ignoring ${who} auto TLS since certs given`);
    return settings;
  }
  const files = selfSignedFiles(
    join(config.dataDir, 'fixtures', who),
    urls.map((url) => url.hostname),
    config.selfSignedCertValidityYears,
    clock,
    logger,
  );
  // As in etcd, whatever else was said about certificates is void.
  return {
    ...files,
    clientCertFile: files.certFile,
    clientKeyFile: files.keyFile,
    trustedCaFile: '',
    clientCertAuth: false,
    crlFile: '',
    allowedCns: [],
    allowedHostnames: [],
    skipClientSanVerification: false,
    selfSigned: true,
    ciphers: settings.ciphers,
    minVersion: settings.minVersion,
    maxVersion: settings.maxVersion,
  };
}
