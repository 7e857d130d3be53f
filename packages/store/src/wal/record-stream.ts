/**
 * The records of one segment, read from the disk a slice at a time: for segments that are too large to be held whole, or
 * that may be written to meanwhile. Every checksum is followed. It says where the records end; what the bytes behind
 * them mean (zeros, a torn write, a write under way) is the caller's to know.
 */
import { crc32c, type DiskFile } from '@keelson/base';
import { WAL_RECORD_BYTES_MAX } from '../limits.ts';
import { FrameCursor, LENGTH_WORD_BYTES, RecordType } from './record.ts';
import { corrupt } from './wal-error.ts';

/** Read at a time: large enough that calls do not count, small enough that checking it holds nobody up (0.2 ms). */
const SLICE_BYTES = 512 * 1024;

export interface WalRecord {
  readonly type: number;
  /** A view that keeps its whole slice alive; undefined for a Crc record. */
  readonly data: Buffer | undefined;
}

export interface RecordStreamOptions {
  /** Where the records to be read end, in bytes; default: where zeros or the file's end come. */
  readonly end?: number;
  /** The checksum of what comes before; default: what the first record, a Crc record, says. */
  readonly crc?: number;
}

export class RecordStream {
  /** End of the records given so far, in bytes. */
  position = 0;
  /** The checksum after them; undefined before the first when nobody said. */
  crc: number | undefined;
  private readonly file: DiskFile;
  private readonly end: number;

  /** @param file stays the caller's to close */
  constructor(file: DiskFile, options: RecordStreamOptions = {}) {
    this.file = file;
    this.end = options.end ?? Infinity;
    this.crc = options.crc;
  }

  /**
   * The next records, at least one; undefined where they end: at the end given, at zeros, at the end of the file.
   * @throws WalError 'CORRUPT' for what is neither
   */
  async next(): Promise<WalRecord[] | undefined> {
    for (let length = SLICE_BYTES; ;) {
      const wanted = Math.min(length, this.end - this.position);
      if (wanted <= 0) return undefined;
      const bytes = await this.file.read(this.position, wanted);
      const records = this.take(bytes, bytes.length < wanted || this.position + bytes.length === this.end);
      if (typeof records !== 'number') return records.length === 0 ? undefined : records;
      length = records;
    }
  }

  /**
   * @param whole whether nothing comes after these bytes
   * @returns how many bytes the first record wants when it is not whole in these
   */
  private take(bytes: Buffer, whole: boolean): WalRecord[] | number {
    const cursor = new FrameCursor(bytes);
    const records: WalRecord[] = [];
    for (;;) {
      const step = cursor.step();
      if (step === 'record') {
        this.follow(cursor);
        records.push({ type: cursor.type, data: cursor.data });
        continue;
      }
      const { offset } = cursor;
      this.position += offset;
      // What was whole before it is given first: the caller may need no more.
      if (step === 'end' || records.length > 0) return records;
      const wanted = frameBytes(bytes);
      if (!whole && wanted > bytes.length) return wanted;
      throw corrupt(this.file.path, this.position, cursor.reason);
    }
  }

  private follow(cursor: FrameCursor): void {
    const { type, data } = cursor;
    let want = this.crc;
    if (type === RecordType.Crc) want ??= cursor.crc;
    else if (data !== undefined) want = crc32c(data, want ?? 0);
    if (want !== cursor.crc) {
      throw corrupt(this.file.path, this.position + cursor.offset, 'checksum mismatch');
    }
    this.crc = want;
  }
}

/** Of the frame that begins here, as its length word says it; 0 for one that is no length word. */
function frameBytes(bytes: Buffer): number {
  if (bytes.length < LENGTH_WORD_BYTES) return LENGTH_WORD_BYTES;
  const length = bytes.readUInt32LE(0);
  return length > WAL_RECORD_BYTES_MAX ? 0 : LENGTH_WORD_BYTES + length + (-length & 7);
}
