/**
 * A file system as a list of operations made it: what is on the platter, what is only in the page cache, and every
 * state in between that a loss of power may leave. It is fed one operation at a time and can be asked after each for
 * the images of a crash at that moment. It keeps no promises of its own and never runs the code under test.
 *
 * The rules are those of the strict disk in packages/sim: a file's bytes are durable by its own sync, a name by the
 * sync of its directory, writes survive sector by sector, and nothing says in which order. Modelled on ALICE
 * (Pillai et al., OSDI 2014).
 */
import { assert } from '@keelson/base';
import type { BatchOperation } from '../../src/backend/backend.ts';

/** What a disk writes whole or not at all. */
export const SECTOR_BYTES = 512;

export type VolumeOperation =
  | { readonly kind: 'makeDirectory'; readonly path: string }
  /** `file` is the recorder's number of what is made: names come and go. */
  | { readonly kind: 'create'; readonly path: string; readonly file: number }
  | { readonly kind: 'write'; readonly file: number; readonly position: number; readonly data: Buffer }
  | { readonly kind: 'truncate'; readonly file: number; readonly length: number }
  | { readonly kind: 'sync'; readonly file: number }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  /** A file, or a directory with all below it. */
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'syncDirectory'; readonly path: string }
  /** A batch of a backend in memory: whole or absent until `batchDone`, there from then on. */
  | { readonly kind: 'batch'; readonly store: string; readonly operations: readonly BatchOperation[] }
  | { readonly kind: 'batchDone'; readonly store: string };

export type Batches = readonly (readonly BatchOperation[])[];

/** What a crash leaves, by path. */
export interface Image {
  /** What survived, in words. */
  readonly label: string;
  /** Names and lengths of files survived in the order of their changes, as file systems with a journal have it. */
  readonly ordered: boolean;
  readonly directories: ReadonlySet<string>;
  readonly files: ReadonlyMap<string, Buffer>;
  readonly stores: ReadonlyMap<string, Batches>;
}

export const EMPTY_IMAGE: Image = {
  label: 'nothing',
  ordered: true,
  directories: new Set(),
  files: new Map(),
  stores: new Map(),
};

/** `at` counts all changes of the volume. */
type FileChange =
  | { readonly at: number; readonly kind: 'write'; readonly position: number; readonly data: Buffer }
  | { readonly at: number; readonly kind: 'truncate'; readonly length: number };

class FileNode {
  readonly kind = 'file';
  durable: Buffer;
  pending: FileChange[] = [];

  constructor(durable: Buffer) {
    this.durable = durable;
  }
}

class DirectoryNode {
  readonly kind = 'directory';
  current = new Map<string, TreeNode>();
  durable = new Map<string, TreeNode>();
}

type TreeNode = FileNode | DirectoryNode;

interface Entry {
  readonly directory: DirectoryNode;
  readonly name: string;
}

/** A rename between two directories survives as a whole or not at all. */
interface EntryChange {
  readonly at: number;
  readonly remove: Entry | undefined;
  readonly add: (Entry & { readonly node: TreeNode }) | undefined;
}

interface Store {
  readonly done: (readonly BatchOperation[])[];
  writing: readonly BatchOperation[] | undefined;
}

/** What of the unsynced is kept. */
interface Choice {
  readonly label: string;
  readonly entry: (change: EntryChange, index: number) => boolean;
  readonly change: (file: FileNode, change: FileChange, index: number) => boolean | readonly boolean[];
  readonly batch: boolean;
}

/** Sectors, entries and files that are varied one by one; of more, those in between are left out. */
const VARIED_MAX = 6;

const all = (): boolean => true;
const none = (): boolean => false;

export class Volume {
  private readonly root = new DirectoryNode();
  private readonly files = new Map<number, FileNode>();
  private readonly numbers = new Map<FileNode, number>();
  private readonly stores = new Map<string, Store>();
  /** Files with unsynced changes, in the order of their first. */
  private readonly dirty = new Set<FileNode>();
  private entries: EntryChange[] = [];
  private created = 0;
  private changes = 0;

  /** @param image what is there, all of it durable */
  constructor(image: Image = EMPTY_IMAGE) {
    for (const path of [...image.directories].sort()) this.apply({ kind: 'makeDirectory', path });
    for (const [path, bytes] of image.files) {
      const file = this.newNumber();
      this.apply({ kind: 'create', path, file });
      this.files.get(file)!.durable = bytes;
    }
    for (const change of this.entries) applyEntry(change, (directory) => directory.durable);
    this.entries = [];
    for (const [id, batches] of image.stores) this.stores.set(id, { done: [...batches], writing: undefined });
  }

  /** For a file that is about to be created. */
  newNumber(): number {
    return ++this.created;
  }

  /** The number of the file that has this name now. */
  numberAt(path: string): number | undefined {
    const node = this.find(path);
    return node?.kind === 'file' ? this.numbers.get(node) : undefined;
  }

  apply(operation: VolumeOperation): void {
    switch (operation.kind) {
      case 'makeDirectory':
        this.makeDirectory(operation.path);
        return;
      case 'create': {
        const node = new FileNode(Buffer.alloc(0));
        this.created = Math.max(this.created, operation.file);
        this.files.set(operation.file, node);
        this.numbers.set(node, operation.file);
        this.change(undefined, { ...this.place(operation.path), node });
        return;
      }
      case 'write':
        this.dirtied(operation.file).pending.push({
          at: ++this.changes,
          kind: 'write',
          position: operation.position,
          data: operation.data,
        });
        return;
      case 'truncate':
        this.dirtied(operation.file).pending.push({
          at: ++this.changes,
          kind: 'truncate',
          length: operation.length,
        });
        return;
      case 'sync': {
        const node = this.fileOf(operation.file);
        node.durable = contentOf(node, node.pending.map(all));
        node.pending = [];
        this.dirty.delete(node);
        return;
      }
      case 'rename': {
        const from = this.place(operation.from);
        const node = from.directory.current.get(from.name);
        assert(node !== undefined, `renamed: ${operation.from}`);
        this.change(from, { ...this.place(operation.to), node });
        return;
      }
      case 'remove':
        if (this.find(operation.path) !== undefined) this.change(this.place(operation.path), undefined);
        return;
      case 'syncDirectory':
        this.syncDirectory(operation.path);
        return;
      case 'batch':
        this.storeOf(operation.store).writing = operation.operations;
        return;
      case 'batchDone': {
        const store = this.storeOf(operation.store);
        if (store.writing !== undefined) store.done.push(store.writing);
        store.writing = undefined;
        return;
      }
    }
  }

  /** Everything as the running process sees it. */
  current(): Image {
    return this.image({ label: 'everything', entry: all, change: all, batch: true });
  }

  /**
   * The images of a crash now: nothing and everything of what is unsynced, names without contents and the other way
   * round, each change of a name and each file alone and alone missing, each sector of the newest write of a file
   * alone, alone missing, and as the place where the write was torn.
   */
  *images(): Generator<Image> {
    for (const choice of this.choices()) yield this.image(choice);
  }

  private *choices(): Generator<Choice> {
    const { entries } = this;
    const dirty = [...this.dirty];
    const writing = [...this.stores.values()].some((store) => store.writing !== undefined);
    yield { label: 'nothing', entry: none, change: none, batch: false };
    if (writing) yield { label: 'the batch', entry: none, change: none, batch: true };
    if (entries.length + dirty.length === 0) return;
    yield { label: 'everything', entry: all, change: all, batch: true };
    if (writing) yield { label: 'everything but the batch', entry: all, change: all, batch: false };
    if (entries.length > 0 && dirty.length > 0) {
      yield { label: 'names', entry: all, change: none, batch: writing };
      yield { label: 'contents', entry: none, change: all, batch: writing };
    }
    if (entries.length > 1) {
      for (const one of varied(entries.length)) {
        yield { label: `name ${one}`, entry: (_, i) => i === one, change: all, batch: true };
        yield { label: `all but name ${one}`, entry: (_, i) => i !== one, change: all, batch: false };
        yield { label: `names before ${one}`, entry: (_, i) => i < one, change: all, batch: true };
      }
    }
    if (dirty.length > 1) {
      for (const one of varied(dirty.length)) {
        yield { label: `file ${one}`, entry: all, change: (file) => file === dirty[one], batch: false };
        yield {
          label: `all but file ${one}`,
          entry: all,
          change: (file) => file !== dirty[one],
          batch: true,
        };
      }
    }
    for (const file of dirty) yield* this.torn(file);
  }

  /** The changes of one file in part; of others all. */
  private *torn(file: FileNode): Generator<Choice> {
    const { pending } = file;
    const pick = (label: string, keep: (index: number) => boolean | readonly boolean[]): Choice => ({
      label: `${label} of file ${this.numbers.get(file)}`,
      entry: all,
      change: (each, _change, index) => (each === file ? keep(index) : true),
      batch: false,
    });
    if (pending.length > 1) {
      for (const one of varied(pending.length)) {
        yield pick(`change ${one}`, (i) => i === one);
        yield pick(`all but change ${one}`, (i) => i !== one);
        yield pick(`changes before ${one}`, (i) => i < one);
      }
    }
    const newest = pending.length - 1;
    const change = pending[newest];
    if (change.kind !== 'write') return;
    const count = sectorCount(change);
    if (count < 2) return;
    const sectors = (keep: (sector: number) => boolean): readonly boolean[] =>
      Array.from({ length: count }, (_, sector) => keep(sector));
    for (const one of varied(count)) {
      const torn: [string, (sector: number) => boolean][] = [
        [`sectors before ${one}`, (sector) => sector < one],
        [`sectors from ${one} on`, (sector) => sector >= one],
        [`sector ${one}`, (sector) => sector === one],
        [`all but sector ${one}`, (sector) => sector !== one],
      ];
      for (const [label, keep] of torn) yield pick(label, (i) => (i === newest ? sectors(keep) : true));
    }
  }

  private image(choice: Choice): Image {
    const copies = new Map<DirectoryNode, Map<string, TreeNode>>();
    const copyOf = (directory: DirectoryNode): Map<string, TreeNode> => {
      const found = copies.get(directory) ?? new Map(directory.durable);
      copies.set(directory, found);
      return found;
    };
    let firstLost = Infinity;
    let ordered = true;
    for (const [i, change] of this.entries.entries()) {
      if (choice.entry(change, i)) {
        ordered &&= change.at < firstLost;
        applyEntry(change, copyOf);
      } else firstLost = Math.min(firstLost, change.at);
    }
    const directories = new Set<string>();
    const files = new Map<string, Buffer>();
    const visit = (directory: DirectoryNode, path: string): void => {
      for (const [name, node] of copies.get(directory) ?? directory.durable) {
        const at = `${path}/${name}`;
        if (node.kind === 'file') {
          const kept = node.pending.map((change, i) => choice.change(node, change, i));
          ordered &&= !node.pending.some(
            (change, i) => kept[i] !== false && change.at > firstLost && resizes(change, node.durable.length),
          );
          files.set(at, kept.length === 0 ? node.durable : contentOf(node, kept));
        } else {
          directories.add(at);
          visit(node, at);
        }
      }
    };
    visit(this.root, '');
    const stores = new Map<string, Batches>();
    for (const [id, { done, writing }] of this.stores)
      stores.set(id, writing !== undefined && choice.batch ? [...done, writing] : [...done]);
    return { label: choice.label, ordered, directories, files, stores };
  }

  private storeOf(id: string): Store {
    const found = this.stores.get(id) ?? { done: [], writing: undefined };
    this.stores.set(id, found);
    return found;
  }

  private fileOf(number: number): FileNode {
    const node = this.files.get(number);
    assert(node !== undefined, `file ${number}`);
    return node;
  }

  private dirtied(number: number): FileNode {
    const node = this.fileOf(number);
    this.dirty.add(node);
    return node;
  }

  private makeDirectory(path: string): void {
    let directory = this.root;
    for (const name of segmentsOf(path)) {
      let node = directory.current.get(name);
      if (node === undefined) {
        node = new DirectoryNode();
        this.change(undefined, { directory, name, node });
      }
      assert(node.kind === 'directory', path);
      directory = node;
    }
  }

  private syncDirectory(path: string): void {
    const directory = this.find(path);
    assert(directory?.kind === 'directory', path);
    const touches = ({ add, remove }: EntryChange): boolean =>
      add?.directory === directory || remove?.directory === directory;
    for (const change of this.entries) if (touches(change)) applyEntry(change, (each) => each.durable);
    this.entries = this.entries.filter((change) => !touches(change));
  }

  private change(remove: EntryChange['remove'], add: EntryChange['add']): void {
    const change: EntryChange = { at: ++this.changes, remove, add };
    applyEntry(change, (directory) => directory.current);
    this.entries.push(change);
    // What has no name any more, and had none on the platter, is of no interest.
    for (const file of this.dirty) if (!this.isNamed(file)) this.dirty.delete(file);
  }

  private isNamed(file: FileNode): boolean {
    const inside = (directory: DirectoryNode): boolean => {
      for (const tree of [directory.current, directory.durable])
        for (const node of tree.values())
          if (node === file || (node.kind === 'directory' && inside(node))) return true;
      return false;
    };
    return inside(this.root) || this.entries.some(({ add }) => add?.node === file);
  }

  private place(path: string): Entry {
    const slash = path.lastIndexOf('/');
    const directory = this.find(path.slice(0, slash));
    assert(directory?.kind === 'directory', path);
    return { directory, name: path.slice(slash + 1) };
  }

  private find(path: string): TreeNode | undefined {
    let node: TreeNode | undefined = this.root;
    for (const name of segmentsOf(path))
      node = node?.kind === 'directory' ? node.current.get(name) : undefined;
    return node;
  }
}

function segmentsOf(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '');
}

function applyEntry(
  { add, remove }: EntryChange,
  treeOf: (directory: DirectoryNode) => Map<string, TreeNode>,
): void {
  if (remove !== undefined) {
    const tree = treeOf(remove.directory);
    if (add === undefined || tree.get(remove.name) === add.node) tree.delete(remove.name);
  }
  if (add !== undefined) treeOf(add.directory).set(add.name, add.node);
}

function resizes(change: FileChange, length: number): boolean {
  return change.kind === 'truncate' || change.position + change.data.length > length;
}

function sectorCount({ position, data }: FileChange & { kind: 'write' }): number {
  const first = Math.floor(position / SECTOR_BYTES);
  return Math.ceil((position + data.length) / SECTOR_BYTES) - first;
}

/** @param kept of each unsynced change: whether it is, or which of its sectors are */
function contentOf(file: FileNode, kept: readonly (boolean | readonly boolean[])[]): Buffer {
  let length = file.durable.length;
  for (const [i, change] of file.pending.entries()) {
    if (kept[i] === false) continue;
    length = Math.max(length, change.kind === 'write' ? change.position + change.data.length : change.length);
  }
  const bytes = Buffer.alloc(length);
  file.durable.copy(bytes);
  let end = file.durable.length;
  for (const [i, change] of file.pending.entries()) {
    const keep = kept[i];
    if (keep === false) continue;
    if (change.kind === 'truncate') {
      if (change.length < end) bytes.fill(0, change.length, end);
      end = change.length;
      continue;
    }
    const { position, data } = change;
    const first = Math.floor(position / SECTOR_BYTES);
    for (let sector = 0; sector < sectorCount(change); sector++) {
      if (keep !== true && !keep[sector]) continue;
      const start = Math.max(0, (first + sector) * SECTOR_BYTES - position);
      const stop = Math.min(data.length, (first + sector + 1) * SECTOR_BYTES - position);
      data.copy(bytes, position + start, start, stop);
      end = Math.max(end, position + stop);
    }
  }
  return bytes.subarray(0, end);
}

/** Indexes below `count`: all of few, the first, the last and some between of many. */
function varied(count: number): number[] {
  if (count <= VARIED_MAX) return Array.from({ length: count }, (_, i) => i);
  const picked = Array.from({ length: VARIED_MAX }, (_, i) =>
    Math.round((i * (count - 1)) / (VARIED_MAX - 1)),
  );
  return [...new Set(picked)];
}
