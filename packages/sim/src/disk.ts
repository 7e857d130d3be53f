/**
 * A disk in memory that forgets, tears and fails like a real one. Each file has its durable bytes and the
 * operations since its last sync; each directory its durable entries and the changes since its last sync.
 * crash() decides with a Prng which of the unsynced operations survive, sector by sector. Faults are asked
 * for by the test: an error at any operation, a full disk, latency, flipped bits.
 *
 * Deterministic: the same calls with the same Prng give the same image. Modelled on the strict in-memory
 * file system of cockroachdb/pebble (vfs/mem_fs) and on ALICE (Pillai et al., OSDI 2014).
 */
import { assert, Prng, type Disk, type DiskFile } from '@keelson/base';
import { Pages } from './pages.ts';

/** What a disk writes whole or not at all. */
export const SECTOR_BYTES = 512;

export type DiskOperationKind =
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'size'
  | 'close'
  | 'rename'
  | 'remove'
  | 'makeDirectory'
  | 'list'
  | 'syncDirectory';

export interface DiskOperation {
  readonly kind: DiskOperationKind;
  readonly path: string;
  /** Bytes read or written; 0 for other kinds. */
  readonly bytes: number;
}

export interface MemoryDiskOptions {
  /** Awaited before an operation takes effect: latency, or a scheduler's turn. */
  readonly delay?: (operation: DiskOperation) => Promise<void> | undefined;
  /** An error code ('EIO', 'ENOSPC' …) makes the operation fail with it, before any effect but a failed sync's. */
  readonly fault?: (operation: DiskOperation) => string | undefined;
  /** Bytes of file content the disk can hold; writes beyond fail with ENOSPC. */
  readonly capacityBytes?: number;
  /** Decides the aftermath of a failed sync; a fixed seed when left out. */
  readonly prng?: Prng;
}

type FileChange =
  | { readonly kind: 'write'; readonly position: number; readonly data: Buffer }
  | { readonly kind: 'truncate'; readonly length: number };

class FileNode {
  readonly kind = 'file';
  current = new Pages();
  durable = new Pages();
  /** Since the last sync, oldest first. */
  pending: FileChange[] = [];
}

class DirectoryNode {
  readonly kind = 'directory';
  current = new Map<string, TreeNode>();
  durable = new Map<string, TreeNode>();
  pending: EntryChange[] = [];
}

type TreeNode = FileNode | DirectoryNode;

/** One change of one or two directories; a rename between two survives as a whole or not at all. */
interface EntryChange {
  readonly remove: { readonly directory: DirectoryNode; readonly name: string } | undefined;
  readonly add:
    { readonly directory: DirectoryNode; readonly name: string; readonly node: TreeNode } | undefined;
  done: boolean;
}

function diskError(code: string, message: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${message}, '${path}'`), { code, path });
}

function applyChange(pages: Pages, change: FileChange): void {
  if (change.kind === 'write') pages.write(change.position, change.data);
  else pages.truncate(change.length);
}

function applyEntry(change: EntryChange): void {
  if (change.done) return;
  change.done = true;
  const { add, remove } = change;
  if (remove !== undefined && (add === undefined || remove.directory.durable.get(remove.name) === add.node)) {
    remove.directory.durable.delete(remove.name);
  }
  if (add !== undefined) add.directory.durable.set(add.name, add.node);
}

class MemoryFile implements DiskFile {
  readonly path: string;
  readonly node: FileNode;
  readonly generation: number;
  readonly writable: boolean;
  private readonly disk: MemoryDisk;
  private open = true;

  constructor(disk: MemoryDisk, path: string, node: FileNode, generation: number, writable: boolean) {
    this.disk = disk;
    this.path = path;
    this.node = node;
    this.generation = generation;
    this.writable = writable;
  }

  write(position: number, data: Uint8Array): Promise<void> {
    return this.writev(position, [data]);
  }

  async writev(position: number, buffers: readonly Uint8Array[]): Promise<void> {
    const bytes = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
    (await this.begin('write', bytes))();
    this.assertWritable();
    this.disk.reserve(this, position + bytes);
    if (bytes === 0) return;
    const change: FileChange = { kind: 'write', position, data: Buffer.concat(buffers) };
    applyChange(this.node.current, change);
    this.node.pending.push(change);
  }

  async read(position: number, length: number): Promise<Buffer> {
    (await this.begin('read', length))();
    return this.node.current.read(position, length);
  }

  async size(): Promise<number> {
    (await this.begin('size', 0))();
    return this.node.current.size;
  }

  async truncate(length: number): Promise<void> {
    (await this.begin('truncate', 0))();
    this.assertWritable();
    const change: FileChange = { kind: 'truncate', length };
    applyChange(this.node.current, change);
    this.node.pending.push(change);
  }

  async sync(): Promise<void> {
    const enter = await this.begin('sync', 0);
    try {
      enter();
    } catch (error) {
      this.disk.failSync(this);
      throw error;
    }
    for (const change of this.node.pending) applyChange(this.node.durable, change);
    this.node.pending = [];
  }

  async close(): Promise<void> {
    (await this.begin('close', 0))();
    this.open = false;
  }

  private begin(kind: DiskOperationKind, bytes: number): Promise<() => void> {
    if (!this.open) return Promise.reject(diskError('EBADF', 'file closed', this.path));
    return this.disk.begin({ kind, path: this.path, bytes }, this.generation);
  }

  private assertWritable(): void {
    if (!this.writable) throw diskError('EBADF', 'opened for reading', this.path);
  }
}

/** What all views of one disk share. */
class Medium {
  readonly counts = new Map<DiskOperationKind, number>();
  readonly root = new DirectoryNode();
  readonly prng: Prng;
  options: MemoryDiskOptions;
  /** Counts crashes: handles, views and calls of an earlier life fail. */
  generation = 0;

  constructor(options: MemoryDiskOptions) {
    this.options = options;
    this.prng = options.prng ?? new Prng(1);
  }
}

/** A file system in memory; '/' exists. See the file's comment. */
export class MemoryDisk implements Disk {
  private readonly medium: Medium;
  /** The life this view belongs to; undefined for the test's own, which outlives crashes. */
  private readonly life: number | undefined;

  constructor(options: MemoryDiskOptions = {}, shared?: Medium, life?: number) {
    this.medium = shared ?? new Medium(options);
    this.life = life;
  }

  /** Operations that took effect or failed, by kind: a workload picks its crash points from them. */
  get counts(): ReadonlyMap<DiskOperationKind, number> {
    return this.medium.counts;
  }

  /** The same disk for one process: after the next crash every call through the view fails. */
  boot(): MemoryDisk {
    return new MemoryDisk({}, this.medium, this.medium.generation);
  }

  /** Replaces the faults and latency from the next operation on. */
  configure(options: MemoryDiskOptions): void {
    this.medium.options = options;
  }

  /**
   * Power loss. What was synced stays; of the rest a choice survives. Handles opened before and calls in
   * flight fail with code ECRASH, without effect.
   */
  crash(prng: Prng): void {
    this.medium.generation++;
    const files = new Set<FileNode>();
    const directories = new Set<DirectoryNode>();
    this.collect(this.medium.root, files, directories);
    for (const directory of directories) {
      const mode = prng.below(4);
      const kept =
        mode === 0 ? 0 : mode === 1 ? directory.pending.length : prng.below(directory.pending.length + 1);
      for (const [i, change] of directory.pending.entries()) {
        if (mode === 3 ? prng.chance(1, 2) : i < kept) applyEntry(change);
      }
    }
    for (const directory of directories) {
      directory.pending = [];
      directory.current = new Map(directory.durable);
    }
    for (const file of files) crashFile(file, prng);
  }

  /** The process ends and the machine goes on: handles die as in a crash, and everything written stays. */
  kill(): void {
    this.medium.generation++;
  }

  /** Flips bits of one byte, now and after every crash. */
  flip(path: string, offset: number, mask: number): void {
    const node = this.file(path);
    for (const pages of [node.current, node.durable]) {
      if (offset < pages.size) pages.write(offset, Buffer.of(pages.read(offset, 1).readUInt8(0) ^ mask));
    }
  }

  /** Numbers of the sectors of a file that hold anything but zeros. */
  filledSectors(path: string): number[] {
    const { durable } = this.file(path);
    const found: number[] = [];
    for (let at = 0; at < durable.size; at += SECTOR_BYTES)
      if (durable.read(at, SECTOR_BYTES).some((byte) => byte !== 0)) found.push(at / SECTOR_BYTES);
    return found;
  }

  /** A write that went astray: one sector's content over another's, now and after every crash. @returns whether it differed */
  copySector(path: string, from: number, to: number): boolean {
    const node = this.file(path);
    const content = node.durable.read(from * SECTOR_BYTES, SECTOR_BYTES);
    const before = node.durable.read(to * SECTOR_BYTES, SECTOR_BYTES);
    if (content.equals(before) || content.length < before.length) return false;
    for (const pages of [node.current, node.durable])
      if (pages.size >= to * SECTOR_BYTES + before.length)
        pages.write(to * SECTOR_BYTES, content.subarray(0, before.length));
    return true;
  }

  /** Paths of all files that have a name, in order. */
  paths(): string[] {
    const found: string[] = [];
    const visit = (directory: DirectoryNode, prefix: string): void => {
      for (const [name, node] of [...directory.current].sort(([a], [b]) => (a < b ? -1 : 1))) {
        if (node.kind === 'file') found.push(`${prefix}/${name}`);
        else visit(node, `${prefix}/${name}`);
      }
    };
    visit(this.medium.root, '');
    return found;
  }

  /** Bytes of one file. */
  sizeOf(path: string): number {
    return this.file(path).current.size;
  }

  /** Bytes of all files that have a name. */
  usedBytes(): number {
    const sum = (directory: DirectoryNode): number => {
      let bytes = 0;
      for (const node of directory.current.values())
        bytes += node.kind === 'file' ? node.current.size : sum(node);
      return bytes;
    };
    return sum(this.medium.root);
  }

  async open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile> {
    const generation = this.lifeNow();
    (await this.begin({ kind: 'open', path, bytes: 0 }, generation))();
    const [directory, name] = this.parent(path);
    let node = directory.current.get(name);
    if (mode === 'create') {
      if (node !== undefined) throw diskError('EEXIST', 'file already exists', path);
      node = new FileNode();
      this.change(undefined, { directory, name, node });
    }
    if (node === undefined) throw diskError('ENOENT', 'no such file or directory', path);
    if (node.kind === 'directory') throw diskError('EISDIR', 'is a directory', path);
    return new MemoryFile(this, path, node, generation, mode !== 'read');
  }

  async readFile(path: string, bytesMax: number): Promise<Buffer> {
    const file = await this.open(path, 'read');
    const size = await file.size();
    if (size > bytesMax) throw diskError('EFBIG', `${size} bytes are more than ${bytesMax}`, path);
    const bytes = await file.read(0, size);
    await file.close();
    return bytes;
  }

  async writeFileAtomic(path: string, data: Uint8Array): Promise<void> {
    const temporary = `${path}.tmp`;
    if (await this.exists(temporary)) await this.remove(temporary);
    const file = await this.open(temporary, 'create');
    await file.write(0, data);
    await file.sync();
    await file.close();
    await this.rename(temporary, path);
    await this.syncDirectory(path.slice(0, path.lastIndexOf('/')) || '/');
  }

  async rename(from: string, to: string): Promise<void> {
    (await this.begin({ kind: 'rename', path: from, bytes: 0 }, this.lifeNow()))();
    const [source, sourceName] = this.parent(from);
    const [target, targetName] = this.parent(to);
    const node = source.current.get(sourceName);
    if (node === undefined) throw diskError('ENOENT', 'no such file or directory', from);
    const replaced = target.current.get(targetName);
    if (replaced?.kind === 'directory' && replaced.current.size > 0) {
      throw diskError('ENOTEMPTY', 'directory not empty', to);
    }
    this.change({ directory: source, name: sourceName }, { directory: target, name: targetName, node });
  }

  async remove(path: string): Promise<void> {
    (await this.begin({ kind: 'remove', path, bytes: 0 }, this.lifeNow()))();
    const [directory, name] = this.parent(path);
    const node = directory.current.get(name);
    if (node === undefined) throw diskError('ENOENT', 'no such file or directory', path);
    if (node.kind === 'directory') throw diskError('EISDIR', 'is a directory', path);
    this.change({ directory, name }, undefined);
  }

  async removeAll(path: string): Promise<void> {
    (await this.begin({ kind: 'remove', path, bytes: 0 }, this.lifeNow()))();
    const segments = path.split('/').filter((segment) => segment !== '');
    const name = segments.pop();
    let directory: TreeNode | undefined = this.medium.root;
    for (const segment of segments)
      directory = directory?.kind === 'directory' ? directory.current.get(segment) : undefined;
    if (name !== undefined && directory?.kind === 'directory' && directory.current.has(name)) {
      this.change({ directory, name }, undefined);
    }
  }

  async makeDirectory(path: string): Promise<void> {
    (await this.begin({ kind: 'makeDirectory', path, bytes: 0 }, this.lifeNow()))();
    let directory = this.medium.root;
    for (const name of path.split('/').filter((segment) => segment !== '')) {
      let node = directory.current.get(name);
      if (node === undefined) {
        node = new DirectoryNode();
        this.change(undefined, { directory, name, node });
      }
      if (node.kind === 'file') throw diskError('ENOTDIR', 'not a directory', path);
      directory = node;
    }
  }

  async list(path: string): Promise<string[]> {
    (await this.begin({ kind: 'list', path, bytes: 0 }, this.lifeNow()))();
    return [...this.directory(path).current.keys()].sort();
  }

  async exists(path: string): Promise<boolean> {
    (await this.begin({ kind: 'list', path, bytes: 0 }, this.lifeNow()))();
    let node: TreeNode | undefined = this.medium.root;
    for (const name of path.split('/').filter((segment) => segment !== '')) {
      node = node?.kind === 'directory' ? node.current.get(name) : undefined;
    }
    return node !== undefined;
  }

  async syncDirectory(path: string): Promise<void> {
    (await this.begin({ kind: 'syncDirectory', path, bytes: 0 }, this.lifeNow()))();
    const directory = this.directory(path);
    for (const change of directory.pending) applyEntry(change);
    directory.pending = [];
  }

  /**
   * Waits out the latency. What it resolves to must be called in the same synchronous stretch as the
   * operation's effect: it throws the operation's fault, or ECRASH when the life has ended meanwhile.
   */
  async begin(operation: DiskOperation, generation: number): Promise<() => void> {
    const { medium } = this;
    await medium.options.delay?.(operation);
    return () => {
      const { kind, path } = operation;
      if (generation !== medium.generation) throw diskError('ECRASH', 'the machine has crashed', path);
      medium.counts.set(kind, (medium.counts.get(kind) ?? 0) + 1);
      const code = medium.options.fault?.(operation);
      if (code !== undefined) throw diskError(code, `injected at ${kind}`, path);
    };
  }

  /** Whether a write that ends at `end` fits. */
  reserve(file: MemoryFile, end: number): void {
    const capacity = this.medium.options.capacityBytes;
    if (capacity === undefined) return;
    const growth = Math.max(0, end - file.node.current.size);
    if (this.usedBytes() + growth > capacity) throw diskError('ENOSPC', 'no space left on device', file.path);
  }

  /**
   * The aftermath of a failed sync, one of those documented for Linux file systems: the pages are dropped,
   * or stay readable; in both cases they count as clean, so no later sync makes them durable.
   */
  failSync(file: MemoryFile): void {
    if (file.generation !== this.medium.generation) return;
    file.node.pending = [];
    if (this.medium.prng.chance(1, 2)) file.node.current = file.node.durable.clone();
  }

  private lifeNow(): number {
    return this.life ?? this.medium.generation;
  }

  private change(remove: EntryChange['remove'], add: EntryChange['add']): void {
    const change: EntryChange = { remove, add, done: false };
    if (remove !== undefined) {
      remove.directory.current.delete(remove.name);
      remove.directory.pending.push(change);
    }
    if (add !== undefined) {
      add.directory.current.set(add.name, add.node);
      if (add.directory !== remove?.directory) add.directory.pending.push(change);
    }
  }

  private parent(path: string): [directory: DirectoryNode, name: string] {
    assert(path.startsWith('/') && path.length > 1, 'paths are absolute');
    const slash = path.lastIndexOf('/');
    return [this.directory(path.slice(0, slash)), path.slice(slash + 1)];
  }

  private directory(path: string): DirectoryNode {
    let node: TreeNode | undefined = this.medium.root;
    for (const name of path.split('/').filter((segment) => segment !== '')) {
      node = node?.kind === 'directory' ? node.current.get(name) : undefined;
    }
    if (node === undefined) throw diskError('ENOENT', 'no such file or directory', path);
    if (node.kind === 'file') throw diskError('ENOTDIR', 'not a directory', path);
    return node;
  }

  private file(path: string): FileNode {
    const [directory, name] = this.parent(path);
    const node = directory.current.get(name);
    if (node?.kind !== 'file') throw diskError('ENOENT', 'no such file', path);
    return node;
  }

  private collect(directory: DirectoryNode, files: Set<FileNode>, directories: Set<DirectoryNode>): void {
    if (directories.has(directory)) return;
    directories.add(directory);
    const pending = directory.pending.flatMap((change) =>
      change.add === undefined ? [] : [change.add.node],
    );
    for (const node of [...directory.current.values(), ...directory.durable.values(), ...pending]) {
      if (node.kind === 'file') files.add(node);
      else this.collect(node, files, directories);
    }
  }
}

/** Decides what of a file's unsynced changes is on the platter. */
function crashFile(file: FileNode, prng: Prng): void {
  const mode = prng.below(4);
  const count = file.pending.length;
  const kept = mode === 0 ? 0 : mode === 1 ? count : prng.below(count + 1);
  for (const [i, change] of file.pending.entries()) {
    // 0: none, 1: all, 2: a prefix whose last is torn, 3: any, in pieces.
    if (mode === 3 || (mode === 2 && i === kept)) tear(file.durable, change, prng);
    else if (i < kept) applyChange(file.durable, change);
  }
  file.pending = [];
  file.current = file.durable.clone();
}

/** Applies a random choice of the sectors of a change. */
function tear(durable: Pages, change: FileChange, prng: Prng): void {
  if (change.kind === 'truncate') {
    if (prng.chance(1, 2)) durable.truncate(change.length);
    return;
  }
  const end = change.position + change.data.length;
  for (let at = change.position; at < end;) {
    const next = Math.min(end, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    if (prng.chance(1, 2))
      durable.write(at, change.data.subarray(at - change.position, next - change.position));
    at = next;
  }
}
