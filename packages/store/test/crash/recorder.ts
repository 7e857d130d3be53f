/**
 * Writes down what a member does to its disk and its backend, in the order in which it happens, while it does it. The
 * disk it really uses is one in memory. Between the operations stand notes: what the member promised to somebody then.
 */
import { assert, type Disk, type DiskFile } from '@keelson/base';
import { MemoryDisk } from '@keelson/sim';
import type { Backend, BatchOperation } from '../../src/backend/backend.ts';
import { DirectoryHome, type BackendHome } from '../../src/backend/home.ts';
import { MemoryBackend } from '../../src/backend/memory-backend.ts';
import { EMPTY_IMAGE, Volume, type Batches, type Image, type VolumeOperation } from './volume.ts';

/** What a crash from here on must not break. */
export interface Note {
  readonly kind: 'note';
  /** Entries up to here were acknowledged, to a client or to the leader. */
  readonly index: number;
  /** No lower term, and no other vote in it, was told to anybody. */
  readonly term: number;
  readonly vote: bigint;
}

export type Recorded = VolumeOperation | Note;

/** What is about to be done, and to what; an error code makes it fail without effect. */
export type Fault = (kind: VolumeOperation['kind'], path: string) => string | undefined;

/** A disk with backends on it, and what was done to them. */
export class Recorder {
  readonly recorded: Recorded[] = [];
  readonly disk: Disk;
  fault: Fault = () => undefined;
  private readonly volume: Volume;
  private readonly stores = new Map<string, RecordedBackend>();
  private readonly initial: Image;
  private newestStore: number;

  private constructor(memory: MemoryDisk, initial: Image) {
    this.initial = initial;
    this.newestStore = Math.max(0, ...[...initial.stores.keys()].map(Number));
    this.volume = new Volume(initial);
    this.disk = new RecordingDisk(memory, this);
  }

  /** A machine as a crash left it. */
  static async of(initial: Image = EMPTY_IMAGE): Promise<Recorder> {
    const memory = new MemoryDisk();
    for (const path of [...initial.directories].sort()) await memory.makeDirectory(path);
    for (const [path, bytes] of initial.files) {
      const file = await memory.open(path, 'create');
      await file.write(0, bytes);
      await file.sync();
      await file.close();
    }
    return new Recorder(memory, initial);
  }

  record(operation: Recorded): void {
    if (operation.kind !== 'note') this.volume.apply(operation);
    this.recorded.push(operation);
  }

  /** @throws what a disk that fails throws */
  begin(kind: VolumeOperation['kind'], path: string): void {
    const code = this.fault(kind, path);
    if (code !== undefined) throw Object.assign(new Error(`${code}: ${kind}, '${path}'`), { code, path });
  }

  newNumber(): number {
    return this.volume.newNumber();
  }

  numberAt(path: string): number {
    const number = this.volume.numberAt(path);
    assert(number !== undefined, `a file at ${path}`);
    return number;
  }

  home(snapDirectory: string): BackendHome {
    return new DirectoryHome(this.disk, snapDirectory, (directory) => this.openBackend(directory));
  }

  /**
   * A file in the directory says which backend is in it, as CURRENT says which files are LevelDB's: what is done to
   * directories counts for backends as well.
   */
  private async openBackend(directory: string): Promise<Backend> {
    const path = `${directory}/ID`;
    await this.disk.makeDirectory(directory);
    if (!(await this.disk.exists(path)))
      await this.disk.writeFileAtomic(path, Buffer.from(String(++this.newestStore)));
    const id = (await this.disk.readFile(path, 64)).toString();
    let backend = this.stores.get(id);
    if (backend === undefined) {
      backend = await RecordedBackend.of(id, this.initial.stores.get(id) ?? [], this);
      this.stores.set(id, backend);
    }
    backend.reopen();
    return backend;
  }

  /** The machine as it is for a process that starts now. */
  current(): Image {
    return this.volume.current();
  }
}

class RecordingFile implements DiskFile {
  readonly path: string;
  private readonly file: DiskFile;
  private readonly number: number;
  private readonly recorder: Recorder;

  constructor(file: DiskFile, number: number, recorder: Recorder) {
    this.path = file.path;
    this.file = file;
    this.number = number;
    this.recorder = recorder;
  }

  write(position: number, data: Uint8Array): Promise<void> {
    return this.writev(position, [data]);
  }

  async writev(position: number, buffers: readonly Uint8Array[]): Promise<void> {
    const data = Buffer.concat(buffers);
    this.recorder.begin('write', this.path);
    await this.file.write(position, data);
    if (data.length > 0) this.recorder.record({ kind: 'write', file: this.number, position, data });
  }

  read(position: number, length: number): Promise<Buffer> {
    return this.file.read(position, length);
  }

  size(): Promise<number> {
    return this.file.size();
  }

  async truncate(length: number): Promise<void> {
    this.recorder.begin('truncate', this.path);
    await this.file.truncate(length);
    this.recorder.record({ kind: 'truncate', file: this.number, length });
  }

  async sync(): Promise<void> {
    this.recorder.begin('sync', this.path);
    await this.file.sync();
    this.recorder.record({ kind: 'sync', file: this.number });
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

class RecordingDisk implements Disk {
  private readonly disk: MemoryDisk;
  private readonly recorder: Recorder;

  constructor(disk: MemoryDisk, recorder: Recorder) {
    this.disk = disk;
    this.recorder = recorder;
  }

  async open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile> {
    if (mode === 'create') this.recorder.begin('create', path);
    const file = await this.disk.open(path, mode);
    if (mode === 'create') this.recorder.record({ kind: 'create', path, file: this.recorder.newNumber() });
    return new RecordingFile(file, this.recorder.numberAt(path), this.recorder);
  }

  readFile(path: string, bytesMax: number): Promise<Buffer> {
    return this.disk.readFile(path, bytesMax);
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
    this.recorder.begin('rename', to);
    await this.disk.rename(from, to);
    this.recorder.record({ kind: 'rename', from, to });
  }

  async remove(path: string): Promise<void> {
    this.recorder.begin('remove', path);
    await this.disk.remove(path);
    this.recorder.record({ kind: 'remove', path });
  }

  /** File by file, as the real one does it. */
  async removeAll(path: string): Promise<void> {
    this.recorder.begin('remove', path);
    await this.disk.removeAll(path);
    this.recorder.record({ kind: 'remove', path });
  }

  async makeDirectory(path: string): Promise<void> {
    this.recorder.begin('makeDirectory', path);
    await this.disk.makeDirectory(path);
    this.recorder.record({ kind: 'makeDirectory', path });
  }

  list(path: string): Promise<string[]> {
    return this.disk.list(path);
  }

  exists(path: string): Promise<boolean> {
    return this.disk.exists(path);
  }

  async syncDirectory(path: string): Promise<void> {
    this.recorder.begin('syncDirectory', path);
    await this.disk.syncDirectory(path);
    this.recorder.record({ kind: 'syncDirectory', path });
  }
}

/** A batch takes a turn of the event loop: there is a time in which it is neither lost nor there. */
class RecordedBackend extends MemoryBackend {
  private readonly id: string;
  private readonly recorder: Recorder;
  private loaded = false;

  private constructor(id: string, recorder: Recorder) {
    super();
    this.id = id;
    this.recorder = recorder;
  }

  static async of(id: string, batches: Batches, recorder: Recorder): Promise<RecordedBackend> {
    const backend = new RecordedBackend(id, recorder);
    for (const operations of batches) await backend.write(operations);
    backend.loaded = true;
    return backend;
  }

  override async write(operations: readonly BatchOperation[]): Promise<void> {
    if (!this.loaded) return super.write(operations);
    this.recorder.begin('batch', `backend ${this.id}`);
    this.recorder.record({ kind: 'batch', store: this.id, operations });
    await new Promise((resolve) => setImmediate(resolve));
    await super.write(operations);
    this.recorder.record({ kind: 'batchDone', store: this.id });
  }
}
