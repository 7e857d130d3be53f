/**
 * Tells a torn tail from rot. A torn tail is the end of a write that was never synced, so nothing was ever
 * promised from it: it is cut and the log goes on before it. Anything else that does not read is damage to
 * bytes that were durable: the member stops and names the place. Pure.
 *
 * The tail of the last segment was zeros, durably, before it was written. A disk writes sectors whole and
 * in any order, so after a crash every sector from the first unsynced byte on holds either the new bytes or
 * zeros. Whatever has another form is rot. A hole of zeros could still be rot (a lost sector of a synced
 * record): each of our writes begins with a Crc record, and no write starts before the one before it is
 * synced, so a Crc record behind the hole proves that the hole was durable once. etcd's rule, by which any
 * zero sector in the last segment is a torn tail, is what remains for segments that etcd wrote.
 */
import { WAL_RECORD_BYTES_MAX } from '../limits.ts';
import { isCrcFrameAt, LENGTH_WORD_BYTES, readHeader } from './record.ts';

const SECTOR_BYTES = 512;
const ZEROS = Buffer.alloc(64 * 1024);

export type TailVerdict =
  /** Nothing but zeros. */
  | { readonly kind: 'clean' }
  /** The rest of an unsynced write; reason for the log. */
  | { readonly kind: 'torn'; readonly reason: string }
  | { readonly kind: 'corrupt'; readonly reason: string };

/** Whether bytes[start, end) are all zero. */
export function isZero(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += ZEROS.length) {
    const stop = Math.min(end, at + ZEROS.length);
    if (ZEROS.compare(bytes, at, stop, 0, stop - at) !== 0) return false;
  }
  return true;
}

/**
 * Judges the last segment from `offset` on, where no record with a right checksum begins.
 * @param reason what the reader found wrong there
 */
export function judgeTail(bytes: Buffer, offset: number, reason: string): TailVerdict {
  if (isZero(bytes, offset, bytes.length)) return { kind: 'clean' };
  const broken = brokenForm(bytes, offset, reason);
  if (broken !== undefined) return { kind: 'corrupt', reason: broken };
  for (
    let at = offset + LENGTH_WORD_BYTES;
    at + 2 * LENGTH_WORD_BYTES <= bytes.length;
    at += LENGTH_WORD_BYTES
  ) {
    if (isCrcFrameAt(bytes, at)) {
      return { kind: 'corrupt', reason: `${reason}, and it was synced before offset ${at} was written` };
    }
  }
  return { kind: 'torn', reason };
}

/** Undefined when a crash can have left the frame at `offset` like this; else what is wrong with it. */
function brokenForm(bytes: Buffer, offset: number, reason: string): string | undefined {
  const sectorEnd = offset - (offset % SECTOR_BYTES) + SECTOR_BYTES;
  const end = bytes.length;
  if (offset + LENGTH_WORD_BYTES > end) return undefined;
  if (isZero(bytes, offset, offset + LENGTH_WORD_BYTES)) {
    // This sector was not written, so the rest of it must be zeros too.
    if (isZero(bytes, offset, Math.min(sectorEnd, end))) return undefined;
    return 'data after an empty length word in one sector';
  }
  // This sector was written, so the length word is the writer's own.
  const length = bytes.readUInt32LE(offset);
  const padding = -length & 7;
  const high = bytes.readUInt32LE(offset + 4);
  if (high !== (padding === 0 ? 0 : ((0x80 | padding) << 24) >>> 0) || length > WAL_RECORD_BYTES_MAX)
    return reason;
  const recordStart = offset + LENGTH_WORD_BYTES;
  const recordEnd = recordStart + length;
  const secondEnd = sectorEnd + SECTOR_BYTES;
  // So are type, checksum and the data's length, as far as their sectors were written.
  const secondLost = sectorEnd >= end || isZero(bytes, sectorEnd, Math.min(secondEnd, end));
  const headerLimit = Math.min(secondLost ? sectorEnd : secondEnd, end);
  const header = readHeader(bytes, recordStart, Math.min(headerLimit, recordEnd));
  if (header === undefined) {
    const headerMayBeCut = headerLimit - recordStart < 13 && headerLimit < recordEnd;
    if (!headerMayBeCut) return reason;
  } else if (header.dataStart >= 0 && header.end !== recordEnd) {
    return 'the length word and the length inside the record differ';
  }
  if (recordEnd + padding > end) return undefined;
  for (let start = sectorEnd; start < recordEnd; start += SECTOR_BYTES) {
    // Up to 7 zeros of the next sector may be the last record's own; a sector that was lost takes more.
    const stop = Math.min(start + SECTOR_BYTES, end);
    if (stop - start > LENGTH_WORD_BYTES && isZero(bytes, start, stop)) return undefined;
  }
  return reason;
}

/** The end of the last byte that is not zero. */
export function endOfData(bytes: Buffer): number {
  let end = bytes.length;
  while (end >= ZEROS.length && isZero(bytes, end - ZEROS.length, end)) end -= ZEROS.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}
