/**
 * --cacert, --cert, --key, --insecure-transport and --insecure-skip-tls-verify: how connections are secured, as
 * etcdctl reads these flags. Files are read here once, so that a wrong one ends the command at once.
 */
import { isIP } from 'node:net';
import { KeyPairFiles, TlsFileError, readAuthorities, type DialTls } from '@keelson/rpc';
import type { FlagValues } from '../flags.ts';
import { badArgs } from './ctl-error.ts';

const FILES: readonly string[] = ['cert', 'key', 'cacert'];

/**
 * What connections are made with; undefined: without TLS, unless an endpoint says https.
 * @throws CtlError for flags that do not go together, and for files that cannot be used
 */
export function tlsOf(values: FlagValues): DialTls | undefined {
  for (const name of FILES) {
    if (values.string(name) === '' && values.changed(name))
      throw badArgs(`empty string is passed to --${name} option`);
  }
  const cert = values.string('cert');
  const key = values.string('key');
  const cacert = values.string('cacert');
  const skipVerify = values.bool('insecure-skip-tls-verify');
  // Records that are not trusted name servers, but not who these are.
  const domain = values.bool('insecure-discovery') ? '' : values.string('discovery-srv');
  if (cert === '' && key === '' && cacert === '' && domain === '') {
    return values.bool('insecure-transport') && !skipVerify ? undefined : () => ({ skipVerify });
  }
  if ((cert === '') !== (key === ''))
    throw badArgs(`KeyFile and CertFile must both be present[key: ${key}, cert: ${cert}]`);
  const pair = cert === '' ? undefined : new KeyPairFiles(cert, key);
  try {
    pair?.read();
    const ca = cacert === '' ? undefined : readAuthorities(cacert);
    return () => ({
      ca,
      ...pair?.read(),
      skipVerify,
      serverName: domain === '' || isIP(domain) !== 0 ? undefined : domain,
    });
  } catch (error) {
    if (error instanceof TlsFileError) throw badArgs(error.message);
    throw error;
  }
}
