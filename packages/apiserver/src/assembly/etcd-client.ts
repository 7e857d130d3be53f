/**
 * The client of the etcd cluster that --etcd-servers names, with the certificates of --etcd-cafile and its kin. Our own
 * HTTP/2, over TLS and without: it carries the watches of all resources on one connection a member.
 */

import type { Clock } from '@keelson/base';
import { Client } from '@keelson/client';
import { KeyPairFiles, nativeChannel, readAuthorities, type DialTls } from '@keelson/rpc';

import type { EtcdConfig } from '../options/config.ts';

/** The original's dial timeout. */
const DIAL_TIMEOUT_MS = 20_000;

/** @throws Error for files that cannot be read, TypeError for servers that are none */
export function etcdClient(config: EtcdConfig, clock: Clock): Client {
  const tls = dialOf(config);
  return new Client({
    endpoints: config.servers,
    clock,
    dialTimeoutMs: DIAL_TIMEOUT_MS,
    channelFactory: (address, secure) =>
      nativeChannel(address, {
        clock,
        ...((secure ?? tls !== undefined) ? { tls: tls ?? (() => ({})) } : {}),
      }),
  });
}

/** Certificates are read at each handshake, so that they can be renewed under us. */
function dialOf({ caFile, certFile, keyFile }: EtcdConfig): DialTls | undefined {
  if (caFile === '' && certFile === '') return undefined;
  const authorities = caFile === '' ? undefined : readAuthorities(caFile);
  const pair = certFile === '' ? undefined : new KeyPairFiles(certFile, keyFile);
  return () => ({ ...(authorities === undefined ? {} : { ca: authorities }), ...pair?.read() });
}
