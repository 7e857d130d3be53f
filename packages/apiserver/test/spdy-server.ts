/**
 * The server's side of SPDY/3.1, as kubelets have it, for tests: streams that the other side opens, each a Duplex. Written
 * apart from the product's client, headers compressed with the standard's dictionary both ways.
 */

import { Duplex } from 'node:stream';
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib';

import { SPDY_DICTIONARY } from './spdy-dictionary.ts';

export type SpdyHeaders = Readonly<Record<string, string>>;

export class SpdyServerConnection {
  /** Frames of other kinds than streams and data that came, by type. */
  readonly pings: number[] = [];
  private readonly socket: Duplex;
  private readonly inflate: Inflate;
  private readonly deflate: Deflate;
  private readonly streams = new Map<number, SpdyServerStream>();
  private readonly opened: (stream: SpdyServerStream) => void;

  /** @param head bytes that came behind the request */
  constructor(socket: Duplex, head: Buffer, opened: (stream: SpdyServerStream) => void) {
    this.socket = socket;
    this.opened = opened;
    this.inflate = createInflate({ dictionary: SPDY_DICTIONARY, flush: constants.Z_SYNC_FLUSH });
    this.deflate = createDeflate({ dictionary: SPDY_DICTIONARY, flush: constants.Z_SYNC_FLUSH });
    if (head.length > 0) socket.unshift(head);
    void this.run();
  }

  /** As a kubelet ends: every stream reset, then away. */
  close(): void {
    for (const id of this.streams.keys()) this.control(3, 0, words(id, 5));
    this.control(7, 0, words(0, 0));
    this.socket.end();
  }

  data(id: number, bytes: Buffer, last: boolean): boolean {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(id, 0);
    head[4] = last ? 1 : 0;
    head.writeUIntBE(bytes.length, 5, 3);
    if (this.socket.destroyed || this.socket.writableEnded) return true;
    this.socket.write(head);
    return this.socket.write(bytes);
  }

  private control(type: number, flags: number, body: Buffer): void {
    const head = Buffer.alloc(8);
    head.writeUInt16BE(0x8003, 0);
    head.writeUInt16BE(type, 2);
    head[4] = flags;
    head.writeUIntBE(body.length, 5, 3);
    if (!this.socket.destroyed && !this.socket.writableEnded) this.socket.write(Buffer.concat([head, body]));
  }

  private async run(): Promise<void> {
    let rest: Buffer = Buffer.alloc(0);
    try {
      for await (const chunk of this.socket) {
        rest = Buffer.concat([rest, chunk as Buffer]);
        while (rest.length >= 8 && rest.length >= 8 + rest.readUIntBE(5, 3)) {
          const size = rest.readUIntBE(5, 3);
          await this.frame(rest.subarray(0, 8), rest.subarray(8, 8 + size));
          rest = rest.subarray(8 + size);
        }
      }
    } catch {
      // The client is gone.
    }
    for (const stream of this.streams.values()) stream.over();
  }

  private async frame(head: Buffer, body: Buffer): Promise<void> {
    const last = (head[4] & 1) === 1;
    if ((head[0] & 0x80) === 0) {
      await this.streams.get(head.readUInt32BE(0))?.arrived(Buffer.from(body), last);
      return;
    }
    switch (head.readUInt16BE(2)) {
      case 1: {
        const id = body.readUInt32BE(0);
        const headers = headersOf(await through(this.inflate, body.subarray(10)));
        const stream = new SpdyServerStream(this, id, headers);
        this.streams.set(id, stream);
        const none = await through(this.deflate, words(0));
        this.control(2, 0, Buffer.concat([words(id), none]));
        this.opened(stream);
        if (last) await stream.arrived(Buffer.alloc(0), true);
        return;
      }
      case 3:
        this.streams.get(body.readUInt32BE(0))?.over();
        return;
      case 6:
        this.pings.push(body.readUInt32BE(0));
        this.control(6, 0, Buffer.from(body));
        return;
      default:
        return;
    }
  }
}

export class SpdyServerStream extends Duplex {
  readonly headers: SpdyHeaders;
  private readonly connection: SpdyServerConnection;
  private readonly id: number;
  private roomy: (() => void) | undefined;
  private isOver = false;

  constructor(connection: SpdyServerConnection, id: number, headers: SpdyHeaders) {
    super({ allowHalfOpen: true });
    this.connection = connection;
    this.id = id;
    this.headers = headers;
    this.on('error', () => undefined);
  }

  async arrived(bytes: Buffer, last: boolean): Promise<void> {
    if (this.isOver) return;
    if (bytes.length > 0 && !this.push(bytes)) {
      await new Promise<void>((resolve) => {
        this.roomy = resolve;
      });
    }
    if (last) this.over();
  }

  over(): void {
    if (!this.isOver) this.push(null);
    this.isOver = true;
    this.roomy?.();
  }

  override _read(): void {
    this.roomy?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.connection.data(this.id, chunk, false);
    done();
  }

  override _final(done: () => void): void {
    this.connection.data(this.id, Buffer.alloc(0), true);
    done();
  }
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index);
  return bytes;
}

function through(codec: Inflate | Deflate, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const out: Buffer[] = [];
    const take = (chunk: Buffer): void => void out.push(chunk);
    codec.on('data', take);
    codec.once('error', reject);
    codec.write(bytes, () => {
      codec.flush(constants.Z_SYNC_FLUSH, () => {
        codec.off('data', take);
        codec.off('error', reject);
        resolve(Buffer.concat(out));
      });
    });
  });
}

function headersOf(block: Buffer): SpdyHeaders {
  const headers: Record<string, string> = {};
  let at = 4;
  const next = (): string => {
    const size = block.readUInt32BE(at);
    const text = block.subarray(at + 4, at + 4 + size).toString('latin1');
    at += 4 + size;
    return text;
  };
  for (let count = block.readUInt32BE(0); count > 0; count -= 1) headers[next()] = next();
  return headers;
}
