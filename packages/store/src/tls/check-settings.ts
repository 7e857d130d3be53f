/** What the TLS flags name is there and fits, before anybody connects. Texts are etcd's. */
import { KeyPairFiles, TlsFileError, readAuthorities } from '@keelson/rpc';
import { goQuote } from '../config/go-values.ts';
import { FatalError } from '../errors.ts';
import { hasCertificate, type TlsSettings } from './tls-settings.ts';

/** @throws FatalError */
export function checkTlsSettings(settings: TlsSettings): void {
  const { certFile, keyFile, clientCertFile, clientKeyFile, allowedCns, allowedHostnames } = settings;
  if (hasCertificate(settings) && (certFile === '' || keyFile === ''))
    throw new FatalError(`KeyFile and CertFile must both be present[key: ${keyFile}, cert: ${certFile}]`);
  if ((clientCertFile === '') !== (clientKeyFile === ''))
    throw new FatalError(
      `ClientKeyFile and ClientCertFile must both be present or both absent: key: ${clientKeyFile}, cert: ${clientCertFile}]`,
    );
  if (allowedCns.length > 0 && allowedHostnames.length > 0) {
    const list = (texts: readonly string[]): string => `[${texts.map(goQuote).join(' ')}]`;
    throw new FatalError(
      `AllowedCNs and AllowedHostnames are mutually exclusive (cns=${list(allowedCns)}, hostnames=${list(allowedHostnames)})`,
    );
  }
  try {
    if (certFile !== '') new KeyPairFiles(certFile, keyFile).read();
    if (clientCertFile !== '') new KeyPairFiles(clientCertFile, clientKeyFile).read();
    if (settings.trustedCaFile !== '') readAuthorities(settings.trustedCaFile);
  } catch (error) {
    if (error instanceof TlsFileError) throw new FatalError(error.message, { cause: error });
    throw error;
  }
}
