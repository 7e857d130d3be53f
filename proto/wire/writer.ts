/**
 * Sizes and writes protobuf's wire format. Messages are written from the end to the start of a Buffer
 * whose size is already known: a nested message's length is then simply what has just been written, so
 * nothing is measured twice and no size is remembered (gogoproto's MarshalToSizedBuffer works alike).
 *
 * Each `put` function writes one value that ends before `end` and returns where the value starts. Each
 * `size` function refuses, with a RangeError, what does not fit; `put` trusts that `size` was asked first.
 */

const TWO_32 = 0x1_0000_0000;
/** Byte strings and ASCII texts up to this long are copied in a loop: cheaper than a native call. */
const LOOP_MAX = 24;

/** Bytes of a varint of 0 <= value <= 2^53-1; at most 2^32-1 is the quick case. */
export function sizeVarint(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  if (value < 0x8_0000_0000) return 5;
  if (value < 0x400_0000_0000) return 6;
  return value < 0x2_0000_0000_0000 ? 7 : 8;
}

/** Writes a varint of 0 <= value <= 2^53-1. */
export function putVarint(buffer: Buffer, end: number, value: number): number {
  if (value < 0x80) {
    buffer[end - 1] = value;
    return end - 1;
  }
  const start = end - sizeVarint(value);
  let pos = start;
  let rest = value;
  while (rest >= TWO_32) {
    buffer[pos++] = (rest & 0x7f) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 0x80) {
    buffer[pos++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[pos] = rest;
  return start;
}

/** A tag (field number << 3 | wire type) of any width; the generated code writes one-byte tags itself. */
export const putTag = putVarint;

/** Bytes of a length-delimited value: its length varint and `length` bytes. */
export function sizeDelimited(length: number): number {
  return length + sizeVarint(length);
}

/** int32 and enums; negative ones take ten bytes. */
export function sizeInt32(value: number): number {
  if ((value | 0) !== value) throw new RangeError(`${value} is not an int32`);
  return value < 0 ? 10 : sizeVarint(value);
}

export function putInt32(buffer: Buffer, end: number, value: number): number {
  return value < 0 ? putHalves(buffer, end, value >>> 0, 0xffff_ffff) : putVarint(buffer, end, value);
}

export function sizeUint32(value: number): number {
  if (value >>> 0 !== value) throw new RangeError(`${value} is not a uint32`);
  return sizeVarint(value);
}

export function sizeCountInt64(value: number): number {
  if (value >>> 0 === value) return sizeVarint(value);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is not a count`);
  return value < 0 ? 10 : sizeVarint(value);
}

export function putCountInt64(buffer: Buffer, end: number, value: number): number {
  if (value >= 0) return putVarint(buffer, end, value);
  return putHalves(buffer, end, value >>> 0, Math.floor(value / TWO_32) >>> 0);
}

export function sizeCountUint64(value: number): number {
  if (value >>> 0 === value) return sizeVarint(value);
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not an unsigned count`);
  return sizeVarint(value);
}

export function sizeIdInt64(value: bigint): number {
  const number = Number(value);
  if (number >= 0 && number <= Number.MAX_SAFE_INTEGER) return sizeVarint(number);
  if (BigInt.asIntN(64, value) !== value) throw new RangeError(`${value} is not an int64`);
  return number < 0 ? 10 : sizeHigh(Number(value >> 32n));
}

export function sizeIdUint64(value: bigint): number {
  const number = Number(value);
  if (number >= 0 && number <= Number.MAX_SAFE_INTEGER) return sizeVarint(number);
  if (BigInt.asUintN(64, value) !== value) throw new RangeError(`${value} is not a uint64`);
  return sizeHigh(Number(value >> 32n));
}

/** An int64 or uint64 id. */
export function putId(buffer: Buffer, end: number, value: bigint): number {
  const number = Number(value);
  if (number >= 0 && number <= Number.MAX_SAFE_INTEGER) return putVarint(buffer, end, number);
  return putHalves(buffer, end, Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n)));
}

export function putBool(buffer: Buffer, end: number, value: boolean): number {
  buffer[end - 1] = value ? 1 : 0;
  return end - 1;
}

/** The bytes and, before them, their length. */
export function putBytes(buffer: Buffer, end: number, value: Uint8Array): number {
  const length = value.length;
  const start = end - length;
  if (length <= LOOP_MAX) for (let i = 0; i < length; i++) buffer[start + i] = value[i];
  else buffer.set(value, start);
  return putVarint(buffer, start, length);
}

/** Bytes of a string in UTF-8, without its length varint. A lone surrogate counts as U+FFFD. */
export function stringLength(value: string): number {
  const length = value.length;
  if (length > LOOP_MAX) return Buffer.byteLength(value, 'utf8');
  for (let i = 0; i < length; i++) {
    if (value.charCodeAt(i) >= 0x80) return Buffer.byteLength(value, 'utf8');
  }
  return length;
}

/** The string in UTF-8 and, before it, its length. */
export function putString(buffer: Buffer, end: number, value: string): number {
  const length = stringLength(value);
  const start = end - length;
  if (length <= LOOP_MAX && length === value.length) {
    for (let i = 0; i < length; i++) buffer[start + i] = value.charCodeAt(i);
  } else {
    buffer.write(value, start, length, 'utf8');
  }
  return putVarint(buffer, start, length);
}

/** A message has at most one field of a oneof set. */
export function oneofBroken(where: string): RangeError {
  return new RangeError(`${where}: more than one field of the oneof is set`);
}

/** The written and the promised size of a message differ: it changed between the two passes. */
export function sizeBroken(where: string): RangeError {
  return new RangeError(`${where}: the message changed while it was encoded`);
}

/** Bytes of a 64-bit varint of at least 2^53 whose upper half is `high`. */
function sizeHigh(high: number): number {
  if (high < 0x100_0000) return 8;
  return high < 0x8000_0000 ? 9 : 10;
}

/** Writes a 64-bit varint from two unsigned halves of which `high` is at least 2^21. */
function putHalves(buffer: Buffer, end: number, low: number, high: number): number {
  const start = end - sizeHigh(high);
  buffer[start] = low | 0x80;
  buffer[start + 1] = (low >>> 7) | 0x80;
  buffer[start + 2] = (low >>> 14) | 0x80;
  buffer[start + 3] = (low >>> 21) | 0x80;
  buffer[start + 4] = (low >>> 28) | ((high & 7) << 4) | 0x80;
  let pos = start + 5;
  let rest = high >>> 3;
  while (rest >= 0x80) {
    buffer[pos++] = rest | 0x80;
    rest >>>= 7;
  }
  buffer[pos] = rest;
  return start;
}
