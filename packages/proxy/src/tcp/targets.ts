/**
 * Which members a gateway forwards to: those that DNS names (SRV records of _etcd-client-ssl._tcp and
 * _etcd-client._tcp), else the endpoints that were given, whose schemes say nothing to a forwarder of bytes. A
 * gateway that would forward to itself is refused. Order of the questions and texts are etcd's.
 */
import { systemClock, toError, type Logger } from '@keelson/base';
import { dialErrorText, dialTls, readAuthorities } from '@keelson/rpc';
import { goQuote, splitHostPort } from '@keelson/store';
import { addressOf, type Target } from './remotes.ts';

/** A record, as node's resolver gives it. */
export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** Asks for names; node:dns/promises in production. */
export interface Resolver {
  srv(name: string): Promise<readonly SrvRecord[]>;
  /** All addresses of a host; of an address itself. */
  addresses(host: string): Promise<readonly string[]>;
}

export interface Asked {
  readonly listenAddr: string;
  readonly endpoints: readonly string[];
  readonly discoverySrv: string;
  readonly discoverySrvName: string;
  readonly insecureDiscovery: boolean;
  readonly trustedCaFile: string;
}

/** Why it cannot start; etcd writes these as they are, some to standard output. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly stream: 'out' | 'err';

  constructor(message: string, stream: 'out' | 'err') {
    super(message);
    this.stream = stream;
  }
}

export interface Plan {
  readonly listen: { readonly host: string; readonly port: string };
  readonly targets: readonly Target[];
}

/** @throws GatewayError */
export async function planOf(asked: Asked, resolver: Resolver, logger: Logger): Promise<Plan> {
  const discovered = await discover(asked, resolver, logger);
  const targets = discovered.length > 0 ? discovered : asked.endpoints.map(targetOf);
  const listen = splitHostPort(asked.listenAddr);
  if (listen === undefined)
    throw new GatewayError(`failed to validate listen address: ${asked.listenAddr}\n`, 'out');
  const own = await addresses(resolver, listen.host);
  if (own.length === 0) throw new GatewayError(`failed to resolve listen host: ${listen.host}\n`, 'out');
  for (const { host, port } of targets) {
    const found = await addresses(resolver, host);
    if (found.length === 0) throw new GatewayError(`failed to resolve endpoint host: ${host}\n`, 'out');
    const self = String(port) === listen.port ? found.find((each) => own.includes(each)) : undefined;
    if (self !== undefined)
      throw new GatewayError(
        `SRV or endpoint (${host}:${port}->${self}:${port}) should not resolve to the gateway listen addr (${asked.listenAddr})\n`,
        'out',
      );
  }
  if (targets.length === 0) throw new GatewayError('no endpoints found\n', 'out');
  return { listen, targets };
}

/** None, where the name is not to be found. */
async function addresses(resolver: Resolver, host: string): Promise<readonly string[]> {
  if (host === '') return [];
  return resolver.addresses(host).catch(() => []);
}

/** @throws GatewayError for one without a host */
function targetOf(endpoint: string): Target {
  const url = /^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?\/\/(?:[^@/?#]*@)?([^/?#]+)/.exec(endpoint);
  const address = url?.[1] ?? endpoint;
  const whole = /:[0-9]+$/.test(address) ? address : `${address}:2379`;
  const parts = splitHostPort(whole);
  if (parts === undefined) throw new GatewayError(`error parsing endpoint ${goQuote(whole)}`, 'out');
  const port = Number(parts.port);
  // One that is out of range cannot be reached, and is found out by dialling.
  return { host: parts.host, port: port > 65_535 ? 0 : port, priority: 0, weight: 0 };
}

export interface Found extends Target {
  readonly endpoint: string;
}

export async function discover(asked: Asked, resolver: Resolver, logger: Logger): Promise<readonly Found[]> {
  const domain = asked.discoverySrv;
  if (domain === '') return [];
  const secure = await service(asked, 'https', resolver);
  const plain = await service(asked, 'http', resolver);
  if (secure instanceof Error && plain instanceof Error)
    throw new GatewayError(`dns lookup errors: ${secure.message} and ${plain.message}\n`, 'err');
  const found = [secure, plain].flatMap((each) => (each instanceof Error ? [] : each));
  const fields = { 'srv-server': domain, endpoints: found.map(({ endpoint }) => endpoint) };
  logger.info('discovered cluster from SRV', fields);
  if (asked.insecureDiscovery) return found;
  logger.info('validating discovered SRV endpoints', fields);
  const { good, problems } = await validated(found, asked);
  const endpoints = good.map(({ endpoint }) => endpoint);
  if (problems.length > 0)
    logger.warn('failed to validate discovered endpoints', {
      ...fields,
      endpoints,
      error: problems.join(','),
    });
  else logger.info('using validated discovered SRV endpoints', { ...fields, endpoints });
  return good;
}

async function service(
  { discoverySrv, discoverySrvName }: Asked,
  scheme: 'http' | 'https',
  resolver: Resolver,
): Promise<readonly Found[] | Error> {
  const suffix = discoverySrvName === '' ? '' : `-${discoverySrvName}`;
  const name = `_etcd-client${scheme === 'https' ? '-ssl' : ''}${suffix}._tcp.${discoverySrv}`;
  try {
    const records = await resolver.srv(name);
    return records.map(({ name: given, port, priority, weight }) => {
      const host = given.replace(/\.$/, '');
      return { host, port, priority, weight, endpoint: `${scheme}://${addressOf({ host, port })}` };
    });
  } catch (error) {
    const { message } = toError(error);
    return new Error(`lookup ${name}: ${/ENOTFOUND|ENODATA/.test(message) ? 'no such host' : message}`);
  }
}

/** Time a member has for its handshake (etcd's for its connection). */
const HANDSHAKE_MS = 5_000;

/**
 * Those with TLS whose certificate is good for the domain. The original only opens a connection, which proves nothing
 * (finding TOB-ETCD-001 of its audit); what its flags promise is done here.
 */
async function validated(
  found: readonly Found[],
  { trustedCaFile, discoverySrv }: Asked,
): Promise<{ good: readonly Found[]; problems: readonly string[] }> {
  let ca: readonly string[] | undefined;
  try {
    ca = trustedCaFile === '' ? undefined : readAuthorities(trustedCaFile);
  } catch (error) {
    return { good: [], problems: [toError(error).message] };
  }
  const outcomes = await Promise.all(
    found.map(async (each) => {
      if (!each.endpoint.startsWith('https://')) return `${goQuote(each.endpoint)} is insecure`;
      const problem = await handshakeProblem(each, discoverySrv, ca);
      return problem === undefined ? each : `${goQuote(each.endpoint)} failed to dial (${problem})`;
    }),
  );
  return {
    good: outcomes.filter((outcome) => typeof outcome !== 'string'),
    problems: outcomes.filter((outcome) => typeof outcome === 'string'),
  };
}

function handshakeProblem(
  { host, port }: Target,
  serverName: string,
  ca: readonly string[] | undefined,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = dialTls(
      { host, port },
      () => ({ ca, serverName }),
      [],
      () => systemClock.nowMs(),
    );
    const timer = systemClock.setTimer(HANDSHAKE_MS, () => socket.destroy(new Error('i/o timeout')));
    socket.on('error', (error) => resolve(dialErrorText(error)));
    socket.once('secureConnect', () => {
      // A certificate that was refused has destroyed the socket; its error is still to come.
      if (!socket.destroyed) resolve(undefined);
      socket.destroy();
    });
    socket.once('close', () => {
      timer.cancel();
      resolve('closed');
    });
  });
}
