/** The port as the flags have it: certificates by name, whose clients' certificates count, versions and ciphers of TLS. */

import { opensslCiphers } from '@keelson/rpc';

import { sniPairs, type ServerCredentials } from '../credentials/credentials.ts';
import type { TlsIdentity } from '../http/listener.ts';
import type { ServerConfig } from '../options/config.ts';
import { curveOf } from '../options/tls-names.ts';

/** @throws Error for a certificate that cannot be read */
export function servingIdentity(
  config: ServerConfig,
  credentials: ServerCredentials,
  readFile: (path: string) => string,
): TlsIdentity {
  const { serving, clientCa, requestHeaderCa } = credentials;
  const ciphers = opensslCiphers(config.cipherSuites);
  const curves = config.curves.flatMap((name) => curveOf(name) ?? []);
  return {
    cert: serving.certificate,
    key: serving.key,
    clientCa: [clientCa, ...(requestHeaderCa === undefined ? [] : [requestHeaderCa])],
    minVersion: config.tlsMinVersion,
    http2: config.http2,
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(curves.length === 0 ? {} : { curves: curves.join(':') }),
    named: sniPairs(config, readFile),
  };
}

/** `0.0.0.0` of the flag means both families, as Go's listener takes it. */
export function listenHost(bindAddress: string): string {
  return bindAddress === '' || bindAddress === '0.0.0.0' ? '::' : bindAddress;
}
