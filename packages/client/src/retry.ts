/**
 * When a unary call may be made again. Reads are repeated while the server is Unavailable; a write only
 * when it certainly never left (no connection), or was refused for its token and the token was renewed.
 * A write whose outcome is unknown is the caller's to judge. Rules as in etcd's clientv3.
 */
import type { Clock, Prng, Timer } from '@keelson/base';
import { Metadata, StatusCode, type MethodDescriptor } from '@keelson/rpc';
import type { Endpoint, Endpoints } from './endpoints.ts';
import { toEtcdError, clientClosed, type EtcdError } from './errors.ts';

export interface RequestOptions {
  /** All attempts together. Default: the client's requestTimeoutMs. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where the caller gets its token from; see auth.ts. */
export interface TokenSource {
  /** The token to send; undefined when there is none to send. */
  token(endpoint: Endpoint, timeoutMs: number): Promise<string | undefined>;
  /** The server refused `token`. @returns whether another attempt can do better */
  refused(token: string | undefined): boolean;
}

/** A read has no effect: repeating it is safe. */
export type Effect = 'read' | 'write';

export type Verdict = 'give-up' | 'elsewhere' | 'new-token';

/** What to do after `error`; pure, so that the rules can be read and tested as a table. */
export function verdict(error: EtcdError, effect: Effect): Verdict {
  switch (error.reason) {
    case 'INVALID_TOKEN':
    case 'AUTH_REVISION_OLD':
    case 'USER_EMPTY':
      return 'new-token';
    case 'LEARNER':
      return 'elsewhere';
    case 'CLOSED':
      return 'give-up';
    default:
  }
  if (error.code !== StatusCode.Unavailable) return 'give-up';
  return effect === 'read' || error.definite ? 'elsewhere' : 'give-up';
}

/** First pause between attempts, as clientv3; it doubles, with half of it random. */
const PAUSE_FIRST_MS = 25;
const PAUSE_MAX_MS = 1000;

/** A pause that grows with each attempt. */
export function pauseMs(attempt: number, prng: Prng): number {
  const base = Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.floor(base / 2) + prng.below(Math.floor(base / 2) + 1);
}

export class Caller {
  readonly endpoints: Endpoints;
  readonly clock: Clock;
  readonly prng: Prng;
  private readonly tokens: TokenSource;
  private readonly requestTimeoutMs: number;
  private readonly waits = new Set<() => void>();
  private shut = false;

  constructor(endpoints: Endpoints, clock: Clock, prng: Prng, tokens: TokenSource, requestTimeoutMs: number) {
    this.endpoints = endpoints;
    this.clock = clock;
    this.prng = prng;
    this.tokens = tokens;
    this.requestTimeoutMs = requestTimeoutMs;
  }

  get closed(): boolean {
    return this.shut;
  }

  /**
   * Makes a unary call, repeating it as far as the rules allow.
   * @param address only this endpoint
   * @throws EtcdError the last attempt's
   */
  async unary<Req, Res>(
    method: MethodDescriptor<Req, Res>,
    request: Req,
    effect: Effect,
    options: RequestOptions = {},
    address?: string,
  ): Promise<Res> {
    const until = this.clock.monotonicMs() + (options.timeoutMs ?? this.requestTimeoutMs);
    const signal = options.signal;
    for (let attempt = 0; ; attempt++) {
      let endpoint: Endpoint | undefined;
      let token: string | undefined;
      let error: EtcdError;
      try {
        if (this.shut) throw clientClosed();
        endpoint = await this.endpoints.acquire(until - this.clock.monotonicMs(), address);
        token = await this.tokens.token(endpoint, until - this.clock.monotonicMs());
        const timeoutMs = Math.max(1, until - this.clock.monotonicMs());
        const response = await endpoint.channel.unary(method, request, {
          timeoutMs,
          metadata: metadataOf(token),
          ...(signal === undefined ? {} : { signal }),
        });
        this.endpoints.succeeded(endpoint);
        return response;
      } catch (reason) {
        error = toEtcdError(reason);
      }
      const next = verdict(error, effect);
      if (next === 'elsewhere' && endpoint !== undefined) this.endpoints.failed(endpoint);
      if (next === 'give-up' || isAborted(signal)) throw error;
      if (next === 'new-token' && !this.tokens.refused(token)) throw error;
      const waitMs = next === 'new-token' && attempt === 0 ? 0 : pauseMs(attempt, this.prng);
      if (this.clock.monotonicMs() + waitMs >= until) throw error;
      if (waitMs > 0) await this.wait(waitMs, signal);
      if (this.shut || isAborted(signal)) throw error;
    }
  }

  /** Opens what a streaming call needs: a connected endpoint and its metadata. */
  async forStream(
    address?: string,
  ): Promise<{ endpoint: Endpoint; metadata: Metadata; token: string | undefined }> {
    if (this.shut) throw clientClosed();
    const endpoint = await this.endpoints.acquire(this.requestTimeoutMs, address);
    const token = await this.tokens.token(endpoint, this.requestTimeoutMs);
    return { endpoint, token, metadata: metadataOf(token) };
  }

  /** As TokenSource.refused, for streams. */
  tokenRefused(token: string | undefined): boolean {
    return this.tokens.refused(token);
  }

  /** Resolves after `ms`, when the signal aborts, or when the client is closed. */
  wait(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const done = (): void => {
        timer?.cancel();
        this.waits.delete(done);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      if (this.shut || isAborted(signal)) {
        resolve();
        return;
      }
      timer = this.clock.setTimer(ms, done);
      this.waits.add(done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  close(): void {
    this.shut = true;
    for (const done of this.waits) done();
    this.endpoints.close();
  }
}

/** A function, because the answer changes while we wait. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** `client-api-version` is what etcd counts clients by; the value is the API's, not this package's. */
const API_VERSION = '3.7';

function metadataOf(token: string | undefined): Metadata {
  const metadata = new Metadata();
  metadata.set('client-api-version', API_VERSION);
  if (token !== undefined) metadata.set('token', token);
  return metadata;
}
