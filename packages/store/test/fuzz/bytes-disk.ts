/** A disk of one file that is some bytes: what a reader under fuzz is given. Counts what is read of it. Nothing can be written. */
import type { Disk, DiskFile } from '@keelson/base';

/** Read beside the bytes themselves: headers twice, read-ahead. A reader that goes in circles passes any such bound. */
const READ_FACTOR_MAX = 64;

function refuse(): never {
  throw new Error('a reader writes');
}

export class BytesFile implements DiskFile {
  readonly path: string;
  bytesRead = 0;
  private readonly bytes: Buffer;

  constructor(bytes: Buffer, path = '/file') {
    this.bytes = bytes;
    this.path = path;
  }

  /** @throws Error when far more was read than there is */
  async read(position: number, length: number): Promise<Buffer> {
    const bytes = this.bytes.subarray(position, Math.min(this.bytes.length, position + length));
    this.bytesRead += bytes.length;
    if (this.bytesRead > READ_FACTOR_MAX * (this.bytes.length + 4096))
      throw new Error(`${this.bytesRead} bytes are read of a file of ${this.bytes.length}`);
    return bytes;
  }

  async size(): Promise<number> {
    return this.bytes.length;
  }

  async close(): Promise<void> {}

  write(): Promise<void> {
    return refuse();
  }

  writev(): Promise<void> {
    return refuse();
  }

  truncate(): Promise<void> {
    return refuse();
  }

  sync(): Promise<void> {
    return refuse();
  }
}

/** A disk on which every path is a file of these bytes. */
export function bytesDisk(bytes: Buffer): Disk {
  return {
    open: async (path) => new BytesFile(bytes, path),
    readFile: async () => bytes,
    exists: async () => true,
    list: async () => [],
    writeFileAtomic: refuse,
    rename: refuse,
    remove: refuse,
    removeAll: refuse,
    makeDirectory: refuse,
    syncDirectory: refuse,
  };
}
