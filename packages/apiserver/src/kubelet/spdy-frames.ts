/**
 * Frames of SPDY/3.1 as a client of kubelets needs them: streams that are opened, data, their ends, pings. Bytes in,
 * frames out; a frame's data is handed on in the pieces it came in, so that none is held whole. Headers are written
 * without compression (deflate's stored blocks, which every inflater reads) and never read: a kubelet's carry nothing.
 *
 * After the draft "SPDY Protocol - Draft 3.1".
 */

const VERSION_BIT = 0x8003;
const SYN_STREAM = 1;
const SYN_REPLY = 2;
const RST_STREAM = 3;
const PING = 6;
const GO_AWAY = 7;
const FLAG_FIN = 1;
const HEAD_BYTES = 8;
/** Control frames hold a few headers; a longer one is nobody's. */
const CONTROL_BYTES_MAX = 64 * 1024;
/** The largest length a frame's head can say is 16 MiB; smaller frames let streams take turns. */
const DATA_BYTES_MAX = 32 * 1024;
/** A zlib head that asks for the dictionary of SPDY/3, with that dictionary's Adler-32. */
const ZLIB_HEAD = Buffer.from([0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2]);
/** An empty block: inflaters hand out what came before it. */
const FLUSH = Buffer.from([0, 0, 0, 0xff, 0xff]);
const NO_STATUS = 0;
const CANCEL = 5;

/** What a frame says. */
export type SpdyFrame =
  /** Part of a stream's data; `last` with the piece that ends the sender's half. */
  | { readonly kind: 'data'; readonly stream: number; readonly data: Buffer; readonly last: boolean }
  | { readonly kind: 'reply'; readonly stream: number; readonly last: boolean }
  | { readonly kind: 'reset'; readonly stream: number }
  | { readonly kind: 'opened'; readonly stream: number }
  | { readonly kind: 'ping'; readonly id: number }
  | { readonly kind: 'go-away' };

/** What was sent is no SPDY. */
export class SpdyError extends Error {
  override readonly name = 'SpdyError';
}

/** Takes bytes apart as they come. */
export class SpdyReader {
  private rest: Buffer = Buffer.alloc(0);
  /** Of the data frame that has begun. */
  private stream = 0;
  private left = 0;
  private fin = false;

  /** @throws SpdyError */
  *frames(chunk: Buffer): Generator<SpdyFrame, void> {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    for (;;) {
      if (this.left > 0) {
        if (this.rest.length === 0) return;
        const data = this.rest.subarray(0, this.left);
        this.rest = this.rest.subarray(data.length);
        this.left -= data.length;
        yield { kind: 'data', stream: this.stream, data, last: this.fin && this.left === 0 };
        continue;
      }
      if (this.rest.length < HEAD_BYTES) return;
      const flags = this.rest[4];
      const size = this.rest.readUIntBE(5, 3);
      if ((this.rest[0] & 0x80) === 0) {
        this.stream = this.rest.readUInt32BE(0);
        this.left = size;
        this.fin = (flags & FLAG_FIN) !== 0;
        this.rest = this.rest.subarray(HEAD_BYTES);
        if (size === 0)
          yield { kind: 'data', stream: this.stream, data: this.rest.subarray(0, 0), last: this.fin };
        continue;
      }
      if (this.rest.readUInt16BE(0) !== VERSION_BIT)
        throw new SpdyError('a frame of another version of SPDY');
      if (size > CONTROL_BYTES_MAX) throw new SpdyError(`a control frame of ${size} bytes`);
      if (this.rest.length < HEAD_BYTES + size) return;
      const frame = controlFrame(
        this.rest.readUInt16BE(2),
        flags,
        this.rest.subarray(HEAD_BYTES, HEAD_BYTES + size),
      );
      this.rest = this.rest.subarray(HEAD_BYTES + size);
      if (frame !== undefined) yield frame;
    }
  }
}

/** Settings, headers and windows say nothing to us: undefined. */
function controlFrame(type: number, flags: number, body: Buffer): SpdyFrame | undefined {
  if (type !== GO_AWAY && body.length < 4) throw new SpdyError('a control frame without a stream');
  const stream = type === GO_AWAY ? 0 : body.readUInt32BE(0) & 0x7fffffff;
  switch (type) {
    case SYN_STREAM:
      return { kind: 'opened', stream };
    case SYN_REPLY:
      return { kind: 'reply', stream, last: (flags & FLAG_FIN) !== 0 };
    case RST_STREAM:
      return { kind: 'reset', stream };
    case PING:
      return { kind: 'ping', id: body.readUInt32BE(0) };
    case GO_AWAY:
      return { kind: 'go-away' };
    default:
      return undefined;
  }
}

/** Writes the frames of one connection: its first headers carry the head of the compressed stream. */
export class SpdyWriter {
  private begun = false;

  openFrame(stream: number, headers: Readonly<Record<string, string>>): Buffer {
    const block = this.headerBlock(headers);
    const body = Buffer.alloc(10);
    body.writeUInt32BE(stream, 0);
    return control(SYN_STREAM, 0, Buffer.concat([body, block]));
  }

  private headerBlock(headers: Readonly<Record<string, string>>): Buffer {
    const words = Object.entries(headers).flatMap(([name, value]) => [name.toLowerCase(), value]);
    const plain = Buffer.concat([
      word(words.length / 2),
      ...words.flatMap((text) => {
        const bytes = Buffer.from(text, 'latin1');
        return [word(bytes.length), bytes];
      }),
    ]);
    const stored = Buffer.alloc(5);
    stored.writeUInt16LE(plain.length, 1);
    stored.writeUInt16LE(~plain.length & 0xffff, 3);
    const head = this.begun ? [] : [ZLIB_HEAD];
    this.begun = true;
    return Buffer.concat([...head, stored, plain, FLUSH]);
  }
}

/** A stream's data, in frames. The data is not copied. */
export function dataFrames(stream: number, data: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < data.length; at += DATA_BYTES_MAX) {
    const piece = data.subarray(at, at + DATA_BYTES_MAX);
    frames.push(dataHead(stream, 0, piece.length), piece);
  }
  return frames;
}

/** Ends our half of a stream. */
export function endFrame(stream: number): Buffer {
  return dataHead(stream, FLAG_FIN, 0);
}

export function resetFrame(stream: number): Buffer {
  return control(RST_STREAM, 0, Buffer.concat([word(stream), word(CANCEL)]));
}

export function pingFrame(id: number): Buffer {
  return control(PING, 0, word(id));
}

export function goAwayFrame(): Buffer {
  return control(GO_AWAY, 0, Buffer.concat([word(0), word(NO_STATUS)]));
}

function dataHead(stream: number, flags: number, size: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(stream, 0);
  head[4] = flags;
  head.writeUIntBE(size, 5, 3);
  return head;
}

function control(type: number, flags: number, body: Buffer): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt16BE(VERSION_BIT, 0);
  head.writeUInt16BE(type, 2);
  head[4] = flags;
  head.writeUIntBE(body.length, 5, 3);
  return Buffer.concat([head, body]);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0, 0);
  return bytes;
}
