/**
 * --discovery-srv: endpoints by DNS. SRV records of _etcd-client-ssl._tcp name those with TLS, of
 * _etcd-client._tcp those without (etcd: client/pkg/srv).
 */
import { resolveSrv } from 'node:dns/promises';
import { toError } from '@keelson/base';
import type { FlagValues } from '../flags.ts';
import type { Io } from '../io.ts';
import { badArgs } from './ctl-error.ts';

/** A record, as node's resolver gives it. */
export interface SrvRecord {
  readonly name: string;
  readonly port: number;
}

export type SrvResolver = (name: string) => Promise<readonly SrvRecord[]>;

/**
 * The endpoints a domain names; none when --discovery-srv was not given. With --insecure-discovery=false those
 * without TLS are left out, with a word each.
 * @throws CtlError when neither kind of record can be had
 */
export async function discoveredEndpoints(
  values: FlagValues,
  io: Io,
  resolve: SrvResolver = resolveSrv,
): Promise<string[]> {
  const domain = values.string('discovery-srv');
  if (domain === '') return [];
  const suffix = values.string('discovery-srv-name');
  const ask = async (service: string, scheme: string): Promise<string[] | Error> => {
    const name = suffix === '' ? service : `${service}-${suffix}`;
    try {
      const records = await resolve(`_${name}._tcp.${domain}`);
      return records.map((record) => `${scheme}://${record.name.replace(/\.$/, '')}:${record.port}`);
    } catch (error) {
      return toError(error);
    }
  };
  const [secure, plain] = await Promise.all([ask('etcd-client-ssl', 'https'), ask('etcd-client', 'http')]);
  if (secure instanceof Error && plain instanceof Error)
    throw badArgs(`dns lookup errors: ${secure.message} and ${plain.message}`);
  const found = [secure, plain].flatMap((each) => (each instanceof Error ? [] : each));
  if (values.bool('insecure-discovery')) return found;
  return found.filter((endpoint) => {
    if (!endpoint.startsWith('http://')) return true;
    io.err(`ignoring discovered insecure endpoint "${endpoint}"\n`);
    return false;
  });
}
