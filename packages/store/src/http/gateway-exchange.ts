/**
 * One request to the gateway, however it came: over plain HTTP, or as messages of a WebSocket, which carry the
 * lines of the same exchange (as grpc-websocket-proxy, which etcd puts in front of its gateway). The gateway
 * sees only this.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  CloseCode,
  handshakeAnswer,
  handshakeFault,
  WebSocketConnection,
  type WebSocketHandler,
} from './websocket.ts';

/** Who wants to know how the request goes on. */
export interface ExchangeListener {
  /** Bytes of the body. Return false to be given no more until resume(). */
  data(chunk: Buffer): boolean;
  /** The body is complete. */
  end(): void;
  /** The client is gone, or the exchange is over: nothing is wanted any more. */
  gone(): void;
}

export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** "address:port" of the client, as far as known. */
  readonly remoteAddress: string;
  /** Begins to deliver the body. */
  listen(listener: ExchangeListener): void;
  /** The body goes on being delivered. */
  resume(): void;
  /** The answer's beginning; before any write. */
  start(status: number, headers: Readonly<Record<string, string | number>>): void;
  /** Part of the answer. @returns false when it should pause until `onDrain` */
  write(text: string): boolean;
  onDrain(task: () => void): void;
  end(): void;
}

export class HttpExchange implements Exchange {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly remoteAddress: string;
  private readonly request: IncomingMessage;
  private readonly response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse, path: string) {
    this.request = request;
    this.response = response;
    this.method = request.method ?? 'GET';
    this.path = path;
    this.headers = request.headers;
    this.remoteAddress = request.socket.remoteAddress ?? '';
  }

  listen(listener: ExchangeListener): void {
    const { request, response } = this;
    request.on('data', (chunk: Buffer) => {
      if (!listener.data(chunk)) request.pause();
    });
    request.on('end', () => listener.end());
    // A client that breaks off is seen by its response, which closes without having ended.
    request.on('error', () => {});
    response.on('close', () => listener.gone());
  }

  resume(): void {
    this.request.resume();
  }

  start(status: number, headers: Readonly<Record<string, string | number>>): void {
    if (!this.response.destroyed) this.response.writeHead(status, { ...headers });
  }

  write(text: string): boolean {
    return this.response.destroyed || this.response.write(text);
  }

  onDrain(task: () => void): void {
    this.response.on('drain', task);
  }

  end(): void {
    this.response.end();
  }
}

/** Headers of the handshake that the exchange behind it has too. */
const FORWARDED: readonly string[] = ['origin', 'referer'];
const BEARER = 'Bearer';

export class WebSocketExchange implements Exchange, WebSocketHandler {
  /** Whatever the client did: streams are POST. */
  readonly method = 'POST';
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly remoteAddress: string;
  private readonly connection: WebSocketConnection;
  private listener: ExchangeListener | undefined = undefined;
  private drainTask: (() => void) | undefined = undefined;
  private line = '';
  private head: Buffer;

  /**
   * Completes the handshake. The caller has seen that the request asks for a WebSocket.
   * @returns undefined when the handshake was refused; it has been answered then
   */
  static open(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    path: string,
    messageBytesMax: number,
  ): WebSocketExchange | undefined {
    const fault = handshakeFault(request);
    if (fault !== undefined) {
      const body = fault === 405 ? 'Method Not Allowed\n' : 'Bad Request\n';
      const headers = [
        `HTTP/1.1 ${fault} ${body.trim()}`,
        'Content-Type: text/plain; charset=utf-8',
        'Sec-Websocket-Version: 13',
        'X-Content-Type-Options: nosniff',
        `Content-Length: ${body.length}`,
        'Connection: close',
      ];
      socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`);
      return undefined;
    }
    const offered = request.headers['sec-websocket-protocol'];
    socket.write(handshakeAnswer(request, offered?.startsWith(BEARER) === true ? BEARER : undefined));
    return new WebSocketExchange(request, socket, head, path, messageBytesMax);
  }

  private constructor(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    path: string,
    messageBytesMax: number,
  ) {
    this.path = path;
    this.remoteAddress = request.socket.remoteAddress ?? '';
    this.headers = { host: request.headers.host ?? '' };
    for (const name of FORWARDED) {
      const value = request.headers[name];
      if (typeof value === 'string') this.headers[name] = value;
    }
    const token = bearerToken(request);
    if (token !== undefined) this.headers.authorization = token;
    this.head = head;
    this.connection = new WebSocketConnection(socket, this, messageBytesMax);
  }

  listen(listener: ExchangeListener): void {
    this.listener = listener;
    this.connection.start(this.head);
    this.head = Buffer.alloc(0);
  }

  resume(): void {
    this.connection.resume();
  }

  message(payload: Buffer): boolean {
    return this.listener?.data(Buffer.concat([payload, Buffer.from('\n')])) ?? true;
  }

  drained(): void {
    this.drainTask?.();
  }

  closed(): void {
    this.listener?.gone();
  }

  /** A WebSocket has no status: an error is known by its body. */
  start(): void {}

  /** Each line is a message. */
  write(text: string): boolean {
    const lines = (this.line + text).split('\n');
    this.line = lines.pop()!;
    let room = true;
    for (const line of lines) if (line !== '') room = this.connection.sendText(line);
    return room;
  }

  onDrain(task: () => void): void {
    this.drainTask = task;
  }

  end(): void {
    if (this.line !== '') this.connection.sendText(this.line);
    this.line = '';
    this.connection.close(CloseCode.Normal);
  }
}

/** A browser cannot set Authorization: the token comes as a cookie, or as a second "protocol" behind Bearer. */
function bearerToken({ headers }: IncomingMessage): string | undefined {
  const cookie = (headers.cookie ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .find((pair) => pair.startsWith('token='));
  if (cookie !== undefined) return `${BEARER} ${cookie.slice('token='.length)}`;
  const protocol = headers['sec-websocket-protocol'];
  if (protocol === undefined) return undefined;
  const comma = protocol.indexOf(`${BEARER},`);
  return comma < 0 ? '' : `${BEARER} ${protocol.slice(comma + BEARER.length + 1).trim()}`;
}
