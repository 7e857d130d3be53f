/**
 * Which member to talk to. Sticky: calls stay with one endpoint while it works (so that serializable reads
 * do not jump back in time between members) and move on when it fails; an endpoint that failed goes to the
 * end of the queue for a while. It dials, and never decides whether a call may be repeated.
 */
import { assert, type Clock, type Prng } from '@keelson/base';
import { RpcError, StatusCode, type Channel } from '@keelson/rpc';
import { clientClosed, noEndpoint } from './errors.ts';

/** @param secure as its scheme says; undefined: it has none, so whoever dials decides */
export type ChannelFactory = (address: string, secure: boolean | undefined) => Channel;

/** First and longest time an endpoint that failed is asked last. */
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 5000;

export class Endpoint {
  readonly address: string;
  readonly secure: boolean | undefined;
  readonly channel: Channel;
  failures = 0;
  /** Until then others are preferred, on the monotonic clock. */
  avoidUntilMs = 0;

  constructor({ address, secure }: Address, channel: Channel) {
    this.address = address;
    this.secure = secure;
    this.channel = channel;
  }
}

export class Endpoints {
  private readonly endpoints: Endpoint[];
  private readonly factory: ChannelFactory;
  private readonly clock: Clock;
  private readonly dialTimeoutMs: number;
  private current: number;
  private closed = false;

  /**
   * @param addresses "host:port", "http://host:port", "https://host:port", "unix:/path", "unixs:/path"; at least one
   * @throws TypeError for none, or for one that is not understood
   */
  constructor(
    addresses: readonly string[],
    factory: ChannelFactory,
    clock: Clock,
    prng: Prng,
    dialTimeoutMs: number,
  ) {
    if (addresses.length === 0) throw new TypeError('at least one endpoint is needed');
    this.factory = factory;
    this.clock = clock;
    this.dialTimeoutMs = dialTimeoutMs;
    this.endpoints = addresses.map((address) => this.open(address));
    // Anywhere, so that many clients with one list spread over the members.
    this.current = prng.below(addresses.length);
  }

  get addresses(): string[] {
    return this.endpoints.map((endpoint) => endpoint.address);
  }

  /**
   * A connected endpoint: the current one, else the first that can be reached.
   * @param address ask for this one and no other
   * @throws EtcdError NO_ENDPOINT, definite: nothing was sent
   */
  async acquire(budgetMs: number, address?: string): Promise<Endpoint> {
    const until = this.clock.monotonicMs() + budgetMs;
    let last: unknown;
    for (const endpoint of address === undefined ? this.inOrder() : [this.named(address)]) {
      if (this.closed) throw clientClosed();
      if (endpoint.channel.state !== 'ready') {
        const leftMs = until - this.clock.monotonicMs();
        if (leftMs <= 0) break;
        try {
          await endpoint.channel.connect(Math.min(this.dialTimeoutMs, leftMs));
        } catch (error) {
          last = error;
          this.failed(endpoint);
          continue;
        }
      }
      const index = this.endpoints.indexOf(endpoint);
      if (address === undefined && index >= 0) this.current = index;
      return endpoint;
    }
    if (this.closed) throw clientClosed();
    throw noEndpoint(last);
  }

  succeeded(endpoint: Endpoint): void {
    endpoint.failures = 0;
    endpoint.avoidUntilMs = 0;
  }

  /** The endpoint could not be reached or is no use now: others first, for a time that doubles. */
  failed(endpoint: Endpoint): void {
    const backoffMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** endpoint.failures);
    endpoint.failures = Math.min(endpoint.failures + 1, 16);
    endpoint.avoidUntilMs = this.clock.monotonicMs() + backoffMs;
    if (this.endpoints[this.current] === endpoint) this.current = (this.current + 1) % this.endpoints.length;
  }

  /** Replaces the list, keeping the channels of addresses that stay. */
  replace(addresses: readonly string[]): void {
    assert(addresses.length > 0, 'an empty list of endpoints leaves nowhere to go');
    const kept = addresses.map((each) => {
      const { address, secure } = parseAddress(each);
      const same = (endpoint: Endpoint): boolean =>
        endpoint.address === address && endpoint.secure === secure;
      return this.endpoints.find(same) ?? this.open(each);
    });
    for (const endpoint of this.endpoints) {
      if (!kept.includes(endpoint)) endpoint.channel.close();
    }
    this.endpoints.splice(0, this.endpoints.length, ...kept);
    this.current %= kept.length;
  }

  close(): void {
    this.closed = true;
    for (const endpoint of this.endpoints) endpoint.channel.close();
  }

  /** From the current one round, those that failed lately last. */
  private inOrder(): Endpoint[] {
    const now = this.clock.monotonicMs();
    const round = [...this.endpoints.slice(this.current), ...this.endpoints.slice(0, this.current)];
    const good = round.filter((endpoint) => endpoint.avoidUntilMs <= now);
    const avoided = round.filter((endpoint) => endpoint.avoidUntilMs > now);
    return [...good, ...avoided.sort((a, b) => a.avoidUntilMs - b.avoidUntilMs)];
  }

  private named(address: string): Endpoint {
    const wanted = parseAddress(address).address;
    const found = this.endpoints.find((endpoint) => endpoint.address === wanted);
    if (found === undefined) {
      throw new RpcError(StatusCode.InvalidArgument, `${address} is not an endpoint of this client`);
    }
    return found;
  }

  private open(address: string): Endpoint {
    const parsed = parseAddress(address);
    return new Endpoint(parsed, this.factory(parsed.address, parsed.secure));
  }
}

export interface Address {
  /** As a channel takes it. */
  readonly address: string;
  /** Whether its scheme asks for TLS, or forbids it; undefined: it says nothing. */
  readonly secure: boolean | undefined;
}

/** Schemes and what they say about TLS, as in etcd's client. */
const SCHEMES: readonly (readonly [prefix: RegExp, secure: boolean])[] = [
  [/^http:\/\//, false],
  [/^https:\/\//, true],
];

/** An endpoint as users write it. @throws TypeError when it is none */
export function parseAddress(endpoint: string): Address {
  const unix = /^unix(s?):(?:\/\/)?(.*)$/.exec(endpoint);
  if (unix !== null) {
    if (unix[2] === '') throw new TypeError(`endpoint ${endpoint} names no socket`);
    return { address: `unix:${unix[2]}`, secure: unix[1] === 's' ? true : undefined };
  }
  const scheme = SCHEMES.find(([prefix]) => prefix.test(endpoint));
  const address = endpoint.replace(scheme?.[0] ?? '', '').replace(/\/$/, '');
  if (!/^(?:\[[0-9a-fA-F:.%]+\]|[^:/\s]+):\d+$/.test(address) && address !== 'in-process') {
    throw new TypeError(`endpoint ${endpoint} is not host:port`);
  }
  return { address, secure: scheme?.[1] };
}
