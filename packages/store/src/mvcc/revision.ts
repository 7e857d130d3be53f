/**
 * A revision as the key bucket's key: main (8 bytes, big-endian), '_', sub (8 bytes, big-endian); a tombstone
 * has a 't' behind it. In memory it is a latin1 string, so that string order is the order of changes. Bytes
 * as in etcd's database (mvcc/revision.go), which is what makes HashKV comparable. Pure; keeps nothing.
 */

/** Length of a revision; a tombstone's is one more. */
export const REVISION_LENGTH = 17;

const SEPARATOR = 0x5f;
const TOMBSTONE_MARK = 't';
const TWO_32 = 0x1_0000_0000;
/** '_' and sub revision 0: all that most revisions have after the main one. */
const SUB_ZERO = '_\0\0\0\0\0\0\0\0';

/** The 17 bytes of (main, sub); both are counts, 0 to 2^53-1. */
export function encodeRevision(main: number, sub: number): string {
  const mainHigh = Math.floor(main / TWO_32);
  const mainLow = main - mainHigh * TWO_32;
  const subHigh = Math.floor(sub / TWO_32);
  const subLow = sub - subHigh * TWO_32;
  return String.fromCharCode(
    (mainHigh >>> 24) & 0xff,
    (mainHigh >>> 16) & 0xff,
    (mainHigh >>> 8) & 0xff,
    mainHigh & 0xff,
    (mainLow >>> 24) & 0xff,
    (mainLow >>> 16) & 0xff,
    (mainLow >>> 8) & 0xff,
    mainLow & 0xff,
    SEPARATOR,
    (subHigh >>> 24) & 0xff,
    (subHigh >>> 16) & 0xff,
    (subHigh >>> 8) & 0xff,
    subHigh & 0xff,
    (subLow >>> 24) & 0xff,
    (subLow >>> 16) & 0xff,
    (subLow >>> 8) & 0xff,
    subLow & 0xff,
  );
}

/** The 18 bytes of a tombstone at (main, sub). */
export function encodeTombstone(main: number, sub: number): string {
  return tombstoneOf(encodeRevision(main, sub));
}

/** The tombstone at a revision's 17 bytes. */
export function tombstoneOf(revision: string): string {
  return revision + TOMBSTONE_MARK;
}

/** Whether a key of the key bucket, from `offset` on, is a tombstone. */
export function isTombstone(key: string, offset = 0): boolean {
  return key.length === offset + REVISION_LENGTH + 1 && key.endsWith(TOMBSTONE_MARK);
}

/** Main revision of a key that starts at `offset` (1 for raw backend keys). */
export function revisionMain(key: string, offset = 0): number {
  return readU64(key, offset);
}

/** Sub revision of a key that starts at `offset`. */
export function revisionSub(key: string, offset = 0): number {
  return key.startsWith(SUB_ZERO, offset + 8) ? 0 : readU64(key, offset + 9);
}

function readU64(text: string, offset: number): number {
  let high = 0;
  let low = 0;
  for (let i = offset; i < offset + 4; i++) high = high * 256 + text.charCodeAt(i);
  for (let i = offset + 4; i < offset + 8; i++) low = low * 256 + text.charCodeAt(i);
  return high * TWO_32 + low;
}
