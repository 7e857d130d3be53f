/**
 * This member as a client of other members over TLS: its certificate read anew for each connection, who it
 * trusts, and what else a peer's certificate must have (etcd: TLSInfo.ClientConfig).
 */
import { KeyPairFiles, readAuthorities, type DialTls } from '@keelson/rpc';
import { allowedProblem } from './peer-names.ts';
import { hasCertificate, type TlsSettings } from './tls-settings.ts';

/**
 * @returns options for each connection; asking throws TlsFileError while the files cannot be used
 * @throws TlsFileError when the authorities cannot be read
 */
export function tlsDialer(settings: TlsSettings): DialTls {
  const ca = settings.trustedCaFile === '' ? undefined : readAuthorities(settings.trustedCaFile);
  const ownPair = settings.clientCertFile !== '';
  const pair = hasCertificate(settings)
    ? new KeyPairFiles(
        ownPair ? settings.clientCertFile : settings.certFile,
        ownPair ? settings.clientKeyFile : settings.keyFile,
      )
    : undefined;
  return () => ({
    ca,
    ...pair?.read(),
    minVersion: settings.minVersion,
    maxVersion: settings.maxVersion,
    ciphers: settings.ciphers,
    skipVerify: settings.selfSigned,
    check: (certificate) => allowedProblem(settings, certificate),
  });
}
