/**
 * Requests that would leave HTTP: WebSocket and SPDY for exec, attach, port-forward and what aggregated servers do with
 * them. They go through the pipeline as any other; the handler behind it answers, or answers that it takes the connection
 * over. Of HTTP/1.1 only: HTTP/2 has no such header, and the original opens it to nobody either.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import type { ByteConnection, Headers, Peer } from '../api/exchange.ts';
import { SocketConnection } from '../outbound/socket-connection.ts';
import { Http1Incoming, Http1Outgoing } from './http1.ts';

const PROTOCOLS = /^(websocket|spdy\/3\.1)$/i;

/** Other protocols (h2c) are passed by, as RFC 9110 7.8 lets a server. */
export function asksToLeaveHttp({ headers }: IncomingMessage): boolean {
  return PROTOCOLS.test(headers.upgrade ?? '');
}

/** What came behind the head would be the body to one and the tunnel's first bytes to another: such a request is refused. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
}

export class UpgradeIncoming extends Http1Incoming {
  readonly upgrade?: string | undefined;
  private readonly connection: Socket;

  constructor(message: IncomingMessage, response: ServerResponse, peer: Peer, connection: Socket) {
    super(message, response, peer);
    // Before Node 24.9 every protocol comes this way.
    this.upgrade = asksToLeaveHttp(message) ? message.headers.upgrade : undefined;
    this.connection = connection;
  }

  override read(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  override onGone(task: () => void): void {
    this.connection.once('close', task);
  }
}

/** The answer in place of a tunnel, or the head of one. */
export class UpgradeOutgoing extends Http1Outgoing {
  private readonly reply: ServerResponse;
  private readonly connection: Socket;
  /** Bytes that came behind the request. */
  private readonly behind: Buffer;

  constructor(message: IncomingMessage, response: ServerResponse, connection: Socket, behind: Buffer) {
    super(message, response, () => true);
    this.reply = response;
    this.connection = connection;
    this.behind = behind;
  }

  override get open(): boolean {
    return !this.connection.destroyed;
  }

  override head(code: number, headers: Headers, trailers?: () => Headers): void {
    this.reply.assignSocket(this.connection);
    this.reply.on('finish', () => this.connection.end());
    super.head(code, headers, trailers);
  }

  override abort(): void {
    this.connection.destroy();
  }

  takeOver(headers: Headers): ByteConnection {
    const lines = [...headers].flatMap(([name, values]) => values.map((value) => `${name}: ${value}\r\n`));
    this.connection.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`, 'latin1');
    return new SocketConnection(this.connection, this.behind);
  }
}
