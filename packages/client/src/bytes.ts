/**
 * What users type as keys and values, and the bytes etcd wants: text is UTF-8, bytes pass as they are.
 * Ranges follow etcd's rules: one key, [key, end), a prefix, or everything from a key on.
 */
import { asBuffer, keyFromBytes, keyToBytes, prefixEnd } from '@keelson/base';

export type Bytes = string | Uint8Array;

/** Views bytes, encodes text. Bytes are not copied: do not change them until the call is done. */
export function toBytes(value: Bytes): Buffer {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : asBuffer(value);
}

/** Which keys: the one, or more by exactly one of the fields. */
export interface KeyRange {
  /** Every key that starts with the given one; with an empty key, all keys. */
  readonly prefix?: boolean | undefined;
  /** Every key from the given one on. */
  readonly fromKey?: boolean | undefined;
  /** Every key from the given one up to, not including, this one. */
  readonly end?: Bytes | undefined;
}

const ZERO = Buffer.alloc(1);
const NONE = Buffer.alloc(0);

/**
 * etcd's (key, range_end) for a key and what it stands for.
 * @throws TypeError when more than one of prefix, fromKey and end is given
 */
export function rangeOf(key: Bytes, range: KeyRange | undefined): { key: Buffer; rangeEnd: Buffer } {
  const bytes = toBytes(key);
  const { prefix = false, fromKey = false, end } = range ?? {};
  if (Number(prefix) + Number(fromKey) + Number(end !== undefined) > 1) {
    throw new TypeError('only one of prefix, fromKey and end makes sense');
  }
  if (end !== undefined) return { key: bytes, rangeEnd: toBytes(end) };
  if (!prefix && !fromKey) return { key: bytes, rangeEnd: NONE };
  // An empty key cannot be asked for; the smallest key there can be starts the same range.
  if (bytes.length === 0) return { key: ZERO, rangeEnd: ZERO };
  if (fromKey) return { key: bytes, rangeEnd: ZERO };
  return { key: bytes, rangeEnd: keyToBytes(prefixEnd(keyFromBytes(bytes))) };
}

/** Bytes as UTF-8 text, for display and for values that are text. */
export function text(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('utf8');
}
