/**
 * Records and their bytes: etcd's WAL framing. Pure. A frame is a little-endian length word (56 bits of
 * length; the top byte is 0x80 and the number of padding bytes, or 0 when there are none), the record as
 * protobuf (walpb.Record: type, crc, data), and zeros up to a multiple of 8.
 *
 * The checksum of a record is CRC-32C over the data of all records so far, across segments: a record that
 * was dropped, repeated or moved breaks the chain. It does not cover type and length, so the reader takes
 * the canonical form only. Byte by byte: docs/formats/wal.md.
 */
import { assert, crc32c } from '@keelson/base';
import { WAL_RECORD_BYTES_MAX } from '../limits.ts';

export const RecordType = {
  Metadata: 1,
  Entry: 2,
  State: 3,
  /** No data; its checksum is the chain so far. First of a segment, and first of each of our writes. */
  Crc: 4,
  Snapshot: 5,
} as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

export const LENGTH_WORD_BYTES = 8;
/** Type (2), checksum (1 + 5) and the tag and length of the data (1 + 4). */
const HEADER_BYTES_MAX = 13;

/** Data below this is copied next to its header: cheaper than one more buffer in the gathered write. */
const COPY_BYTES_MAX = 8192;
const STAGING_BYTES = 256 * 1024;

/**
 * Builds the bytes of one write. What take() returns is valid until the next add(): the staging buffer is
 * used again.
 */
export class RecordEncoder {
  /** The chain up to the last added record. */
  crc: number;
  private readonly firstStaging = Buffer.allocUnsafe(STAGING_BYTES);
  private staging: Buffer = this.firstStaging;
  /** staging[taken, used) is not in `buffers` yet. */
  private taken = 0;
  private used = 0;
  private buffers: Buffer[] = [];
  private byteCount = 0;

  constructor(crc: number) {
    this.crc = crc;
  }

  /** Bytes added since the last take(). */
  get bytes(): number {
    return this.byteCount;
  }

  /** Appends a record of data[start, end), which must stay unchanged until the write is done. */
  add(type: RecordType, data?: Buffer, start = 0, end: number = data === undefined ? 0 : data.length): void {
    const dataLength = end - start;
    assert(
      dataLength + HEADER_BYTES_MAX <= WAL_RECORD_BYTES_MAX,
      () => `a record of ${dataLength} bytes is beyond ${WAL_RECORD_BYTES_MAX}`,
    );
    const view = data === undefined || dataLength === data.length ? data : data.subarray(start, end);
    if (view !== undefined) this.crc = crc32c(view, this.crc);
    this.reserve(LENGTH_WORD_BYTES + HEADER_BYTES_MAX + (dataLength < COPY_BYTES_MAX ? dataLength : 0) + 7);
    const staging = this.staging;
    const frame = this.used;
    let at = frame + LENGTH_WORD_BYTES;
    staging[at++] = 0x08;
    staging[at++] = type;
    staging[at++] = 0x10;
    at = putVarint(staging, at, this.crc);
    if (data !== undefined) {
      staging[at++] = 0x1a;
      at = putVarint(staging, at, dataLength);
    }
    const length = at - frame - LENGTH_WORD_BYTES + dataLength;
    const padding = -length & 7;
    staging.writeUInt32LE(length, frame);
    staging.writeUInt32LE(padding === 0 ? 0 : ((0x80 | padding) << 24) >>> 0, frame + 4);
    if (view !== undefined) {
      if (dataLength < COPY_BYTES_MAX) {
        at += view.copy(staging, at);
      } else {
        this.buffers.push(staging.subarray(this.taken, at), view);
        this.taken = at;
      }
    }
    for (let i = 0; i < padding; i++) staging[at++] = 0;
    this.used = at;
    this.byteCount += LENGTH_WORD_BYTES + length + padding;
  }

  /** All added since the last call, in order, as buffers to be written back to back. */
  take(): Buffer[] {
    if (this.used > this.taken) this.buffers.push(this.staging.subarray(this.taken, this.used));
    const buffers = this.buffers;
    this.buffers = [];
    this.staging = this.firstStaging;
    this.taken = 0;
    this.used = 0;
    this.byteCount = 0;
    return buffers;
  }

  private reserve(bytes: number): void {
    if (this.used + bytes <= this.staging.length) return;
    if (this.used > this.taken) this.buffers.push(this.staging.subarray(this.taken, this.used));
    this.staging = Buffer.allocUnsafe(STAGING_BYTES);
    this.taken = 0;
    this.used = 0;
  }
}

function putVarint(bytes: Buffer, at: number, value: number): number {
  while (value > 0x7f) {
    bytes[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  bytes[at++] = value;
  return at;
}

/**
 * Walks the frames of a segment. After step() returned 'record' the fields describe it; after 'broken'
 * `reason` says what is wrong at `offset`. It checks form only: the caller follows the checksum.
 */
export class FrameCursor {
  readonly bytes: Buffer;
  /** Start of the frame last looked at. */
  offset = 0;
  /** Start of the frame after it; valid after 'record'. */
  next = 0;
  type = 0;
  crc = 0;
  data: Buffer | undefined = undefined;
  reason = '';

  constructor(bytes: Buffer, offset = 0) {
    this.bytes = bytes;
    this.next = offset;
  }

  /** 'end': the end of the bytes, or a zero length word. */
  step(): 'record' | 'end' | 'broken' {
    const { bytes } = this;
    const offset = this.next;
    this.offset = offset;
    if (offset === bytes.length) return 'end';
    if (offset + LENGTH_WORD_BYTES > bytes.length) return this.broken('cut inside a length word');
    const length = bytes.readUInt32LE(offset);
    const high = bytes.readUInt32LE(offset + 4);
    if (length === 0 && high === 0) return 'end';
    const padding = -length & 7;
    if (high !== (padding === 0 ? 0 : ((0x80 | padding) << 24) >>> 0) || length > WAL_RECORD_BYTES_MAX) {
      return this.broken('not a length word');
    }
    const end = offset + LENGTH_WORD_BYTES + length;
    if (end + padding > bytes.length) return this.broken('the record goes beyond the end of the file');
    for (let i = end; i < end + padding; i++) if (bytes[i] !== 0) return this.broken('padding is not zero');
    const header = readHeader(bytes, offset + LENGTH_WORD_BYTES, end);
    if (header === undefined || header.end !== end) return this.broken('not a record');
    this.type = header.type;
    this.crc = header.crc;
    this.data = header.dataStart < 0 ? undefined : bytes.subarray(header.dataStart, end);
    this.next = end + padding;
    return 'record';
  }

  private broken(reason: string): 'broken' {
    this.reason = reason;
    return 'broken';
  }
}

/** The fields before a record's data. */
export interface RecordHeader {
  readonly type: number;
  readonly crc: number;
  /** Where the data starts; -1 when the record has none. */
  readonly dataStart: number;
  /** Where the record must end. */
  readonly end: number;
}

/**
 * Reads type, checksum and the data's length, in this order, from bytes[start, limit); undefined when they
 * are not there in canonical form.
 */
export function readHeader(bytes: Buffer, start: number, limit: number): RecordHeader | undefined {
  let at = start;
  let value = 0;
  const varint = (): boolean => {
    value = 0;
    for (let i = 0; i < 5; i++) {
      if (at >= limit) return false;
      const byte = bytes[at++];
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return (byte !== 0 || i === 0) && value <= 0xffff_ffff;
    }
    return false;
  };
  if (at >= limit || bytes[at++] !== 0x08 || !varint()) return undefined;
  const type = value;
  if (at >= limit || bytes[at++] !== 0x10 || !varint()) return undefined;
  const crc = value;
  if (at === limit) return { type, crc, dataStart: -1, end: at };
  if (bytes[at++] !== 0x1a || !varint()) return undefined;
  return { type, crc, dataStart: at, end: at + value };
}

/** A record without data: 7 to 11 bytes, so that scanning for one needs no more. */
const CRC_RECORD_BYTES_MAX = 2 + 1 + 5;

/** Whether a record of type Crc begins here: two length words' worth of bytes, hardly anything else's. */
export function isCrcFrameAt(bytes: Buffer, offset: number): boolean {
  const length = bytes[offset];
  if (
    length < 4 ||
    length > CRC_RECORD_BYTES_MAX ||
    bytes[offset + 8] !== 0x08 ||
    bytes[offset + 9] !== RecordType.Crc
  ) {
    return false;
  }
  const cursor = new FrameCursor(bytes, offset);
  return cursor.step() === 'record' && cursor.data === undefined;
}
