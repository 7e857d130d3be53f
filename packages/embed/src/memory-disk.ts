/**
 * A disk in memory, for a member that shall leave nothing behind: base's Disk, no more durable than the process, without
 * faults and without delay. Passes the contract of a real one.
 */
import { dirname } from 'node:path/posix';
import type { Disk, DiskFile } from '@keelson/base';

class FileBytes {
  bytes: Buffer = Buffer.alloc(0);
  length = 0;

  write(position: number, data: Uint8Array): void {
    // Nothing written moves no end.
    if (data.length === 0) return;
    const end = position + data.length;
    this.reserve(end);
    this.bytes.set(data, position);
    this.length = Math.max(this.length, end);
  }

  read(position: number, length: number): Buffer {
    const end = Math.min(this.length, position + length);
    return Buffer.from(this.bytes.subarray(Math.min(position, end), end));
  }

  truncate(length: number): void {
    this.reserve(length);
    // What was beyond the end must read as zeros when the file grows again.
    if (length < this.length) this.bytes.fill(0, length, this.length);
    this.length = length;
  }

  /**
   * A quarter more each time: a file that grows by small writes is copied a logarithmic number of times. Twice as much would be
   * kept for every segment of the log, which was made in its size and ends with the entry that goes beyond it.
   */
  private reserve(length: number): void {
    if (length <= this.bytes.length) return;
    const grown = Buffer.alloc(Math.max(length, Math.ceil(1.25 * this.bytes.length), 4096));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }
}

type Node = FileBytes | 'directory';

/** Without a slash at its end. */
function plain(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

export class MemoryDisk implements Disk {
  private readonly nodes = new Map<string, Node>([['/', 'directory']]);

  async open(given: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile> {
    const path = plain(given);
    const found = this.nodes.get(path);
    if (found === 'directory') throw failure('EISDIR', 'open', path);
    if (mode !== 'create') {
      if (found === undefined) throw failure('ENOENT', 'open', path);
      return new MemoryFile(path, found, mode === 'write');
    }
    if (found !== undefined) throw failure('EEXIST', 'open', path);
    this.parent(path, 'open');
    const made = new FileBytes();
    this.nodes.set(path, made);
    return new MemoryFile(path, made, true);
  }

  async readFile(given: string, bytesMax: number): Promise<Buffer> {
    const path = plain(given);
    const file = this.file(path, 'read');
    if (file.length > bytesMax) throw failure('EFBIG', 'read', path);
    return file.read(0, file.length);
  }

  async writeFileAtomic(given: string, data: Uint8Array): Promise<void> {
    const path = plain(given);
    this.parent(path, 'open');
    if (this.nodes.get(path) === 'directory') throw failure('EISDIR', 'rename', path);
    const made = new FileBytes();
    made.write(0, data);
    this.nodes.set(path, made);
    // Where a disk writes what it then renames.
    this.nodes.delete(`${path}.tmp`);
  }

  async rename(source: string, target: string): Promise<void> {
    const [from, to] = [plain(source), plain(target)];
    const found = this.nodes.get(from);
    if (found === undefined) throw failure('ENOENT', 'rename', from);
    this.parent(to, 'rename');
    const there = this.nodes.get(to);
    if (found === 'directory') {
      if (there instanceof FileBytes) throw failure('ENOTDIR', 'rename', to);
      if (there === 'directory' && this.namesIn(to).length > 0) throw failure('ENOTEMPTY', 'rename', to);
    } else if (there === 'directory') throw failure('EISDIR', 'rename', to);
    for (const path of this.below(from)) {
      const node = this.nodes.get(path);
      this.nodes.delete(path);
      if (node !== undefined) this.nodes.set(to + path.slice(from.length), node);
    }
    this.nodes.delete(from);
    this.nodes.set(to, found);
  }

  async remove(given: string): Promise<void> {
    const path = plain(given);
    this.file(path, 'unlink');
    this.nodes.delete(path);
  }

  async removeAll(given: string): Promise<void> {
    const path = plain(given);
    for (const each of this.below(path)) this.nodes.delete(each);
    this.nodes.delete(path);
  }

  async makeDirectory(given: string): Promise<void> {
    const path = plain(given);
    const found = this.nodes.get(path);
    if (found instanceof FileBytes) throw failure('EEXIST', 'mkdir', path);
    if (found === 'directory') return;
    const above = dirname(path);
    if (this.nodes.get(above) instanceof FileBytes) throw failure('ENOTDIR', 'mkdir', path);
    await this.makeDirectory(above);
    this.nodes.set(path, 'directory');
  }

  async list(given: string): Promise<string[]> {
    const path = plain(given);
    const found = this.nodes.get(path);
    if (found === undefined) throw failure('ENOENT', 'scandir', path);
    if (found !== 'directory') throw failure('ENOTDIR', 'scandir', path);
    return this.namesIn(path);
  }

  async exists(given: string): Promise<boolean> {
    return this.nodes.has(plain(given));
  }

  async syncDirectory(given: string): Promise<void> {
    const path = plain(given);
    if (!this.nodes.has(path)) throw failure('ENOENT', 'open', path);
  }

  private file(path: string, call: string): FileBytes {
    const found = this.nodes.get(path);
    if (found === undefined) throw failure('ENOENT', call, path);
    if (found === 'directory') throw failure('EISDIR', call, path);
    return found;
  }

  private parent(path: string, call: string): void {
    const above = this.nodes.get(dirname(path));
    if (above === undefined) throw failure('ENOENT', call, path);
    if (above !== 'directory') throw failure('ENOTDIR', call, path);
  }

  private below(path: string): string[] {
    const prefix = path === '/' ? '/' : `${path}/`;
    return [...this.nodes.keys()].filter((each) => each.startsWith(prefix) && each !== path);
  }

  private namesIn(path: string): string[] {
    const prefix = path === '/' ? '/' : `${path}/`;
    return this.below(path)
      .map((each) => each.slice(prefix.length))
      .filter((name) => !name.includes('/'))
      .toSorted((a, b) => (a < b ? -1 : 1));
  }
}

class MemoryFile implements DiskFile {
  readonly path: string;
  private readonly file: FileBytes;
  private readonly writable: boolean;
  private open = true;

  constructor(path: string, file: FileBytes, writable: boolean) {
    this.path = path;
    this.file = file;
    this.writable = writable;
  }

  async write(position: number, data: Uint8Array): Promise<void> {
    this.check('write', true);
    this.file.write(position, data);
  }

  async writev(position: number, buffers: readonly Uint8Array[]): Promise<void> {
    this.check('write', true);
    let at = position;
    for (const data of buffers) {
      this.file.write(at, data);
      at += data.length;
    }
  }

  async read(position: number, length: number): Promise<Buffer> {
    this.check('read', false);
    return this.file.read(position, length);
  }

  async size(): Promise<number> {
    this.check('fstat', false);
    return this.file.length;
  }

  async truncate(length: number): Promise<void> {
    this.check('ftruncate', true);
    this.file.truncate(length);
  }

  async sync(): Promise<void> {
    this.check('fdatasync', false);
  }

  async close(): Promise<void> {
    this.check('close', false);
    this.open = false;
  }

  private check(call: string, writes: boolean): void {
    if (!this.open || (writes && !this.writable)) throw failure('EBADF', call, this.path);
  }
}

const TEXTS: Readonly<Record<string, string>> = {
  EBADF: 'bad file descriptor',
  EEXIST: 'file already exists',
  EFBIG: 'file too large',
  EISDIR: 'illegal operation on a directory',
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
};

/** An error as node's. */
function failure(code: string, call: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${TEXTS[code] ?? code}, ${call} '${path}'`), { code });
}
