/**
 * The words of a bbolt file: page header, meta page, element sizes, limits, and the one error both
 * directions throw. Pure functions over bytes; nothing here reads or writes a file. Everything is
 * little-endian. The layout is bbolt's (go.etcd.io/bbolt, file version 2), written out byte by byte in
 * docs/formats/bbolt.md.
 */

/** What we write. bbolt takes the page size from the meta page, so a file of 4 KiB pages opens on any machine. */
export const PAGE_BYTES = 4096;
/** Page sizes we read: those bbolt meets in practice (the page size of the machine that made the file). */
export const PAGE_BYTES_MIN = 4096;
export const PAGE_BYTES_MAX = 65_536;

export const PAGE_HEADER_BYTES = 16;
/** Both kinds of element take 16 bytes: leaf {flags, pos, ksize, vsize}, branch {pos, ksize, pgid}. */
export const ELEMENT_BYTES = 16;
/** {root pgid u64, sequence u64}, the start of a bucket's value in its parent. */
export const BUCKET_HEADER_BYTES = 16;
/** Meta fields after the page header, checksum included. */
export const META_BYTES = 64;

/** bbolt's MaxKeySize and MaxValueSize. */
export const KEY_BYTES_MAX = 32_768;
export const VALUE_BYTES_MAX = 0x7fff_fffe;

export const PageFlag = { Branch: 0x01, Leaf: 0x02, Meta: 0x04, Freelist: 0x10 } as const;
/** Flag of a leaf element whose value is a bucket. */
export const BUCKET_ELEMENT = 0x01;
/** A freelist page with this count holds its true count in its first u64. */
export const FREELIST_COUNT_OVERFLOW = 0xffff;

const MAGIC = 0xed0c_daed;
const VERSION = 2;
const META_CHECKED_BYTES = 56;

/**
 * Why a bbolt file cannot be read or written.
 *
 * - NOT_BBOLT: no valid meta page.
 * - TRUNCATED: the file ends before its pages do.
 * - CORRUPT: a page contradicts the format; `page` names it.
 * - NESTED_BUCKET: well-formed, but has a bucket inside a bucket, which etcd never makes.
 * - BAD_SOURCE: what we were asked to write is not sorted, too large, or differed between the two passes.
 */
export type BboltErrorCode = 'NOT_BBOLT' | 'TRUNCATED' | 'CORRUPT' | 'NESTED_BUCKET' | 'BAD_SOURCE';

export class BboltError extends Error {
  override readonly name = 'BboltError';
  readonly code: BboltErrorCode;
  /** Id of the page at fault; undefined where no single page is. */
  readonly page: number | undefined;

  constructor(code: BboltErrorCode, message: string, page?: number) {
    super(page === undefined ? `bbolt: ${message}` : `bbolt: page ${page}: ${message}`);
    this.code = code;
    this.page = page;
  }
}

/** One item of a bucket. Neither side is mutated once handed over. */
export interface KeyValuePair {
  readonly key: Buffer;
  readonly value: Buffer;
}

/**
 * A bucket's content, in key order: strictly ascending bytes, keys of 1 to 32,768 bytes. Batches may have
 * any length, but a batch is one synchronous slice for its maker, so keep each to a few thousand pairs.
 * The writer takes it twice and needs the same answer both times (a backend snapshot, a closed file).
 */
export interface BucketSource {
  readonly name: Buffer;
  entries(): AsyncIterable<readonly KeyValuePair[]> | Iterable<readonly KeyValuePair[]>;
}

/** u64 as a double: exact up to 2^53, above it only good for being refused as out of range. */
export function readU64LE(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset + 4) * 0x1_0000_0000 + bytes.readUInt32LE(offset);
}

/** Writes a safe, non-negative integer. */
export function writeU64LE(bytes: Buffer, offset: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  bytes.writeUInt32LE(value - high * 0x1_0000_0000, offset);
  bytes.writeUInt32LE(high, offset + 4);
}

/** @param overflow pages that follow and belong to this one */
export function writePageHeader(
  bytes: Buffer,
  offset: number,
  id: number,
  flags: number,
  count: number,
  overflow: number,
): void {
  writeU64LE(bytes, offset, id);
  bytes.writeUInt16LE(flags, offset + 8);
  bytes.writeUInt16LE(count, offset + 10);
  bytes.writeUInt32LE(overflow, offset + 12);
}

/** The fields of a meta page that say anything; version, magic and checksum are checked on the way in. */
export interface Meta {
  readonly pageSize: number;
  /** Page of the root bucket, whose keys are the names of the buckets. */
  readonly root: number;
  /** Page of the freelist; undefined when it was not synced (bbolt's NoFreelistSync, etcd's default). */
  readonly freelist: number | undefined;
  /** One past the highest page id in use: the number of pages that count. */
  readonly pageCount: number;
  readonly txid: number;
}

/** FNV-1a, 64 bits. Over 56 bytes twice a file, so plain bigint arithmetic is cheap enough. */
export function fnv1a64(bytes: Buffer): bigint {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100_0000_01b3n);
  return hash;
}

/** Writes a whole meta page (header, fields, zeros to the end of the page) at the start of `bytes`. */
export function writeMetaPage(bytes: Buffer, id: number, meta: Meta): void {
  bytes.fill(0, 0, meta.pageSize);
  writePageHeader(bytes, 0, id, PageFlag.Meta, 0, 0);
  const at = PAGE_HEADER_BYTES;
  bytes.writeUInt32LE(MAGIC, at);
  bytes.writeUInt32LE(VERSION, at + 4);
  bytes.writeUInt32LE(meta.pageSize, at + 8);
  writeU64LE(bytes, at + 16, meta.root);
  if (meta.freelist === undefined) bytes.fill(0xff, at + 32, at + 40);
  else writeU64LE(bytes, at + 32, meta.freelist);
  writeU64LE(bytes, at + 40, meta.pageCount);
  writeU64LE(bytes, at + 48, meta.txid);
  bytes.writeBigUInt64LE(fnv1a64(bytes.subarray(at, at + META_CHECKED_BYTES)), at + META_CHECKED_BYTES);
}

/**
 * Reads the meta fields of the page that starts at `offset`; undefined unless magic, version, checksum,
 * page size and the safe range of every number hold. Page ids are not yet compared with the file.
 */
export function readMetaPage(bytes: Buffer, offset: number): Meta | undefined {
  const at = offset + PAGE_HEADER_BYTES;
  if (bytes.length < at + META_BYTES) return undefined;
  if (bytes.readUInt32LE(at) !== MAGIC || bytes.readUInt32LE(at + 4) !== VERSION) return undefined;
  const checked = bytes.subarray(at, at + META_CHECKED_BYTES);
  if (bytes.readBigUInt64LE(at + META_CHECKED_BYTES) !== fnv1a64(checked)) return undefined;
  const pageSize = bytes.readUInt32LE(at + 8);
  if (pageSize < PAGE_BYTES_MIN || pageSize > PAGE_BYTES_MAX || (pageSize & (pageSize - 1)) !== 0) {
    return undefined;
  }
  const unsynced = bytes.readUInt32LE(at + 32) === 0xffff_ffff && bytes.readUInt32LE(at + 36) === 0xffff_ffff;
  const meta: Meta = {
    pageSize,
    root: readU64LE(bytes, at + 16),
    freelist: unsynced ? undefined : readU64LE(bytes, at + 32),
    pageCount: readU64LE(bytes, at + 40),
    txid: readU64LE(bytes, at + 48),
  };
  const safe =
    Number.isSafeInteger(meta.pageCount) &&
    Number.isSafeInteger(meta.root) &&
    Number.isSafeInteger(meta.txid) &&
    (meta.freelist === undefined || Number.isSafeInteger(meta.freelist));
  return safe ? meta : undefined;
}
