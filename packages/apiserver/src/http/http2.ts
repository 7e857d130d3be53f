/**
 * A stream of HTTP/2 as door.ts sees it. Bodies go out in pieces no larger than the client takes them: a stream
 * that nobody reads holds one piece in the session, not a list of megabytes, so that it starves no other.
 */

import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';

import type { Headers, Peer } from '../api/exchange.ts';
import { BodyChunks } from '../outbound/body-chunks.ts';
import { drained } from '../outbound/drained.ts';
import type { Incoming, Outgoing } from './transport.ts';

export class Http2Incoming implements Incoming {
  readonly method: string;
  readonly target: string;
  readonly headers: Headers;
  readonly peer: Peer;
  readonly contentLength: number | undefined;
  private readonly stream: ServerHttp2Stream;
  private readonly chunks: BodyChunks;

  /** @param raw names and values in turn, as the stream event gives them */
  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[], peer: Peer) {
    this.method = headers[':method'] ?? 'GET';
    this.target = headers[':path'] ?? '/';
    this.headers = fieldsOf(raw);
    this.peer = peer;
    const length = headers['content-length'];
    this.contentLength = length === undefined ? undefined : Number(length);
    this.stream = stream;
    this.chunks = new BodyChunks(stream);
  }

  read(): Promise<Buffer | undefined> {
    return this.chunks.read();
  }

  whole(limitBytes: number): Promise<Buffer | undefined> {
    return this.chunks.whole(limitBytes);
  }

  onGone(task: () => void): void {
    this.stream.once('close', task);
  }
}

export class Http2Outgoing implements Outgoing {
  private readonly stream: ServerHttp2Stream;
  private readonly last: boolean;

  /** @param last the client is asked to send its further requests over another connection; those it sent are answered */
  constructor(stream: ServerHttp2Stream, last = false) {
    this.stream = stream;
    this.last = last;
    // A client that resets its stream is no error of ours; 'close' tells who waits.
    stream.on('error', () => {});
  }

  get open(): boolean {
    return !this.stream.destroyed && !this.stream.closed;
  }

  head(code: number, headers: Headers, trailers?: () => Headers): void {
    const fields: Record<string, string | string[] | number> = { ':status': code };
    for (const [name, values] of headers) {
      if (name !== 'connection') fields[name] = values.length === 1 ? values[0] : [...values];
    }
    const { stream } = this;
    if (trailers !== undefined) {
      stream.once('wantTrailers', () => sendTrailers(stream, trailers()));
    }
    stream.respond(fields, { endStream: false, waitForTrailers: trailers !== undefined });
    // There is no such header here; what it asks for is said to the whole connection, which ends with its last stream.
    if (this.last || headers.get('connection')?.includes('close') === true) this.stream.session?.close();
  }

  write(chunk: Buffer): boolean {
    return this.stream.write(chunk);
  }

  drained(): Promise<void> {
    return drained(this.stream);
  }

  waiting(): number {
    return this.stream.writableLength;
  }

  end(last?: Buffer): void {
    const { stream } = this;
    const ended = (): void => {
      // The rest of a body that was not read is not wanted: RFC 9113 8.1.
      if (!stream.readableEnded && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
    };
    // A request that was whole closes its stream with the answer; then nobody is to be told.
    if (stream.readableEnded || stream.endAfterHeaders) {
      if (last === undefined) stream.end();
      else stream.end(last);
    } else if (last === undefined) stream.end(ended);
    else stream.end(last, ended);
  }

  abort(): void {
    if (!this.stream.destroyed) this.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }
}

/**
 * Where HTTP/2 cannot say one of them, none is said: a backend's words must not hold up the end of the stream, nor throw
 * out of an event, which would end the process.
 */
function sendTrailers(stream: ServerHttp2Stream, trailers: Headers): void {
  try {
    stream.sendTrailers(Object.fromEntries([...trailers].map(([name, values]) => [name, [...values]])));
  } catch {
    if (!stream.destroyed && !stream.closed) stream.sendTrailers({});
  }
}

/** Fields without the pseudo ones; the authority stands in for host. */
function fieldsOf(raw: readonly string[]): Headers {
  const headers = new Map<string, string[]>();
  for (let index = 0; index + 1 < raw.length; index += 2) {
    let name = raw[index];
    if (name === ':authority') name = 'host';
    else if (name.startsWith(':')) continue;
    const values = headers.get(name);
    if (values === undefined) headers.set(name, [raw[index + 1]]);
    else values.push(raw[index + 1]);
  }
  return headers;
}
