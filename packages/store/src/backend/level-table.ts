/**
 * The blocks of a LevelDB table (LevelDB 1.20, doc/table_format.md): data blocks one after the other, filters, the
 * index of both, a footer; each block with a checksum. Pure: it looks at every byte that has one, and reads no keys.
 */
import { maskedCrc } from './level-log.ts';

const FOOTER_BYTES = 48;
/** Kind of compression and checksum behind each block. */
const TRAILER_BYTES = 5;
const MAGIC = 0xdb4775248b80fb57n;
const SNAPPY = 1;

/** Numbers and lengths as LevelDB writes them. */
export class Cursor {
  readonly bytes: Buffer;
  at: number;
  /** Something was to be read that is not there. */
  overrun = false;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  /** Up to 2^53; more is an overrun. */
  varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 53; scale *= 128) {
      if (this.at >= this.bytes.length) break;
      const byte = this.bytes[this.at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    this.overrun = true;
    this.at = this.bytes.length;
    return 0;
  }

  skipBytes(length = this.varint()): void {
    this.at += length;
    if (this.at > this.bytes.length) this.overrun = true;
  }
}

/** Where and how a table is damaged; undefined: nowhere. */
export function tableDamage(bytes: Buffer): string | undefined {
  const footer = bytes.length - FOOTER_BYTES;
  if (footer < 0 || bytes.readBigUInt64LE(bytes.length - 8) !== MAGIC) return 'at its end';
  const cursor = new Cursor(bytes.subarray(footer));
  const metaOffset = cursor.varint();
  const metaBytes = cursor.varint();
  const indexOffset = cursor.varint();
  const indexBytes = cursor.varint();
  // The blocks lie without gaps: data, filters, what names the filters, what names the data, footer.
  if (
    cursor.overrun ||
    metaOffset + metaBytes + TRAILER_BYTES !== indexOffset ||
    indexOffset + indexBytes + TRAILER_BYTES !== footer
  )
    return 'at its end';
  if (!isWhole(bytes, metaOffset, metaBytes)) return blockDamage(metaOffset);
  if (!isWhole(bytes, indexOffset, indexBytes)) return blockDamage(indexOffset);
  const index = contentOf(bytes, indexOffset, indexBytes);
  if (index === undefined) return blockDamage(indexOffset);
  const meta = contentOf(bytes, metaOffset, metaBytes);
  if (meta === undefined) return blockDamage(metaOffset);
  let at = 0;
  for (const block of [index, meta]) {
    for (const [offset, size] of handlesIn(block)) {
      if (offset !== at || !isWhole(bytes, offset, size)) return blockDamage(at);
      at = offset + size + TRAILER_BYTES;
    }
  }
  return at === metaOffset ? undefined : blockDamage(at);
}

function blockDamage(offset: number): string {
  return `in the block at offset ${offset}`;
}

function isWhole(bytes: Buffer, offset: number, size: number): boolean {
  const end = offset + size + 1;
  return end + 4 <= bytes.length && maskedCrc(bytes.subarray(offset, end)) === bytes.readUInt32LE(end);
}

function contentOf(bytes: Buffer, offset: number, size: number): Buffer | undefined {
  const content = bytes.subarray(offset, offset + size);
  return bytes[offset + size] === SNAPPY ? unpackSnappy(content) : content;
}

/** Offset and size of each block, in the order of the index. */
function* handlesIn(index: Buffer): Generator<readonly [offset: number, size: number]> {
  if (index.length < 4) return;
  const restarts = index.readUInt32LE(index.length - 4);
  const end = index.length - 4 - 4 * restarts;
  const cursor = new Cursor(index.subarray(0, Math.max(0, end)));
  while (!cursor.done) {
    cursor.varint(); // shared with the key before
    const keyBytes = cursor.varint();
    const valueBytes = cursor.varint();
    cursor.skipBytes(keyBytes);
    const value = new Cursor(cursor.bytes, cursor.at);
    yield [value.varint(), value.varint()];
    cursor.skipBytes(valueBytes);
  }
}

/** Undefined for what is none (google/snappy, format_description.txt). */
export function unpackSnappy(packed: Buffer): Buffer | undefined {
  const cursor = new Cursor(packed);
  const length = cursor.varint();
  if (length > 255 * packed.length) return undefined;
  const out = Buffer.alloc(length);
  let at = 0;
  while (!cursor.done) {
    const tag = packed[cursor.at++];
    const kind = tag & 3;
    if (kind === 0) {
      let size = tag >> 2;
      const extra = size - 59;
      if (extra > 0) {
        if (cursor.at + extra > packed.length) return undefined;
        size = packed.readUIntLE(cursor.at, extra);
        cursor.at += extra;
      }
      size++;
      if (cursor.at + size > packed.length || at + size > length) return undefined;
      packed.copy(out, at, cursor.at, cursor.at + size);
      cursor.at += size;
      at += size;
      continue;
    }
    const width = kind === 3 ? 4 : kind;
    if (cursor.at + width > packed.length) return undefined;
    const word = packed.readUIntLE(cursor.at, width);
    cursor.at += width;
    const size = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    const distance = kind === 1 ? ((tag >> 5) << 8) | word : word;
    if (distance === 0 || distance > at || at + size > length) return undefined;
    // Byte by byte: what is copied may be what is being written.
    for (let i = 0; i < size; i++, at++) out[at] = out[at - distance];
  }
  return at === length ? out : undefined;
}
