/**
 * Requests over the network: HTTP/2 where the server offers it, many requests on a connection and further connections
 * when one is full; HTTP/1.1 otherwise. A connection that does not answer a ping is given up with all that runs on it.
 * Nothing is repeated here.
 *
 * Modelled on what Go's http2 transport does for client-go: pings after 30 s of silence, 15 s for the answer.
 */

import type { Agent as PlainAgent } from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import tls from 'node:tls';
import type { Readable } from 'node:stream';

import { nodeHttp, toError, type Clock, type Timer } from '@keelson/base';

import type { CallAnswer, CallOptions, Transport } from './transport.ts';

export interface HttpsTransportOptions {
  /** `https://host:port`, with a path where the API lies below one. */
  readonly server: string;
  readonly clock: Clock;
  readonly tls?: {
    /** PEM; the machine's own authorities without. */
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    /** The name in the server's certificate, where it is not the host. */
    readonly serverName?: string;
    /** Takes any certificate. */
    readonly insecure?: boolean;
  };
  /** The value of the Authorization header, asked for each request. */
  readonly authorization?: () => Promise<string | undefined>;
}

const CONNECT_MS = 30_000;
const SILENCE_MS = 30_000;
const PING_MS = 15_000;
/** Until the server says how many. */
const STREAMS_DEFAULT = 100;
/** Of one stream, so that a list arrives without a pause at each 64 KiB; and of all of a connection. */
const STREAM_WINDOW = 1 << 20;
const CONNECTION_WINDOW = 8 << 20;
/** A request that the server's connection refused goes to another one. */
const REFUSALS_MAX = 4;
/** An answer that is read as a whole. */
const BODY_BYTES_MAX = 256 << 20;

export class HttpsTransport implements Transport {
  private readonly options: HttpsTransportOptions;
  private readonly url: URL;
  private readonly base: string;
  private sessions: Session[] = [];
  private connecting: Promise<Session | undefined> | undefined;
  private agent: PlainAgent | https.Agent | undefined;
  private closed = false;

  constructor(options: HttpsTransportOptions) {
    this.options = options;
    this.url = new URL(options.server);
    this.base = this.url.pathname.replace(/\/$/, '');
    if (this.url.protocol === 'http:') this.agent = new (nodeHttp().Agent)({ keepAlive: true });
    else if (this.url.protocol !== 'https:') throw new Error(`${options.server} is neither http: nor https:`);
  }

  async call(target: string, options: CallOptions = {}): Promise<CallAnswer> {
    const authorization = await this.options.authorization?.();
    const headers = {
      ...options.headers,
      ...(authorization === undefined ? {} : { authorization }),
    };
    const request = { target: this.base + target, method: options.method ?? 'GET', headers, options };
    for (let attempt = 1; ; attempt += 1) {
      const session = await this.session();
      if (session === undefined) return await this.callHttp1(request);
      try {
        return await session.call(request);
      } catch (error) {
        // The server says that it did nothing with it: it is closing the connection, or full.
        if (!(error instanceof Refused) || attempt >= REFUSALS_MAX) throw error;
        session.close();
      }
    }
  }

  /** Ends all connections, and what runs on them. */
  close(): void {
    this.closed = true;
    for (const session of this.sessions) session.destroy(new Error('the transport was closed'));
    this.agent?.destroy();
  }

  /** A connection with room for a request; undefined when the server speaks HTTP/1.1. */
  private async session(): Promise<Session | undefined> {
    for (;;) {
      if (this.closed) throw new Error('the transport was closed');
      if (this.agent !== undefined) return undefined;
      this.sessions = this.sessions.filter((one) => one.usable);
      const free = this.sessions.find((one) => one.hasRoom);
      if (free !== undefined) return free;
      this.connecting ??= this.connect().finally(() => {
        this.connecting = undefined;
      });
      await this.connecting;
    }
  }

  private async connect(): Promise<Session | undefined> {
    const socket = await this.secureSocket();
    if (this.closed) {
      socket.destroy();
      throw new Error('the transport was closed');
    }
    if (socket.alpnProtocol === 'h2') {
      const session = new Session(this.url, socket, this.options.clock);
      this.sessions.push(session);
      return session;
    }
    socket.destroy();
    this.agent = new https.Agent({ keepAlive: true, ...this.tlsOptions() });
    return undefined;
  }

  private secureSocket(): Promise<tls.TLSSocket> {
    const { clock } = this.options;
    return new Promise((resolve, reject) => {
      const socket = tls.connect({
        host: hostOf(this.url),
        port: Number(this.url.port || 443),
        ALPNProtocols: ['h2', 'http/1.1'],
        ...this.tlsOptions(),
      });
      const timer = clock.setTimer(CONNECT_MS, () =>
        socket.destroy(new Error(`connecting to ${this.url.host} takes too long`)),
      );
      socket.once('secureConnect', () => {
        timer.cancel();
        resolve(socket);
      });
      socket.once('error', (error) => {
        timer.cancel();
        reject(error);
      });
    });
  }

  private tlsOptions(): tls.ConnectionOptions {
    const { ca, cert, key, serverName, insecure } = this.options.tls ?? {};
    const host = hostOf(this.url);
    // An address is no name for SNI.
    const name = serverName ?? (/^[\d.]+$|:/.test(host) ? undefined : host);
    return {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(name === undefined ? {} : { servername: name }),
      ...(insecure === true ? { rejectUnauthorized: false } : {}),
    };
  }

  private callHttp1({ target, method, headers, options }: Outgoing): Promise<CallAnswer> {
    const { agent } = this;
    const send = this.url.protocol === 'http:' ? nodeHttp().request : https.request;
    return new Promise((resolve, reject) => {
      const request = send({
        host: hostOf(this.url),
        port: this.url.port || (this.url.protocol === 'http:' ? 80 : 443),
        path: target,
        method,
        headers,
        agent,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      request.once('error', reject);
      request.once('response', (response) => {
        request.on('error', () => undefined);
        const found = new Map<string, readonly string[]>();
        for (const [name, value] of Object.entries(response.headers)) {
          if (value !== undefined) found.set(name, [value].flat());
        }
        resolve(new StreamAnswer(response.statusCode ?? 0, found, response, () => response.complete));
      });
      request.end(options.body);
    });
  }
}

interface Outgoing {
  readonly target: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly options: CallOptions;
}

/** The server did not begin with the request (RFC 9113, 8.7). */
class Refused extends Error {}

/** One HTTP/2 connection. */
class Session {
  private readonly session: http2.ClientHttp2Session;
  private readonly clock: Clock;
  private streams = 0;
  /** Whether the server's settings have come. */
  private told = false;
  private heardMs: number;
  private timer: Timer | undefined;

  constructor(url: URL, socket: tls.TLSSocket, clock: Clock) {
    this.clock = clock;
    this.heardMs = clock.monotonicMs();
    this.session = http2.connect(url.origin, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
    });
    this.session.once('connect', () => this.session.setLocalWindowSize(CONNECTION_WINDOW));
    this.session.once('remoteSettings', () => {
      this.told = true;
    });
    // Each request hears of it by itself.
    this.session.on('error', () => undefined);
    this.session.once('close', () => this.timer?.cancel());
    // Who has nothing to ask does not keep the process alive.
    this.session.unref();
  }

  get usable(): boolean {
    return !this.session.closed && !this.session.destroyed;
  }

  get hasRoom(): boolean {
    // Before the server said anything, Node believes in four thousand millions.
    const said = this.told ? this.session.remoteSettings.maxConcurrentStreams : undefined;
    const most = said ?? STREAMS_DEFAULT;
    return this.usable && this.streams < most;
  }

  /** Takes no more; what runs ends by itself. */
  close(): void {
    this.session.close();
  }

  destroy(reason: Error): void {
    this.session.destroy(reason);
  }

  call({ target, method, headers, options }: Outgoing): Promise<CallAnswer> {
    const { session } = this;
    return new Promise((resolve, reject) => {
      const stream = session.request(
        { ...headers, ':method': method, ':path': target },
        {
          endStream: options.body === undefined,
          ...(options.signal === undefined ? {} : { signal: options.signal }),
        },
      );
      this.begin();
      stream.once('close', () => {
        this.end();
        reject(new Error('the connection ended without an answer'));
      });
      stream.on('error', (error) =>
        reject(
          stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM
            ? new Refused(error.message, { cause: error })
            : toError(error),
        ),
      );
      stream.on('data', () => this.hear());
      stream.pause();
      stream.once('response', (fields) => {
        this.hear();
        const found = new Map<string, readonly string[]>();
        for (const [name, value] of Object.entries(fields)) {
          if (value !== undefined && !name.startsWith(':')) found.set(name, [value].flat().map(String));
        }
        resolve(new StreamAnswer(fields[':status'] ?? 0, found, stream, () => stream.rstCode === 0));
      });
      if (options.body !== undefined) stream.end(options.body);
    });
  }

  private hear(): void {
    this.heardMs = this.clock.monotonicMs();
  }

  private begin(): void {
    this.streams += 1;
    if (this.streams > 1) return;
    this.session.ref();
    this.hear();
    this.watchSilence();
  }

  private end(): void {
    this.streams -= 1;
    if (this.streams > 0) return;
    this.timer?.cancel();
    this.session.unref();
  }

  /** While something runs: a ping when nothing was heard for a while. */
  private watchSilence(): void {
    const { clock } = this;
    const leftMs = this.heardMs + SILENCE_MS - clock.monotonicMs();
    this.timer?.cancel();
    this.timer = clock.setTimer(Math.max(0, leftMs), () => {
      if (!this.usable) return;
      if (clock.monotonicMs() - this.heardMs < SILENCE_MS) return this.watchSilence();
      const deadline = clock.setTimer(PING_MS, () =>
        this.destroy(new Error('the server does not answer a ping')),
      );
      this.timer = deadline;
      this.session.ping((error) => {
        deadline.cancel();
        if (error !== null || this.streams === 0) return;
        this.hear();
        this.watchSilence();
      });
    });
  }
}

class StreamAnswer implements CallAnswer {
  readonly code: number;
  readonly headers: ReadonlyMap<string, readonly string[]>;
  private readonly stream: Readable;
  private readonly isWhole: () => boolean;

  /** @param isWhole once the stream has ended: whether the server ended it */
  constructor(
    code: number,
    headers: ReadonlyMap<string, readonly string[]>,
    stream: Readable,
    isWhole: () => boolean,
  ) {
    this.code = code;
    this.headers = headers;
    this.stream = stream;
    this.isWhole = isWhole;
  }

  get chunks(): AsyncIterable<Buffer> {
    return piecesOf(this.stream, this.isWhole);
  }

  async bytes(): Promise<Buffer> {
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of this.chunks) {
      size += part.length;
      if (size > BODY_BYTES_MAX) throw new Error(`an answer of more than ${BODY_BYTES_MAX} bytes`);
      parts.push(part);
    }
    return Buffer.concat(parts);
  }
}

/**
 * What a stream brings, until its end. Its own iteration takes a stream of HTTP/2 whose end has arrived, but was not read, for
 * one that was cut short: a short answer that comes while this process is busy.
 *
 * @throws the stream's error, or that it was cut short
 */
async function* piecesOf(stream: Readable, isWhole: () => boolean): AsyncGenerator<Buffer, void> {
  let wake: (() => void) | undefined;
  const tell = (): void => wake?.();
  let failed: Error | undefined;
  const fail = (error: Error): void => {
    failed = error;
    tell();
  };
  stream.on('readable', tell).on('end', tell).on('close', tell).on('error', fail);
  try {
    for (;;) {
      const piece: unknown = stream.destroyed ? null : stream.read();
      if (Buffer.isBuffer(piece)) yield piece;
      else if (stream.readableEnded && isWhole()) return;
      else if (failed !== undefined) throw failed;
      else if (stream.destroyed || stream.readableEnded)
        throw stream.errored ?? new Error('the answer was cut short');
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    stream.off('readable', tell).off('end', tell).off('close', tell).off('error', fail);
    // Whoever leaves early wants no more of it.
    if (!stream.readableEnded) stream.destroy();
  }
}

/** A host as sockets want it: an IPv6 address without its brackets. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}
