/**
 * The file of the index checkpoint: where it is, and how a new one takes its place. It knows blocks of bytes
 * with their checksums, not what is in them. A crash leaves the old file, the new one or none, and whatever it
 * leaves is told apart by its checksum; nothing else depends on the file, so none of its failures is fatal.
 */
import { crc32c, readU64BE, writeU64BE, type Disk, type DiskFile } from '@keelson/base';
import { CheckpointError } from './index-codec.ts';

const MAGIC = Buffer.from('KLINDEX1', 'latin1');
/** Length and CRC-32C before each block. */
const BLOCK_HEADER_BYTES = 8;
const BLOCK_BYTES_MAX = 64 * 1024 * 1024;
/** Read at a time: a few blocks. */
const READ_BYTES = 1024 * 1024;
const IDENTITY_BYTES = 20;

/** Which file it is: two with the same one are byte for byte the same. */
export interface CheckpointIdentity {
  /** The revision it describes. */
  readonly revision: number;
  readonly bytes: number;
  /** CRC-32C of the whole file. */
  readonly checksum: number;
}

export function encodeIdentities(identities: readonly CheckpointIdentity[]): Buffer {
  const bytes = Buffer.alloc(identities.length * IDENTITY_BYTES);
  for (const [i, identity] of identities.entries()) {
    writeU64BE(bytes, i * IDENTITY_BYTES, identity.revision);
    writeU64BE(bytes, i * IDENTITY_BYTES + 8, identity.bytes);
    bytes.writeUInt32BE(identity.checksum, i * IDENTITY_BYTES + 16);
  }
  return bytes;
}

export function decodeIdentities(bytes: Buffer | undefined): CheckpointIdentity[] {
  const identities: CheckpointIdentity[] = [];
  for (let at = 0; bytes !== undefined && at + IDENTITY_BYTES <= bytes.length; at += IDENTITY_BYTES) {
    identities.push({
      revision: readU64BE(bytes, at),
      bytes: readU64BE(bytes, at + 8),
      checksum: bytes.readUInt32BE(at + 16),
    });
  }
  return identities;
}

export class CheckpointFile {
  readonly path: string;
  private readonly disk: Disk;
  private readonly directory: string;

  /** @param directory must exist */
  constructor(disk: Disk, directory: string) {
    this.disk = disk;
    this.directory = directory;
    this.path = `${directory}/index.checkpoint`;
  }

  /** What is there; undefined for nothing. Its owner closes it. */
  async open(): Promise<CheckpointReader | undefined> {
    if (!(await this.disk.exists(this.path))) return undefined;
    const file = await this.disk.open(this.path, 'read');
    try {
      return new CheckpointReader(file, await file.size());
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Begins a new file beside the one that is there. Its owner publishes or discards it. */
  async create(): Promise<CheckpointWriter> {
    const temporary = `${this.path}.tmp`;
    await this.disk.removeAll(temporary);
    const file = await this.disk.open(temporary, 'create');
    return new CheckpointWriter(file, {
      publish: async () => {
        await this.disk.rename(temporary, this.path);
        await this.disk.syncDirectory(this.directory);
      },
      discard: () => this.disk.removeAll(temporary),
    });
  }
}

interface Place {
  publish(): Promise<void>;
  discard(): Promise<void>;
}

export class CheckpointWriter {
  private readonly file: DiskFile;
  private readonly place: Place;
  private position = 0;
  private checksum = 0;

  constructor(file: DiskFile, place: Place) {
    this.file = file;
    this.place = place;
  }

  /** Appends a block; `payload` must not change until it resolves. */
  async write(payload: Buffer): Promise<void> {
    const start = this.position === 0 ? MAGIC.length : 0;
    const header = Buffer.alloc(start + BLOCK_HEADER_BYTES);
    if (start > 0) MAGIC.copy(header);
    header.writeUInt32BE(payload.length, start);
    header.writeUInt32BE(crc32c(payload), start + 4);
    this.checksum = crc32c(payload, crc32c(header, this.checksum));
    await this.file.writev(this.position, [header, payload]);
    this.position += header.length + payload.length;
  }

  /** Makes what was written durable, still beside the one before. */
  async finish(revision: number): Promise<CheckpointIdentity> {
    await this.file.sync();
    await this.file.close();
    return { revision, bytes: this.position, checksum: this.checksum };
  }

  /** After finish(): takes the place of the one before. */
  publish(): Promise<void> {
    return this.place.publish();
  }

  /** Instead of publish(): nothing of it stays. Never rejects: the next create() tries again. */
  async discard(): Promise<void> {
    await this.file.close().catch(() => {});
    await this.place.discard().catch(() => {});
  }
}

export class CheckpointReader {
  readonly bytes: number;
  private readonly file: DiskFile;
  private buffered: Buffer = Buffer.alloc(0);
  private position = 0;
  private checksum = 0;

  constructor(file: DiskFile, bytes: number) {
    this.file = file;
    this.bytes = bytes;
  }

  /** CRC-32C of all that was read. */
  get checksumSoFar(): number {
    return this.checksum;
  }

  /** The next block; undefined at the end of the file. @throws CheckpointError for a damaged one */
  async next(): Promise<Buffer | undefined> {
    if (this.position === 0 && !(await this.take(MAGIC.length))?.equals(MAGIC))
      throw new CheckpointError('not a file of this version');
    const header = await this.take(BLOCK_HEADER_BYTES);
    if (header === undefined) return undefined;
    const length = header.readUInt32BE(0);
    const checksum = header.readUInt32BE(4);
    const payload = length > BLOCK_BYTES_MAX ? undefined : await this.take(length);
    if (payload === undefined || crc32c(payload) !== checksum) throw new CheckpointError('a damaged block');
    return payload;
  }

  close(): Promise<void> {
    return this.file.close();
  }

  /** Exactly so many bytes; undefined at the end of the file. */
  private async take(length: number): Promise<Buffer | undefined> {
    if (this.buffered.length < length) {
      const read = await this.file.read(
        this.position + this.buffered.length,
        Math.max(READ_BYTES, length - this.buffered.length),
      );
      this.buffered = this.buffered.length === 0 ? read : Buffer.concat([this.buffered, read]);
    }
    if (this.buffered.length < length) {
      if (this.buffered.length > 0) throw new CheckpointError('the file ends too early');
      return undefined;
    }
    const taken = this.buffered.subarray(0, length);
    this.buffered = this.buffered.subarray(length);
    this.position += length;
    this.checksum = crc32c(taken, this.checksum);
    return taken;
  }
}
