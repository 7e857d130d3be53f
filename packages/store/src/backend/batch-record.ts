/**
 * The batch record: what every backend batch says about itself, written inside the same atomic batch.
 * It holds the applied mark (consistent index, term, conf state) and a link of the batch chain, by which
 * a lost or damaged batch is noticed at start instead of served. Pure: bytes in, facts out.
 *
 * Its raw key is 'k' + the newest revision (17 bytes) + 'z': in the key bucket, right after that revision
 * and its tombstone form ('t'). A fixed meta key would make every LevelDB table overlap every other.
 * Byte by byte: docs/formats/backend.md.
 */
import { crc32c, readU64BE, writeU64BE } from '@keelson/base';
import { FatalError } from '../errors.ts';
import { Buckets } from './buckets.ts';

/** What the applier has included so far; goes to disk in the same batch as the data. */
export interface AppliedMark {
  /** Index of the last entry included. */
  readonly consistentIndex: number;
  /** Term of that entry. */
  readonly term: number;
  /** The newest write so far: 17 bytes as latin1, big-endian main revision, '_', big-endian sub revision. */
  readonly newestRevision: string;
  /** etcd's JSON form of the conf state. */
  readonly confState: string;
}

/** The decoded value of a batch record. */
export interface BatchRecord {
  /** Counts batches from 1, without gaps. */
  readonly number: number;
  /** Number of the newest batch whose record has a lower key; 0 when there is none. */
  readonly previous: number;
  /** CRC-32C over the puts into the key bucket: key bytes and value bytes of each, in key order. */
  readonly checksum: number;
  /** How many such puts. */
  readonly putCount: number;
  readonly mark: AppliedMark;
}

const FORMAT = 1;
const HEADER_BYTES = 45;
const REVISION_BYTES = 17;
/** Sorts after 't', the mark of a tombstone. */
const RECORD_MARK = 'z';
/** Raw length: bucket byte, revision, mark. */
const RECORD_KEY_LENGTH = 1 + REVISION_BYTES + 1;

export function batchRecordKey(newestRevision: string): string {
  return Buckets.key.prefix + newestRevision + RECORD_MARK;
}

/** The least key of the key bucket, without the bucket's byte, behind the record of a batch. */
export function behindBatchRecord(newestRevision: string): string {
  return `${newestRevision}${RECORD_MARK}\0`;
}

/** The record at `newestRevision`; undefined when there is none. @throws FatalError for a damaged one */
export function readBatchRecord(
  get: (bucket: typeof Buckets.key, key: string) => Buffer | undefined,
  newestRevision: string,
): BatchRecord | undefined {
  const value = get(Buckets.key, newestRevision + RECORD_MARK);
  return value === undefined ? undefined : decodeBatchRecord(batchRecordKey(newestRevision), value);
}

/** Whether a raw key of the key bucket is a batch record and not a revision. */
export function isBatchRecordKey(rawKey: string): boolean {
  return rawKey.length === RECORD_KEY_LENGTH && rawKey.endsWith(RECORD_MARK);
}

/** The main revision inside a raw key of the key bucket. */
export function mainRevisionOf(rawKey: string): number {
  let main = 0;
  for (let i = 1; i <= 8; i++) main = main * 256 + rawKey.charCodeAt(i);
  return main;
}

export function encodeBatchRecord(record: BatchRecord): Buffer {
  const confState = Buffer.from(record.mark.confState, 'utf8');
  const bytes = Buffer.alloc(HEADER_BYTES + confState.length);
  bytes[0] = FORMAT;
  writeU64BE(bytes, 1, record.number);
  writeU64BE(bytes, 9, record.previous);
  bytes.writeUInt32BE(record.checksum, 17);
  bytes.writeUInt32BE(record.putCount, 21);
  writeU64BE(bytes, 25, record.mark.consistentIndex);
  writeU64BE(bytes, 33, record.mark.term);
  confState.copy(bytes, HEADER_BYTES);
  bytes.writeUInt32BE(crc32c(bytes), 41); // over the record with this field zero
  return bytes;
}

/** @throws FatalError when the value is not a batch record this version can read */
export function decodeBatchRecord(rawKey: string, value: Buffer): BatchRecord {
  const where = `backend batch record at revision ${mainRevisionOf(rawKey)}`;
  if (value.length < HEADER_BYTES) throw new FatalError(`${where}: ${value.length} bytes are too few`);
  if (value[0] !== FORMAT) throw new FatalError(`${where}: unknown format ${value[0]}`);
  const bytes = Buffer.from(value);
  bytes.writeUInt32BE(0, 41);
  if (crc32c(bytes) !== value.readUInt32BE(41)) throw new FatalError(`${where}: checksum mismatch`);
  return {
    number: readU64BE(value, 1),
    previous: readU64BE(value, 9),
    checksum: value.readUInt32BE(17),
    putCount: value.readUInt32BE(21),
    mark: {
      consistentIndex: readU64BE(value, 25),
      term: readU64BE(value, 33),
      newestRevision: rawKey.slice(1, 1 + REVISION_BYTES),
      confState: value.toString('utf8', HEADER_BYTES),
    },
  };
}
