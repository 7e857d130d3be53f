/**
 * Leases: grant, revoke, look, and keep alive. All leases that are kept share one stream; each is renewed
 * every third of its TTL, and its keeper says so when the lease is lost, by the server's word or because no
 * answer came within the TTL. Time is counted from when a renewal was sent, so never too long.
 */
import type { Timer } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { StatusCode, type ClientStream } from '@keelson/rpc';
import type { Endpoint } from './endpoints.ts';
import { EtcdError, clientClosed, noEndpoint, toEtcdError } from './errors.ts';
import { pauseMs, verdict, type Caller, type RequestOptions } from './retry.ts';

export interface KeepAliveListener {
  /** The server renewed the lease for this many seconds. */
  renewed?(ttl: number): void;
  /** The lease is gone, or must be taken for gone. Once; nothing follows. */
  lost?(error: EtcdError): void;
}

/** A lease that is being kept. */
export interface LeaseKeeper {
  readonly id: bigint;
  /** Seconds the server granted last; 0 before the first answer. */
  readonly ttl: number;
  /** Resolves at the first renewal. @throws EtcdError when the lease is lost before */
  readonly first: Promise<void>;
  /** Stops renewing. The lease lives on until it expires; `revoke` ends it at once. */
  stop(): void;
}

export class Lease {
  private readonly caller: Caller;
  private readonly keepers: KeepAliveStream;

  constructor(caller: Caller) {
    this.caller = caller;
    this.keepers = new KeepAliveStream(caller);
  }

  /**
   * A new lease; the server may raise the TTL to its minimum.
   * @param ttl seconds
   * @param options.id an id of one's own; default: the server picks
   */
  grant(
    ttl: number,
    options: RequestOptions & { readonly id?: bigint } = {},
  ): Promise<etcdserverpb.LeaseGrantResponse> {
    const request = new etcdserverpb.LeaseGrantRequest({ TTL: ttl, ID: options.id ?? 0n });
    return this.caller.unary(M.leaseGrant, request, 'write', options);
  }

  /** Ends the lease and deletes its keys. */
  revoke(id: bigint, options?: RequestOptions): Promise<etcdserverpb.LeaseRevokeResponse> {
    const request = new etcdserverpb.LeaseRevokeRequest({ ID: id });
    return this.caller.unary(M.leaseRevoke, request, 'write', options);
  }

  /** Seconds left; TTL is -1 for a lease that does not exist. @param options.keys also list its keys */
  timeToLive(
    id: bigint,
    options: RequestOptions & { readonly keys?: boolean } = {},
  ): Promise<etcdserverpb.LeaseTimeToLiveResponse> {
    const request = new etcdserverpb.LeaseTimeToLiveRequest({ ID: id, keys: options.keys ?? false });
    return this.caller.unary(M.leaseTimeToLive, request, 'read', options);
  }

  leases(options?: RequestOptions): Promise<etcdserverpb.LeaseLeasesResponse> {
    return this.caller.unary(M.leaseLeases, new etcdserverpb.LeaseLeasesRequest(), 'read', options);
  }

  /** Renews until it is stopped or the lease is lost. Keeping one lease twice makes two keepers. */
  keepAlive(id: bigint, listener: KeepAliveListener = {}): LeaseKeeper {
    const keeper = new Keeper(id, listener, this.keepers);
    this.keepers.add(keeper);
    return keeper;
  }

  /** One renewal. @throws EtcdError LEASE_NOT_FOUND when the lease is gone */
  async keepAliveOnce(id: bigint): Promise<number> {
    const keeper = this.keepAlive(id);
    try {
      await keeper.first;
      return keeper.ttl;
    } finally {
      keeper.stop();
    }
  }

  close(): void {
    this.keepers.close();
  }
}

const M = services.Lease.methods;

/** How long the first answer may take: a keeper knows no TTL before it. */
const FIRST_ANSWER_MS = 10_000;
/** Renewals are never closer than this, whatever the TTL. */
const INTERVAL_MIN_MS = 100;

class Keeper implements LeaseKeeper {
  readonly id: bigint;
  readonly first: Promise<void>;
  ttl = 0;
  /** When the renewal that waits for its answer was sent; undefined: none waits. */
  sentMs: number | undefined = undefined;
  /** Until then the lease certainly lives, as far as this side knows. */
  deadlineMs = 0;
  renewAtMs = 0;
  private readonly listener: KeepAliveListener;
  private readonly stream: KeepAliveStream;
  private settle: ((error: EtcdError | undefined) => void) | undefined = undefined;

  constructor(id: bigint, listener: KeepAliveListener, stream: KeepAliveStream) {
    this.id = id;
    this.listener = listener;
    this.stream = stream;
    this.first = new Promise((resolve, reject) => {
      this.settle = (error) => (error === undefined ? resolve() : reject(error));
    });
    // Whoever does not await it hears through the listener.
    this.first.catch(() => {});
  }

  renewed(ttl: number): void {
    this.ttl = ttl;
    this.settle?.(undefined);
    this.listener.renewed?.(ttl);
  }

  lost(error: EtcdError): void {
    this.settle?.(error);
    this.listener.lost?.(error);
  }

  stop(): void {
    this.stream.remove(this);
    this.settle?.(new EtcdError(StatusCode.Cancelled, 'context canceled', true));
  }
}

type Stream = ClientStream<etcdserverpb.LeaseKeepAliveRequest, etcdserverpb.LeaseKeepAliveResponse>;

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'opening' }
  | {
      readonly kind: 'open';
      readonly stream: Stream;
      readonly endpoint: Endpoint;
      readonly token: string | undefined;
    }
  | { readonly kind: 'closed' };

class KeepAliveStream {
  private readonly caller: Caller;
  private readonly keepers = new Set<Keeper>();
  private timer: Timer | undefined = undefined;
  private state: State = { kind: 'idle' };
  private attempt = 0;

  constructor(caller: Caller) {
    this.caller = caller;
  }

  add(keeper: Keeper): void {
    if (this.state.kind === 'closed') {
      keeper.lost(clientClosed());
      return;
    }
    const now = this.caller.clock.monotonicMs();
    keeper.renewAtMs = now;
    keeper.deadlineMs = now + FIRST_ANSWER_MS;
    this.keepers.add(keeper);
    this.turn();
  }

  remove(keeper: Keeper): void {
    this.keepers.delete(keeper);
    if (this.keepers.size > 0) return;
    this.timer?.cancel();
    this.timer = undefined;
    if (this.state.kind === 'open') {
      const { stream } = this.state;
      this.state = { kind: 'idle' };
      stream.cancel();
    }
  }

  close(): void {
    const state = this.state;
    this.state = { kind: 'closed' };
    this.timer?.cancel();
    this.timer = undefined;
    if (state.kind === 'open') state.stream.cancel();
    this.loseAll(clientClosed());
  }

  /** Sends what is due, gives up what is overdue, and sets the timer for what comes next. */
  private turn(): void {
    const now = this.caller.clock.monotonicMs();
    let nextMs = Infinity;
    for (const keeper of this.keepers) {
      if (keeper.deadlineMs <= now) {
        this.keepers.delete(keeper);
        const text = `lease ${keeper.id.toString(16)} was not renewed within its TTL`;
        keeper.lost(new EtcdError(StatusCode.Unavailable, text));
        continue;
      }
      if (keeper.renewAtMs <= now && keeper.sentMs === undefined && this.state.kind === 'open') {
        keeper.sentMs = now;
        this.state.stream.write(new etcdserverpb.LeaseKeepAliveRequest({ ID: keeper.id }));
      }
      const due = keeper.sentMs === undefined && this.state.kind === 'open';
      nextMs = Math.min(nextMs, due ? Math.min(keeper.renewAtMs, keeper.deadlineMs) : keeper.deadlineMs);
    }
    this.timer?.cancel();
    this.timer = undefined;
    if (this.keepers.size === 0) return;
    if (this.state.kind === 'idle') void this.open();
    this.timer = this.caller.clock.setTimer(Math.max(1, Math.ceil(nextMs - now)), () => {
      this.timer = undefined;
      this.turn();
    });
  }

  private async open(): Promise<void> {
    this.state = { kind: 'opening' };
    while (this.keepers.size > 0 && this.state.kind === 'opening') {
      if (this.attempt > 0) await this.caller.wait(pauseMs(this.attempt, this.caller.prng));
      this.attempt++;
      try {
        const { endpoint, metadata, token } = await this.caller.forStream();
        if (this.isClosed()) return;
        if (this.keepers.size === 0) break;
        // A stream that loses its leader ends, and another member is asked.
        metadata.set('hasleader', 'true');
        const stream = endpoint.channel.bidi(M.leaseKeepAlive, { metadata });
        this.state = { kind: 'open', stream, endpoint, token };
        // What was asked on the old stream is unanswered: every lease is renewed on the new one at once.
        for (const keeper of this.keepers) {
          keeper.sentMs = undefined;
          keeper.renewAtMs = this.caller.clock.monotonicMs();
        }
        stream.onEnd((reason) => this.lostStream(stream, toEtcdError(reason ?? noEndpoint(undefined))));
        stream.onMessage((response) => this.received(stream, response));
        this.turn();
        return;
      } catch (reason) {
        if (this.isClosed()) return;
        const error = toEtcdError(reason);
        if (verdict(error, 'read') === 'give-up') {
          this.loseAll(error);
          break;
        }
      }
    }
    if (this.state.kind === 'opening') this.state = { kind: 'idle' };
  }

  private isClosed(): boolean {
    return this.state.kind === 'closed';
  }

  private received(stream: Stream, response: etcdserverpb.LeaseKeepAliveResponse): void {
    if (this.state.kind !== 'open' || this.state.stream !== stream) return;
    this.attempt = 0;
    this.caller.endpoints.succeeded(this.state.endpoint);
    for (const keeper of this.keepers) {
      const sentMs = keeper.sentMs;
      if (keeper.id !== response.ID || sentMs === undefined) continue;
      keeper.sentMs = undefined;
      if (response.TTL <= 0) {
        this.keepers.delete(keeper);
        keeper.lost(new EtcdError(StatusCode.NotFound, 'etcdserver: requested lease not found'));
        continue;
      }
      keeper.deadlineMs = sentMs + response.TTL * 1000;
      keeper.renewAtMs = sentMs + Math.max(INTERVAL_MIN_MS, (response.TTL * 1000) / 3);
      keeper.renewed(response.TTL);
    }
    this.turn();
  }

  /** Opens another stream; the keepers' own deadlines decide when it has been too long. */
  private lostStream(stream: Stream, error: EtcdError): void {
    if (this.state.kind !== 'open' || this.state.stream !== stream) return;
    const { endpoint, token } = this.state;
    this.state = { kind: 'idle' };
    if (verdict(error, 'read') === 'new-token') {
      if (!this.caller.tokenRefused(token)) {
        this.loseAll(error);
        return;
      }
    } else if (error.code === StatusCode.PermissionDenied || error.code === StatusCode.Unimplemented) {
      this.loseAll(error);
      return;
    } else {
      // Also "not a primary lessor", which is Unknown: another member may know better.
      this.caller.endpoints.failed(endpoint);
    }
    this.turn();
  }

  private loseAll(error: EtcdError): void {
    const lost = [...this.keepers];
    this.keepers.clear();
    this.timer?.cancel();
    this.timer = undefined;
    for (const keeper of lost) keeper.lost(error);
  }
}
