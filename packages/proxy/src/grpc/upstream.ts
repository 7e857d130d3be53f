/**
 * The way to the cluster: calls and streams at one member as long as it serves, at the next when it does not. A read
 * is repeated elsewhere while members are unavailable; a write only if no byte of it has left, so nothing is ever
 * written twice. It knows no message. (etcd: clientv3's retry interceptor, whose rules these are.)
 */
import { toError, type Clock, type Prng } from '@keelson/base';
import { Endpoints, parseAddress, type ChannelFactory, type Effect, type Endpoint } from '@keelson/client';
import {
  RpcError,
  StatusCode,
  toRpcError,
  type CallContext,
  type ClientReader,
  type ClientStream,
  type Metadata,
} from '@keelson/rpc';
import { forwardedMetadata, type RawMethod } from './raw.ts';

export interface UpstreamOptions {
  /** As users write them; at least one. */
  readonly endpoints: readonly string[];
  readonly channelFactory: ChannelFactory;
  readonly clock: Clock;
  readonly prng: Prng;
  /** Whether TLS is spoken to an endpoint whose scheme does not say. */
  readonly secure: boolean;
  /** Largest request that is passed on, bytes (--max-send-bytes); 0: any. */
  readonly sendBytesMax: number;
}

/** How long one member may take to connect (the original's dial timeout). */
const DIAL_MS = 5_000;
/** New attempts of a call whose caller set no deadline: as long as etcdctl waits. */
const ATTEMPTS_MS = 5_000;
const PAUSE_FIRST_MS = 25;
const PAUSE_MAX_MS = 1_000;

/** What a call from here carries, where no caller stands behind it. */
export interface OwnCall {
  readonly metadata?: Metadata | undefined;
  readonly timeoutMs?: number;
}

export class Upstream {
  readonly clock: Clock;
  readonly prng: Prng;
  private readonly all: Endpoints;
  private readonly sendBytesMax: number;
  private readonly secure: boolean;
  private readonly waits = new Set<() => void>();
  private shut = false;

  /** @throws TypeError for an endpoint that is none */
  constructor(options: UpstreamOptions) {
    this.clock = options.clock;
    this.prng = options.prng;
    this.sendBytesMax = options.sendBytesMax;
    this.secure = options.secure;
    this.all = new Endpoints(options.endpoints, options.channelFactory, options.clock, options.prng, DIAL_MS);
  }

  get closed(): boolean {
    return this.shut;
  }

  /** As channel addresses. */
  get endpoints(): readonly string[] {
    return this.all.addresses;
  }

  /** Talks to these from now on; connections to those that stay are kept. */
  setEndpoints(endpoints: readonly string[]): void {
    this.all.replace(endpoints.map((endpoint) => this.withScheme(endpoint)));
  }

  /** A caller's request, in its name and within its time. @throws RpcError the member's, or Unavailable */
  forward(method: RawMethod, request: Buffer, effect: Effect, call: CallContext): Promise<Buffer> {
    const timeoutMs =
      call.deadlineMs === undefined ? undefined : Math.max(1, call.deadlineMs - this.clock.monotonicMs());
    const cancel = new AbortController();
    call.onCancel(() => cancel.abort());
    return this.attempt(method, request, effect, forwardedMetadata(call), timeoutMs, cancel.signal);
  }

  /** A request of the proxy's own. @throws RpcError as forward */
  ask(method: RawMethod, request: Buffer, effect: Effect, own: OwnCall = {}): Promise<Buffer> {
    return this.attempt(method, request, effect, own.metadata, own.timeoutMs, undefined);
  }

  /** A stream of answers to a caller; never repeated once it stands. @throws RpcError when no member is reached */
  async forwardStream(method: RawMethod, request: Buffer, call: CallContext): Promise<ClientReader<Buffer>> {
    this.checkSize(request);
    const cancel = new AbortController();
    call.onCancel(() => cancel.abort());
    const endpoint = await this.reachInTime(ATTEMPTS_MS, cancel.signal);
    const metadata = forwardedMetadata(call);
    return endpoint.channel.serverStream(method, request, {
      signal: cancel.signal,
      ...(call.deadlineMs !== undefined && {
        timeoutMs: Math.max(1, call.deadlineMs - this.clock.monotonicMs()),
      }),
      ...(metadata !== undefined && { metadata }),
    });
  }

  /** A stream both ways. @throws RpcError when no member is reached */
  async open(
    method: RawMethod,
    metadata: Metadata | undefined,
  ): Promise<{ endpoint: Endpoint; stream: ClientStream<Buffer, Buffer> }> {
    const endpoint = await this.reach();
    const stream = endpoint.channel.bidi(method, metadata === undefined ? {} : { metadata });
    return { endpoint, stream };
  }

  succeeded(endpoint: Endpoint): void {
    this.all.succeeded(endpoint);
  }

  /** Others first, for a time that doubles. */
  failed(endpoint: Endpoint): void {
    this.all.failed(endpoint);
  }

  /** The member that calls go to now is of no use to somebody: the next one, after a short pause. */
  async elsewhere(): Promise<void> {
    this.all.failed(await this.reach());
    await this.pause(1);
  }

  /** Waits before attempt number `attempt`, from 1 on; at once when closed. */
  pause(attempt: number): Promise<void> {
    const base = Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** Math.min(attempt - 1, 10));
    const half = Math.floor(base / 2);
    return this.wait(half + this.prng.below(half + 1));
  }

  /** Resolves after this time, or when closed. */
  wait(delayMs: number): Promise<void> {
    if (this.shut) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.waits.delete(done);
        resolve();
      };
      const timer = this.clock.setTimer(delayMs, done);
      this.waits.add(done);
    });
  }

  /** Cancels what runs and lets go of the connections. */
  close(): void {
    this.shut = true;
    this.all.close();
    for (const done of this.waits) done();
  }

  private async attempt(
    method: RawMethod,
    request: Buffer,
    effect: Effect,
    metadata: Metadata | undefined,
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Buffer> {
    this.checkSize(request);
    const startMs = this.clock.monotonicMs();
    const leftMs = (ofMs: number): number => ofMs - (this.clock.monotonicMs() - startMs);
    for (let attempt = 1; ; attempt++) {
      const endpoint = await this.reachInTime(leftMs(timeoutMs ?? ATTEMPTS_MS), signal);
      try {
        const response = await endpoint.channel.unary(method, request, {
          ...(timeoutMs !== undefined && { timeoutMs: Math.max(1, leftMs(timeoutMs)) }),
          ...(signal !== undefined && { signal }),
          ...(metadata !== undefined && { metadata }),
        });
        this.all.succeeded(endpoint);
        return response;
      } catch (reason) {
        const error = this.judged(toRpcError(reason), signal);
        if (error.code !== StatusCode.Unavailable) throw error;
        this.all.failed(endpoint);
        const again = effect === 'read' || error.unsent;
        if (!again || signal?.aborted === true || this.shut || leftMs(timeoutMs ?? ATTEMPTS_MS) <= 0)
          throw error;
      }
      await this.pause(attempt);
    }
  }

  /** A call that nobody cancelled was at a member that has left the list. */
  private judged(error: RpcError, signal: AbortSignal | undefined): RpcError {
    const ours = error.code === StatusCode.Cancelled && !this.shut && signal?.aborted !== true;
    if (!ours) return error;
    return new RpcError(
      StatusCode.Unavailable,
      'the member is no longer an endpoint',
      undefined,
      error.unsent,
    );
  }

  /**
   * A member, as soon as one can be reached: all of them may be away for a moment.
   * @throws RpcError Unavailable, unsent
   */
  private async reachInTime(budgetMs: number, signal: AbortSignal | undefined): Promise<Endpoint> {
    const until = this.clock.monotonicMs() + budgetMs;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.reach(until - this.clock.monotonicMs());
      } catch (error) {
        if (this.shut || signal?.aborted === true || this.clock.monotonicMs() >= until) throw error;
      }
      await this.pause(attempt);
    }
  }

  /** @throws RpcError Unavailable, unsent */
  private async reach(budgetMs = ATTEMPTS_MS): Promise<Endpoint> {
    try {
      return await this.all.acquire(Math.max(1, budgetMs));
    } catch (reason) {
      const { message } = toError(reason);
      throw new RpcError(StatusCode.Unavailable, message, undefined, true);
    }
  }

  /** One way of writing each, so that a list that says the same keeps its connections. */
  private withScheme(endpoint: string): string {
    const { address, secure } = parseAddress(endpoint);
    if (address.startsWith('unix:')) return endpoint;
    return `${(secure ?? this.secure) ? 'https' : 'http'}://${address}`;
  }

  private checkSize(request: Buffer): void {
    if (this.sendBytesMax === 0 || request.length <= this.sendBytesMax) return;
    throw new RpcError(
      StatusCode.ResourceExhausted,
      `trying to send message larger than max (${request.length} vs. ${this.sendBytesMax})`,
    );
  }
}
