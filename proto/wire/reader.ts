/**
 * Reads protobuf's wire format from one Buffer. The generated decoders drive it; it knows no message.
 * It never reads past the innermost open message, never copies bytes, and answers malformed input with
 * ProtoError only. Modelled on the rules of Go's google.golang.org/protobuf, which etcd 3.7 uses:
 * overlong varints up to ten bytes are fine, the tenth may carry one bit, a known field under another
 * wire type is an unknown field.
 */
import { isUtf8 } from 'node:buffer';
import { ProtoError } from './error.ts';

export interface DecodeLimits {
  /** Messages and groups within each other, the outermost counted. */
  readonly depthMax: number;
  /** Size of the whole input. */
  readonly bytesMax: number;
}

/** Depth: a transaction's 32 levels take two messages each, its command on the log one more. Bytes: Go's int32. */
export const DECODE_LIMITS: DecodeLimits = { depthMax: 100, bytesMax: 0x7fff_ffff };

/** The value of an absent bytes field, and of a present one of no bytes. */
export const EMPTY: Buffer = Buffer.alloc(0);

const TWO_32 = 0x1_0000_0000;
/** Strings up to this long are scanned for plain ASCII here; longer ones by the native check. */
const SCAN_MAX = 48;

export class Reader {
  readonly bytes: Buffer;
  /** Next byte. */
  pos: number;
  /** End of the innermost open message or packed field; `pos <= end`. */
  end: number;
  private depth: number;
  private readonly depthMax: number;
  /** The last varint, as two unsigned halves. */
  private low: number;
  private high: number;

  /** @throws ProtoError SIZE past limits.bytesMax */
  constructor(bytes: Uint8Array, where: string, limits: DecodeLimits) {
    if (bytes.length > limits.bytesMax) {
      throw new ProtoError('SIZE', where, 0, `${bytes.length} bytes exceed the limit of ${limits.bytesMax}`);
    }
    this.bytes = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.pos = 0;
    this.end = bytes.length;
    this.depth = 1;
    this.depthMax = limits.depthMax;
    this.low = 0;
    this.high = 0;
  }

  /** The next field's number << 3 | wire type. */
  tag(where: string): number {
    const first = this.bytes[this.pos];
    if (first < 0x80 && first >= 8) {
      this.pos++;
      return first;
    }
    const start = this.pos;
    this.varint(where);
    if (this.high !== 0 || this.low < 8) {
      throw new ProtoError('FIELD_NUMBER', where, start, 'field number out of range');
    }
    return this.low;
  }

  /** Skips the value of an unknown field. */
  skip(tag: number, where: string): void {
    switch (tag & 7) {
      case 0:
        this.varint(where);
        return;
      case 1:
        this.advance(8, where);
        return;
      case 2:
        this.advance(this.length(where), where);
        return;
      case 3:
        this.skipGroup(tag >>> 3, where);
        return;
      case 5:
        this.advance(4, where);
        return;
      case 4:
        throw new ProtoError('GROUP', where, this.pos, `end of group ${tag >>> 3} without its start`);
      default:
        throw new ProtoError('WIRE_TYPE', where, this.pos, `wire type ${tag & 7} does not exist`);
    }
  }

  /** Opens a length-delimited field for reading up to `end`; returns the outer end for `leave`. */
  open(where: string): number {
    const length = this.length(where);
    const outer = this.end;
    if (length > outer - this.pos) throw this.truncated(where);
    this.end = this.pos + length;
    return outer;
  }

  /** As `open`, for a message: counts towards the depth. */
  enter(where: string): number {
    if (++this.depth > this.depthMax) throw this.tooDeep(where);
    return this.open(where);
  }

  /** Leaves a packed field. */
  close(outer: number): void {
    this.end = outer;
  }

  /** Leaves a message. */
  leave(outer: number): void {
    this.depth--;
    this.end = outer;
  }

  bool(where: string): boolean {
    this.varint(where);
    return (this.low | this.high) !== 0;
  }

  /** int32 and enums: the low 32 bits, signed. */
  int32(where: string): number {
    this.varint(where);
    return this.low | 0;
  }

  uint32(where: string): number {
    this.varint(where);
    return this.low;
  }

  /** A counted int64: saturates at ±(2^53-1). */
  countInt64(where: string): number {
    this.varint(where);
    if (this.high === 0) return this.low;
    const high = this.high | 0;
    if (high >= 0x20_0000) return Number.MAX_SAFE_INTEGER;
    const value = high * TWO_32 + this.low;
    return value < Number.MIN_SAFE_INTEGER ? Number.MIN_SAFE_INTEGER : value;
  }

  /** A counted uint64: saturates at 2^53-1. */
  countUint64(where: string): number {
    this.varint(where);
    if (this.high === 0) return this.low;
    return this.high >= 0x20_0000 ? Number.MAX_SAFE_INTEGER : this.high * TWO_32 + this.low;
  }

  /** An int64 that others choose, exact. */
  idInt64(where: string): bigint {
    this.varint(where);
    const high = this.high | 0;
    if (high < 0x20_0000 && high >= -0x20_0000) return BigInt(high * TWO_32 + this.low);
    return (BigInt(high) << 32n) | BigInt(this.low);
  }

  /** A uint64 that others choose, exact. */
  idUint64(where: string): bigint {
    this.varint(where);
    if (this.high < 0x20_0000) return BigInt(this.high * TWO_32 + this.low);
    return (BigInt(this.high) << 32n) | BigInt(this.low);
  }

  /** A view into the input. A kept view keeps the whole input alive: copy what outlives the request. */
  view(where: string): Buffer {
    const length = this.length(where);
    const start = this.pos;
    if (length > this.end - start) throw this.truncated(where);
    if (length === 0) return EMPTY;
    this.pos = start + length;
    return this.bytes.subarray(start, start + length);
  }

  /** UTF-8, strictly: no replacement characters, no surrogates. */
  string(where: string): string {
    const length = this.length(where);
    const start = this.pos;
    if (length > this.end - start) throw this.truncated(where);
    if (length === 0) return '';
    const end = start + length;
    this.pos = end;
    const bytes = this.bytes;
    if (length <= SCAN_MAX) {
      let i = start;
      while (i < end && bytes[i] < 0x80) i++;
      if (i === end) return bytes.toString('latin1', start, end);
    }
    if (!isUtf8(bytes.subarray(start, end))) {
      throw new ProtoError('UTF8', where, start, 'string field contains invalid UTF-8');
    }
    return bytes.toString('utf8', start, end);
  }

  private length(where: string): number {
    if (this.pos < this.end) {
      const first = this.bytes[this.pos];
      if (first < 0x80) {
        this.pos++;
        return first;
      }
    }
    this.varint(where);
    if (this.high !== 0) throw this.truncated(where);
    return this.low;
  }

  private advance(count: number, where: string): void {
    if (count > this.end - this.pos) throw this.truncated(where);
    this.pos += count;
  }

  private skipGroup(number: number, where: string): void {
    if (++this.depth > this.depthMax) throw this.tooDeep(where);
    for (;;) {
      if (this.pos >= this.end) throw this.truncated(where);
      const at = this.pos;
      const tag = this.tag(where);
      if ((tag & 7) === 4) {
        if (tag >>> 3 !== number) {
          throw new ProtoError('GROUP', where, at, `group ${number} is closed by the end of ${tag >>> 3}`);
        }
        this.depth--;
        return;
      }
      this.skip(tag, where);
    }
  }

  /** One varint into low and high. */
  private varint(where: string): void {
    const bytes = this.bytes;
    const end = this.end;
    let pos = this.pos;
    if (pos >= end) throw this.truncated(where);
    let byte = bytes[pos++];
    let low = byte & 0x7f;
    let high = 0;
    if (byte >= 0x80) {
      let shift = 7;
      for (;;) {
        if (pos >= end) {
          this.pos = pos;
          throw this.truncated(where);
        }
        byte = bytes[pos++];
        if (shift < 28) low |= (byte & 0x7f) << shift;
        else if (shift === 28) {
          low |= (byte & 0x0f) << 28;
          high = (byte & 0x7f) >>> 4;
        } else {
          if (shift === 63 && byte > 1) throw new ProtoError('VARINT', where, this.pos, 'varint overflows');
          high |= (byte & 0x7f) << (shift - 32);
        }
        if (byte < 0x80) break;
        shift += 7;
      }
    }
    this.low = low >>> 0;
    this.high = high >>> 0;
    this.pos = pos;
  }

  private truncated(where: string): ProtoError {
    return new ProtoError('TRUNCATED', where, this.pos, `passes the end of its message (offset ${this.end})`);
  }

  private tooDeep(where: string): ProtoError {
    return new ProtoError('DEPTH', where, this.pos, `nested deeper than ${this.depthMax} messages`);
  }
}
