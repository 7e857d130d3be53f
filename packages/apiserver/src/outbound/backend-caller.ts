/**
 * Requests that are handed on to another server as they came: an aggregated API, a node, what stands behind a service.
 * Over TLS or plain, HTTP/1.1, or HTTP/2 where target and server have it; bodies and answers piece by piece at the pace of
 * the slower side. A name is looked up once, its addresses are judged and one of them is dialed, so that nobody changes it
 * in between. A connection that leaves HTTP is one of HTTP/1.1, handed over after the backend's 101 and for nothing else.
 * Follows no redirect, keeps nothing of a body, tries a request again only where it reads and the server closed an idle
 * connection on it, or where the server says that it did not begin.
 *
 * Modelled on apimachinery's util/proxy and what Go's http.Transport does for it.
 */

import type { Agent as PlainAgent, ClientRequest, IncomingMessage } from 'node:http';
import { request as tlsRequest, Agent as TlsAgent, type RequestOptions } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

import { nodeHttp, pause, toError, type Clock } from '@keelson/base';

import { headersOf } from '../api/header-fields.ts';
import {
  BackendError,
  hostPort,
  tlsSettings,
  type BackendAnswer,
  type BackendRequest,
  type BackendSwitch,
  type BackendTarget,
} from './backend.ts';
import { BodyChunks } from './body-chunks.ts';
import { nobodyThere, reasonOf } from './failure-reason.ts';
import { Http2Exchange } from './http2-exchange.ts';
import { Http2Pool, type Way } from './http2-pool.ts';
import { SocketConnection } from './socket-connection.ts';

/** Told what is counted. */
export interface BackendObserver {
  dialFailed(): void;
  refused(): void;
}

export interface BackendCallerOptions {
  readonly clock: Pick<Clock, 'setTimer'>;
  /** All addresses of a name, best first. @throws with a code as getaddrinfo's */
  readonly lookup: (host: string) => Promise<readonly string[]>;
  readonly observer?: BackendObserver;
  /** Calls and tunnels at a time; CALLS_MAX unless said. */
  readonly callsMax?: number;
}

/** Until a connection is there, its handshake included; Go's dialer takes as long for the first half alone. */
const DIAL_MS = 30_000;
/** Calls and tunnels that are open at a time, of all backends together: each holds a file descriptor. */
const CALLS_MAX = 8_192;
const IDLE_MAX = 25;
/** Idle connections are closed after this, ms: as Go's transport. */
const IDLE_MS = 90_000;
/** Headers of an answer, all together, bytes. */
const HEAD_BYTES_MAX = 64 * 1024;
const KEEP_ALIVE_MS = 30_000;
/** Requests that may be sent once more, and so over a connection that was used before. */
const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** How often a request is sent again that a server of HTTP/2 did not begin, and the unit of the pauses between: as Go. */
const REFUSALS_MAX = 6;
const REFUSAL_PAUSE_MS = 1_000;
const AGENT = { keepAlive: true, maxFreeSockets: IDLE_MAX, scheduling: 'lifo', timeout: IDLE_MS } as const;

export class BackendCaller {
  private readonly clock: Pick<Clock, 'setTimer'>;
  private readonly lookup: BackendCallerOptions['lookup'];
  private readonly observer: BackendObserver | undefined;
  private readonly callsMax: number;
  private readonly plain = new (nodeHttp().Agent)(AGENT);
  private readonly secure = new TlsAgent(AGENT);
  private readonly pool: Http2Pool;
  private readonly open = { answer: 0, switch: 0 };
  /** What ends each of them. */
  private readonly running = new Set<() => void>();

  constructor({ clock, lookup, observer, callsMax = CALLS_MAX }: BackendCallerOptions) {
    this.clock = clock;
    this.lookup = lookup;
    this.observer = observer;
    this.callsMax = callsMax;
    this.pool = new Http2Pool({ clock, dialMs: DIAL_MS, idleMs: IDLE_MS, headBytesMax: HEAD_BYTES_MAX });
  }

  /** Calls whose answers are under way, and connections that left HTTP. */
  get openCounts(): { readonly answer: number; readonly switch: number } {
    return { ...this.open };
  }

  /**
   * Hands a request on.
   *
   * @throws BackendError
   */
  async send(target: BackendTarget, request: BackendRequest): Promise<BackendAnswer> {
    const again = READING.has(request.method) && request.body === undefined;
    const result = await this.counted('answer', async (release) => {
      const agent = !again ? false : target.tls === undefined ? this.plain : this.secure;
      return await this.reach(target, request, async (address) => {
        const way = await this.overHttp2(target, address, request, release);
        if (way instanceof TLSSocket) {
          return await this.begin(target, address, request, false, release, way).result;
        }
        if (way !== undefined) return way;
        const exchange = this.begin(target, address, request, agent, release);
        try {
          return await exchange.result;
        } catch (error) {
          if (!exchange.lostIdleConnection || request.signal.aborted) throw error;
          return await this.begin(target, address, request, false, release).result;
        }
      });
    });
    if (result.kind === 'switch') {
      result.connection.destroy();
      throw new BackendError('exchange', 'the backend switched protocols without being asked to');
    }
    return result;
  }

  /**
   * Hands a request on that would leave HTTP. What the backend answers in place of that is an answer.
   *
   * @throws BackendError
   */
  upgrade(target: BackendTarget, request: BackendRequest): Promise<BackendSwitch | BackendAnswer> {
    return this.counted('switch', (release) =>
      this.reach(target, request, (address) => this.begin(target, address, request, false, release).result),
    );
  }

  /** Ends what is under way, and closes idle connections. */
  close(): void {
    for (const end of this.running) end();
    this.pool.close();
    this.plain.destroy();
    this.secure.destroy();
  }

  /**
   * Sends over HTTP/2, where that is what is spoken.
   *
   * @returns undefined where HTTP/1.1 is; the connection that found this out, where there is one
   * @throws BackendError
   */
  private async overHttp2(
    target: BackendTarget,
    address: string,
    request: BackendRequest,
    release: () => void,
  ): Promise<BackendAnswer | TLSSocket | undefined> {
    if (target.tls?.http2 !== true) return undefined;
    const { signal, body, method } = request;
    for (let attempt = 0; ; attempt += 1) {
      const way = await this.take(target, address, signal);
      if (way.kind === 'http1') return way.socket;
      const { session, fresh } = way;
      // Without an answer the call goes on here, or fails and is over by that.
      const exchange = new Http2Exchange(session, request, (answered) => {
        session.release();
        if (answered) release();
      });
      try {
        return await exchange.result;
      } catch (error) {
        const gone = exchange.lost && !fresh && READING.has(method) && body === undefined;
        const again = (exchange.refused || gone) && !exchange.bodyBegun && attempt < REFUSALS_MAX;
        if (!again || signal.aborted) throw error;
        if (attempt > 0) await pause(this.clock, REFUSAL_PAUSE_MS * 2 ** (attempt - 1), signal);
      }
    }
  }

  private async take(target: BackendTarget, address: string, signal: AbortSignal): Promise<Way> {
    try {
      return await this.pool.take(target, address, signal);
    } catch (error) {
      if (error instanceof BackendError && error.kind === 'dial') this.observer?.dialFailed();
      throw error;
    }
  }

  /** @param work takes a function that it, or what it answers, calls when the connection is no longer used */
  private async counted<T>(kind: 'answer' | 'switch', work: (release: () => void) => Promise<T>): Promise<T> {
    if (this.open.answer + this.open.switch >= this.callsMax) {
      this.observer?.refused();
      throw new BackendError('limit', 'too many requests are handed on to other servers');
    }
    this.open[kind] += 1;
    let released = false;
    const release = (): void => {
      if (!released) this.open[kind] -= 1;
      released = true;
    };
    try {
      return await work(release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Tries the addresses of a host in turn, as long as nobody is there; a body can be sent only once. */
  private async reach<T>(
    target: BackendTarget,
    request: BackendRequest,
    attempt: (address: string) => Promise<T>,
  ): Promise<T> {
    const addresses = await this.addressesOf(target, request);
    for (let at = 0; ; at += 1) {
      try {
        return await attempt(addresses[at]);
      } catch (error) {
        const last = at + 1 >= addresses.length || request.body !== undefined || request.signal.aborted;
        if (last || !isNobodyThere(error)) throw error;
      }
    }
  }

  /** At least one, each judged. */
  private async addressesOf(
    { host, port, checkAddress }: BackendTarget,
    request: BackendRequest,
  ): Promise<readonly string[]> {
    let addresses: readonly string[];
    if (isIP(host) !== 0) addresses = [host];
    else {
      try {
        addresses = await this.lookup(host);
      } catch (error) {
        this.observer?.dialFailed();
        throw new BackendError('dial', reasonOf(error, { hostname: host, where: hostPort(host, port) }), {
          cause: error,
        });
      }
    }
    if (request.signal.aborted) throw new BackendError('cancelled', 'context canceled');
    if (addresses.length === 0) throw new BackendError('dial', `dial tcp: lookup ${host}: no such host`);
    for (const address of addresses) checkAddress?.(address);
    return addresses;
  }

  private begin(
    target: BackendTarget,
    address: string,
    request: BackendRequest,
    agent: PlainAgent | TlsAgent | false,
    release: () => void,
    connected?: TLSSocket,
  ): Exchange {
    const { tls } = target;
    const { agent: pooled, ...others } = requestOptions(target, address, request, agent);
    const options =
      connected === undefined
        ? { ...others, agent: pooled }
        : { ...others, createConnection: () => connected };
    let asked: ClientRequest;
    try {
      asked = tls === undefined ? nodeHttp().request(options) : tlsRequest(options);
    } catch (error) {
      // What cannot be said in HTTP/1.1: HTTP/2 has fewer rules for paths and names.
      throw new BackendError('exchange', `net/http: ${toError(error).message}`, { cause: error });
    }
    const end = (): void => void asked.destroy(new Error('the server stops'));
    this.running.add(end);
    asked.once('close', () => this.running.delete(end));
    return new Exchange(asked, target, address, request, {
      clock: this.clock,
      observer: this.observer,
      release,
      running: this.running,
    });
  }
}

function isNobodyThere(error: unknown): boolean {
  return error instanceof BackendError && error.kind === 'dial' && nobodyThere(error.cause);
}

interface ExchangeParts {
  readonly clock: Pick<Clock, 'setTimer'>;
  readonly observer: BackendObserver | undefined;
  readonly release: () => void;
  readonly running: Set<() => void>;
}

/** One attempt. */
class Exchange {
  readonly result: Promise<BackendSwitch | BackendAnswer>;
  lostIdleConnection = false;
  private connected = false;

  constructor(
    asked: ClientRequest,
    target: BackendTarget,
    address: string,
    request: BackendRequest,
    { clock, observer, release, running }: ExchangeParts,
  ) {
    const { signal, answerMs } = request;
    this.result = new Promise((resolve, reject) => {
      const where = {
        hostname: target.tls?.serverName ?? target.host,
        where: hostPort(address, target.port),
      };
      let why: BackendError | undefined;
      const giveUp = (error: BackendError): void => {
        why ??= error;
        asked.destroy(error);
      };
      const dialing = clock.setTimer(target.dialMs ?? DIAL_MS, () =>
        giveUp(new BackendError('dial', `dial tcp ${where.where}: i/o timeout`)),
      );
      const waiting =
        answerMs === undefined
          ? undefined
          : clock.setTimer(answerMs, () =>
              giveUp(new BackendError('exchange', 'net/http: timeout awaiting response headers')),
            );
      const cancel = (): void => giveUp(new BackendError('cancelled', 'context canceled'));
      const settle = (): void => {
        dialing.cancel();
        waiting?.cancel();
      };
      signal.addEventListener('abort', cancel, { once: true });
      const over = (): void => {
        settle();
        signal.removeEventListener('abort', cancel);
        release();
      };
      asked.on('socket', (socket) => {
        // A backend that went silently is found by TCP, however long nothing is said.
        socket.setKeepAlive(true, KEEP_ALIVE_MS);
        socket.setNoDelay(true);
        whenConnected(socket, () => {
          this.connected = true;
          dialing.cancel();
        });
      });
      asked.on('error', (error: NodeJS.ErrnoException) => {
        settle();
        signal.removeEventListener('abort', cancel);
        this.lostIdleConnection = asked.reusedSocket && why === undefined && error.code === 'ECONNRESET';
        if (!this.connected) observer?.dialFailed();
        const kind = this.connected || asked.reusedSocket ? 'exchange' : 'dial';
        reject(why ?? new BackendError(kind, reasonOf(error, where), { cause: error }));
      });
      asked.on('response', (message) => {
        settle();
        const { statusCode = 0 } = message;
        if (statusCode < 200 || statusCode > 599) {
          message.once('close', over);
          asked.destroy();
          reject(new BackendError('exchange', `malformed HTTP status code "${statusCode}"`));
          return;
        }
        message.once('close', over);
        resolve(answerOf(message, asked));
      });
      asked.on('upgrade', (message, socket: Socket, head) => {
        settle();
        // From here on the connection is its owner's, and ends with the client's.
        signal.removeEventListener('abort', cancel);
        socket.setTimeout(0);
        const end = (): void => void socket.destroy();
        running.add(end);
        socket.once('close', () => {
          running.delete(end);
          over();
        });
        const connection = new SocketConnection(socket, head);
        if (message.statusCode !== 101) {
          connection.destroy();
          reject(
            new BackendError('exchange', `invalid upgrade response: status code ${message.statusCode ?? 0}`),
          );
          return;
        }
        resolve({ kind: 'switch', headers: headersOf(message.rawHeaders), connection });
      });
      if (signal.aborted) cancel();
      else void sendBody(asked, request.body);
    });
  }
}

function answerOf(message: IncomingMessage, asked: ClientRequest): BackendAnswer {
  const abandon = (): void => {
    asked.destroy();
  };
  // A failure behind the head is told to who reads the chunks.
  message.on('error', () => undefined);
  return {
    kind: 'answer',
    code: message.statusCode ?? 0,
    headers: headersOf(message.rawHeaders),
    chunks: chunksOf(message, abandon),
    trailers: () => headersOf(message.rawTrailers),
    abandon,
  };
}

function chunksOf(message: IncomingMessage, abandon: () => void): AsyncIterable<Buffer> {
  const chunks = new BodyChunks(message);
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const chunk = await chunks.read();
        if (chunk !== undefined) return { done: false, value: chunk };
        if (!message.complete) throw new Error('unexpected EOF');
        return { done: true, value: undefined };
      },
      return() {
        if (!message.readableEnded) abandon();
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
}

/** A body that fails takes the request with it: the backend must not take a part for the whole. */
async function sendBody(asked: ClientRequest, body: AsyncIterable<Buffer> | undefined): Promise<void> {
  if (body === undefined) {
    asked.end();
    return;
  }
  try {
    for await (const chunk of body) {
      if (asked.destroyed) return;
      if (!asked.write(chunk)) await drained(asked);
    }
    asked.end();
  } catch (error) {
    asked.destroy(toError(error));
  }
}

function drained(asked: ClientRequest): Promise<void> {
  if (asked.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      asked.off('drain', done);
      asked.off('close', done);
      resolve();
    };
    asked.on('drain', done);
    asked.on('close', done);
  });
}

function whenConnected(socket: Socket, task: () => void): void {
  if (socket instanceof TLSSocket) {
    // A connection that was used before has its handshake behind it.
    if (socket.getProtocol() !== null && !socket.connecting) task();
    else socket.once('secureConnect', task);
  } else if (socket.connecting) socket.once('connect', task);
  else task();
}

function requestOptions(
  target: BackendTarget,
  address: string,
  { method, target: path, headers }: BackendRequest,
  agent: PlainAgent | TlsAgent | false,
): RequestOptions {
  const { tls } = target;
  return {
    agent,
    method,
    host: address,
    port: target.port,
    path,
    // In turn, as they are sent: a repeated header stays repeated.
    headers: [...headers].flatMap(([name, values]) => values.flatMap((value) => [name, value])),
    maxHeaderSize: HEAD_BYTES_MAX,
    setDefaultHeaders: false,
    ...(tls === undefined ? {} : tlsSettings(target)),
  };
}
