/**
 * One connection of HTTP/2 over TLS as a load generator wants it: many streams, answers counted and bytes handed on, next
 * to nothing decoded. It grants the server all the window there is, so that nobody waits for the generator; what the
 * server grants is kept to. node:http2 would take more of the machine than the server under test.
 */
import { connect, type TLSSocket } from 'node:tls';
import type { DialTlsOptions } from '@keelson/rpc';
import { statusOf } from './header-block.ts';

/** What becomes of a stream. */
export interface StreamSink {
  head(status: number): void;
  /** @param chunk valid until it returns, unless copied */
  data(chunk: Buffer): void;
  /** Once, and nothing after it. @param error undefined when the answer was whole */
  end(error: Error | undefined): void;
}

export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const HEAD_BYTES = 9;
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
const PADDED = 8;
const PRIORITY = 0x20;
const CANCEL = 8;
const WINDOW_MAX = 2 ** 31 - 1;
const INITIAL_WINDOW = 65_535;
/** Of the connection's window, before more is granted. */
const REFILL_BYTES = 2 ** 29;
const FRAME_BYTES_MAX = 16_384;

/** HEADER_TABLE_SIZE 0, ENABLE_PUSH 0, INITIAL_WINDOW_SIZE. */
const OUR_SETTINGS: readonly (readonly [id: number, value: number])[] = [
  [1, 0],
  [2, 0],
  [4, WINDOW_MAX],
];
const INITIAL_WINDOW_SIZE = 4;

export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, HEAD_BYTES);
  return bytes;
}

function word(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}

interface Waiting {
  readonly stream: number;
  readonly body: Buffer;
  sent: number;
}

export class H2Connection {
  private readonly socket: TLSSocket;
  private readonly sinks = new Map<number, StreamSink>();
  private readonly waiting: Waiting[] = [];
  private next = 1;
  private rest: Buffer = Buffer.alloc(0);
  private received = 0;
  private window = INITIAL_WINDOW;
  private streamWindow = INITIAL_WINDOW;
  private corked = false;
  private failure: Error | undefined = undefined;

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    const settings = Buffer.alloc(6 * OUR_SETTINGS.length);
    for (const [i, [id, value]] of OUR_SETTINGS.entries()) {
      settings.writeUInt16BE(id, 6 * i);
      settings.writeUInt32BE(value, 6 * i + 2);
    }
    socket.write(
      Buffer.concat([
        PREFACE,
        frame(SETTINGS, 0, 0, settings),
        frame(WINDOW_UPDATE, 0, 0, word(WINDOW_MAX - INITIAL_WINDOW)),
      ]),
    );
    socket.on('data', (chunk: Buffer) => this.take(chunk));
    socket.on('error', (error) => this.fail(error));
    socket.on('close', () => this.fail(new ConnectionError('the connection was closed')));
  }

  /** @param address "127.0.0.1:6443". @throws ConnectionError, or the socket's error */
  static open(address: string, tls: DialTlsOptions): Promise<H2Connection> {
    const colon = address.lastIndexOf(':');
    return new Promise((resolve, reject) => {
      const socket = connect({
        host: address.slice(0, colon),
        port: Number(address.slice(colon + 1)),
        ALPNProtocols: ['h2'],
        ...(tls.ca !== undefined && { ca: [...tls.ca] }),
        ...(tls.cert !== undefined && { cert: tls.cert }),
        ...(tls.key !== undefined && { key: tls.key }),
      });
      socket.setNoDelay(true);
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        socket.off('error', reject);
        if (socket.alpnProtocol === 'h2') resolve(new H2Connection(socket));
        else {
          socket.destroy();
          reject(new ConnectionError('the server does not speak HTTP/2'));
        }
      });
    });
  }

  /** Streams that are not over. */
  get openStreams(): number {
    return this.sinks.size;
  }

  /**
   * Sends a request; what comes of it is told to the sink.
   *
   * @param headers encoded, kept as they are
   * @returns the stream, for cancel
   */
  request(headers: Buffer, body: Buffer | undefined, sink: StreamSink): number {
    const stream = this.next;
    if (this.failure !== undefined) {
      const { failure } = this;
      queueMicrotask(() => sink.end(failure));
      return stream;
    }
    this.next += 2;
    this.sinks.set(stream, sink);
    this.cork();
    this.socket.write(frame(HEADERS, END_HEADERS | (body === undefined ? END_STREAM : 0), stream, headers));
    if (body !== undefined) {
      this.waiting.push({ stream, body, sent: 0 });
      this.sendBodies();
    }
    return stream;
  }

  /** Nobody wants the rest: the sink hears no more. */
  cancel(stream: number): void {
    if (!this.sinks.delete(stream)) return;
    this.cork();
    this.socket.write(frame(RST_STREAM, 0, stream, word(CANCEL)));
  }

  /** Stops reading until resumed: a client that stands still. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  close(): void {
    this.fail(new ConnectionError('the connection was given up'));
    this.socket.destroy();
  }

  /** What is written in one turn leaves in one record. */
  private cork(): void {
    if (this.corked) return;
    this.corked = true;
    this.socket.cork();
    process.nextTick(() => {
      this.corked = false;
      this.socket.uncork();
    });
  }

  /** In order, as far as the connection's window goes. */
  private sendBodies(): void {
    while (this.waiting.length > 0) {
      const [first] = this.waiting;
      const left = first.body.length - first.sent;
      if (first.body.length > this.streamWindow) {
        throw new ConnectionError(`a body of ${first.body.length} bytes is more than a stream's window`);
      }
      const size = Math.min(left, FRAME_BYTES_MAX, this.window);
      if (size === 0 && left > 0) return;
      const last = size === left;
      const part = first.body.subarray(first.sent, first.sent + size);
      this.cork();
      this.socket.write(frame(DATA, last ? END_STREAM : 0, first.stream, part));
      this.window -= size;
      first.sent += size;
      if (last) this.waiting.shift();
    }
  }

  private take(chunk: Buffer): void {
    let bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    let at = 0;
    while (bytes.length - at >= HEAD_BYTES) {
      const length = bytes.readUIntBE(at, 3);
      const end = at + HEAD_BYTES + length;
      if (bytes.length < end) break;
      this.frame(
        bytes[at + 3],
        bytes[at + 4],
        bytes.readUInt32BE(at + 5) & 0x7fff_ffff,
        bytes.subarray(at + HEAD_BYTES, end),
      );
      at = end;
    }
    bytes = bytes.subarray(at);
    this.rest = bytes;
  }

  private frame(type: number, flags: number, stream: number, payload: Buffer): void {
    switch (type) {
      case DATA:
        this.count(payload.length);
        this.sinks.get(stream)?.data(unpadded(payload, flags));
        if ((flags & END_STREAM) !== 0) this.over(stream, undefined);
        return;
      case HEADERS: {
        // Trailers have no status; no answer here has any.
        const block = unpadded(payload, flags);
        const from = (flags & PRIORITY) !== 0 ? 5 : 0;
        this.sinks.get(stream)?.head(statusOf(block.subarray(from)));
        if ((flags & END_STREAM) !== 0) this.over(stream, undefined);
        return;
      }
      case RST_STREAM:
        // NO_ERROR after a whole answer says only that the rest of a request is not wanted.
        this.over(stream, new ConnectionError(`the stream was reset with code ${payload.readUInt32BE(0)}`));
        return;
      case SETTINGS:
        if ((flags & ACK) === 0) this.settings(payload);
        return;
      case PING:
        if ((flags & ACK) === 0) this.socket.write(frame(PING, ACK, 0, payload));
        return;
      case GOAWAY:
        this.fail(new ConnectionError(`the server said goodbye with code ${payload.readUInt32BE(4)}`));
        return;
      case WINDOW_UPDATE:
        // Bodies here are smaller than a stream's first window, so only the connection's matters.
        if (stream === 0) {
          this.window += payload.readUInt32BE(0) & 0x7fff_ffff;
          this.sendBodies();
        }
        return;
      default:
    }
  }

  private settings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      if (payload.readUInt16BE(at) === INITIAL_WINDOW_SIZE) {
        this.streamWindow = payload.readUInt32BE(at + 2);
      }
    }
    this.socket.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
    this.sendBodies();
  }

  private count(size: number): void {
    this.received += size;
    if (this.received < REFILL_BYTES) return;
    this.socket.write(frame(WINDOW_UPDATE, 0, 0, word(this.received)));
    this.received = 0;
  }

  private over(stream: number, error: Error | undefined): void {
    const sink = this.sinks.get(stream);
    if (sink === undefined) return;
    this.sinks.delete(stream);
    sink.end(error);
  }

  private fail(error: Error): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    this.waiting.length = 0;
    for (const [stream] of this.sinks) this.over(stream, error);
  }
}

function unpadded(payload: Buffer, flags: number): Buffer {
  if ((flags & PADDED) === 0) return payload;
  return payload.subarray(1, payload.length - payload[0]);
}
