/**
 * A WebSocket as its server has it: the answer to its request, messages in the pieces they came in, messages out, pings
 * answered, an orderly end. Knows nothing of channels or of what is carried.
 *
 * After RFC 6455. The store has another, and both stay: that one gathers whole messages from a socket that pushes; here a
 * message has no bound, so nothing of it is gathered, and the connection is read on demand.
 */

import { createHash } from 'node:crypto';

import type { ByteConnection, Headers } from '../api/exchange.ts';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const CONTINUATION = 0;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
/** As the RFC bounds them. */
const CONTROL_BYTES_MAX = 125;
/** Of one frame; its data is handed on as it comes, so nothing is held. */
const FRAME_BYTES_MAX = 2 ** 31;

/** Closing codes. */
export const NORMAL = 1000;
export const PROTOCOL_ERROR = 1002;

/** Part of a message. */
export interface Piece {
  readonly data: Buffer;
  /** The message begins with it. */
  readonly first: boolean;
  /** The message ends with it. */
  readonly last: boolean;
}

/** The protocols a client offers, in its order. */
export function offeredProtocols(headers: Headers): string[] {
  return (headers.get('sec-websocket-protocol') ?? [])
    .flatMap((value) => value.split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** The headers of the answer; undefined for a request that is no WebSocket's. */
export function acceptHeaders(request: Headers, protocol: string): Headers | undefined {
  const key = request.get('sec-websocket-key')?.[0];
  const version = request.get('sec-websocket-version')?.[0];
  if (key === undefined || (version !== undefined && version !== '13')) return undefined;
  const accept = createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  return new Map([
    ['upgrade', ['websocket']],
    ['connection', ['Upgrade']],
    ['sec-websocket-accept', [accept]],
    ...(protocol === '' ? [] : [['sec-websocket-protocol', [protocol]] as const]),
  ]);
}

interface FrameHead {
  readonly opcode: number;
  readonly fin: boolean;
  readonly mask: Buffer;
  readonly size: number;
  readonly headBytes: number;
}

export class WebSocketServer {
  private readonly connection: ByteConnection;
  private rest: Buffer = Buffer.alloc(0);
  /** Of the data frame that has begun. */
  private left = 0;
  private maskAt = 0;
  private mask: Buffer = Buffer.alloc(4);
  private fin = false;
  private first = false;
  /** Between the frames of one message. */
  private open = false;
  private closed = false;

  constructor(connection: ByteConnection) {
    this.connection = connection;
  }

  /** The next part of a message; undefined at the end. One call at a time. */
  async next(): Promise<Piece | undefined> {
    for (;;) {
      const piece = this.buffered();
      if (piece !== undefined) return piece;
      if (this.closed) return undefined;
      const chunk = await this.connection.read().catch(() => undefined);
      if (chunk === undefined) return undefined;
      this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    }
  }

  /** Sends one binary message, made of these parts, at the connection's pace. */
  async send(...parts: readonly Buffer[]): Promise<void> {
    if (this.closed) return;
    let size = 0;
    for (const part of parts) size += part.length;
    let more = this.connection.write(headOf(BINARY, size));
    for (const part of parts) if (part.length > 0) more = this.connection.write(part);
    if (!more) await this.connection.drained();
  }

  /** Says that it ends, and ends when what waits is sent. */
  close(code = NORMAL): void {
    if (!this.closed) {
      this.closed = true;
      const body = Buffer.alloc(2);
      body.writeUInt16BE(code);
      this.control(CLOSE, body);
    }
    this.connection.end();
  }

  /** What can be read of what came already. */
  private buffered(): Piece | undefined {
    for (;;) {
      if (this.closed) return undefined;
      if (this.left > 0) {
        if (this.rest.length === 0) return undefined;
        return this.data(this.rest.subarray(0, this.left));
      }
      const head = headAt(this.rest);
      if (head === undefined) return undefined;
      if (!isInOrder(head, this.open)) {
        this.close(PROTOCOL_ERROR);
        return undefined;
      }
      if (head.opcode >= CLOSE) {
        if (this.rest.length < head.headBytes + head.size) return undefined;
        const body = Buffer.from(this.rest.subarray(head.headBytes, head.headBytes + head.size));
        unmask(body, head.mask, 0);
        this.rest = this.rest.subarray(head.headBytes + head.size);
        this.answer(head.opcode, body);
        continue;
      }
      this.rest = this.rest.subarray(head.headBytes);
      this.mask = head.mask;
      this.maskAt = 0;
      this.left = head.size;
      this.fin = head.fin;
      this.first = head.opcode !== CONTINUATION;
      this.open = !head.fin;
      if (head.size === 0) return this.data(this.rest.subarray(0, 0));
    }
  }

  private data(bytes: Buffer): Piece {
    this.rest = this.rest.subarray(bytes.length);
    unmask(bytes, this.mask, this.maskAt);
    this.maskAt += bytes.length;
    this.left -= bytes.length;
    const piece = { data: bytes, first: this.first, last: this.fin && this.left === 0 };
    this.first = false;
    return piece;
  }

  private answer(opcode: number, body: Buffer): void {
    if (opcode === PING) this.control(PONG, body);
    else if (opcode === CLOSE) {
      this.control(CLOSE, body.subarray(0, 2));
      this.closed = true;
      this.connection.end();
    }
  }

  private control(opcode: number, body: Buffer): void {
    this.connection.write(Buffer.concat([headOf(opcode, body.length), body]));
  }
}

/** Undefined: not all of it came yet. */
function headAt(bytes: Buffer): FrameHead | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes[1] & 0x7f;
  const sizeBytes = short === 127 ? 8 : short === 126 ? 2 : 0;
  const masked = (bytes[1] & 0x80) !== 0;
  const headBytes = 2 + sizeBytes + (masked ? 4 : 0);
  if (bytes.length < headBytes) return undefined;
  const size =
    sizeBytes === 0 ? short : sizeBytes === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  return {
    // Reserved bits belong to extensions, and none was agreed on: an opcode that there is not.
    opcode: (bytes[0] & 0x70) === 0 && masked ? bytes[0] & 0x0f : 0x0f,
    fin: (bytes[0] & 0x80) !== 0,
    mask: Buffer.from(bytes.subarray(headBytes - 4, headBytes)),
    size,
    headBytes,
  };
}

/** @param open a message has begun and not ended */
function isInOrder({ opcode, fin, size }: FrameHead, open: boolean): boolean {
  if (opcode === CLOSE || opcode === PING || opcode === PONG) return fin && size <= CONTROL_BYTES_MAX;
  if (size > FRAME_BYTES_MAX) return false;
  return opcode === CONTINUATION ? open : (opcode === 1 || opcode === BINARY) && !open;
}

/** In place. @param at how many bytes of the frame lie before these */
function unmask(bytes: Buffer, mask: Buffer, at: number): void {
  for (let index = 0; index < bytes.length; index += 1) bytes[index] ^= mask[(at + index) & 3];
}

/** A server's frames are whole messages, not masked. */
function headOf(opcode: number, size: number): Buffer {
  const sizeBytes = size < 126 ? 0 : size < 0x10000 ? 2 : 8;
  const head = Buffer.alloc(2 + sizeBytes);
  head[0] = 0x80 | opcode;
  if (sizeBytes === 0) head[1] = size;
  else if (sizeBytes === 2) {
    head[1] = 126;
    head.writeUInt16BE(size, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(size), 2);
  }
  return head;
}
