/**
 * The port: TLS with ALPN (HTTP/2 and HTTP/1.1 on one), or plain HTTP/1.1. Ends TLS, asks for client certificates, bounds
 * what a connection may hold, stops without cutting anybody off who is being answered. Never looks at a request's
 * meaning: that is the door's.
 *
 * Modelled on apiserver's server/secure_serving.go over net/http and golang.org/x/net/http2.
 */

import type { IncomingMessage, Server } from 'node:http';
import { createServer as createHttp2Server, type Http2Server, type Http2Session } from 'node:http2';
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from 'node:net';
import type { Duplex } from 'node:stream';
import {
  createSecureContext,
  createServer as createTlsServer,
  TLSSocket,
  type Server as TlsServer,
  type TlsOptions,
} from 'node:tls';

import { nodeHttp, type Clock, type Logger } from '@keelson/base';

import type { Peer } from '../api/exchange.ts';
import type { Door } from './door.ts';
import { Http1Incoming, Http1Outgoing } from './http1.ts';
import { Http2Incoming, Http2Outgoing } from './http2.ts';
import { peerOf } from './peer.ts';
import { asksToLeaveHttp, hasBody, UpgradeIncoming, UpgradeOutgoing } from './upgrade.ts';

/** A certificate with its key, PEM, and who may sign clients'. */
export interface TlsIdentity {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** Certificates of CAs for client certificates; without any, no client is asked for one. */
  readonly clientCa?: readonly (string | Buffer)[];
  /** --tls-min-version; 1.2 unless said. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** OpenSSL's list; the runtime's choice without. */
  readonly ciphers?: string;
  /** OpenSSL's names, by colons; the runtime's choice without. */
  readonly curves?: string;
  /** False: HTTP/1.1 alone. */
  readonly http2?: boolean;
  /** Certificates for host names that clients ask by; the first that fits, and the one above where none does. */
  readonly named?: readonly NamedIdentity[];
}

export interface NamedIdentity {
  readonly certificate: string;
  readonly key: string;
  /** `*.example.com` or plain names, in lower case. */
  readonly names: readonly string[];
}

export interface ListenerOptions {
  readonly door: Door;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Undefined: plain HTTP. */
  readonly tls?: TlsIdentity;
  readonly limits?: Partial<ListenerLimits>;
  /** Which requests of HTTP/2 are the last of their connections; none without. */
  readonly goaway?: GoawayDice;
  readonly sharing?: PortSharing;
}

/**
 * --goaway-chance: clients keep a connection of HTTP/2 for ever, and so stay with one server of several; asked to leave now
 * and then, they spread again behind what balances them. What was sent before is answered, watches go on.
 */
export interface GoawayDice {
  /** Share of requests, 0 to 1. */
  readonly chance: number;
  /** A random whole number, 0 ≤ n < limit. */
  readonly random: (limit: number) => number;
}

/** What else may listen on the address; SO_REUSEADDR the runtime always sets. */
export interface PortSharing {
  /** --permit-port-sharing: SO_REUSEPORT, for servers that ask for it too. */
  readonly port?: boolean;
}

export interface ListenerLimits {
  /** Time for a request's headers on HTTP/1.1, ms. */
  readonly headersMs: number;
  /** A connection without a request is closed after this, ms. */
  readonly idleMs: number;
  readonly handshakeMs: number;
  /** Streams of one connection that are open at a time. */
  readonly streamsMax: number;
}

const LIMITS: ListenerLimits = {
  /** The original's ReadHeaderTimeout. */
  headersMs: 32_000,
  /** The original's IdleTimeout. */
  idleMs: 90_000,
  handshakeMs: 10_000,
  /**
   * The original lets 100 be open and Go clients open further connections; clients of Node would wait instead. A watch
   * costs some kilobytes here; how many requests work at a time is bounded by fairness, not by this.
   */
  streamsMax: 1_000,
};

/** Sides of the dice for --goaway-chance: a share of one in a billion is told from none. */
const DICE_SIDES = 1_000_000_000;
/** Headers of one request, all together. Tokens with many groups take a tenth of it. */
const HEADER_BYTES_MAX = 128 * 1024;
const HEADER_PAIRS_MAX = 2_000;
/** A connection's share for what it sends us ahead: 99 of 100 objects go in at once, as the original reckons. */
const STREAM_WINDOW_BYTES = 256 * 1024;
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;
/**
 * What a session may hold, MB. A stream hands over one piece of 64 kB at a time, so that the stalled streams of a full
 * connection take 64 MB; more means that the bound on pieces is broken.
 */
const SESSION_MEMORY_MB = 128;
/**
 * Streams a client may reset in a burst, and each second after it. An informer factory that stops cancels thousands of
 * watches at once; Node's default (1,000, then 33) ends its connection for that.
 */
const RESET_BURST = 20_000;
const RESETS_PER_SECOND = 2_000;
/** Dead peers are found by TCP after this, as Go's listeners do. */
const KEEP_ALIVE_MS = 30_000;

export class Listener {
  private readonly door: Door;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly limits: ListenerLimits;
  private readonly goaway: GoawayDice | undefined;
  private readonly sharing: PortSharing | undefined;
  private readonly port: TcpServer;
  private readonly http1: Server;
  private readonly http2: Http2Server;
  private readonly sockets = new Set<Socket>();
  /** Sessions with their open streams. */
  private readonly sessions = new Map<Http2Session, number>();
  private readonly taken = new Set<Duplex>();
  /** A connection's certificates are taken apart once. */
  private readonly peers = new WeakMap<object, Peer>();
  private stopping = false;

  constructor({ door, clock, logger, tls, limits, goaway, sharing }: ListenerOptions) {
    this.door = door;
    this.clock = clock;
    this.logger = logger;
    this.limits = { ...LIMITS, ...limits };
    this.goaway = goaway;
    this.sharing = sharing;
    this.http1 = this.makeHttp1();
    this.http2 = this.makeHttp2();
    this.port = tls === undefined ? this.makePlainPort() : this.makeTlsPort(tls);
    this.port.on('error', (error) => {
      // Before that, who asked it to listen is told.
      if (this.port.listening) this.logger.error('the port failed', { error });
    });
  }

  /** @returns the address, its port chosen where 0 was asked for; @throws Error in Go's words, with Node's code */
  listen(port: number, host: string): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => reject(listenError(error, port, host));
      this.port.once('error', failed);
      const reusePort = this.sharing?.port === true;
      this.port.listen({ port, host, backlog: 1_024, reusePort }, () => {
        this.port.off('error', failed);
        const address = this.port.address();
        if (address === null || typeof address === 'string') reject(new Error('the port has no address'));
        else resolve(address);
      });
    });
  }

  /** Listens on a socket of the file system, which only who may open the file reaches. */
  listenAt(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.port.once('error', reject);
      this.port.listen({ path }, () => {
        this.port.off('error', reject);
        resolve();
      });
    });
  }

  /** Serves new connections with another certificate, or other CAs, from now on. */
  setIdentity(identity: TlsIdentity): void {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a port with TLS is one
    if ('setSecureContext' in this.port) (this.port as TlsServer).setSecureContext(contextOf(identity));
  }

  /**
   * Stops: no connection is taken any more, HTTP/2 says GOAWAY, watches end in order, what is being answered is
   * answered; what is left after the grace is cut.
   */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true;
    const closed = new Promise<void>((resolve) => this.port.close(() => resolve()));
    for (const session of this.sessions.keys()) session.close();
    this.http1.closeIdleConnections();
    let expire = (): void => {};
    const expired = new Promise<void>((resolve) => {
      expire = resolve;
    });
    const timer = this.clock.setTimer(graceMs, expire);
    await Promise.race([this.door.drain().then(() => this.flushed()), expired]);
    timer.cancel();
    this.door.cut();
    this.http1.closeAllConnections();
    // It never listened itself, but the look at its connections' timeouts goes on until it is closed.
    this.http1.close();
    for (const session of this.sessions.keys()) session.destroy();
    for (const socket of this.taken) socket.destroy();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  /** Resolves when every connection is closed: the last bytes went out. */
  private flushed(): Promise<void> {
    this.http1.closeIdleConnections();
    if (this.sockets.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      for (const socket of this.sockets) {
        socket.once('close', () => {
          if (this.sockets.size === 0) resolve();
        });
      }
    });
  }

  // ---- connections ----

  private makePlainPort(): TcpServer {
    return createTcpServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS },
      (socket) => {
        this.track(socket);
        this.http1.emit('connection', socket);
      },
    );
  }

  private makeTlsPort(identity: TlsIdentity): TlsServer {
    const server = createTlsServer(
      {
        ...contextOf(identity),
        ...(identity.ciphers === undefined ? {} : { ciphers: identity.ciphers }),
        ...(identity.curves === undefined ? {} : { ecdhCurve: identity.curves }),
        ...sniOf(identity),
        ALPNProtocols: identity.http2 === false ? ['http/1.1'] : ['h2', 'http/1.1'],
        minVersion: identity.minVersion ?? 'TLSv1.2',
        requestCert: (identity.clientCa ?? []).length > 0,
        // A certificate that we do not know is a matter of authentication, not of the handshake.
        rejectUnauthorized: false,
        handshakeTimeout: this.limits.handshakeMs,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_MS,
      },
      (socket) => {
        this.track(socket);
        if (socket.alpnProtocol === 'h2') this.http2.emit('connection', socket);
        else this.http1.emit('connection', socket);
      },
    );
    // A handshake that fails is the client's affair; Go logs it at a level nobody reads.
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return server;
  }

  private track(socket: Socket): void {
    if (this.stopping) {
      socket.destroy();
      return;
    }
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  }

  private peer(socket: Socket): Peer {
    let peer = this.peers.get(socket);
    if (peer === undefined) {
      peer = peerOf(socket, socket instanceof TLSSocket);
      this.peers.set(socket, peer);
    }
    return peer;
  }

  // ---- HTTP/1.1 ----

  private makeHttp1(): Server {
    const server = nodeHttp().createServer({
      headersTimeout: this.limits.headersMs,
      connectionsCheckingInterval: Math.min(2_000, this.limits.headersMs),
      keepAliveTimeout: this.limits.idleMs,
      maxHeaderSize: HEADER_BYTES_MAX,
      // How long a body may take is the deadline's affair.
      requestTimeout: 0,
      shouldUpgradeCallback: (request: IncomingMessage) => asksToLeaveHttp(request),
    });
    // A server that does not listen itself looks at its connections' timeouts from this event on.
    server.emit('listening');
    server.on('request', (message, response) => {
      const incoming = new Http1Incoming(message, response, this.peer(message.socket));
      void this.door.serve(incoming, new Http1Outgoing(message, response, () => this.stopping));
    });
    server.on('upgrade', (message, socket, head) => this.upgrade(message, socket, head));
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => refuseHttp1(error, socket));
    return server;
  }

  private upgrade(message: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.taken.add(socket);
    socket.on('close', () => this.taken.delete(socket));
    socket.on('error', () => socket.destroy());
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- node:http says Duplex and gives its Socket
    const connection = socket as Socket;
    connection.setTimeout(0);
    if (hasBody(message)) {
      const said = 'a request that would leave HTTP must have no body';
      socket.end(
        `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${said}`,
      );
      return;
    }
    const { ServerResponse } = nodeHttp();
    const response = new ServerResponse(message);
    // The answer, should the handler give one in place of leaving HTTP, is the connection's last.
    response.shouldKeepAlive = false;
    const incoming = new UpgradeIncoming(message, response, this.peer(connection), connection);
    void this.door.serve(incoming, new UpgradeOutgoing(message, response, connection, head));
  }

  // ---- HTTP/2 ----

  private makeHttp2(): Http2Server {
    const server = createHttp2Server({
      maxSessionMemory: SESSION_MEMORY_MB,
      maxHeaderListPairs: HEADER_PAIRS_MAX,
      streamResetBurst: RESET_BURST,
      streamResetRate: RESETS_PER_SECOND,
      settings: {
        maxConcurrentStreams: this.limits.streamsMax,
        maxHeaderListSize: HEADER_BYTES_MAX,
        initialWindowSize: STREAM_WINDOW_BYTES,
        enablePush: false,
      },
    });
    server.on('session', (session) => {
      this.sessions.set(session, 0);
      session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
      session.setTimeout(this.limits.idleMs);
      session.on('timeout', () => this.letIdleGo(session));
      session.on('close', () => this.sessions.delete(session));
      session.on('error', () => session.destroy());
      if (this.stopping) session.close();
    });
    server.on('stream', (stream, headers, _flags, raw) => {
      const { session } = stream;
      const out = new Http2Outgoing(stream, this.isLast());
      if (session === undefined || stream.destroyed) return;
      this.count(session, 1);
      stream.once('close', () => this.count(session, -1));
      const incoming = new Http2Incoming(stream, headers, raw, this.peer(session.socket));
      void this.door.serve(incoming, out);
    });
    server.on('sessionError', () => {});
    return server;
  }

  private isLast(): boolean {
    const { goaway } = this;
    return goaway !== undefined && goaway.random(DICE_SIDES) < goaway.chance * DICE_SIDES;
  }

  private count(session: Http2Session, change: number): void {
    const streams = this.sessions.get(session);
    if (streams !== undefined) this.sessions.set(session, streams + change);
  }

  /** A connection on which nothing moved: idle watches keep it, nothing else does. */
  private letIdleGo(session: Http2Session): void {
    if ((this.sessions.get(session) ?? 0) > 0) session.setTimeout(this.limits.idleMs);
    else session.close();
  }
}

function contextOf({ cert, key, clientCa }: TlsIdentity): {
  cert: string | Buffer;
  key: string | Buffer;
  ca?: (string | Buffer)[];
} {
  return { cert, key, ...(clientCa !== undefined && clientCa.length > 0 && { ca: [...clientCa] }) };
}

/** The choice of a certificate by the name a client asks by; nothing where there is one certificate. */
function sniOf(identity: TlsIdentity): Pick<TlsOptions, 'SNICallback'> {
  const { named = [], clientCa = [] } = identity;
  if (named.length === 0) return {};
  const contexts = named.map(({ certificate: cert, key, names }) => ({
    names,
    context: createSecureContext({
      ...contextOf({ cert, key, clientCa }),
      minVersion: identity.minVersion ?? 'TLSv1.2',
      ...(identity.ciphers === undefined ? {} : { ciphers: identity.ciphers }),
      ...(identity.curves === undefined ? {} : { ecdhCurve: identity.curves }),
    }),
  }));
  return {
    SNICallback: (asked, answer) => {
      const name = asked.toLowerCase().replace(/\.$/, '');
      const star = name.replace(/^[^.]+/, '*');
      const found =
        contexts.find(({ names }) => names.includes(name)) ??
        contexts.find(({ names }) => names.includes(star));
      answer(null, found?.context);
    },
  };
}

/** What is no HTTP, or too much of it, in net/http's words. */
function refuseHttp1(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || error.code === 'ERR_HTTP_REQUEST_TIMEOUT' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`,
  );
}

const LISTEN_WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
};

function listenError(cause: Error, port: number, host: string): Error {
  const code = 'code' in cause ? String(cause.code) : '';
  const at = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const words = Object.hasOwn(LISTEN_WORDS, code) ? `bind: ${LISTEN_WORDS[code]}` : cause.message;
  const text = `failed to create listener: failed to listen on ${at}: listen tcp ${at}: ${words}`;
  return Object.assign(new Error(text, { cause }), { code });
}
