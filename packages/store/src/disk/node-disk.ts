/**
 * base's Disk over node:fs: the one door to the file system of a member. Files are 0600 and directories
 * 0700, as etcd makes them. Short reads and writes are looped; nothing is retried after an error, and
 * above all no sync: after a failed fdatasync the kernel may call the lost pages clean.
 *
 * It uses the callback functions on plain descriptors: a FileHandle costs several microseconds and three
 * promises a call, which a log that syncs thousands of times a second would feel. Where the disk is fast, a small
 * write and its sync are done in place: the way to another thread and back is 50 us of a client's wait, twice a
 * member (one client's puts: 0.64 instead of 0.85 ms). A disk that slows down is left to another thread again, so
 * that it holds up nothing but the log.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { toError, type Clock, type Disk, type DiskFile } from '@keelson/base';
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

/** A write in place, and a sync after so much, cost less than a thread for them. */
const SMALL_BYTES = 64 * 1024;
/** A sync this short is over before another thread had begun it, and told us of it. */
const SYNC_IN_PLACE_MS = 0.5;
/** What the newest sync weighs. After one of 20 ms the next dozen go to another thread. */
const SYNC_WEIGHT = 0.2;

/** How long syncs of little take on this disk lately: decides where the next one is done. */
class SyncPace {
  private readonly clock: Pick<Clock, 'monotonicMs'> | undefined;
  /** Not known to be short until it was seen. */
  private meanMs = 10 * SYNC_IN_PLACE_MS;

  constructor(clock: Pick<Clock, 'monotonicMs'> | undefined) {
    this.clock = clock;
  }

  /** Whether the disk is fast enough for the calling thread to wait for it. */
  get inPlace(): boolean {
    return this.meanMs < SYNC_IN_PLACE_MS;
  }

  now(): number {
    return this.clock?.monotonicMs() ?? 0;
  }

  took(sinceMs: number): void {
    if (this.clock !== undefined) this.meanMs += (this.now() - sinceMs - this.meanMs) * SYNC_WEIGHT;
  }
}

class NodeFile implements DiskFile {
  readonly path: string;
  private readonly descriptor: number;
  private readonly pace: SyncPace;
  /** Since the last sync. */
  private writtenBytes = 0;

  constructor(filePath: string, descriptor: number, pace: SyncPace) {
    this.path = filePath;
    this.descriptor = descriptor;
    this.pace = pace;
  }

  write(position: number, data: Uint8Array): Promise<void> {
    return this.writev(position, [data]);
  }

  writev(position: number, buffers: readonly Uint8Array[]): Promise<void> {
    const filled = buffers.filter((buffer) => buffer.length > 0);
    if (filled.length === 0) return Promise.resolve();
    let bytes = 0;
    for (const buffer of filled) bytes += buffer.length;
    this.writtenBytes += bytes;
    if (!this.pace.inPlace || bytes > SMALL_BYTES)
      return settle((done) => this.writevFrom(position, filled, done));
    try {
      const written = fs.writevSync(this.descriptor, filled, position);
      if (written === bytes) return Promise.resolve();
      return settle((done) => this.wrote(position, filled, written, done));
    } catch (error) {
      return Promise.reject(toError(error));
    }
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
    const { pace } = this;
    const small = this.writtenBytes <= SMALL_BYTES;
    this.writtenBytes = 0;
    if (!small) return settle((done) => fs.fdatasync(this.descriptor, done));
    const startedMs = pace.now();
    if (pace.inPlace) {
      try {
        fs.fdatasyncSync(this.descriptor);
      } catch (error) {
        return Promise.reject(toError(error));
      }
      pace.took(startedMs);
      return Promise.resolve();
    }
    return settle((done) => {
      fs.fdatasync(this.descriptor, (error) => {
        pace.took(startedMs);
        done(error);
      });
    });
  }

  close(): Promise<void> {
    return settle((done) => fs.close(this.descriptor, done));
  }

  private writevFrom(position: number, buffers: Uint8Array[], done: (error: Error | null) => void): void {
    fs.writev(this.descriptor, buffers, position, (error, written) => {
      if (error === null) this.wrote(position, buffers, written, done);
      else done(error);
    });
  }

  /** Goes on behind what one call has written. */
  private wrote(
    position: number,
    buffers: Uint8Array[],
    written: number,
    done: (error: Error | null) => void,
  ): void {
    let left = written;
    let first = 0;
    while (first < buffers.length && left >= buffers[first].length) left -= buffers[first++].length;
    if (first === buffers.length) return done(null);
    if (written === 0) return done(diskError('EIO', 'wrote nothing', this.path));
    const rest = buffers.slice(first);
    rest[0] = rest[0].subarray(left);
    return this.writevFrom(position + written, rest, done);
  }
}

/** The machine's file system. */
export class NodeDisk implements Disk {
  private readonly pace: SyncPace;

  /** @param clock to time syncs by; without it every write and sync is left to another thread */
  constructor(clock?: Pick<Clock, 'monotonicMs'>) {
    this.pace = new SyncPace(clock);
  }

  open(filePath: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile> {
    return new Promise((resolve, reject) => {
      fs.open(filePath, OPEN_FLAGS[mode], FILE_MODE, (error, descriptor) =>
        error === null ? resolve(new NodeFile(filePath, descriptor, this.pace)) : reject(error),
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

  async freeBytes(filePath: string): Promise<number> {
    const { bavail, bsize } = await fs.promises.statfs(filePath);
    return bavail * bsize;
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
