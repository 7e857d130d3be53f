/**
 * base's Disk over node:fs: the one door to the file system of a member. Files are 0600 and directories
 * 0700, as etcd makes them. Short reads and writes are looped; nothing is retried after an error, and
 * above all no sync: after a failed fdatasync the kernel may call the lost pages clean.
 *
 * It uses the callback functions on plain descriptors: a FileHandle costs several microseconds and three
 * promises a call, which a log that syncs thousands of times a second would feel.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Disk, DiskFile } from '@keelson/base';
import { errorCodeOf } from './error-code.ts';

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

const OPEN_FLAGS = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
} as const;

/** Error with a code, as node's own are. */
function diskError(code: string, message: string, filePath: string): Error {
  return Object.assign(new Error(`${code}: ${message}, '${filePath}'`), { code, path: filePath });
}

/** Calls a node function that ends with (error) => …, as a promise. */
function settle(call: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => (error === null ? resolve() : reject(error)));
  });
}

class NodeFile implements DiskFile {
  readonly path: string;
  private readonly descriptor: number;

  constructor(filePath: string, descriptor: number) {
    this.path = filePath;
    this.descriptor = descriptor;
  }

  write(position: number, data: Uint8Array): Promise<void> {
    return data.length === 0 ? Promise.resolve() : settle((done) => this.writeFrom(position, data, done));
  }

  writev(position: number, buffers: readonly Uint8Array[]): Promise<void> {
    const filled = buffers.filter((buffer) => buffer.length > 0);
    if (filled.length === 0) return Promise.resolve();
    return settle((done) => this.writevFrom(position, filled, done));
  }

  async read(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const count = await new Promise<number>((resolve, reject) => {
        fs.read(this.descriptor, buffer, filled, length - filled, position + filled, (error, bytesRead) =>
          error === null ? resolve(bytesRead) : reject(error),
        );
      });
      if (count === 0) break;
      filled += count;
    }
    return filled === length ? buffer : buffer.subarray(0, filled);
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.descriptor, (error, stats) => (error === null ? resolve(stats.size) : reject(error)));
    });
  }

  truncate(length: number): Promise<void> {
    return settle((done) => fs.ftruncate(this.descriptor, length, done));
  }

  sync(): Promise<void> {
    return settle((done) => fs.fdatasync(this.descriptor, done));
  }

  close(): Promise<void> {
    return settle((done) => fs.close(this.descriptor, done));
  }

  private writeFrom(position: number, data: Uint8Array, done: (error: Error | null) => void): void {
    fs.write(this.descriptor, data, 0, data.length, position, (error, written) => {
      if (error !== null) done(error);
      else if (written === data.length) done(null);
      else if (written === 0) done(diskError('EIO', 'wrote nothing', this.path));
      else this.writeFrom(position + written, data.subarray(written), done);
    });
  }

  private writevFrom(position: number, buffers: Uint8Array[], done: (error: Error | null) => void): void {
    fs.writev(this.descriptor, buffers, position, (error, written) => {
      if (error !== null) return done(error);
      let left = written;
      let first = 0;
      while (first < buffers.length && left >= buffers[first].length) left -= buffers[first++].length;
      if (first === buffers.length) return done(null);
      if (written === 0) return done(diskError('EIO', 'wrote nothing', this.path));
      const rest = buffers.slice(first);
      rest[0] = rest[0].subarray(left);
      return this.writevFrom(position + written, rest, done);
    });
  }
}

/** The machine's file system. Stateless. */
export class NodeDisk implements Disk {
  open(filePath: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile> {
    return new Promise((resolve, reject) => {
      fs.open(filePath, OPEN_FLAGS[mode], FILE_MODE, (error, descriptor) =>
        error === null ? resolve(new NodeFile(filePath, descriptor)) : reject(error),
      );
    });
  }

  async readFile(filePath: string, bytesMax: number): Promise<Buffer> {
    const file = await this.open(filePath, 'read');
    try {
      const size = await file.size();
      if (size > bytesMax) throw diskError('EFBIG', `${size} bytes are more than ${bytesMax}`, filePath);
      return await file.read(0, size);
    } finally {
      await file.close();
    }
  }

  async writeFileAtomic(filePath: string, data: Uint8Array): Promise<void> {
    const temporary = `${filePath}.tmp`;
    // One of an earlier crash may be there.
    await fs.promises.rm(temporary, { force: true });
    try {
      const file = await this.open(temporary, 'create');
      try {
        await file.write(0, data);
        await file.sync();
      } finally {
        await file.close();
      }
      await this.rename(temporary, filePath);
    } catch (error) {
      await fs.promises.rm(temporary, { force: true });
      throw error;
    }
    await this.syncDirectory(path.dirname(filePath));
  }

  rename(from: string, to: string): Promise<void> {
    return settle((done) => fs.rename(from, to, done));
  }

  remove(filePath: string): Promise<void> {
    return settle((done) => fs.unlink(filePath, done));
  }

  removeAll(directory: string): Promise<void> {
    return fs.promises.rm(directory, { recursive: true, force: true });
  }

  async makeDirectory(directory: string): Promise<void> {
    await fs.promises.mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  }

  async list(directory: string): Promise<string[]> {
    const names = await fs.promises.readdir(directory);
    return names.sort();
  }

  async exists(filePath: string): Promise<boolean> {
    try {
      await fs.promises.stat(filePath);
      return true;
    } catch (error) {
      if (errorCodeOf(error) === 'ENOENT') return false;
      throw error;
    }
  }

  async syncDirectory(directory: string): Promise<void> {
    const handle = await fs.promises.open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}
