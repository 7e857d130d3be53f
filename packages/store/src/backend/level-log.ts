/**
 * Records of a LevelDB log or manifest (LevelDB 1.20, doc/log_format.md): blocks of 32 KiB, in them records or parts of
 * records, each with a checksum. Pure. It tells the end of a write that was never finished from damage to what was
 * finished: a record is begun only after the one before it is synced.
 */
import { crc32c } from '@keelson/base';

const BLOCK_BYTES = 32 * 1024;
/** Checksum, length, kind. */
const HEADER_BYTES = 7;
const FULL = 1;
const FIRST = 2;
const LAST = 4;

export interface LevelLog {
  /** Whole records up to the first that is not. */
  readonly records: readonly Buffer[];
  /** The last write was not finished. */
  readonly torn: boolean;
  /** Where and how it is damaged. */
  readonly damage: string | undefined;
}

interface Part {
  readonly kind: number;
  readonly data: Buffer;
  readonly end: number;
}

/** LevelDB's form of a checksum, which may stand inside of what is checksummed. */
export function maskedCrc(bytes: Buffer): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

export function levelLogRecords(bytes: Buffer): LevelLog {
  const records: Buffer[] = [];
  let parts: Buffer[] | undefined;
  let at = 0;
  let broken: number | undefined;
  while (at < bytes.length) {
    at = partStart(at);
    if (at >= bytes.length) break;
    const part = partAt(bytes, at);
    const begins = part !== undefined && (part.kind === FULL || part.kind === FIRST);
    if (part === undefined || begins !== (parts === undefined)) {
      broken = at;
      break;
    }
    if (begins) parts = [];
    parts!.push(part.data);
    if (part.kind === FULL || part.kind === LAST) {
      records.push(parts!.length === 1 ? parts![0] : Buffer.concat(parts!));
      parts = undefined;
    }
    at = part.end;
  }
  if (broken === undefined) return { records, torn: parts !== undefined, damage: undefined };
  const later = laterRecord(bytes, broken);
  const damage =
    later === undefined
      ? undefined
      : `at offset ${broken}: it was synced before what stands at offset ${later} was written`;
  return { records, torn: true, damage };
}

/** The rest of a block that has no room for a header is zeros. */
function partStart(at: number): number {
  const left = BLOCK_BYTES - (at % BLOCK_BYTES);
  return left < HEADER_BYTES ? at + left : at;
}

function partAt(bytes: Buffer, at: number): Part | undefined {
  if (at + HEADER_BYTES > bytes.length) return undefined;
  const end = at + HEADER_BYTES + bytes.readUInt16LE(at + 4);
  const kind = bytes[at + 6];
  if (kind < FULL || kind > LAST || end > bytes.length) return undefined;
  if (end > at - (at % BLOCK_BYTES) + BLOCK_BYTES) return undefined;
  if (maskedCrc(bytes.subarray(at + 6, end)) !== bytes.readUInt32LE(at)) return undefined;
  return { kind, data: bytes.subarray(at + HEADER_BYTES, end), end };
}

/** Where a whole part begins another record than the one that is broken; undefined: nowhere. */
function laterRecord(bytes: Buffer, broken: number): number | undefined {
  for (let at = broken + 1; at + HEADER_BYTES <= bytes.length; at++) {
    const kind = bytes[at + 6];
    if ((kind === FULL || kind === FIRST) && partAt(bytes, at) !== undefined) return at;
  }
  return undefined;
}
