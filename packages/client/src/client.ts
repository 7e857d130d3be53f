/**
 * The client: joins endpoints, token, retry rules and the rooms of the API, and does nothing else. Many can
 * live in one process; they share nothing.
 */
import { randomInt } from 'node:crypto';
import { Prng, systemClock, type Clock } from '@keelson/base';
import { grpcJsChannel, nativeChannel, type Channel, type DialTls } from '@keelson/rpc';
import { Auth, Tokens } from './auth.ts';
import { Backup } from './backup.ts';
import { Cluster } from './cluster.ts';
import { Endpoints, type ChannelFactory } from './endpoints.ts';
import { Kv } from './kv.ts';
import { Lease } from './lease.ts';
import { Maintenance } from './maintenance.ts';
import { Caller } from './retry.ts';
import { Watch } from './watch.ts';

export interface ClientOptions {
  /**
   * "host:port", "http://host:port", "https://host:port", "unix:/path" or "unixs:/path"; at least one. A scheme
   * decides about TLS; without one it is spoken if `tls` is given.
   */
  readonly endpoints: readonly string[];
  /** How long one endpoint may take to connect before the next is tried. Default 2 s, as etcdctl. */
  readonly dialTimeoutMs?: number;
  /** How long a unary call may take with all its attempts. Default 5 s, as etcdctl. */
  readonly requestTimeoutMs?: number;
  readonly user?: string;
  readonly password?: string;
  /** A token made elsewhere (a JSON web token), instead of user and password. */
  readonly token?: string;
  readonly clock?: Clock;
  /** Spreads clients over endpoints and retries over time; never for secrets. */
  readonly prng?: Prng;
  /** Certificates and whom to trust, asked for each connection; default for https: the system's authorities. */
  readonly tls?: DialTls;
  /** How to reach an address; default: grpc-js over cleartext, our own HTTP/2 over TLS. */
  readonly channelFactory?: ChannelFactory;
}

const DIAL_TIMEOUT_MS = 2000;
const REQUEST_TIMEOUT_MS = 5000;

export class Client {
  readonly kv: Kv;
  readonly watch: Watch;
  readonly lease: Lease;
  readonly cluster: Cluster;
  readonly maintenance: Maintenance;
  readonly backup: Backup;
  readonly auth: Auth;
  private readonly caller: Caller;

  /** @throws TypeError for endpoints that are none, or a password without a user */
  constructor(options: ClientOptions) {
    const clock = options.clock ?? systemClock;
    const prng = options.prng ?? new Prng(randomInt(2 ** 32));
    const { user, password, token } = options;
    if (user === undefined && password !== undefined) throw new TypeError('a password needs a user');
    if (user !== undefined && token !== undefined)
      throw new TypeError('either a user logs in or a token is given');
    const tokens = new Tokens(user === undefined ? token : { user, password: password ?? '' });
    const endpoints = new Endpoints(
      options.endpoints,
      options.channelFactory ?? ((address, secure) => openChannel(address, secure, options.tls)),
      clock,
      prng,
      options.dialTimeoutMs ?? DIAL_TIMEOUT_MS,
    );
    this.caller = new Caller(endpoints, clock, prng, tokens, options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS);
    this.kv = new Kv(this.caller);
    this.watch = new Watch(this.caller);
    this.lease = new Lease(this.caller);
    this.cluster = new Cluster(this.caller);
    this.maintenance = new Maintenance(this.caller);
    this.backup = new Backup(this.caller);
    this.auth = new Auth(this.caller);
  }

  /** As channel addresses: what `endpoint` options may name. */
  get endpoints(): string[] {
    return this.caller.endpoints.addresses;
  }

  /** Talks to these from now on; connections to those that stay are kept. */
  setEndpoints(endpoints: readonly string[]): void {
    this.caller.endpoints.replace(endpoints);
  }

  /** Asks the cluster for its members and takes their client URLs as endpoints. */
  async syncEndpoints(): Promise<void> {
    const { members } = await this.cluster.memberList();
    const urls = members.filter((member) => !member.isLearner).flatMap((member) => member.clientURLs);
    if (urls.length > 0) this.setEndpoints(urls);
  }

  /** Ends watches and keepers (each hears CLOSED), cancels calls, closes connections. Leases are not revoked. */
  close(): void {
    this.watch.close();
    this.lease.close();
    this.caller.close();
  }
}

function openChannel(address: string, secure: boolean | undefined, tls: DialTls | undefined): Channel {
  return (secure ?? tls !== undefined)
    ? nativeChannel(address, { tls: tls ?? (() => ({})) })
    : grpcJsChannel(address);
}

/** A client; connects when first used. @throws TypeError as Client */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}
