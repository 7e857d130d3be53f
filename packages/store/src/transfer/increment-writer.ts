/**
 * Writes one increment: a segment of a log with the entries that a member shipped. Entries go to the file as they come,
 * and are durable once settle() has synced them with a hard state that commits them; until keep() they can be taken back.
 */
import { assert, type Disk, type DiskFile } from '@keelson/base';
import type { Entry } from '@keelson/raft';
import { encodeEntry, encodeHardState, encodeMetadata, encodeSnapshotMarker, type SnapshotMarker, type WalMetadata } from '../wal/entry-codec.ts'; // prettier-ignore
import { RecordEncoder, RecordType } from '../wal/record.ts';
import { GrowingDigest } from './backup-digest.ts';

/** Gathered before they are written. */
const WRITE_BYTES = 1024 * 1024;

/** What is durable, and counts once a manifest says so. */
export interface Settled {
  readonly bytes: number;
  readonly sha256: string;
  /** The checksum after it, with which the next increment begins. */
  readonly crc: number;
}

export class IncrementWriter {
  /** Of the first entry. */
  first: Entry | undefined = undefined;
  private readonly file: DiskFile;
  private readonly digest = new GrowingDigest();
  private encoder: RecordEncoder;
  private position = 0;
  private settled: Settled;

  private constructor(file: DiskFile, crc: number) {
    this.file = file;
    this.encoder = new RecordEncoder(crc);
    this.settled = { bytes: 0, sha256: '', crc };
  }

  /**
   * @param crc the checksum at the end of the increment before; 0 for the first
   * @param marker for the first of a chain: the base it goes on from
   */
  static async create(
    disk: Disk,
    path: string,
    crc: number,
    metadata: WalMetadata,
    marker: SnapshotMarker | undefined,
  ): Promise<IncrementWriter> {
    const writer = new IncrementWriter(await disk.open(path, 'create'), crc);
    writer.encoder.add(RecordType.Crc);
    writer.encoder.add(RecordType.Metadata, encodeMetadata(metadata));
    if (marker !== undefined) writer.encoder.add(RecordType.Snapshot, encodeSnapshotMarker(marker));
    return writer;
  }

  get path(): string {
    return this.file.path;
  }

  /** Bytes that count. */
  get bytes(): number {
    return this.settled.bytes;
  }

  async append(entry: Entry): Promise<void> {
    this.first ??= entry;
    this.encoder.add(RecordType.Entry, encodeEntry(entry));
    if (this.encoder.bytes >= WRITE_BYTES) await this.flush();
  }

  /** Makes what was appended durable. @param last the newest entry */
  async settle(last: Entry): Promise<Settled> {
    // A log ends with a hard state; the vote is nobody's.
    this.encoder.add(RecordType.State, encodeHardState({ term: last.term, vote: 0n, commit: last.index }));
    await this.flush();
    await this.file.sync();
    return { bytes: this.position, sha256: this.digest.current(), crc: this.encoder.crc };
  }

  /** What settle() gave is in the manifest: from here rollBack() goes on. */
  keep(settled: Settled): void {
    assert(settled.bytes === this.position, 'nothing is appended between settling and keeping');
    this.settled = settled;
    this.digest.keep();
  }

  /** Takes back what came since keep(). */
  async rollBack(): Promise<void> {
    assert(this.bytes > 0, 'an increment that never was is removed, not rolled back');
    await this.file.truncate(this.settled.bytes);
    this.position = this.settled.bytes;
    this.digest.rollBack();
    this.encoder = new RecordEncoder(this.settled.crc);
  }

  close(): Promise<void> {
    return this.file.close();
  }

  private async flush(): Promise<void> {
    const { bytes } = this.encoder;
    const buffers = this.encoder.take();
    for (const buffer of buffers) this.digest.update(buffer);
    await this.file.writev(this.position, buffers);
    this.position += bytes;
  }
}
