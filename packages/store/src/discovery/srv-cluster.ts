/**
 * --discovery-srv: the first members of a cluster out of DNS. SRV records of _etcd-server-ssl._tcp name peers
 * with TLS, of _etcd-server._tcp those without; what the two give is taken together. The member finds itself by
 * comparing addresses, the others are numbered until they say their names (etcd: client/pkg/srv). It asks
 * nobody itself: the resolver is an argument.
 */
import { toError, type Logger } from '@keelson/base';
import type { ServerConfig } from '../config/flag-table.ts';
import { goQuote } from '../config/go-values.ts';
import { urlTexts } from '../config/urls.ts';
import { FatalError } from '../errors.ts';

/** A record, as node's resolver gives it. */
export interface SrvRecord {
  readonly name: string;
  readonly port: number;
}

/** Asks for names; node:dns/promises in production. */
export interface Resolver {
  srv(name: string): Promise<readonly SrvRecord[]>;
  /** The first address of a host. */
  address(host: string): Promise<string>;
}

type Asking = Pick<ServerConfig, 'name' | 'discoverySrv' | 'discoverySrvName' | 'initialAdvertisePeerUrls'>;

/**
 * @returns the text --initial-cluster would have
 * @throws FatalError when DNS names no member, or not this one
 */
export async function srvCluster(config: Asking, resolver: Resolver, logger: Logger): Promise<string> {
  const suffix = config.discoverySrvName === '' ? '' : `-${config.discoverySrvName}`;
  const pairs: Pair[] = [];
  const errors: string[] = [];
  for (const [scheme, service] of [
    ['https', `etcd-server-ssl${suffix}`],
    ['http', `etcd-server${suffix}`],
  ] as const) {
    let found: readonly Pair[] = [];
    let problem: string | undefined;
    try {
      found = await serviceMembers(config, scheme, service, resolver);
    } catch (error) {
      problem = toError(error).message;
      errors.push(problem);
    }
    pairs.push(...found);
    logger.info(`get cluster for ${service} SRV`, {
      'service-scheme': scheme,
      'service-name': service,
      'server-name': config.name,
      'discovery-srv': config.discoverySrv,
      'advertise-peer-urls': urlTexts(config.initialAdvertisePeerUrls),
      'found-cluster': found.map(textOf),
      ...(problem !== undefined && { error: problem }),
    });
  }
  if (pairs.length === 0) throw new FatalError(`error setting up initial cluster: ${errors.join('; ')}`);
  if (!pairs.some(({ name }) => name === config.name))
    throw new FatalError(
      `error setting up initial cluster: cannot find local etcd member ${goQuote(config.name)} in SRV records`,
    );
  return pairs.map(textOf).join(',');
}

interface Pair {
  readonly name: string;
  readonly url: string;
}

function textOf({ name, url }: Pair): string {
  return `${name}=${url}`;
}

/** @throws Error when the records cannot be had, or none of them can be used */
async function serviceMembers(
  config: Asking,
  scheme: 'http' | 'https',
  service: string,
  resolver: Resolver,
): Promise<readonly Pair[]> {
  const own = new Map<string, string>();
  const pairs: Pair[] = [];
  let problem: unknown;
  try {
    for (const { hostname, port, text } of config.initialAdvertisePeerUrls)
      own.set(`${await resolver.address(hostname)} ${port}`, text);
    let unnamed = 0;
    for (const record of await resolver.srv(`_${service}._tcp.${config.discoverySrv}`)) {
      // A record's name may end in a dot; a URL's must not.
      const host = record.name.replace(/\.$/, '');
      const url = `${scheme}://${host.includes(':') ? `[${host}]` : host}:${record.port}`;
      let address: string;
      try {
        address = await resolver.address(host);
      } catch (error) {
        problem = error;
        continue;
      }
      const self = own.get(`${address} ${record.port}`);
      const name = self === undefined ? String(unnamed++) : config.name;
      if (self !== undefined && !self.startsWith(`${scheme}://`))
        problem = new Error(
          `bootstrap at ${url} from DNS for ${service} has scheme mismatch with expected peer ${self}`,
        );
      else pairs.push({ name, url });
    }
  } catch (error) {
    problem = error;
  }
  if (pairs.length === 0 && problem !== undefined)
    throw new Error(`error querying DNS SRV records for _${service} ${toError(problem).message}`);
  return pairs;
}
