/**
 * Header compression (RFC 7541), pure: a decoder with its dynamic table, and an encoder that never evicts.
 * A block's fields are one flat array, name, value, name, value, as latin1 strings. What the fields mean is
 * judged elsewhere; what is judged here is the coding alone. The encoder's choice (an entry is inserted
 * only while there is room) keeps every index it gave out valid, so blocks can be kept and sent again.
 */
import { ConnectionError, DEFAULT_HEADER_TABLE_BYTES, ErrorCode } from './frames.ts';
import { huffmanDecode, huffmanEncode, huffmanLength } from './huffman.ts';

/** Appendix A. Index 1 is the first pair. */
export const STATIC_TABLE: readonly (readonly [string, string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
];
const STATIC_COUNT = STATIC_TABLE.length;
/** §4.1: an entry costs its two strings and 32 bytes. */
const ENTRY_OVERHEAD = 32;

/** The fields of one block. */
export interface HeaderBlock {
  /** Name, value, name, value. Empty when the block was over the bounds. */
  readonly fields: readonly string[];
  /** More bytes or pairs than allowed: decoded for the table's sake, and dropped. */
  readonly excessive: boolean;
}

function broken(what: string): never {
  throw new ConnectionError(ErrorCode.CompressionError, what);
}

/** §6: reads blocks and keeps the dynamic table in step with the peer's encoder. */
export class HeaderDecoder {
  /** Goes up whenever the table changes: what a block meant under one version may differ under another. */
  version = 0;
  private readonly listBytesMax: number;
  private readonly pairsMax: number;
  /** The bound we announced; the peer may use less, by a size update. */
  private readonly tableBytesLimit: number;
  private tableBytesMax: number;
  private tableBytes = 0;
  /** Newest last; index 62 is the last one. Evicted from `first` on. */
  private names: string[] = [];
  private values: string[] = [];
  private first = 0;
  private at = 0;

  constructor(listBytesMax: number, pairsMax: number, tableBytesLimit = DEFAULT_HEADER_TABLE_BYTES) {
    this.listBytesMax = listBytesMax;
    this.pairsMax = pairsMax;
    this.tableBytesLimit = tableBytesLimit;
    this.tableBytesMax = tableBytesLimit;
  }

  /** Bytes the dynamic table counts now, by §4.1. */
  get tableSize(): number {
    return this.tableBytes;
  }

  /** The dynamic table, newest first: for tests. */
  table(): [string, string][] {
    return this.names
      .slice(this.first)
      .map((name, i): [string, string] => [name, this.values[this.first + i]])
      .reverse();
  }

  /** @throws ConnectionError CompressionError when the bytes are no header block */
  decode(bytes: Buffer, start: number, end: number): HeaderBlock {
    const fields: string[] = [];
    let listBytes = 0;
    let pairs = 0;
    let excessive = false;
    this.at = start;
    while (this.at < end) {
      const byte = bytes[this.at];
      let name: string;
      let value: string;
      if (byte >= 0x80) {
        const index = byte === 0xff ? this.integer(bytes, end, 7) : (this.at++, byte) & 0x7f;
        if (index === 0) broken('index 0');
        if (index <= STATIC_COUNT) {
          name = STATIC_TABLE[index - 1][0];
          value = STATIC_TABLE[index - 1][1];
        } else {
          const place = this.place(index);
          name = this.names[place];
          value = this.values[place];
        }
      } else if (byte >= 0x40) {
        const index = this.integer(bytes, end, 6);
        name = index === 0 ? this.string(bytes, end) : this.nameAt(index);
        value = this.string(bytes, end);
        this.insert(name, value);
      } else if (byte >= 0x20) {
        if (pairs > 0) broken('a table size update behind a field');
        this.resize(this.integer(bytes, end, 5));
        continue;
      } else {
        const index = this.integer(bytes, end, 4);
        name = index === 0 ? this.string(bytes, end) : this.nameAt(index);
        value = this.string(bytes, end);
      }
      pairs++;
      listBytes += name.length + value.length + ENTRY_OVERHEAD;
      if (listBytes > this.listBytesMax || pairs > this.pairsMax) excessive = true;
      else fields.push(name, value);
    }
    return { fields: excessive ? [] : fields, excessive };
  }

  /** Where a dynamic index stands in the arrays. */
  private place(index: number): number {
    const place = this.names.length - (index - STATIC_COUNT);
    if (place < this.first) broken(`index ${index} is beyond the table`);
    return place;
  }

  private nameAt(index: number): string {
    return index <= STATIC_COUNT ? STATIC_TABLE[index - 1][0] : this.names[this.place(index)];
  }

  /** §5.1, bounded to 28 bits: no length or index of ours is larger. */
  private integer(bytes: Buffer, end: number, prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = bytes[this.at++] & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.at >= end) broken('an integer without its end');
      if (shift > 21) broken('an integer too large');
      const byte = bytes[this.at++];
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  /** §5.2. */
  private string(bytes: Buffer, end: number): string {
    if (this.at >= end) broken('a field without its string');
    const coded = bytes[this.at] >= 0x80;
    const length = this.integer(bytes, end, 7);
    const start = this.at;
    if (length > end - start) broken('a string longer than its block');
    this.at = start + length;
    if (!coded) return bytes.toString('latin1', start, this.at);
    const text = huffmanDecode(bytes, start, this.at);
    return text ?? broken('a string that is no Huffman code');
  }

  private insert(name: string, value: string): void {
    this.version++;
    const size = name.length + value.length + ENTRY_OVERHEAD;
    this.evictTo(this.tableBytesMax - size);
    if (size > this.tableBytesMax) return;
    this.names.push(name);
    this.values.push(value);
    this.tableBytes += size;
  }

  private resize(size: number): void {
    if (size > this.tableBytesLimit) broken(`a table of ${size} bytes`);
    this.version++;
    this.tableBytesMax = size;
    this.evictTo(size);
  }

  private evictTo(bytes: number): void {
    while (this.tableBytes > bytes && this.first < this.names.length) {
      this.tableBytes -= this.names[this.first].length + this.values[this.first].length + ENTRY_OVERHEAD;
      this.names[this.first] = '';
      this.values[this.first] = '';
      this.first++;
    }
    // The arrays move up when half of them is gone: constant time per entry in the long run.
    if (this.first > 32 && this.first * 2 > this.names.length) {
      this.names = this.names.slice(this.first);
      this.values = this.values.slice(this.first);
      this.first = 0;
    }
  }
}

const STATIC_PAIRS: ReadonlyMap<string, number> = new Map(
  STATIC_TABLE.map(([name, value], i) => [`${name}\0${value}`, i + 1]),
);
const STATIC_NAMES: ReadonlyMap<string, number> = new Map(
  STATIC_TABLE.map(([name], i): [string, number] => [name, i + 1]).reverse(),
);

/**
 * How a field may be written: kept in the table for the next time, or not, or in the form that whoever passes
 * it on must keep as well (§6.2.3): for what applications say, which may be a secret that came to us so.
 */
export type Indexing = 'indexed' | 'plain' | 'never';

/**
 * §6, writing. Call `begin`, `field`…, `end`; the bytes of `end` are a copy and stay valid while `version`
 * stays the same and no size update is due.
 */
export class HeaderEncoder {
  version = 0;
  private tableBytesMax = DEFAULT_HEADER_TABLE_BYTES;
  private tableBytes = 0;
  private entries = 0;
  private readonly pairs = new Map<string, number>();
  private readonly names = new Map<string, number>();
  private updateDue = false;
  private scratch = Buffer.allocUnsafe(1024);
  private at = 0;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. We never use more than the default. */
  setTableSize(bytes: number): void {
    const size = Math.min(bytes, DEFAULT_HEADER_TABLE_BYTES);
    if (size === this.tableBytesMax) return;
    // A table that shrinks is emptied: simple, rare, and right also after several changes in a row.
    this.tableBytesMax = size;
    this.tableBytes = 0;
    this.entries = 0;
    this.pairs.clear();
    this.names.clear();
    this.version++;
    this.updateDue = true;
  }

  begin(): void {
    this.at = 0;
    if (!this.updateDue) return;
    this.updateDue = false;
    // First down to nothing, so that the peer's table is as empty as ours (§4.2).
    this.room(16);
    this.integer(0x20, 5, 0);
    if (this.tableBytesMax > 0) this.integer(0x20, 5, this.tableBytesMax);
    this.version++;
  }

  field(name: string, value: string, indexing: Indexing): void {
    this.room(name.length + value.length + 24);
    const pair = `${name}\0${value}`;
    const fixed = indexing === 'never' ? undefined : STATIC_PAIRS.get(pair);
    if (fixed !== undefined) {
      this.integer(0x80, 7, fixed);
      return;
    }
    const known = indexing === 'never' ? undefined : this.pairs.get(pair);
    if (known !== undefined) {
      this.integer(0x80, 7, this.indexOf(known));
      return;
    }
    const size = name.length + value.length + ENTRY_OVERHEAD;
    const insert = indexing === 'indexed' && this.tableBytes + size <= this.tableBytesMax;
    const named = this.names.get(name);
    const nameIndex = STATIC_NAMES.get(name) ?? (named === undefined ? 0 : this.indexOf(named));
    this.integer(insert ? 0x40 : indexing === 'never' ? 0x10 : 0, insert ? 6 : 4, nameIndex);
    if (nameIndex === 0) this.string(name, insert);
    this.string(value, insert);
    if (!insert) return;
    this.tableBytes += size;
    this.pairs.set(pair, this.entries);
    this.names.set(name, this.entries);
    this.entries++;
    this.version++;
  }

  end(): Buffer {
    return Buffer.from(this.scratch.subarray(0, this.at));
  }

  /** Entries count from the oldest, indexes from the newest. */
  private indexOf(entry: number): number {
    return STATIC_COUNT + this.entries - entry;
  }

  private integer(pattern: number, prefixBits: number, value: number): void {
    const mask = (1 << prefixBits) - 1;
    if (value < mask) {
      this.scratch[this.at++] = pattern | value;
      return;
    }
    this.scratch[this.at++] = pattern | mask;
    let rest = value - mask;
    while (rest >= 0x80) {
      this.scratch[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.scratch[this.at++] = rest;
  }

  /** Huffman only where the cost is paid once: strings that go into the table. */
  private string(text: string, once: boolean): void {
    const coded = once ? huffmanLength(text) : text.length;
    if (coded < text.length) {
      this.integer(0x80, 7, coded);
      this.at = huffmanEncode(text, this.scratch, this.at);
    } else {
      this.integer(0, 7, text.length);
      this.at += this.scratch.write(text, this.at, 'latin1');
    }
  }

  private room(bytes: number): void {
    if (this.at + bytes <= this.scratch.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.scratch.length * 2, this.at + bytes));
    this.scratch.copy(larger, 0, 0, this.at);
    this.scratch = larger;
  }
}
