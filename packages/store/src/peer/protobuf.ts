/**
 * The little of protobuf's wire form that raftpb needs: varints, length-delimited fields and skipping
 * what is not known. Hand-written because raft messages are the hottest bytes between members and
 * because their bounds differ from those of requests: a count beyond 2^53-1 from a peer is garbage,
 * never saturated. Knows no message type. (protobuf.dev: Encoding.)
 */
import { COUNT_MAX } from '@keelson/base';
import { PeerError } from './peer-error.ts';

export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
export const WIRE_FIXED32 = 5;

const TWO_32 = 0x1_0000_0000;

/** Bytes of a count as varint, 1 … 8. */
export function countSize(value: number): number {
  let size = 1;
  while (value >= 128) {
    value = Math.floor(value / 128);
    size++;
  }
  return size;
}

/** Bytes of a 64-bit id as varint, 1 … 10. */
export function idSize(id: bigint): number {
  const high = Number((id >> 32n) & 0xffff_ffffn);
  if (high === 0) return countSize(Number(id & 0xffff_ffffn));
  if (high < 0x100_0000) return countSize(high * TWO_32);
  return high >= 0x8000_0000 ? 10 : 9;
}

/** Writes a count at `at`; answers the offset after it. */
export function writeCount(target: Buffer, at: number, value: number): number {
  while (value > 0x7fff_ffff) {
    const rest = Math.floor(value / 128);
    target[at++] = (value - rest * 128) | 0x80;
    value = rest;
  }
  while (value >= 128) {
    target[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  target[at++] = value;
  return at;
}

/** Writes a 64-bit id at `at`; answers the offset after it. Halves instead of bigint arithmetic per byte. */
export function writeId(target: Buffer, at: number, id: bigint): number {
  let low = Number(id & 0xffff_ffffn);
  let high = Number((id >> 32n) & 0xffff_ffffn);
  while (high > 0) {
    target[at++] = (low & 0x7f) | 0x80;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  while (low >= 128) {
    target[at++] = (low & 0x7f) | 0x80;
    low >>>= 7;
  }
  target[at++] = low;
  return at;
}

/**
 * Reads one message's fields from a slice. Every method throws PeerError 'MALFORMED' instead of reading
 * past the end.
 */
export class FieldReader {
  private readonly bytes: Buffer;
  private readonly end: number;
  private at: number;
  /** Field number and wire type of the field that next() found. */
  field = 0;
  wire = 0;
  /** Where the bytes that bytesEnd() has passed begin. */
  bytesStart = 0;

  constructor(bytes: Buffer, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** Moves to the next field; false at the end of the message. */
  next(): boolean {
    if (this.at >= this.end) return false;
    const tag = this.count();
    this.field = Math.floor(tag / 8);
    this.wire = tag % 8;
    if (this.field < 1 || this.field > 0x1fff_ffff) throw new PeerError('MALFORMED', 'field number');
    return true;
  }

  /** The current field as a count. */
  countField(): number {
    this.expect(WIRE_VARINT);
    return this.count();
  }

  /** The current field as a 64-bit id. */
  idField(): bigint {
    this.expect(WIRE_VARINT);
    return this.id();
  }

  boolField(): boolean {
    return this.idField() !== 0n;
  }

  /** The current field's bytes: a view of the message's bytes, not a copy. */
  bytesField(): Buffer {
    const end = this.bytesEnd();
    return this.bytes.subarray(this.bytesStart, end);
  }

  /** Passes the current field's bytes without a view of them; they begin at `bytesStart`. @returns their end */
  bytesEnd(): number {
    this.expect(WIRE_BYTES);
    const length = this.count();
    this.bytesStart = this.at;
    this.advance(length);
    return this.at;
  }

  /** Appends the current field's ids to `target`, packed or not. */
  idsField(target: bigint[]): void {
    if (this.wire === WIRE_VARINT) {
      target.push(this.id());
      return;
    }
    const inner = this.bytesField();
    const packed = new FieldReader(inner);
    while (packed.at < packed.end) target.push(packed.id());
  }

  /** Steps over the current field, which this reader's owner does not know. */
  skip(): void {
    switch (this.wire) {
      case WIRE_VARINT:
        this.id();
        return;
      case WIRE_FIXED64:
        this.advance(8);
        return;
      case WIRE_BYTES:
        this.advance(this.count());
        return;
      case WIRE_FIXED32:
        this.advance(4);
        return;
      default:
        throw new PeerError('MALFORMED', `wire type ${this.wire}`);
    }
  }

  private expect(wire: number): void {
    if (this.wire !== wire) {
      throw new PeerError('MALFORMED', `field ${this.field} has wire type ${this.wire}, want ${wire}`);
    }
  }

  private advance(length: number): void {
    if (length > this.end - this.at) throw new PeerError('MALFORMED', 'field runs past its message');
    this.at += length;
  }

  /** A varint that must be a safe integer. */
  private count(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      if (this.at >= this.end) throw new PeerError('MALFORMED', 'varint runs past its message');
      const byte = this.bytes[this.at++];
      value += (byte & 0x7f) * scale;
      if (byte < 128) {
        // The greatest is refused as well: the log keeps no term, index or commit of it (wal/entry-codec.ts).
        if (value >= COUNT_MAX) throw new PeerError('MALFORMED', 'count beyond 2^53-2');
        return value;
      }
      scale *= 128;
    }
    throw new PeerError('MALFORMED', 'varint longer than 10 bytes');
  }

  /**
   * A varint of up to 64 bits. What does not fit is refused, in a field nobody knows as well: an entry's bytes go to our
   * log as they are, and its decoder refuses them, too.
   */
  private id(): bigint {
    let low = 0;
    let high = 0;
    for (let i = 0; i < 10; i++) {
      if (this.at >= this.end) throw new PeerError('MALFORMED', 'varint runs past its message');
      const byte = this.bytes[this.at++];
      const bits = byte & 0x7f;
      if (i === 9 && byte > 1) throw new PeerError('MALFORMED', 'varint beyond 64 bits');
      if (i < 4) low |= bits << (7 * i);
      else if (i === 4) {
        low |= (bits & 0x0f) << 28;
        high |= bits >>> 4;
      } else high |= bits << (7 * i - 32);
      if (byte < 128) {
        low >>>= 0;
        high >>>= 0;
        return high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low);
      }
    }
    throw new PeerError('MALFORMED', 'varint longer than 10 bytes');
  }
}
