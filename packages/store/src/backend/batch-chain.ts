/**
 * Checks the chain of batches while the key bucket is read in order, once at start. It notices a batch
 * that was lost under a later one, a value that changed, a revision that is missing; it never repairs.
 * What compaction may have removed (batches that begin at or below the compacted revision) is only
 * checked for its order.
 */
import { crc32c, keyToBytes } from '@keelson/base';
import { FatalError } from '../errors.ts';
import type { BackendPair } from './backend.ts';
import {
  batchRecordKey,
  decodeBatchRecord,
  isBatchRecordKey,
  mainRevisionOf,
  type AppliedMark,
  type BatchRecord,
} from './batch-record.ts';

export class BatchChain {
  private readonly compactRevision: number;
  private last: BatchRecord | undefined = undefined;
  private lastMain = 0;
  private lastKey = '';
  private checksum = 0;
  private putCount = 0;

  /**
   * @param compactRevision the newest revision a compaction was scheduled at; 0 when there was none
   * @param start the record the first pair comes after; undefined for the beginning of the bucket, or where
   *   compaction may have removed something
   */
  constructor(compactRevision: number, start?: BatchRecord) {
    this.compactRevision = compactRevision;
    if (start === undefined) return;
    this.last = start;
    this.lastMain = mainRevisionOf(batchRecordKey(start.mark.newestRevision));
  }

  /**
   * Takes the next pair of the key bucket, as WriteBuffer.range yields it.
   * @returns true for a batch record, which is no revision and must be skipped by the caller
   * @throws FatalError naming the revision when the chain is broken
   */
  add(pair: BackendPair): boolean {
    if (!isBatchRecordKey(pair.key)) {
      if (pair.key <= this.lastKey) throw new FatalError('backend: keys out of order');
      this.lastKey = pair.key;
      this.checksum = crc32c(pair.value, crc32c(keyToBytes(pair.key).subarray(1), this.checksum));
      this.putCount++;
      return false;
    }
    const record = decodeBatchRecord(pair.key, pair.value);
    this.checkRecord(record, mainRevisionOf(pair.key));
    this.last = record;
    this.lastMain = mainRevisionOf(pair.key);
    this.checksum = 0;
    this.putCount = 0;
    return true;
  }

  /**
   * After the last pair: the newest mark, undefined for an empty bucket.
   * @throws FatalError when revisions follow the newest batch record
   */
  finish(): AppliedMark | undefined {
    if (this.putCount > 0) {
      throw new FatalError(
        `backend: no batch record after revision ${mainRevisionOf(this.lastKey)}: the end of the newest batch is missing`,
      );
    }
    return this.last?.mark;
  }

  private checkRecord(record: BatchRecord, main: number): void {
    const last = this.last;
    const where = `backend: batch ${record.number} ending at revision ${main}`;
    if (last !== undefined) {
      if (record.number <= last.number || record.previous < last.number) {
        throw new FatalError(`${where} comes after batch ${last.number}: batches out of order`);
      }
      if (record.mark.consistentIndex < last.mark.consistentIndex) {
        throw new FatalError(`${where}: its consistent index is below that of the batch before`);
      }
    }
    // What lies before it is whole when the batch before it ended at or above the compacted revision,
    // or when nothing was ever compacted.
    const whole = last === undefined ? this.compactRevision <= 0 : this.lastMain >= this.compactRevision;
    if (!whole) return;
    if (record.previous !== (last?.number ?? 0)) {
      throw new FatalError(`${where} follows batch ${record.previous}, which is missing`);
    }
    if (record.putCount !== this.putCount) {
      throw new FatalError(`${where} must have ${record.putCount} revisions, ${this.putCount} are there`);
    }
    if (record.checksum !== this.checksum) throw new FatalError(`${where}: checksum mismatch`);
  }
}
