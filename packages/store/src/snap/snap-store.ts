/**
 * The .snap files of a member: etcd's small snapshot files, one for each point the log may be replayed
 * from. Named <term>-<index>.snap in hex; content is snappb.snapshot{crc, data} with data the protobuf of
 * raftpb.Snapshot. The state itself is in the backend; what a file's own data holds (etcd's v2-store JSON
 * with the members) is the caller's. A file that does not read is set aside as .broken and never used.
 */
import { crc32c, EMPTY, type Disk, type Logger } from '@keelson/base';
import { raftpb, snappb } from '@keelson/proto';
import { Snapshot } from '@keelson/raft';
import { errorMessageOf } from '../disk/error-code.ts';
import { decodeConfState, encodeConfState } from '../wal/entry-codec.ts';

/** Members and cluster facts only: a larger file is none of ours, nor of etcd without a v2 store in use. */
const FILE_BYTES_MAX = 512 * 1024 * 1024;
/** etcd's default of --max-snapshots. */
const KEEP_FILES = 5;

export interface SnapName {
  readonly term: number;
  readonly index: number;
}

const NAME = /^([0-9a-f]{16})-([0-9a-f]{16})\.snap$/;

export function formatSnapName({ term, index }: SnapName): string {
  return `${term.toString(16).padStart(16, '0')}-${index.toString(16).padStart(16, '0')}.snap`;
}

/** Undefined for any other file. */
export function parseSnapName(name: string): SnapName | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const term = Number.parseInt(match[1], 16);
  const index = Number.parseInt(match[2], 16);
  return Number.isSafeInteger(term) && Number.isSafeInteger(index) ? { term, index } : undefined;
}

/** The bytes of a .snap file. */
export function encodeSnapFile(snapshot: Snapshot): Buffer {
  const { index, term, confState, data } = snapshot;
  const metadata = new raftpb.SnapshotMetadata({ index, term });
  metadata.confState = encodeConfState(confState);
  const bytes = raftpb.encodeSnapshot(new raftpb.Snapshot({ data, metadata }));
  return snappb.encodeSnapshot(new snappb.Snapshot({ crc: crc32c(bytes), data: bytes }));
}

/** @throws Error saying what is wrong with the bytes */
export function decodeSnapFile(bytes: Buffer): Snapshot {
  const { crc, data } = snappb.decodeSnapshot(bytes);
  if (data === undefined || data.length === 0) throw new RangeError('no snapshot inside');
  if (crc32c(data) !== crc) throw new RangeError('checksum mismatch');
  const snapshot = raftpb.decodeSnapshot(data);
  const { index, term, confState } = snapshot.metadata;
  if (index < 1 || index >= Number.MAX_SAFE_INTEGER || term < 1 || term >= Number.MAX_SAFE_INTEGER) {
    throw new RangeError(`index ${index} and term ${term} are out of range`);
  }
  return new Snapshot(index, term, decodeConfState(confState), snapshot.data ?? EMPTY);
}

export class SnapStore {
  private readonly disk: Disk;
  private readonly directory: string;
  private readonly logger: Logger;

  /** @param directory member/snap, which exists */
  constructor(disk: Disk, directory: string, logger: Logger) {
    this.disk = disk;
    this.directory = directory;
    this.logger = logger;
  }

  /** Writes the file durably. The WAL's marker of it comes after. An existing one of that name is replaced. */
  async save(snapshot: Snapshot): Promise<void> {
    await this.disk.writeFileAtomic(
      `${this.directory}/${formatSnapName(snapshot)}`,
      encodeSnapFile(snapshot),
    );
  }

  /** Names of the files, newest first (by term, then index). */
  async list(): Promise<SnapName[]> {
    const names: SnapName[] = [];
    for (const name of await this.disk.list(this.directory)) {
      const parsed = parseSnapName(name);
      if (parsed !== undefined) names.push(parsed);
    }
    return names.reverse();
  }

  /**
   * The newest snapshot that reads and that `accept` takes (the caller knows the WAL's markers); undefined
   * when there is none. Files that do not read are renamed to .broken on the way.
   */
  async loadNewest(accept: (name: SnapName) => boolean = () => true): Promise<Snapshot | undefined> {
    for (const name of await this.list()) {
      if (!accept(name)) continue;
      const file = `${this.directory}/${formatSnapName(name)}`;
      const bytes = await this.disk.readFile(file, FILE_BYTES_MAX);
      try {
        const snapshot = decodeSnapFile(bytes);
        if (snapshot.index !== name.index || snapshot.term !== name.term) {
          throw new RangeError(`it is of index ${snapshot.index} and term ${snapshot.term}`);
        }
        return snapshot;
      } catch (error) {
        this.logger.warn('renamed a broken snapshot file', { path: file, error: errorMessageOf(error) });
        await this.disk.rename(file, `${file}.broken`);
        await this.disk.syncDirectory(this.directory);
      }
    }
    return undefined;
  }

  /** Removes the oldest files beyond the number to keep, and what an interrupted save left. */
  async purge(keep: number = KEEP_FILES): Promise<void> {
    const old = (await this.list()).slice(Math.max(1, keep)).map(formatSnapName);
    for (const name of await this.disk.list(this.directory)) if (name.endsWith('.snap.tmp')) old.push(name);
    for (const name of old) await this.disk.remove(`${this.directory}/${name}`);
    if (old.length > 0) await this.disk.syncDirectory(this.directory);
  }
}
