/**
 * TLS on both sides of the proxy: what it shows to clients and asks of them, and how it reaches the members. Files are
 * read anew for each connection. (etcd: client/pkg/transport, as grpc_proxy.go uses it.)
 */
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import type { Clock, Logger } from '@keelson/base';
import { KeyPairFiles, opensslCiphers, readAuthorities, type DialTls } from '@keelson/rpc';
import { selfSignedFiles, splitHostPort, type TlsSettings } from '@keelson/store';
import type { GrpcProxyConfig } from './flags.ts';

/** A start that cannot be; the message is for the user. */
export class ProxyStartError extends Error {
  override readonly name = 'ProxyStartError';
}

/**
 * What clients are shown and asked; undefined: plain text.
 * @throws ProxyStartError, TlsFileError; node's errors of a directory that cannot be written
 */
export function listenTls(config: GrpcProxyConfig, clock: Clock, logger: Logger): TlsSettings | undefined {
  const { certFile, keyFile, trustedCaFile } = config;
  const given = certFile !== '' || keyFile !== '' || trustedCaFile !== '';
  if (!given && !config.autoTls) return undefined;
  const common = {
    clientCertFile: '',
    clientKeyFile: '',
    clientCertAuth: false,
    crlFile: config.clientCrlFile,
    allowedCns: [],
    allowedHostnames: [],
    skipClientSanVerification: false,
    ciphers: opensslCiphers(config.cipherSuites),
    minVersion: config.tlsMinVersion === 'TLS1.3' ? 'TLSv1.3' : 'TLSv1.2',
    maxVersion: config.tlsMaxVersion === 'TLS1.2' ? 'TLSv1.2' : 'TLSv1.3',
  } as const;
  if (given) {
    checkPair(certFile, keyFile);
    if (trustedCaFile !== '') readAuthorities(trustedCaFile);
    return { ...common, certFile, keyFile, trustedCaFile, selfSigned: false };
  }
  const files = selfSignedFiles(
    join(config.dataDir, 'fixtures', 'proxy'),
    [splitHostPort(config.listenAddr)?.host ?? ''],
    config.certValidityYears,
    clock,
    logger,
  );
  return { ...common, ...files, trustedCaFile: '', selfSigned: true };
}

/** How members are reached; undefined: in plain text, unless an endpoint says https. @throws as listenTls */
export function memberTls(config: GrpcProxyConfig): DialTls | undefined {
  const { cert, key, cacert, insecureSkipTlsVerify } = config;
  if (cert === '' && key === '' && cacert === '' && !insecureSkipTlsVerify) return undefined;
  let pair: KeyPairFiles | undefined;
  if (cert !== '' || key !== '') {
    pair = checkPair(cert, key);
    checkNameless(pair);
  }
  if (cacert !== '') readAuthorities(cacert);
  return dialWith(pair, cacert, insecureSkipTlsVerify);
}

/** How the proxy reaches itself, by what it advertises. */
export function ownTls(settings: TlsSettings): DialTls {
  const pair = settings.certFile === '' ? undefined : new KeyPairFiles(settings.certFile, settings.keyFile);
  return dialWith(pair, settings.trustedCaFile, settings.selfSigned);
}

function dialWith(pair: KeyPairFiles | undefined, caFile: string, skipVerify: boolean): DialTls {
  return () => ({
    ...(caFile !== '' && { ca: readAuthorities(caFile) }),
    ...pair?.read(),
    skipVerify,
  });
}

function checkPair(certFile: string, keyFile: string): KeyPairFiles {
  if (certFile === '' || keyFile === '')
    throw new ProxyStartError(
      `KeyFile and CertFile must both be present[key: ${keyFile}, cert: ${certFile}]`,
    );
  const pair = new KeyPairFiles(certFile, keyFile);
  pair.read();
  return pair;
}

/** A member takes a certificate's name for a user: every caller would be that one. */
function checkNameless(pair: KeyPairFiles): void {
  const name = /^CN=(.+)$/m.exec(new X509Certificate(pair.read().cert).subject)?.[1];
  if (name !== undefined)
    throw new ProxyStartError(`cert has non empty Common Name (${name}): ${pair.certFile}`);
}
