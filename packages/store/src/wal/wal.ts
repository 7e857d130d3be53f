/**
 * The durable raft log: records in segments, in etcd's format. Appends that arrive while one write is being
 * synced go together into the next: one gathered write, one fdatasync. What was appended is durable when
 * its promise resolves; after any failed write or sync nothing more is ever written.
 *
 * It does not know what entries mean and decides nothing about snapshots: release() is called once a
 * snapshot is durable. The data directory's lock is LevelDB's, taken before the log is touched. Modelled on
 * etcd's server/storage/wal; what differs (Crc records before each write, an early first cut) any etcd
 * reads: docs/formats/wal.md.
 */
import { assert, type Clock, type Disk, type DiskFile } from '@keelson/base';
import type { Entry, HardState } from '@keelson/raft';
import { errorCodeOf, errorMessageOf } from '../disk/error-code.ts';
import { DISK_RESERVE_BYTES, WAL_WRITE_BYTES_MAX } from '../limits.ts';
import { encodeEntries, encodeHardState, encodeSnapshotMarker, type SnapshotMarker } from './entry-codec.ts';
import { RecordEncoder, RecordType } from './record.ts';
import { endOfData } from './repair.ts';
import { EMPTY_HARD_STATE, Replay, type ReplayStart } from './replay.ts';
import { createFilled, formatSegmentName, listSegments, Segment, type SegmentName } from './segment.ts';
import { corrupt, WalError } from './wal-error.ts';

/** 64 MB, as etcd: small enough to delete often, large enough that a cut is rare at full load. */
export const SEGMENT_BYTES = 64_000_000;
/**
 * The first segment's zeros, written before a new member starts (0.5 ms). It is left for a full-size one as
 * soon as half of it is used and that one is filled: a member that stores little never fills 64 MB.
 */
const FIRST_SEGMENT_BYTES = 256 * 1024;
/** A segment file larger than this was not written by a log: segments end one write beyond 64 MB. */
const SEGMENT_BYTES_MAX = 1024 * 1024 * 1024;
/** etcd's default of --max-wals. */
const KEEP_SEGMENTS = 5;

export interface WalOptions {
  /** Cut once a segment has this many bytes of records. */
  readonly segmentBytes?: number;
  /** release() leaves at least this many segment files. */
  readonly keepSegments?: number;
  /** --unsafe-no-fsync: nothing is synced, nothing is durable. */
  readonly unsafeNoFsync?: boolean;
  /** Told the seconds of each sync (etcd_disk_wal_fsync_duration_seconds); needs `clock`. */
  readonly observeFsync?: (seconds: number) => void;
  /** Told the seconds of each write, without its sync; needs `clock`. */
  readonly observeWrite?: (seconds: number) => void;
  readonly clock?: Pick<Clock, 'monotonicMs'>;
  /** Called once when the log fails; the member must stop. Every later call rejects as well. */
  readonly onError?: (error: Error) => void;
}

export interface WalCounters {
  /** etcd_disk_wal_write_bytes_total: bytes of records. */
  bytesWritten: number;
  records: number;
  syncs: number;
  cuts: number;
}

export interface WalBatch {
  readonly entries: readonly Entry[];
  readonly hardState: HardState | undefined;
  /** Entries, a new term or a new vote are synced whether this is set or not. */
  readonly mustSync: boolean;
}

export interface OpenedWal {
  readonly wal: Wal;
  readonly metadata: Buffer;
  /** The newest hard state; all zero when there was none. */
  readonly hardState: HardState;
  /** Entries after the start, without gaps. */
  readonly entries: Entry[];
  /** All markers met on the way, oldest first. */
  readonly markers: readonly SnapshotMarker[];
  /** Why the tail of an unsynced write was cut; undefined when the log ended cleanly. */
  readonly tornReason: string | undefined;
}

/** A call waiting for its write. */
interface Work {
  readonly batch: WalBatch | undefined;
  readonly marker: SnapshotMarker | undefined;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** The segment after the open one. */
type Preparation =
  | { readonly kind: 'none' }
  | { readonly kind: 'filling'; readonly done: Promise<void> }
  | { readonly kind: 'ready'; readonly path: string; readonly file: DiskFile }
  | { readonly kind: 'failed'; readonly error: unknown };

/** The disk is too full for the zeros of another segment, and still has room for records. */
class NoRoomError extends Error {
  readonly code = 'ENOSPC';
}

export class Wal {
  readonly counters: WalCounters = { bytesWritten: 0, records: 0, syncs: 0, cuts: 0 };
  private readonly disk: Disk;
  private readonly directory: string;
  private readonly options: WalOptions;
  private readonly segmentBytes: number;
  private readonly metadata: Buffer;
  private readonly encoder: RecordEncoder;
  private segment: Segment;
  /** All segments on disk, oldest first; the last is the open one. */
  private names: SegmentName[];
  private pending: Work[] = [];
  private draining: Promise<void> | undefined = undefined;
  /** The newest state given, and the newest written. */
  private hardState: HardState;
  private writtenState: HardState;
  private lastIndex: number;
  private preparation: Preparation = { kind: 'none' };
  private preparedCount = 0;
  private failure: WalError | undefined = undefined;

  /** Use create or open. */
  private constructor(
    disk: Disk,
    directory: string,
    options: WalOptions,
    metadata: Buffer,
    segment: Segment,
    names: SegmentName[],
    from: { readonly crc: number; readonly hardState: HardState; readonly lastIndex: number },
  ) {
    this.disk = disk;
    this.directory = directory;
    this.options = options;
    this.segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
    this.metadata = metadata;
    this.encoder = new RecordEncoder(from.crc);
    this.segment = segment;
    this.names = names;
    this.hardState = from.hardState;
    this.writtenState = from.hardState;
    this.lastIndex = from.lastIndex;
  }

  /**
   * A new log in `directory`, whose parent exists. Appears whole or not at all.
   * @param metadata entry-codec's encodeMetadata of member and cluster id
   * @throws WalError 'EXISTS'
   */
  static async create(
    disk: Disk,
    directory: string,
    metadata: Buffer,
    options: WalOptions = {},
  ): Promise<Wal> {
    if (await disk.exists(directory)) throw new WalError('EXISTS', `wal: ${directory} exists already`);
    const temporary = `${directory}.tmp`;
    await disk.removeAll(temporary);
    await disk.makeDirectory(temporary);
    const name: SegmentName = { sequence: 0, firstIndex: 0 };
    const filledBytes = filledBytesOf(name, options);
    const file = await createFilled(disk, `${temporary}/${formatSegmentName(name)}`, filledBytes);
    const segment = new Segment(name, file, 0, filledBytes);
    const wal = new Wal(disk, directory, options, metadata, segment, [name], {
      crc: 0,
      hardState: EMPTY_HARD_STATE,
      lastIndex: 0,
    });
    wal.encoder.add(RecordType.Crc);
    wal.encoder.add(RecordType.Metadata, metadata);
    wal.encoder.add(RecordType.Snapshot, encodeSnapshotMarker({ index: 0, term: 0, confState: undefined }));
    await wal.writeEncoded(segment);
    await wal.sync(segment);
    await disk.syncDirectory(temporary);
    await disk.rename(temporary, directory);
    await disk.syncDirectory(parentOf(directory));
    return wal;
  }

  /**
   * Opens an existing log and reads it from a snapshot marker on; a torn tail is cut.
   * @param from the snapshot the state machine starts from; {index: 0, term: 0} for none
   * @throws WalError
   */
  static async open(
    disk: Disk,
    directory: string,
    from: ReplayStart,
    options: WalOptions = {},
  ): Promise<OpenedWal> {
    const names = await listSegments(disk, directory);
    const { replay, used, lastBytes } = await readSegments(disk, directory, names, from);
    const lastName = used[used.length - 1];
    const path = `${directory}/${formatSegmentName(lastName)}`;
    replay.finish(path);
    // A segment gets its name when all its zeros are durable: a shorter one has lost records with its end, or is one
    // before the last, which was cut to its records. One that etcd has repaired is short as well.
    const filledBytes = filledBytesOf(lastName, options);
    if (replay.ours && lastBytes.length < filledBytes)
      throw corrupt(path, lastBytes.length, `the file ends here, and had ${filledBytes} bytes or more`);
    const file = await disk.open(path, 'write');
    try {
      // Nothing behind the records may be met again by a later reader.
      const { end } = replay;
      const dirtyEnd = endOfData(lastBytes);
      if (dirtyEnd > end) await file.write(end, Buffer.alloc(dirtyEnd - end));
      // What etcd has cut short becomes as long as ours are: from now on its length is a promise too.
      if (lastBytes.length < filledBytes) await file.truncate(filledBytes);
      // What was read is acted on from now, so it must be durable, even if its writer was killed before
      // its sync, or its sync failed: then its pages read as written and count as clean, and no sync makes
      // them durable before they are written again. Only the last write can be like that.
      if (options.unsafeNoFsync !== true) {
        if (end > replay.lastWrite)
          await file.write(replay.lastWrite, lastBytes.subarray(replay.lastWrite, end));
        await file.sync();
        await disk.syncDirectory(directory);
      }
      for (const name of await disk.list(directory)) {
        if (name.endsWith('.tmp')) await disk.remove(`${directory}/${name}`);
      }
    } catch (error) {
      await file.close();
      throw error;
    }
    const metadata = replay.metadata;
    assert(metadata !== undefined, 'a segment without metadata was accepted');
    const segment = new Segment(lastName, file, replay.end, lastBytes.length);
    const wal = new Wal(disk, directory, options, metadata, segment, names, replay);
    const { hardState, entries, markers, tornReason } = replay;
    return { wal, metadata, hardState, entries, markers, tornReason };
  }

  /**
   * Makes the batch durable, in call order: entries, then the hard state. Calls may overlap; those that
   * wait for the same write share one sync. A batch that changes nothing but the commit index is not
   * written by itself (it is no promise): it goes along with the next one.
   *
   * Until the promise resolves, no vote or acknowledgement that depends on the batch may leave this
   * member (Raft thesis §3.8).
   * @throws WalError 'FAILED' when a write or sync failed, now or earlier; 'CLOSED'
   */
  append(batch: WalBatch): Promise<void> {
    return this.enqueue(batch, undefined);
  }

  /**
   * Notes that the snapshot up to `marker.index` is durable: a replay may start there. The snapshot file
   * must be durable before the call; hard states that commit up to it come after the call.
   */
  saveSnapshotMarker(marker: SnapshotMarker): Promise<void> {
    assert(marker.index === 0 || marker.confState !== undefined, 'a snapshot marker has its conf state');
    return this.enqueue(undefined, marker);
  }

  /**
   * Removes segments that hold only entries below `index`, oldest first, down to the number to keep. The
   * segment with `index` itself stays. Each is gone for good before the next one goes: power that is lost in
   * between must leave no gap, which a start could not tell from a lost segment.
   */
  async release(index: number): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    const keep = Math.max(1, this.options.keepSegments ?? KEEP_SEGMENTS);
    while (this.names.length > keep && this.names[1].firstIndex <= index) {
      const name = this.names[0];
      await this.disk.remove(`${this.directory}/${formatSegmentName(name)}`);
      await this.disk.syncDirectory(this.directory);
      this.names = this.names.filter((other) => other !== name);
    }
  }

  /** Writes what is pending and closes the file. Later calls reject with 'CLOSED'. */
  async close(): Promise<void> {
    const failed = this.failure !== undefined;
    while (this.draining !== undefined) await this.draining;
    if (!failed && this.failure === undefined && this.hardState !== this.writtenState) {
      await this.enqueue({ entries: [], hardState: undefined, mustSync: true }, undefined);
    }
    this.failure ??= new WalError('CLOSED', 'wal: closed');
    if (this.preparation.kind === 'filling') await this.preparation.done;
    if (this.preparation.kind === 'ready') {
      await this.preparation.file.close();
      await this.disk.remove(this.preparation.path);
    }
    await this.segment.file.close();
  }

  private enqueue(batch: WalBatch | undefined, marker: SnapshotMarker | undefined): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      this.pending.push({ batch, marker, resolve, reject });
      this.draining ??= this.drain();
    });
  }

  /** Group commit: while one write is being synced, whatever arrives becomes the next. */
  private async drain(): Promise<void> {
    let works: Work[] = [];
    try {
      while (this.pending.length > 0) {
        works = this.takePending();
        if (this.encode(works)) {
          await this.writeEncoded(this.segment);
          await this.sync(this.segment);
        }
        for (const work of works) work.resolve();
        works = [];
        await this.cutIfFull();
      }
    } catch (error) {
      this.fail(error, works);
    }
    this.draining = undefined;
  }

  /** What goes into the next write: a gathering of large requests must not become a segment nobody reads back. */
  private takePending(): Work[] {
    let end = 0;
    for (let bytes = 0; end < this.pending.length && bytes < WAL_WRITE_BYTES_MAX; end++) {
      const entries = this.pending[end].batch?.entries;
      if (entries !== undefined) for (let i = 0; i < entries.length; i++) bytes += entries[i].dataLength;
    }
    const works = end === this.pending.length ? this.pending : this.pending.slice(0, end);
    this.pending = this.pending.slice(end);
    return works;
  }

  /** Puts the works' records into the encoder; false when nothing needs to be written now. */
  private encode(works: readonly Work[]): boolean {
    let sync = false;
    for (const { batch, marker } of works) {
      if (marker !== undefined) sync = true;
      if (batch === undefined) continue;
      const { entries, hardState, mustSync } = batch;
      if (entries.length > 0 || mustSync) sync = true;
      if (hardState !== undefined) {
        const last = this.hardState;
        if (hardState.term !== last.term || hardState.vote !== last.vote) sync = true;
      }
    }
    const { encoder } = this;
    // All before this write is synced: the record says so to repair.ts.
    if (sync && this.options.unsafeNoFsync !== true) encoder.add(RecordType.Crc);
    for (const { batch, marker } of works) {
      if (marker !== undefined) {
        encoder.add(RecordType.Snapshot, encodeSnapshotMarker(marker));
        this.counters.records++;
        this.lastIndex = Math.max(this.lastIndex, marker.index);
      }
      if (batch !== undefined) {
        const { entries, hardState } = batch;
        encodeEntries(entries);
        for (let i = 0; i < entries.length; i++) {
          const entry = entries[i];
          encoder.add(RecordType.Entry, entry.block, entry.encodedStart, entry.encodedEnd);
        }
        this.counters.records += entries.length;
        if (entries.length > 0) this.lastIndex = entries[entries.length - 1].index;
        if (hardState !== undefined) this.hardState = hardState;
      }
      // Behind a marker too: it counts only once the commit index on disk reaches it, and the log before it
      // may be released next.
      if (sync && this.hardState !== this.writtenState) {
        encoder.add(RecordType.State, encodeHardState(this.hardState));
        this.writtenState = this.hardState;
        this.counters.records++;
      }
    }
    return sync;
  }

  private async writeEncoded(segment: Segment): Promise<void> {
    const { bytes } = this.encoder;
    const { clock, observeWrite } = this.options;
    const startMs = clock?.monotonicMs() ?? 0;
    await segment.append(this.encoder.take(), bytes);
    this.counters.bytesWritten += bytes;
    if (clock !== undefined) observeWrite?.((clock.monotonicMs() - startMs) / 1000);
  }

  private async sync(segment: Segment): Promise<void> {
    if (this.options.unsafeNoFsync === true) return;
    const { clock, observeFsync } = this.options;
    const startMs = clock?.monotonicMs() ?? 0;
    await segment.file.sync();
    this.counters.syncs++;
    if (clock !== undefined) observeFsync?.((clock.monotonicMs() - startMs) / 1000);
  }

  private async cutIfFull(): Promise<void> {
    const { segment } = this;
    const full = segment.position >= this.segmentBytes;
    const halfUsed = segment.position >= Math.min(segment.filledBytes, this.segmentBytes) / 2;
    if (halfUsed && this.preparation.kind === 'none') this.prepareNext();
    if (full) {
      if (this.preparation.kind === 'failed') this.prepareNext();
      if (this.preparation.kind === 'filling') await this.preparation.done;
      // Filling failed twice: what room is left is for records, until there is more.
      if (this.preparation.kind === 'failed') {
        if (!(this.preparation.error instanceof NoRoomError)) throw this.preparation.error;
        this.preparation = { kind: 'none' };
      }
    }
    // A segment without zeros left is only a slower one: it is used until the next is filled.
    if (this.preparation.kind === 'ready' && (full || segment.position >= segment.filledBytes)) {
      await this.cut(this.preparation);
    }
  }

  /** Starts filling the next segment. That this fails is not yet a failure of the log. */
  private prepareNext(): void {
    // Two names in turn, as etcd's file pipeline has them.
    const path = `${this.directory}/${this.preparedCount++ % 2}.tmp`;
    const done = this.roomForNext()
      .then(() => createFilled(this.disk, path, this.segmentBytes, () => this.failure !== undefined))
      .then(
        (file) => {
          this.preparation = { kind: 'ready', path, file };
          return undefined;
        },
        (error: unknown) => {
          this.preparation = { kind: 'failed', error };
        },
      );
    this.preparation = { kind: 'filling', done };
  }

  /** Zeros must not take the last of the disk from records and from the backend. @throws NoRoomError */
  private async roomForNext(): Promise<void> {
    const free = await this.disk.freeBytes?.(this.directory);
    if (free !== undefined && free < this.segmentBytes + DISK_RESERVE_BYTES)
      throw new NoRoomError(`${free} bytes are free, a segment of the log takes ${this.segmentBytes}`);
  }

  /** Goes on in a prepared file; called with everything before it synced. */
  private async cut(prepared: Preparation & { kind: 'ready' }): Promise<void> {
    const previous = this.segment;
    const name: SegmentName = { sequence: previous.name.sequence + 1, firstIndex: this.lastIndex + 1 };
    const next = new Segment(name, prepared.file, 0, this.segmentBytes);
    const { encoder } = this;
    encoder.add(RecordType.Crc);
    encoder.add(RecordType.Metadata, this.metadata);
    if (this.hardState !== EMPTY_HARD_STATE) encoder.add(RecordType.State, encodeHardState(this.hardState));
    this.writtenState = this.hardState;
    await this.writeEncoded(next);
    await this.sync(next);
    await this.disk.rename(prepared.path, `${this.directory}/${formatSegmentName(name)}`);
    await this.disk.syncDirectory(this.directory);
    this.segment = next;
    this.names = [...this.names, name];
    this.preparation = { kind: 'none' };
    this.counters.cuts++;
    await previous.file.truncate(previous.position);
    await previous.file.close();
  }

  private fail(error: unknown, works: readonly Work[]): void {
    const code = errorCodeOf(error);
    const failure = new WalError(
      'FAILED',
      `wal: ${this.directory}/${formatSegmentName(this.segment.name)} cannot be written${code === undefined ? '' : ` (${code})`}: ${errorMessageOf(error)}`,
      { cause: error },
    );
    this.failure = failure;
    for (const work of works) work.reject(failure);
    for (const work of this.pending) work.reject(failure);
    this.pending = [];
    this.options.onError?.(failure);
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

/** Zeros that a segment was filled with before it got its name. */
function filledBytesOf({ sequence }: SegmentName, { segmentBytes = SEGMENT_BYTES }: WalOptions): number {
  return sequence === 0 ? Math.min(FIRST_SEGMENT_BYTES, segmentBytes) : segmentBytes;
}

/** Reads the segments that matter for `from`, in order. */
async function readSegments(
  disk: Disk,
  directory: string,
  names: readonly SegmentName[],
  from: ReplayStart,
  markersOnly = false,
): Promise<{ replay: Replay; used: readonly SegmentName[]; lastBytes: Buffer }> {
  // The last segment whose first entry is at or below the start.
  let first = -1;
  for (let i = 0; i < names.length; i++) if (names[i].firstIndex <= from.index) first = i;
  if (first < 0) throw new WalError('NOT_FOUND', `wal: no segment for index ${from.index} in ${directory}`);
  const used = names.slice(first);
  const replay = new Replay(from, markersOnly);
  let lastBytes: Buffer = Buffer.alloc(0);
  for (let i = 0; i < used.length; i++) {
    const name = used[i];
    const path = `${directory}/${formatSegmentName(name)}`;
    if (i > 0 && name.sequence !== used[i - 1].sequence + 1) {
      throw corrupt(path, 0, `segment ${used[i - 1].sequence + 1} before it is missing`);
    }
    lastBytes = await disk.readFile(path, SEGMENT_BYTES_MAX);
    replay.addSegment(path, lastBytes, i === used.length - 1);
  }
  return { replay, used, lastBytes };
}

/**
 * Reads a log from a snapshot marker on, as Wal.open does, and leaves every file as it is: for tools, and for
 * who must know the log before it is opened.
 * @throws WalError
 */
export async function readWal(
  disk: Disk,
  directory: string,
  from: ReplayStart,
): Promise<Omit<OpenedWal, 'wal'>> {
  const { replay, used } = await readSegments(disk, directory, await listSegments(disk, directory), from);
  replay.finish(`${directory}/${formatSegmentName(used[used.length - 1])}`);
  const { metadata, hardState, entries, markers, tornReason } = replay;
  assert(metadata !== undefined, 'a segment without metadata was accepted');
  return { metadata, hardState, entries, markers, tornReason };
}

/**
 * The snapshot markers a member may start from: those at or below the commit index, oldest first. A torn
 * tail is read past and left as it is.
 * @param from markers at lower indexes are of no interest, and the segments before it are not read
 * @throws WalError
 */
export async function validSnapshotMarkers(
  disk: Disk,
  directory: string,
  from = 0,
): Promise<SnapshotMarker[]> {
  const names = await listSegments(disk, directory);
  if (names.length === 0) throw new WalError('NOT_FOUND', `wal: no segments in ${directory}`);
  const index = Math.max(names[0].firstIndex, from);
  const { replay } = await readSegments(disk, directory, names, { index, term: 0 }, true);
  return replay.markers.filter((marker) => marker.index <= replay.hardState.commit);
}
