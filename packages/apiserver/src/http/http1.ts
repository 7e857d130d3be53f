/**
 * A message of HTTP/1.1 and its answer as door.ts sees them. The connection stays usable when the body was read to
 * its end, or what is left of it is little; else the answer ends it, once the client had the time to read it.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Headers, Peer } from '../api/exchange.ts';
import { headersOf } from '../api/header-fields.ts';
import { BodyChunks } from '../outbound/body-chunks.ts';
import { drained } from '../outbound/drained.ts';
import type { Incoming, Outgoing } from './transport.ts';

export class Http1Incoming implements Incoming {
  readonly method: string;
  readonly target: string;
  readonly headers: Headers;
  readonly peer: Peer;
  readonly contentLength: number | undefined;
  private readonly response: ServerResponse;
  private readonly chunks: BodyChunks;

  constructor(message: IncomingMessage, response: ServerResponse, peer: Peer) {
    this.method = message.method ?? 'GET';
    this.target = pathOf(message.url ?? '/');
    this.headers = headersOf(message.rawHeaders);
    this.peer = peer;
    const length = message.headers['content-length'];
    this.contentLength = length === undefined ? undefined : Number(length);
    this.response = response;
    this.chunks = new BodyChunks(message);
  }

  read(): Promise<Buffer | undefined> {
    return this.chunks.read();
  }

  whole(limitBytes: number): Promise<Buffer | undefined> {
    return this.chunks.whole(limitBytes);
  }

  onGone(task: () => void): void {
    this.response.once('close', () => {
      if (!this.response.writableFinished) task();
    });
  }
}

/** A target may name the server as well (RFC 9112 3.2.2): who was asked is known, and the rest is the path. */
function pathOf(target: string): string {
  if (target.startsWith('/')) return target;
  const rest = /^https?:\/\/[^/?#]*(.*)$/is.exec(target)?.[1];
  if (rest === undefined) return target;
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** Unread bodies of this length are taken off the connection, which stays; as net/http does it. */
const DROPPED_BYTES_MAX = 256 * 1024;
/**
 * How long a larger one is taken, and thrown away, after the answer: a connection that is closed while the client sends
 * is reset, and the client never reads what it was told.
 */
const LINGER_MS = 500;

export class Http1Outgoing implements Outgoing {
  private readonly message: IncomingMessage;
  private readonly response: ServerResponse;
  /** The server is stopping: this answer is the connection's last. */
  private readonly last: () => boolean;
  private trailers: (() => Headers) | undefined = undefined;

  constructor(message: IncomingMessage, response: ServerResponse, last: () => boolean) {
    this.message = message;
    this.response = response;
    this.last = last;
    response.on('error', () => response.destroy());
  }

  get open(): boolean {
    return !this.response.destroyed && this.response.writable;
  }

  head(code: number, headers: Headers, trailers?: () => Headers): void {
    const { response } = this;
    // Of a body with a length nothing can be said behind it.
    if (!headers.has('content-length')) this.trailers = trailers;
    for (const [name, values] of headers) response.setHeader(name, values.length === 1 ? values[0] : values);
    if (this.last() || this.isLong()) response.setHeader('connection', 'close');
    response.writeHead(code);
    if (!headers.has('content-length')) response.flushHeaders();
  }

  write(chunk: Buffer): boolean {
    return this.response.write(chunk);
  }

  drained(): Promise<void> {
    return drained(this.response);
  }

  waiting(): number {
    return this.response.writableLength;
  }

  end(last?: Buffer): void {
    const { message, response } = this;
    const behind = this.trailers?.();
    if (behind !== undefined && behind.size > 0) {
      response.addTrailers(Object.fromEntries([...behind].map(([name, values]) => [name, [...values]])));
    }
    if (!this.isLong()) {
      const ended = (): void => {
        if (!message.complete) message.resume();
      };
      if (last === undefined) response.end(ended);
      else response.end(last, ended);
      return;
    }
    if (last !== undefined) response.write(last);
    else if (!response.headersSent) response.flushHeaders();
    let over = false;
    const finish = (): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      // What of the body was never read must not be taken for the next request.
      response.end(() => message.destroy());
    };
    const timer = setTimeout(finish, LINGER_MS);
    message.once('end', finish);
    message.once('close', finish);
    message.resume();
  }

  /** Whether more of the body was left unread than is thrown away for a connection. */
  private isLong(): boolean {
    const { message } = this;
    if (message.complete) return false;
    const length = Number(message.headers['content-length'] ?? Infinity);
    return !(length <= DROPPED_BYTES_MAX);
  }

  abort(): void {
    this.response.destroy();
  }
}
