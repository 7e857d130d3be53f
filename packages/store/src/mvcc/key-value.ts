/**
 * One version of one key, as etcd's mvccpb.KeyValue: encoded once when it is written, and from then on the
 * same bytes go to the backend, into HashKV, to range responses and to watchers. The value stays inside
 * those bytes. It has every field of the generated mvccpb.KeyValue and may stand wherever one is read; it
 * must never be written to.
 *
 * The codec is written by hand because the generated one wants the key as a Buffer and makes views of key
 * and value: here a restore of a million keys reads only numbers (key-value.test.ts holds both together).
 */
import { assert, EMPTY, keyFromBytes, keyToBytes } from '@keelson/base';
import { putVarint, sizeDelimited, sizeVarint } from '@keelson/proto';
import { FatalError } from '../errors.ts';
import type { Slab } from './slab.ts';

const TAG_KEY = 10;
const TAG_CREATE_REVISION = 16;
const TAG_MOD_REVISION = 24;
const TAG_VERSION = 32;
const TAG_VALUE = 42;
const TAG_LEASE = 48;
const TWO_32 = 0x1_0000_0000;

/** Shared and immutable. A delete's event holds one with only key and modRevision. */
export class KeyValue {
  /** The key in its in-memory form (latin1). */
  readonly keyString: string;
  readonly createRevision: number;
  readonly modRevision: number;
  /** Counts puts since the key was created, from 1; 0 in a delete's event. */
  readonly version: number;
  /** 0n is no lease. */
  readonly lease: bigint;
  private bytes: Buffer | undefined;
  private readonly start: number;
  private end: number;
  private readonly valueStart: number;
  readonly valueLength: number;

  /**
   * @param bytes hold the encoded message at [start, end) and in it its value at [valueStart, valueStart + valueLength);
   *   undefined when it has no value and is encoded on demand
   */
  constructor(
    keyString: string,
    createRevision: number,
    modRevision: number,
    version: number,
    lease: bigint,
    bytes: Buffer | undefined,
    start: number,
    end: number,
    valueStart: number,
    valueLength: number,
  ) {
    this.keyString = keyString;
    this.createRevision = createRevision;
    this.modRevision = modRevision;
    this.version = version;
    this.lease = lease;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.valueStart = valueStart;
    this.valueLength = valueLength;
  }

  /** A fresh copy. */
  get key(): Buffer {
    return keyToBytes(this.keyString);
  }

  /** A view into the encoded bytes: copy it to keep it longer than this KeyValue. */
  get value(): Buffer {
    if (this.valueLength === 0 || this.bytes === undefined) return EMPTY;
    return this.bytes.subarray(this.valueStart, this.valueStart + this.valueLength);
  }

  /** The mvccpb.KeyValue message, byte for byte what etcd writes: a view. Never to be changed. */
  get encoded(): Buffer {
    if (this.bytes === undefined) {
      const { keyString, createRevision, modRevision, version, lease } = this;
      this.bytes = encode(keyString, createRevision, modRevision, version, lease);
      this.end = this.bytes.length;
    }
    const { bytes, start, end } = this;
    return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
  }

  /** Of a version that was written or read: where its encoded form lies, block[blockStart, blockEnd). */
  get block(): Buffer {
    assert(this.bytes !== undefined, 'a version with its bytes');
    return this.bytes;
  }

  get blockStart(): number {
    return this.start;
  }

  get blockEnd(): number {
    return this.end;
  }

  /** The same, with bytes of its own: what is kept must not hold a larger slab. */
  compacted(): KeyValue {
    const { bytes, start } = this;
    return new KeyValue(
      this.keyString,
      this.createRevision,
      this.modRevision,
      this.version,
      this.lease,
      bytes === undefined ? undefined : Buffer.from(this.encoded),
      0,
      this.end - start,
      this.valueStart - start,
      this.valueLength,
    );
  }

  /** The same without value: keys-only where the value was needed to sort. The lease stays, as in etcd. */
  withoutValue(): KeyValue {
    return new KeyValue(
      this.keyString,
      this.createRevision,
      this.modRevision,
      this.version,
      this.lease,
      undefined,
      0,
      0,
      0,
      0,
    );
  }

  /**
   * A version about to be stored.
   * @param value copied, of it [from, to)
   * @param slab where it is to lie; undefined for bytes of its own
   */
  static write(
    key: string,
    createRevision: number,
    modRevision: number,
    version: number,
    value: Uint8Array,
    lease: bigint,
    slab?: Slab,
    from = 0,
    to: number = value.length,
  ): KeyValue {
    const length = to - from;
    const size = encodedSize(key, createRevision, modRevision, version, length, lease);
    const start = slab === undefined ? 0 : slab.reserve(size);
    const bytes = slab === undefined ? Buffer.allocUnsafe(size) : slab.block;
    const end = start + size;
    const valueStart = end - length - (lease === 0n ? 0 : 1 + sizeLease(lease));
    encodeBefore(bytes, end, key, createRevision, modRevision, version, length, lease);
    if (length !== 0)
      bytes.set(from === 0 && to === value.length ? value : value.subarray(from, to), valueStart);
    return new KeyValue(
      key,
      createRevision,
      modRevision,
      version,
      lease,
      bytes,
      start,
      end,
      valueStart,
      length,
    );
  }

  /** What the index alone can tell: no value, no lease (etcd 3.7's keys-only answer). */
  static fromIndex(key: string, createRevision: number, modRevision: number, version: number): KeyValue {
    return new KeyValue(key, createRevision, modRevision, version, 0n, undefined, 0, 0, 0, 0);
  }

  /** The kv of a delete's event. */
  static deleted(key: string, modRevision: number): KeyValue {
    return new KeyValue(key, 0, modRevision, 0, 0n, undefined, 0, 0, 0, 0);
  }

  /**
   * @param bytes kept, not copied
   * @param key the key when the caller has it already, so that it need not be built again
   * @throws FatalError when the bytes are no KeyValue
   */
  static read(bytes: Buffer, key?: string): KeyValue {
    let keyString = key ?? '';
    let createRevision = 0;
    let modRevision = 0;
    let version = 0;
    let lease = 0n;
    let valueStart = 0;
    let valueLength = 0;
    let position = 0;
    while (position < bytes.length) {
      const tag = bytes[position++];
      switch (tag) {
        case TAG_KEY:
        case TAG_VALUE: {
          const length = readVarint(bytes, position);
          position = afterVarint(bytes, position);
          if (position + length > bytes.length) throw damaged();
          if (tag === TAG_VALUE) {
            valueStart = position;
            valueLength = length;
          } else if (key === undefined) {
            keyString = keyFromBytes(bytes.subarray(position, position + length));
          }
          position += length;
          break;
        }
        case TAG_CREATE_REVISION:
          createRevision = readVarint(bytes, position);
          position = afterVarint(bytes, position);
          break;
        case TAG_MOD_REVISION:
          modRevision = readVarint(bytes, position);
          position = afterVarint(bytes, position);
          break;
        case TAG_VERSION:
          version = readVarint(bytes, position);
          position = afterVarint(bytes, position);
          break;
        case TAG_LEASE:
          lease = readLease(bytes, position);
          position = afterVarint(bytes, position);
          break;
        default:
          throw damaged();
      }
    }
    return new KeyValue(
      keyString,
      createRevision,
      modRevision,
      version,
      lease,
      bytes,
      0,
      bytes.length,
      valueStart,
      valueLength,
    );
  }
}

/** What the key bucket keeps under a tombstone: the key alone. */
export function encodeTombstoneValue(key: string): Buffer {
  return encode(key, 0, 0, 0, 0n);
}

function damaged(): FatalError {
  return new FatalError('mvcc: a stored key-value is damaged');
}

/** A message without a value. */
function encode(
  key: string,
  createRevision: number,
  modRevision: number,
  version: number,
  lease: bigint,
): Buffer {
  const bytes = Buffer.allocUnsafe(encodedSize(key, createRevision, modRevision, version, 0, lease));
  encodeBefore(bytes, bytes.length, key, createRevision, modRevision, version, 0, lease);
  return bytes;
}

function encodedSize(
  key: string,
  createRevision: number,
  modRevision: number,
  version: number,
  valueLength: number,
  lease: bigint,
): number {
  let size = key.length === 0 ? 0 : 1 + sizeDelimited(key.length);
  if (createRevision !== 0) size += 1 + sizeVarint(createRevision);
  if (modRevision !== 0) size += 1 + sizeVarint(modRevision);
  if (version !== 0) size += 1 + sizeVarint(version);
  if (valueLength !== 0) size += 1 + sizeDelimited(valueLength);
  if (lease !== 0n) size += 1 + sizeLease(lease);
  return size;
}

/**
 * Writes the message so that it ends at `end`, all but the value's bytes. Fields in the order of their numbers, zeros
 * left out: what gogoproto and Go's proto3 write.
 */
function encodeBefore(
  bytes: Buffer,
  end: number,
  key: string,
  createRevision: number,
  modRevision: number,
  version: number,
  valueLength: number,
  lease: bigint,
): void {
  let position = end;
  if (lease !== 0n) {
    position = putLease(bytes, position, lease);
    bytes[--position] = TAG_LEASE;
  }
  if (valueLength !== 0) {
    position = putVarint(bytes, position - valueLength, valueLength);
    bytes[--position] = TAG_VALUE;
  }
  if (version !== 0) {
    position = putVarint(bytes, position, version);
    bytes[--position] = TAG_VERSION;
  }
  if (modRevision !== 0) {
    position = putVarint(bytes, position, modRevision);
    bytes[--position] = TAG_MOD_REVISION;
  }
  if (createRevision !== 0) {
    position = putVarint(bytes, position, createRevision);
    bytes[--position] = TAG_CREATE_REVISION;
  }
  if (key.length !== 0) {
    position -= key.length;
    bytes.write(key, position, 'latin1');
    position = putVarint(bytes, position, key.length);
    bytes[--position] = TAG_KEY;
  }
}

/** The count at `position`; FatalError past 2^53-1 or the end of the bytes. */
function readVarint(bytes: Buffer, position: number): number {
  let value = 0;
  let scale = 1;
  for (let i = position; i < bytes.length; i++) {
    const byte = bytes[i];
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      if (value > Number.MAX_SAFE_INTEGER) break;
      return value;
    }
    scale *= 128;
    if (scale > 2 ** 56) break;
  }
  throw damaged();
}

function afterVarint(bytes: Buffer, position: number): number {
  while (bytes[position] >= 0x80) position++;
  return position + 1;
}

function sizeLease(lease: bigint): number {
  return lease < 0n ? 10 : sizeVarint64(Number((lease >> 32n) & 0xffff_ffffn), Number(lease & 0xffff_ffffn));
}

function sizeVarint64(high: number, low: number): number {
  const value = high * TWO_32 + low;
  if (value <= Number.MAX_SAFE_INTEGER) return sizeVarint(value);
  return high >= 0x8000_0000 ? 10 : high >= 0x0100_0000 ? 9 : 8;
}

/** Writes the lease, two's complement when negative, so that it ends before `end`; returns its start. */
function putLease(bytes: Buffer, end: number, lease: bigint): number {
  let high = Number((lease >> 32n) & 0xffff_ffffn);
  let low = Number(lease & 0xffff_ffffn);
  const start = end - sizeLease(lease);
  let position = start;
  while (high !== 0 || low >= 0x80) {
    bytes[position++] = (low & 0x7f) | 0x80;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  bytes[position] = low;
  return start;
}

function readLease(bytes: Buffer, position: number): bigint {
  // Three parts of 28 bits (four varint bytes) and less: numbers until the end.
  let low = 0;
  let middle = 0;
  let high = 0;
  for (let i = 0; i < 10 && position + i < bytes.length; i++) {
    const byte = bytes[position + i];
    const bits = byte & 0x7f;
    if (i < 4) low += bits * 2 ** (7 * i);
    else if (i < 8) middle += bits * 2 ** (7 * (i - 4));
    else high += bits * 2 ** (7 * (i - 8));
    if (byte < 0x80) {
      if (high === 0 && middle < 0x200_0000) return BigInt(middle * 0x1000_0000 + low);
      return BigInt.asIntN(64, (BigInt(high) << 56n) | (BigInt(middle) << 28n) | BigInt(low));
    }
  }
  throw damaged();
}
