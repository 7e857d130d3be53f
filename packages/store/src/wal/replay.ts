/**
 * Reads segments in order and collects what they say: metadata, the newest hard state, the entries after a
 * starting point, snapshot markers. Pure: it is given bytes and decides; wal.ts does the reading. It never
 * skips a record: what it does not understand stops the member.
 */
import { assert, crc32c } from '@keelson/base';
import type { Entry, HardState } from '@keelson/raft';
import { decodeEntry, decodeHardState, decodeSnapshotMarker, type SnapshotMarker } from './entry-codec.ts';
import { FrameCursor, RecordType } from './record.ts';
import { isZero, judgeTail } from './repair.ts';
import { corrupt, WalError } from './wal-error.ts';

/** Where a replay begins: everything up to and including this is in a snapshot. */
export interface ReplayStart {
  readonly index: number;
  readonly term: number;
}

export const EMPTY_HARD_STATE: HardState = { term: 0, vote: 0n, commit: 0 };

export class Replay {
  readonly start: ReplayStart;
  metadata: Buffer | undefined = undefined;
  hardState: HardState = EMPTY_HARD_STATE;
  /** Entries after start.index, without gaps; later records have replaced earlier ones of the same index. */
  entries: Entry[] = [];
  readonly markers: SnapshotMarker[] = [];
  /** The checksum after the last record. */
  crc = 0;
  /** Where the last segment's records end. */
  end = 0;
  /** Where the last write into it began that left a record: everything before was synced. */
  lastWrite = 0;
  /** Why the last segment's tail was cut; undefined when it ended cleanly. */
  tornReason: string | undefined = undefined;
  /** Whether writes begin with a checksum, as ours do and etcd's do not. */
  ours = false;
  private readonly markersOnly: boolean;
  private startFound = false;
  /** Of the entry at the start, if the log has one there. */
  private termAtStart: number | undefined = undefined;
  private segments = 0;

  /** @param markersOnly whether entries are left out: a log may have a gap below its newest marker */
  constructor(start: ReplayStart, markersOnly = false) {
    this.start = start;
    this.markersOnly = markersOnly;
  }

  /**
   * The index of the last entry the log may claim to have, whether it is in `entries` or below the start.
   */
  get lastIndex(): number {
    const last = this.entries.at(-1);
    if (last !== undefined) return last.index;
    return this.markers.reduce((index, marker) => Math.max(index, marker.index), this.start.index);
  }

  /**
   * Takes the next segment.
   * @param file its name, for errors
   * @param last whether it is the newest: only its tail may be torn
   * @throws WalError 'CORRUPT'
   */
  addSegment(file: string, bytes: Buffer, last: boolean): void {
    const cursor = new FrameCursor(bytes);
    let records = 0;
    this.lastWrite = 0;
    for (;;) {
      const step = cursor.step();
      let reason = step === 'broken' ? cursor.reason : 'zeros instead of a record';
      if (step === 'record') {
        const fits = this.followChecksum(cursor, records);
        if (fits) {
          if (cursor.type === RecordType.Crc) this.lastWrite = cursor.offset;
          this.addRecord(file, cursor, records);
          records++;
          continue;
        }
        reason = 'checksum mismatch';
      }
      this.end = cursor.offset;
      // A new segment's head is synced before it gets its name.
      if (records < 2) throw corrupt(file, cursor.offset, `${reason} in the head of the segment`);
      if (last) {
        const verdict = judgeTail(bytes, cursor.offset, reason);
        if (verdict.kind === 'corrupt') throw corrupt(file, cursor.offset, verdict.reason);
        if (verdict.kind === 'torn') this.tornReason = verdict.reason;
      } else if (!isZero(bytes, cursor.offset, bytes.length)) {
        throw corrupt(file, cursor.offset, reason);
      }
      break;
    }
    this.segments++;
  }

  /**
   * After the last segment.
   * @throws WalError when the start's marker is missing or has another term, or entries the hard state
   *   speaks of are missing
   */
  finish(file: string): void {
    const { start, hardState } = this;
    if (!this.startFound) {
      throw new WalError('SNAPSHOT_NOT_FOUND', `wal: no snapshot marker at index ${start.index}`);
    }
    if (hardState.commit > this.lastIndex) {
      throw corrupt(
        file,
        this.end,
        `commit index ${hardState.commit} is beyond the last entry ${this.lastIndex}`,
      );
    }
  }

  /** Whether the record's checksum continues the chain; follows it if so. */
  private followChecksum(cursor: FrameCursor, records: number): boolean {
    if (cursor.type === RecordType.Crc) {
      // The first record ever read starts the chain: what came before was released.
      if (this.segments === 0 && records === 0) this.crc = cursor.crc;
      return cursor.crc === this.crc;
    }
    const crc = cursor.data === undefined ? this.crc : crc32c(cursor.data, this.crc);
    if (cursor.crc !== crc) return false;
    this.crc = crc;
    return true;
  }

  private addRecord(file: string, cursor: FrameCursor, records: number): void {
    const { data, type, offset } = cursor;
    if (records === 0 && type !== RecordType.Crc)
      throw corrupt(file, offset, 'the segment does not begin with a checksum');
    if (records === 1 && type !== RecordType.Metadata)
      throw corrupt(file, offset, 'the segment has no metadata');
    if (records > 0 && type === RecordType.Crc) this.ours = true;
    if ((data === undefined) !== (type === RecordType.Crc)) {
      throw corrupt(file, offset, `record of type ${type} ${data === undefined ? 'without' : 'with'} data`);
    }
    if (data === undefined) return;
    try {
      switch (type) {
        case RecordType.Metadata:
          this.addMetadata(data);
          break;
        case RecordType.Entry:
          this.addEntry(data);
          break;
        case RecordType.State:
          this.addHardState(data);
          break;
        case RecordType.Snapshot:
          this.addMarker(decodeSnapshotMarker(data));
          break;
        default:
          throw new RangeError(`record of unknown type ${type}`);
      }
    } catch (error) {
      if (error instanceof WalError) throw error;
      throw corrupt(file, offset, error instanceof Error ? error.message : String(error));
    }
  }

  private addMetadata(data: Buffer): void {
    if (this.metadata === undefined) this.metadata = Buffer.from(data);
    else if (!this.metadata.equals(data)) throw new RangeError('metadata differs from the first');
  }

  private addEntry(data: Buffer): void {
    if (this.markersOnly) return;
    const { entries, start } = this;
    // A copy: the entry outlives the segment's bytes.
    const entry = decodeEntry(Buffer.from(data));
    if (entry.index === start.index) this.termAtStart = entry.term;
    if (entry.index <= start.index) return;
    const position = entry.index - start.index - 1;
    if (position > entries.length) {
      throw new RangeError(
        `entry ${entry.index} follows ${start.index + entries.length}: entries are missing`,
      );
    }
    const previous = position === 0 ? undefined : entries[position - 1];
    if (previous !== undefined && previous.term > entry.term) {
      throw new RangeError(`entry ${entry.index} has term ${entry.term}, below that of the entry before`);
    }
    // A new leader's entry replaces all from its index on.
    entries.length = position;
    entries.push(entry);
    assert(entries[position] === entry, 'an entry at its place');
  }

  private addHardState(data: Buffer): void {
    const state = decodeHardState(data);
    const last = this.hardState;
    if (state.term < last.term) throw new RangeError(`term goes back from ${last.term} to ${state.term}`);
    if (state.commit < last.commit)
      throw new RangeError(`commit goes back from ${last.commit} to ${state.commit}`);
    this.hardState = state;
  }

  private addMarker(marker: SnapshotMarker): void {
    this.markers.push(marker);
    if (this.markersOnly || marker.index !== this.start.index) return;
    if (marker.term !== this.start.term) {
      throw new WalError(
        'SNAPSHOT_MISMATCH',
        `wal: the snapshot marker at index ${marker.index} has term ${marker.term}, not ${this.start.term}`,
      );
    }
    this.startFound = true;
    // One that was received: what the log had there and behind it was another leader's, and never committed.
    if (this.termAtStart !== undefined && this.termAtStart !== marker.term) this.entries = [];
  }
}
