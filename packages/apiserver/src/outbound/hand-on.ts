/**
 * A request handed on to another server and its answer handed back: which headers go along in each direction, who is said
 * to stand in between, what becomes of a redirect and of a connection that leaves HTTP. What the two servers say to each
 * other besides (credentials, identity) is the caller's to add.
 *
 * Modelled on apimachinery's util/proxy (UpgradeAwareHandler, Transport) and net/http/httputil's ReverseProxy.
 */

import type { Clock } from '@keelson/base';

import type { ApiRequest, ApiResponse, Headers } from '../api/exchange.ts';
import { BackendError, type BackendAnswer, type BackendRequest, type BackendTarget } from './backend.ts';
import type { BackendCaller } from './backend-caller.ts';
import { PacedConnection } from './paced-connection.ts';
import { tunnel } from './tunnel.ts';

export interface HandOnOptions {
  readonly caller: BackendCaller;
  readonly clock: Pick<Clock, 'setTimer'>;
  readonly target: BackendTarget;
  /** Path and query at the backend. */
  readonly path: string;
  /** The Host header; the target's address unless said. */
  readonly host: string;
  /** Set in place of what the client sent under these names, in lower case; no values: taken away. */
  readonly headers: Headers;
  /** Taken away before, by name in lower case. */
  readonly drop?: (name: string) => boolean;
  /** What a Location is rewritten to; without it a redirect is answered 502 and goes nowhere. */
  readonly rewriteLocation?: (location: string) => string;
  /** Until the answer is whole, ms; as long as the client wants unless said. Never counts once HTTP was left. */
  readonly wholeMs?: number;
  /** Each way of a connection that left HTTP, bytes a second; no bound unless said. */
  readonly bytesPerSecond?: number;
  /** The answer lasts as long as somebody listens, so that a server that stops ends it: a watch, a log that is followed. */
  readonly endless: boolean;
}

/** RFC 9110 7.6.1 and what Go adds to it: they concern one connection. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'http2-settings',
  'proxy-connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Ours are for browsers that speak to us; a backend does not speak for this server. */
const NOT_BACK: ReadonlySet<string> = new Set([
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'audit-id',
]);
/** Said once or not at all: a stream of HTTP/2 cannot say them twice, and who reads the second would read another answer. */
const ONCE: ReadonlySet<string> = new Set([
  'age',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-range',
  'content-type',
  'date',
  'etag',
  'expires',
  'last-modified',
  'location',
  'retry-after',
  'server',
]);
/** Nobody may say these behind a body: they tell how it is framed, kept or read, or who may have it. */
const NOT_BEHIND: ReadonlySet<string> = new Set([
  'authorization',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'host',
  'max-forwards',
  'pragma',
  'proxy-connection',
  'range',
  'realm',
  'www-authenticate',
]);
/** What the backend says in place of switching may take so long, as the original has it. */
const REFUSAL_MS = 10_000;
/** Until a backend says whether it switches, ms: there is no deadline on requests that leave HTTP. */
const SWITCH_MS = 60_000;
const REDIRECT_REFUSED = 'the backend attempted to redirect this request, which is not permitted';

/**
 * Hands a request on and back, upgrade included.
 *
 * @throws BackendError where the backend gave no answer that can be handed back; the caller says it in his words
 */
export async function handOn(request: ApiRequest, options: HandOnOptions): Promise<ApiResponse> {
  return request.upgrade === undefined
    ? await exchange(request, options)
    : await leaveHttp(request, request.upgrade, options);
}

async function exchange(request: ApiRequest, options: HandOnOptions): Promise<ApiResponse> {
  const { caller, clock, target, path, wholeMs, endless } = options;
  const { headers, body } = messageOf(request, options);
  const time = new AbortController();
  const timer =
    wholeMs === undefined
      ? undefined
      : clock.setTimer(wholeMs, () => time.abort(new Error('the time for the answer is up')));
  const signal = timer === undefined ? request.signal : AbortSignal.any([request.signal, time.signal]);
  let answer: BackendAnswer;
  try {
    answer = await caller.send(target, {
      method: request.method,
      target: path,
      headers,
      signal,
      ...(body === undefined ? {} : { body }),
    });
  } catch (error) {
    timer?.cancel();
    throw error;
  }
  return answered(answer, options, endless, () => timer?.cancel());
}

async function leaveHttp(
  request: ApiRequest,
  protocol: string,
  options: HandOnOptions,
): Promise<ApiResponse> {
  const { caller, clock, target, path, bytesPerSecond = 0 } = options;
  const { headers } = messageOf(request, options);
  headers.set('connection', ['Upgrade']);
  headers.set('upgrade', [protocol]);
  const asked: BackendRequest = {
    method: request.method,
    target: path,
    headers,
    signal: request.signal,
    answerMs: SWITCH_MS,
  };
  const result = await caller.upgrade(target, asked);
  if (result.kind === 'switch') {
    const connection =
      bytesPerSecond === 0
        ? result.connection
        : new PacedConnection(result.connection, bytesPerSecond, clock);
    return {
      kind: 'switch',
      code: 101,
      headers: result.headers,
      join: (client) => tunnel(client, connection, clock),
      abandon: () => connection.destroy(),
    };
  }
  // A connection that did not switch is never the client's: its answer is read to the end of its own words.
  if (result.code < 400) {
    result.abandon();
    throw new BackendError('exchange', `invalid upgrade response: status code ${result.code}`);
  }
  const timer = clock.setTimer(REFUSAL_MS, () => result.abandon());
  return answered(result, options, false, () => timer.cancel());
}

/** What is sent of a request. */
function messageOf(
  request: ApiRequest,
  { host, headers: own, drop }: HandOnOptions,
): { readonly headers: Map<string, readonly string[]>; readonly body?: AsyncIterable<Buffer> } {
  const named = connectionNames(request.headers);
  const headers = new Map<string, readonly string[]>([['host', [host]]]);
  for (const [name, values] of request.headers) {
    if (name === 'host' || HOP_BY_HOP.has(name) || named.has(name) || drop?.(name) === true) continue;
    headers.set(name, values);
  }
  const before = request.headers.get('x-forwarded-for') ?? [];
  headers.set('x-forwarded-for', [[...before, request.peer.address].join(', ')]);
  for (const [name, values] of own) {
    if (values.length === 0) headers.delete(name);
    else headers.set(name, values);
  }
  const wantsTrailers = (request.headers.get('te') ?? []).some((value) =>
    /(?:^|,)\s*trailers\s*(?:,|$)/i.test(value),
  );
  if (wantsTrailers) headers.set('te', ['trailers']);
  if (!hasBody(request)) return { headers };
  // The client said how long its body is, or that it sends it in chunks.
  if (!headers.has('content-length')) headers.set('transfer-encoding', ['chunked']);
  return { headers, body: request.pieces() };
}

/** Reads and the like come without; a length of zero is none. */
function hasBody({ headers, method, upgrade }: ApiRequest): boolean {
  if (upgrade !== undefined) return false;
  const length = headers.get('content-length')?.[0];
  if (length !== undefined) return Number(length) > 0;
  if (headers.has('transfer-encoding')) return true;
  // A stream of HTTP/2 need not say that a body comes.
  return method === 'POST' || method === 'PUT' || method === 'PATCH';
}

/** Headers that the Connection header names: they too concern one connection. */
function connectionNames(headers: Headers): ReadonlySet<string> {
  const values = headers.get('connection') ?? [];
  return new Set(values.flatMap((value) => value.split(',')).map((name) => name.trim().toLowerCase()));
}

function answered(
  { code, headers, chunks, trailers, abandon }: BackendAnswer,
  { rewriteLocation }: HandOnOptions,
  endless: boolean,
  over: () => void,
): ApiResponse {
  const location = headers.get('location')?.[0] ?? '';
  if (code >= 300 && code <= 399 && location !== '' && rewriteLocation === undefined) {
    over();
    abandon();
    return {
      kind: 'bytes',
      code: 502,
      contentType: 'text/plain; charset=utf-8',
      body: Buffer.from(REDIRECT_REFUSED),
    };
  }
  const named = connectionNames(headers);
  const back = new Map<string, readonly string[]>();
  for (const [name, values] of headers) {
    if (HOP_BY_HOP.has(name) || NOT_BACK.has(name) || named.has(name)) continue;
    back.set(name, ONCE.has(name) ? values.slice(0, 1) : values);
  }
  const behind = headers.get('trailer');
  if (behind !== undefined) back.set('trailer', behind);
  if (location !== '' && rewriteLocation !== undefined) back.set('location', [rewriteLocation(location)]);
  return {
    kind: 'stream',
    code,
    contentType: '',
    chunks: followed(chunks, over),
    finite: !endless,
    asIs: true,
    trailers: () => behindBody(trailers()),
    headers: back,
  };
}

/** The trailers that Go takes for some. */
function behindBody(trailers: Headers): Headers {
  const may = (name: string): boolean =>
    !HOP_BY_HOP.has(name) && !NOT_BACK.has(name) && !NOT_BEHIND.has(name) && !name.startsWith('if-');
  return new Map(
    [...trailers]
      .filter(([name]) => may(name))
      .map(([name, values]) => [name, ONCE.has(name) ? values.slice(0, 1) : values]),
  );
}

/** The chunks, and a word when they are over, however they end; also where nobody began to take them. */
function followed(chunks: AsyncIterable<Buffer>, over: () => void): AsyncIterable<Buffer> {
  return {
    [Symbol.asyncIterator]() {
      const inner = chunks[Symbol.asyncIterator]();
      return {
        async next() {
          try {
            const step = await inner.next();
            if (step.done === true) over();
            return step;
          } catch (error) {
            over();
            throw error;
          }
        },
        async return() {
          over();
          await inner.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
