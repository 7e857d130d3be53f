/**
 * Takes leaf and branch pages apart, trusting nothing in them: offsets and lengths stay inside the page, keys
 * ascend strictly, and the data lies as every bbolt writes it, behind the element table in element order
 * without gaps, so that a damaged count is noticed where it would otherwise drop pairs in silence. Pure;
 * what it returns are views.
 */
import {
  BboltError,
  BUCKET_ELEMENT,
  ELEMENT_BYTES,
  KEY_BYTES_MAX,
  PAGE_HEADER_BYTES,
  PageFlag,
  readU64LE,
  type KeyValuePair,
} from './pages.ts';

/** One element of a leaf: a pair, or a bucket with its header as value. */
export class LeafElement implements KeyValuePair {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly bucket: boolean;

  constructor(key: Buffer, value: Buffer, bucket: boolean) {
    this.key = key;
    this.value = value;
    this.bucket = bucket;
  }
}

/**
 * @param bytes the whole node, header included
 * @param page its id, for errors
 */
export function parseLeaf(bytes: Buffer, count: number, page: number): LeafElement[] {
  const elements: LeafElement[] = [];
  // Data follows the element table; where the last item ended is where the next one starts.
  let free = PAGE_HEADER_BYTES + count * ELEMENT_BYTES;
  if (free > bytes.length) throw new BboltError('CORRUPT', `${count} elements do not fit`, page);
  let previous: Buffer | undefined;
  for (let i = 0; i < count; i++) {
    const at = PAGE_HEADER_BYTES + i * ELEMENT_BYTES;
    const flags = bytes.readUInt32LE(at);
    const start = at + bytes.readUInt32LE(at + 4);
    const keyBytes = bytes.readUInt32LE(at + 8);
    const keyEnd = start + keyBytes;
    const end = keyEnd + bytes.readUInt32LE(at + 12);
    if ((flags & ~BUCKET_ELEMENT) !== 0)
      throw new BboltError('CORRUPT', `element ${i} has flags ${flags}`, page);
    requireInside(i, keyBytes, start, end, free, bytes.length, page);
    const key = bytes.subarray(start, keyEnd);
    requireAscending(previous, key, i, page);
    elements.push(new LeafElement(key, bytes.subarray(keyEnd, end), flags === BUCKET_ELEMENT));
    previous = key;
    free = end;
  }
  return elements;
}

/** The children of a branch, at least one, and the least key of each. */
export interface BranchElements {
  readonly keys: Buffer[];
  /** Page ids as they stand in the file, not yet compared with it. */
  readonly children: number[];
}

export function parseBranch(bytes: Buffer, count: number, page: number): BranchElements {
  if (count === 0) throw new BboltError('CORRUPT', 'a branch without children', page);
  const keys: Buffer[] = [];
  const children: number[] = [];
  let free = PAGE_HEADER_BYTES + count * ELEMENT_BYTES;
  if (free > bytes.length) throw new BboltError('CORRUPT', `${count} elements do not fit`, page);
  let previous: Buffer | undefined;
  for (let i = 0; i < count; i++) {
    const at = PAGE_HEADER_BYTES + i * ELEMENT_BYTES;
    const start = at + bytes.readUInt32LE(at);
    const keyBytes = bytes.readUInt32LE(at + 4);
    const end = start + keyBytes;
    requireInside(i, keyBytes, start, end, free, bytes.length, page);
    const key = bytes.subarray(start, end);
    requireAscending(previous, key, i, page);
    keys.push(key);
    children.push(readU64LE(bytes, at + 8));
    previous = key;
    free = end;
  }
  return { keys, children };
}

/** The leaf inside an inline bucket's value. Its page header carries no id. */
export function parseInlineLeaf(bytes: Buffer, page: number): LeafElement[] {
  if (bytes.length < PAGE_HEADER_BYTES)
    throw new BboltError('CORRUPT', 'an inline bucket without a page', page);
  if (bytes.readUInt16LE(8) !== PageFlag.Leaf || bytes.readUInt32LE(12) !== 0) {
    throw new BboltError('CORRUPT', 'an inline bucket that is not one leaf', page);
  }
  const elements = parseLeaf(bytes, bytes.readUInt16LE(10), page);
  let used = PAGE_HEADER_BYTES;
  for (const { key, value } of elements) used += ELEMENT_BYTES + key.length + value.length;
  if (used !== bytes.length) {
    throw new BboltError('CORRUPT', `an inline bucket of ${used} bytes in a value of ${bytes.length}`, page);
  }
  return elements;
}

/** Throws unless `key` sorts before `end`; undefined is no end. */
export function requireBelow(key: Buffer, end: Buffer | undefined, page: number): void {
  if (end !== undefined && key.compare(end) >= 0)
    throw new BboltError('CORRUPT', 'a key past its branch', page);
}

function requireInside(
  index: number,
  keyBytes: number,
  start: number,
  end: number,
  free: number,
  length: number,
  page: number,
): void {
  if (keyBytes === 0 || keyBytes > KEY_BYTES_MAX) {
    throw new BboltError('CORRUPT', `element ${index} has a key of ${keyBytes} bytes`, page);
  }
  if (start !== free || end > length) {
    throw new BboltError(
      'CORRUPT',
      `element ${index} spans ${start}-${end} of ${length}, not from ${free}`,
      page,
    );
  }
}

function requireAscending(previous: Buffer | undefined, key: Buffer, index: number, page: number): void {
  if (previous !== undefined && previous.compare(key) >= 0) {
    throw new BboltError('CORRUPT', `key ${index} is not above the one before`, page);
  }
}
