/**
 * Bytes of protobuf: varints, lengths and tags, read in place and written from the end towards the front, so
 * that a nested message's length is known when it is written and nothing is measured twice.
 *
 * Knows no schema. Modelled on the code gogo/protobuf generates for Kubernetes, which writes backwards as well.
 */

/** Bytes that are no message of this schema; texts are gogo's. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError';
}

export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const GROUP_START = 3;
export const GROUP_END = 4;
export const FIXED32 = 5;

/** Deepest nesting of messages: deeper than any kind lets an object be. */
export const DEPTH_MAX = 1_000;

const UNEXPECTED_END = 'unexpected EOF';
const INTEGER_OVERFLOW = 'proto: integer overflow';

/** Reads a stretch of a buffer; a nested message is a reader of its own over the same bytes. */
export class ProtobufReader {
  readonly bytes: Buffer;
  at: number;
  readonly end: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  /** A varint that counts or tags: at most 2^53 − 1. */
  varint(): number {
    const { bytes } = this;
    let value = 0;
    let scale = 1;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= this.end) throw new ProtobufError(UNEXPECTED_END);
      const byte = bytes[this.at];
      this.at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw new ProtobufError(INTEGER_OVERFLOW);
        return value;
      }
      scale *= 128;
    }
    throw new ProtobufError(INTEGER_OVERFLOW);
  }

  /** A varint of 64 bits, as an unsigned bigint. */
  varint64(): bigint {
    const start = this.at;
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.at >= this.end) throw new ProtobufError(UNEXPECTED_END);
      const byte = this.bytes[this.at];
      this.at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    this.at = start;
    throw new ProtobufError(INTEGER_OVERFLOW);
  }

  /** A signed integer: a number where it is safe, else a bigint. */
  int64(): number | bigint {
    const { bytes } = this;
    // One to four bytes hold most numbers there are.
    const first = bytes[this.at];
    if (this.at < this.end && first < 0x80) {
      this.at += 1;
      return first;
    }
    const value = BigInt.asIntN(64, this.varint64());
    return narrow(value);
  }

  uint64(): number | bigint {
    return narrow(this.varint64());
  }

  int32(): number {
    return Number(BigInt.asIntN(32, this.varint64()));
  }

  boolean(): boolean {
    return this.varint64() !== 0n;
  }

  double(): number {
    this.need(8);
    const value = this.bytes.readDoubleLE(this.at);
    this.at += 8;
    return value;
  }

  float(): number {
    this.need(4);
    const value = this.bytes.readFloatLE(this.at);
    this.at += 4;
    return value;
  }

  /** The bytes behind a length, still in the message's buffer. */
  view(): Buffer {
    const length = this.length();
    const view = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return view;
  }

  string(): string {
    const length = this.length();
    const text = this.bytes.toString('utf8', this.at, this.at + length);
    this.at += length;
    return text;
  }

  /** A nested message. */
  message(): ProtobufReader {
    const length = this.length();
    const reader = new ProtobufReader(this.bytes, this.at, this.at + length);
    this.at += length;
    return reader;
  }

  /** Passes over a field of a number that nobody knows. */
  skip(wireType: number, number: number): void {
    switch (wireType) {
      case VARINT:
        this.varint64();
        return;
      case FIXED64:
        this.need(8);
        this.at += 8;
        return;
      case BYTES: {
        const length = this.length();
        this.at += length;
        return;
      }
      case FIXED32:
        this.need(4);
        this.at += 4;
        return;
      case GROUP_START:
        this.skipGroup(number, 0);
        return;
      default:
        throw new ProtobufError(`proto: illegal wireType ${wireType}`);
    }
  }

  private skipGroup(number: number, depth: number): void {
    if (depth > DEPTH_MAX) throw new ProtobufError('proto: nesting is too deep');
    for (;;) {
      const tag = this.varint();
      const wireType = tag % 8;
      const inner = Math.floor(tag / 8);
      if (wireType === GROUP_END) {
        if (inner !== number) throw new ProtobufError('proto: unexpected end of group');
        return;
      }
      if (wireType === GROUP_START) this.skipGroup(inner, depth + 1);
      else this.skip(wireType, inner);
    }
  }

  private length(): number {
    const length = this.varint();
    if (length > this.end - this.at) throw new ProtobufError(UNEXPECTED_END);
    return length;
  }

  private need(count: number): void {
    if (this.end - this.at < count) throw new ProtobufError(UNEXPECTED_END);
  }
}

function narrow(value: bigint): number | bigint {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

/** Writes from the end: what comes last in the message is written first. */
export class ProtobufWriter {
  private buffer: Buffer;
  /** Where the part that is written begins. */
  private at: number;

  constructor(sizeHint = 1024) {
    this.buffer = Buffer.allocUnsafe(sizeHint);
    this.at = sizeHint;
  }

  /** Bytes written so far. */
  get size(): number {
    return this.buffer.length - this.at;
  }

  /** The message; the writer is not used again. */
  finish(): Buffer {
    return this.buffer.subarray(this.at);
  }

  private room(count: number): void {
    if (this.at >= count) return;
    const size = this.size;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, size + count + 64));
    this.buffer.copy(larger, larger.length - size, this.at);
    this.at = larger.length - size;
    this.buffer = larger;
  }

  /** A varint of a safe, non-negative number. */
  varint(value: number): void {
    this.room(10);
    if (value < 0x80) {
      this.at -= 1;
      this.buffer[this.at] = value;
      return;
    }
    let length = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) length += 1;
    this.at -= length;
    let rest = value;
    for (let index = 0; index < length - 1; index += 1) {
      this.buffer[this.at + index] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.buffer[this.at + length - 1] = rest;
  }

  /** A signed 64-bit integer; negative ones take ten bytes. */
  int64(value: number | bigint): void {
    if (typeof value === 'number' && value >= 0) {
      this.varint(value);
      return;
    }
    this.room(10);
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    do {
      const byte = Number(rest & 0x7fn);
      rest >>= 7n;
      bytes.push(rest === 0n ? byte : byte | 0x80);
    } while (rest !== 0n);
    this.at -= bytes.length;
    this.buffer.set(bytes, this.at);
  }

  double(value: number): void {
    this.room(8);
    this.at -= 8;
    this.buffer.writeDoubleLE(value, this.at);
  }

  float(value: number): void {
    this.room(4);
    this.at -= 4;
    this.buffer.writeFloatLE(value, this.at);
  }

  /** Bytes without their length. */
  raw(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.at -= bytes.length;
    this.buffer.set(bytes, this.at);
  }

  /** Text behind its length. */
  string(text: string): void {
    const length = Buffer.byteLength(text);
    this.room(length + 10);
    this.at -= length;
    this.buffer.write(text, this.at, length, 'utf8');
    this.varint(length);
  }

  /** Bytes behind their length. */
  bytes(bytes: Uint8Array): void {
    this.raw(bytes);
    this.varint(bytes.length);
  }

  tag(number: number, wireType: number): void {
    this.varint(number * 8 + wireType);
  }
}
