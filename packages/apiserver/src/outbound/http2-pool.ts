/**
 * Connections to servers that may speak HTTP/2: one for all requests to a server, and a further one where the server
 * lets no more streams into it. Which protocol is spoken the handshake says (ALPN); a server that chose HTTP/1.1 is
 * taken at its word for a while, and the connection that asked is handed to who made it. Sends no request itself.
 *
 * Modelled on golang.org/x/net/http2's ClientConnPool and Transport, and on apimachinery's settings of it.
 */

import { createHash } from 'node:crypto';
import { connect as http2Connect, constants, type ClientHttp2Session } from 'node:http2';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';

import { toError, type Clock } from '@keelson/base';

import { BackendError, hostPort, tlsSettings, type BackendTarget } from './backend.ts';
import { reasonOf } from './failure-reason.ts';

/** How a request gets to its server. */
export type Way =
  | { readonly kind: 'http2'; readonly session: PooledSession; readonly fresh: boolean }
  /** The socket is fresh and the taker's; without one the server is known to speak nothing else. */
  | { readonly kind: 'http1'; readonly socket?: TLSSocket };

export interface Http2PoolOptions {
  readonly clock: Pick<Clock, 'setTimer'>;
  /** Until a connection is there, its handshake included, where the target does not say, ms. */
  readonly dialMs: number;
  /** Idle connections are closed after this, ms. */
  readonly idleMs: number;
  /** Headers of an answer, all together, bytes. */
  readonly headBytesMax: number;
}

/** Streams a server takes before it has said how many: Go's guess. */
const STREAMS_UNTIL_TOLD = 100;
/** How long a server that chose HTTP/1.1 is not asked again: it may be replaced by one that speaks both. */
const HTTP1_MS = 60_000;
/** A connection on which nothing was heard for so long is asked whether it lives, and has so long to answer: the original's. */
const SILENCE_MS = 30_000;
const PING_MS = 15_000;
/** What a server may send ahead into one stream, and into all of a connection. */
const STREAM_WINDOW_BYTES = 256 * 1024;
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;
/** What a session may hold, MB: its streams' windows, all full and nobody reading. */
const SESSION_MEMORY_MB = 128;
const HEADER_PAIRS_MAX = 2_000;

export class Http2Pool {
  private readonly options: Http2PoolOptions;
  /** By who is meant and how he is trusted. */
  private readonly servers = new Map<string, Server>();
  /** Connections that come about. */
  private readonly dials = new Set<TLSSocket>();
  private closed = false;

  constructor(options: Http2PoolOptions) {
    this.options = options;
  }

  /** Connections of HTTP/2 that are open. */
  get sessionCount(): number {
    let count = 0;
    for (const { sessions } of this.servers.values()) count += sessions.size;
    return count;
  }

  /**
   * The way to one of a target's addresses. A session that is given out has a place reserved in it, until it is released.
   *
   * @param signal ends the waiting, not the dialing: others may wait for it too
   * @throws BackendError
   */
  async take(target: BackendTarget, address: string, signal: AbortSignal): Promise<Way> {
    const key = keyOf(target, address);
    for (;;) {
      if (this.closed) throw stopped();
      let server = this.servers.get(key);
      if (server === undefined) {
        server = { sessions: new Set(), dialing: undefined, http1: undefined };
        this.servers.set(key, server);
      }
      for (const session of server.sessions) {
        if (session.reserve()) return { kind: 'http2', session, fresh: false };
      }
      if (server.http1 !== undefined) return { kind: 'http1' };
      const first = server.dialing === undefined;
      const dialing = (server.dialing ??= this.dial(target, address, key, server));
      let dialed: Dialed;
      try {
        dialed = await unlessAborted(dialing, signal);
      } catch (error) {
        // The others have no use for a connection of HTTP/1.1 that one request made.
        if (first && signal.aborted) void dialing.then(discard, () => undefined);
        throw error;
      }
      if (dialed instanceof PooledSession) {
        if (dialed.reserve()) return { kind: 'http2', session: dialed, fresh: true };
        if (first) throw new BackendError('exchange', 'http2: the server lets no stream in');
      } else if (first) return { kind: 'http1', socket: dialed };
      // Who waited looks again: there may be room, or word that the server speaks HTTP/1.1.
    }
  }

  /** Ends all connections with what is under way on them; none is made from then on. */
  close(): void {
    this.closed = true;
    for (const socket of this.dials) socket.destroy(new Error(STOPPED));
    for (const { sessions, http1 } of this.servers.values()) {
      http1?.cancel();
      for (const session of sessions) session.destroy();
    }
    this.servers.clear();
  }

  /** The first connection or a further one. */
  private async dial(target: BackendTarget, address: string, key: string, server: Server): Promise<Dialed> {
    const { clock, idleMs } = this.options;
    try {
      const socket = await this.connected(target, address);
      if (this.closed) {
        socket.destroy();
        throw stopped();
      }
      if (socket.alpnProtocol !== 'h2') {
        server.http1 = clock.setTimer(HTTP1_MS, () => {
          server.http1 = undefined;
          this.forget(key, server);
        });
        return socket;
      }
      const session = new PooledSession(this.sessionOver(socket), clock, idleMs, () => {
        server.sessions.delete(session);
        this.forget(key, server);
      });
      server.sessions.add(session);
      return session;
    } finally {
      server.dialing = undefined;
      this.forget(key, server);
    }
  }

  /** Of a server that is being dialed there will be something to know. */
  private forget(key: string, server: Server): void {
    const { sessions, dialing, http1 } = server;
    if (sessions.size > 0 || dialing !== undefined || http1 !== undefined) return;
    if (this.servers.get(key) === server) this.servers.delete(key);
  }

  private connected(target: BackendTarget, address: string): Promise<TLSSocket> {
    const { clock, dialMs } = this.options;
    const where = hostPort(address, target.port);
    return new Promise((resolve, reject) => {
      const socket = tlsConnection(target, address);
      this.dials.add(socket);
      socket.once('close', () => this.dials.delete(socket));
      let late = false;
      const timer = clock.setTimer(target.dialMs ?? dialMs, () => {
        late = true;
        socket.destroy(new Error('the time is up'));
      });
      const failed = (error: Error): void => {
        timer.cancel();
        socket.destroy();
        const hostname = target.tls?.serverName ?? target.host;
        const why = late ? `dial tcp ${where}: i/o timeout` : reasonOf(error, { hostname, where });
        reject(new BackendError('dial', why, { cause: error }));
      };
      socket.once('error', failed);
      socket.once('secureConnect', () => {
        timer.cancel();
        this.dials.delete(socket);
        socket.off('error', failed);
        socket.setNoDelay(true);
        resolve(socket);
      });
    });
  }

  private sessionOver(socket: TLSSocket): ClientHttp2Session {
    const session = http2Connect('https://backend', {
      createConnection: () => socket,
      maxSessionMemory: SESSION_MEMORY_MB,
      maxHeaderListPairs: HEADER_PAIRS_MAX,
      settings: {
        enablePush: false,
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxHeaderListSize: this.options.headBytesMax,
      },
    });
    session.once('connect', () => {
      if (!session.destroyed) session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    });
    return session;
  }
}

const STOPPED = 'the server stops';

function stopped(): BackendError {
  return new BackendError('exchange', STOPPED);
}

/** @throws BackendError for trust or a certificate that cannot be read */
function tlsConnection(target: BackendTarget, address: string): TLSSocket {
  try {
    return tlsConnect({
      host: address,
      port: target.port,
      ...tlsSettings(target),
      ALPNProtocols: ['h2', 'http/1.1'],
    });
  } catch (error) {
    throw new BackendError('exchange', `net/http: ${toError(error).message}`, { cause: error });
  }
}

/** A session, or a connection whose server chose HTTP/1.1. */
type Dialed = PooledSession | TLSSocket;

function discard(dialed: Dialed): void {
  if (!(dialed instanceof PooledSession)) dialed.destroy();
}

interface Server {
  readonly sessions: Set<PooledSession>;
  dialing: Promise<Dialed> | undefined;
  /** While it is known to speak HTTP/1.1 alone. */
  http1: { cancel(): void } | undefined;
}

/** A session, how many use it, and whether anybody may begin to. */
export class PooledSession {
  readonly session: ClientHttp2Session;
  /** What ended it, in Go's words, where it said so. */
  farewell: string | undefined = undefined;
  private readonly clock: Pick<Clock, 'setTimer'>;
  private readonly idleMs: number;
  private used = 0;
  private leaving = false;
  private told = false;
  private timer: { cancel(): void } | undefined = undefined;
  private heardBytes = 0;

  /** @param over told when the server is gone, or takes nothing new */
  constructor(session: ClientHttp2Session, clock: Pick<Clock, 'setTimer'>, idleMs: number, over: () => void) {
    this.session = session;
    this.clock = clock;
    this.idleMs = idleMs;
    const leave = (): void => {
      if (this.leaving) return;
      this.leaving = true;
      over();
    };
    session.on('goaway', (code: number, lastStreamId: number, data?: Buffer) => {
      const debug = JSON.stringify(data === undefined ? '' : Buffer.from(data).toString('latin1'));
      this.farewell =
        `http2: server sent GOAWAY and closed the connection; LastStreamID=${lastStreamId}, ` +
        `ErrCode=${errorCodeName(code)}, debug=${debug}`;
      leave();
    });
    session.on('remoteSettings', () => {
      this.told = true;
    });
    session.on('error', leave);
    session.on('close', () => {
      this.timer?.cancel();
      leave();
    });
    this.watch(idleMs, () => session.close());
  }

  /** @returns whether there is a place; it must be released */
  reserve(): boolean {
    const { session, leaving, used } = this;
    if (leaving || session.closed || session.destroyed) return false;
    // Node assumes that there is no bound until the server's settings came.
    const streamsMax = this.told ? session.remoteSettings.maxConcurrentStreams : undefined;
    if (used >= (streamsMax ?? STREAMS_UNTIL_TOLD)) return false;
    this.used += 1;
    if (used === 0) this.watch(SILENCE_MS, () => this.listen());
    return true;
  }

  release(): void {
    this.used -= 1;
    if (this.used === 0) this.watch(this.idleMs, () => this.session.close());
  }

  destroy(): void {
    this.session.destroy();
  }

  private watch(delayMs: number, task: () => void): void {
    this.timer?.cancel();
    this.timer = this.session.destroyed ? undefined : this.clock.setTimer(delayMs, task);
  }

  /** Nobody hears of a server that went silently but who asks. */
  private listen(): void {
    const { session } = this;
    if (session.destroyed) return;
    const { bytesRead } = session.socket;
    if (bytesRead !== this.heardBytes) {
      this.heardBytes = bytesRead;
      this.watch(SILENCE_MS, () => this.listen());
      return;
    }
    this.watch(PING_MS, () => {
      this.farewell = 'http2: client connection lost';
      session.destroy(new Error(this.farewell));
    });
    session.ping((error) => {
      if (error === null && this.used > 0) this.watch(SILENCE_MS, () => this.listen());
    });
  }
}

/** `NO_ERROR`, `REFUSED_STREAM`: as Go's http2.ErrCode. */
export function errorCodeName(code: number): string {
  return ERROR_CODES[code] ?? `unknown error code 0x${code.toString(16)}`;
}

const ERROR_CODES: Readonly<Record<number, string>> = {
  [constants.NGHTTP2_NO_ERROR]: 'NO_ERROR',
  [constants.NGHTTP2_PROTOCOL_ERROR]: 'PROTOCOL_ERROR',
  [constants.NGHTTP2_INTERNAL_ERROR]: 'INTERNAL_ERROR',
  [constants.NGHTTP2_FLOW_CONTROL_ERROR]: 'FLOW_CONTROL_ERROR',
  [constants.NGHTTP2_SETTINGS_TIMEOUT]: 'SETTINGS_TIMEOUT',
  [constants.NGHTTP2_STREAM_CLOSED]: 'STREAM_CLOSED',
  [constants.NGHTTP2_FRAME_SIZE_ERROR]: 'FRAME_SIZE_ERROR',
  [constants.NGHTTP2_REFUSED_STREAM]: 'REFUSED_STREAM',
  [constants.NGHTTP2_CANCEL]: 'CANCEL',
  [constants.NGHTTP2_COMPRESSION_ERROR]: 'COMPRESSION_ERROR',
  [constants.NGHTTP2_CONNECT_ERROR]: 'CONNECT_ERROR',
  [constants.NGHTTP2_ENHANCE_YOUR_CALM]: 'ENHANCE_YOUR_CALM',
  [constants.NGHTTP2_INADEQUATE_SECURITY]: 'INADEQUATE_SECURITY',
  [constants.NGHTTP2_HTTP_1_1_REQUIRED]: 'HTTP_1_1_REQUIRED',
};

/** Two targets share a connection where nothing tells their servers, or what they are shown, apart. */
function keyOf({ host, port, tls }: BackendTarget, address: string): string {
  const { caBundle = '', serverName = host, pair, unverified = false } = tls ?? {};
  const hash = createHash('sha256');
  for (const part of [caBundle, pair?.cert ?? '', pair?.key ?? '']) hash.update(`${part.length}:${part}`);
  return JSON.stringify([address, port, serverName, unverified, hash.digest('base64')]);
}

/** @throws BackendError `cancelled` */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new BackendError('cancelled', 'context canceled'));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    promise.then(
      (value) => {
        signal.removeEventListener('abort', abort);
        resolve(value);
      },
      (error: unknown) => {
        signal.removeEventListener('abort', abort);
        reject(toError(error));
      },
    );
  });
}
