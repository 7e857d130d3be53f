/**
 * Committed entries of a log that is being written, read from its segments: for who needs what has left the memory.
 * It reads what was synced before it was asked, in slices, and never waits for the writer or holds it up.
 *
 * An entry in the log may be replaced by a later record of the same index for as long as it is not committed, so each is
 * given only once a hard state behind it commits it. A snapshot that was received in between ends what can be read: it
 * commits up to its index what this log never had, and may have something else at.
 */
import type { Disk, DiskFile } from '@keelson/base';
import type { Entry } from '@keelson/raft';
import { errorCodeOf } from '../disk/error-code.ts';
import { decodeEntry, decodeHardState, decodeSnapshotMarker, type SnapshotMarker } from './entry-codec.ts';
import { RecordType } from './record.ts';
import { RecordStream, type WalRecord } from './record-stream.ts';
import { formatSegmentName, listSegments, type SegmentName } from './segment.ts';
import { WalError } from './wal-error.ts';

/**
 * Entries [low, high] in order, some at a time.
 *
 * @param high committed, and with a hard state on disk that says so: at most the index of the newest .snap file
 * @throws WalError 'NOT_FOUND' when they are not, or no longer, in the log; 'CORRUPT' for damage. What came before stands
 */
export async function* committedEntries(
  disk: Disk,
  directory: string,
  low: number,
  high: number,
): AsyncGenerator<readonly Entry[], void, undefined> {
  const names = await listSegments(disk, directory);
  const first = names.findLastIndex((name) => name.firstIndex <= low);
  if (first < 0) throw gone(low);
  const pending = new Pending(low, high);
  let crc: number | undefined;
  for (const name of names.slice(first)) {
    const file = await opened(disk, directory, name, low);
    try {
      const stream = new RecordStream(file, crc === undefined ? {} : { crc });
      for (let records = await stream.next(); records !== undefined; records = await stream.next()) {
        const final = pending.add(records);
        if (final.length > 0) yield final;
        if (pending.complete) return;
      }
      crc = stream.crc;
    } finally {
      await file.close();
    }
  }
  throw gone(pending.next);
}

async function opened(disk: Disk, directory: string, name: SegmentName, low: number): Promise<DiskFile> {
  try {
    return await disk.open(`${directory}/${formatSegmentName(name)}`, 'read');
  } catch (error) {
    // Released since the directory was listed.
    if (errorCodeOf(error) === 'ENOENT') throw gone(low);
    throw error;
  }
}

function gone(index: number): WalError {
  return new WalError('NOT_FOUND', `wal: entry ${index} is not in the log`);
}

/** Entries that wait for the hard state that commits them. */
class Pending {
  /** Index of the next entry to be given. */
  next: number;
  private readonly high: number;
  /** Consecutive, from `next` on; also those beyond `high`, for markers are compared with them. */
  private entries: Entry[] = [];

  constructor(low: number, high: number) {
    this.next = low;
    this.high = high;
  }

  get complete(): boolean {
    return this.next > this.high;
  }

  /** @returns what these records have made final. @throws WalError 'NOT_FOUND' */
  add(records: readonly WalRecord[]): Entry[] {
    const final: Entry[] = [];
    for (const { type, data } of records) {
      if (data === undefined || this.complete) continue;
      if (type === RecordType.Entry) this.addEntry(data);
      else if (type === RecordType.State) this.commit(decodeHardState(data).commit, final);
      else if (type === RecordType.Snapshot) this.passMarker(decodeSnapshotMarker(data));
    }
    return final;
  }

  private addEntry(data: Buffer): void {
    // A copy: it waits here and shall not keep the slice.
    const entry = decodeEntry(Buffer.from(data));
    const place = entry.index - this.next;
    // The log goes on from a snapshot that was received in between.
    if (place > this.entries.length) throw gone(this.next + this.entries.length);
    // An entry replaces all from its index on.
    this.entries.length = Math.max(place, 0);
    if (place >= 0) this.entries.push(entry);
  }

  /** Of a snapshot of our own the log has the last entry; of one that was received it has not. */
  private passMarker({ index, term }: SnapshotMarker): void {
    if (index >= this.next && this.entries.at(index - this.next)?.term !== term) throw gone(this.next);
  }

  private commit(index: number, final: Entry[]): void {
    const count = Math.min(this.entries.length, Math.min(index, this.high) - this.next + 1);
    if (count <= 0) return;
    for (const entry of this.entries.splice(0, count)) final.push(entry);
    this.next += count;
  }
}
