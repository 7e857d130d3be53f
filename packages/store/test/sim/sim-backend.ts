/**
 * A member's backend over the rules of the simulated disk: batches are written one after the other, each is durable or
 * not as a whole, and a crash keeps everything that was synced and, of the batch under way, all or nothing. The
 * content is a map that the platter keeps; each write goes to a file of the disk first, so that latency, errors and crashes
 * are the disk's. LevelDB's own files are not simulated; images of them are rebuilt elsewhere.
 */
import { assert, type Disk, type DiskFile, type Prng } from '@keelson/base';
import { MemoryBackend } from '../../src/backend/memory-backend.ts';
import { FatalError } from '../../src/errors.ts';
import type {
  Backend,
  BackendPair,
  BackendRange,
  BackendSnapshot,
  BatchOperation,
} from '../../src/backend/backend.ts';

/** Content that survives its process. */
class Content {
  map = new MemoryBackend();
  /** A batch whose fate a crash decides. */
  underway: readonly BatchOperation[] | undefined = undefined;
  /** Found at the next opening, as LevelDB's checksums of blocks are: the member must not serve it. */
  rotten = false;
  /** Counts crashes: what a process of before still wanted to write comes too late. */
  crashes = 0;

  /** Views that the process had open hold nothing back any more. */
  async crash(keepsUnderway: boolean): Promise<void> {
    this.crashes++;
    const { map: before, underway } = this;
    this.map = new MemoryBackend();
    this.underway = undefined;
    for await (const pairs of before.iterate({ gte: '', lt: '\xff'.repeat(64) })) await this.map.write(pairs);
    if (keepsUnderway && underway !== undefined) await this.map.write(underway);
  }
}

/** All backends that one disk holds, by the number in their file. */
export class Platter {
  private readonly contents = new Map<number, Content>();
  private count = 0;

  create(): number {
    this.contents.set(++this.count, new Content());
    return this.count;
  }

  /** All of it goes bad. */
  rot(): void {
    for (const content of this.contents.values()) content.rotten = true;
  }

  content(id: number): Content | undefined {
    return this.contents.get(id);
  }

  /** The process ended: the batch under way was written, or was not. Settled when waiting promises have run. */
  crash(prng: Prng): void {
    for (const content of this.contents.values()) void content.crash(prng.chance(1, 2));
  }
}

const ID_BYTES = 8;

/** Opens the backend in `directory`, making it when absent. */
export async function openSimBackend(
  disk: Disk,
  platter: Platter,
  directory: string,
  turn: (() => Promise<void>) | undefined,
): Promise<Backend> {
  const path = `${directory}/content`;
  let id = 0;
  if (await disk.exists(path)) {
    const bytes = await disk.readFile(path, ID_BYTES);
    id = bytes.length === ID_BYTES ? Number(bytes.readBigUInt64LE(0)) : 0;
  }
  // A crash may have left a file without its number: as good as none.
  const known = platter.content(id);
  if (known === undefined) {
    await disk.removeAll(directory);
    await disk.makeDirectory(directory);
    id = platter.create();
    const bytes = Buffer.alloc(ID_BYTES);
    bytes.writeBigUInt64LE(BigInt(id));
    const file = await disk.open(path, 'create');
    await file.write(0, bytes);
    await file.sync();
    await file.close();
    await disk.syncDirectory(directory);
  }
  const content = platter.content(id);
  assert(content !== undefined, 'a backend that was just made');
  if (content.rotten) throw new FatalError(`backend: ${path} is damaged in the block at offset 0`);
  return new SimBackend(content, await disk.open(path, 'write'), id, turn);
}

class SimBackend implements Backend {
  private readonly content: Content;
  private readonly file: DiskFile;
  private readonly stamp = Buffer.alloc(ID_BYTES);
  /** Waited for between two slices of a long read. */
  private readonly turn: (() => Promise<void>) | undefined;
  private failure: Error | undefined = undefined;
  private writing = false;
  private closed = false;

  constructor(content: Content, file: DiskFile, id: number, turn: (() => Promise<void>) | undefined) {
    this.content = content;
    this.file = file;
    this.stamp.writeBigUInt64LE(BigInt(id));
    this.turn = turn;
  }

  getSync(key: string): Buffer | undefined {
    assert(!this.closed, 'backend used after close');
    return this.content.map.getSync(key);
  }

  iterate(range: BackendRange): AsyncIterable<readonly BackendPair[]> {
    return this.paced(this.content.map.iterate(range));
  }

  async write(operations: readonly BatchOperation[]): Promise<void> {
    assert(!this.closed, 'backend used after close');
    assert(!this.writing, 'one write at a time');
    if (this.failure !== undefined) throw this.failure;
    this.writing = true;
    const { content } = this;
    const { crashes } = content;
    content.underway = operations;
    try {
      await this.file.write(0, this.stamp);
      await this.file.sync();
      if (content.crashes !== crashes) throw new Error('the machine has crashed');
      content.underway = undefined;
      await content.map.write(operations);
    } catch (error) {
      // The batch may be found at the next start; nothing is written after it.
      this.failure = error instanceof Error ? error : new Error(String(error));
      throw this.failure;
    } finally {
      this.writing = false;
    }
  }

  snapshot(): BackendSnapshot {
    const view = this.content.map.snapshot();
    return { iterate: (range) => this.paced(view.iterate(range)), close: () => view.close() };
  }

  sizeBytes(): Promise<number> {
    return this.content.map.sizeBytes();
  }

  rangeSizeBytes(gte: string, lt: string): Promise<number> {
    return this.content.map.rangeSizeBytes(gte, lt);
  }

  compact(): Promise<void> {
    return this.turn?.() ?? Promise.resolve();
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.file.close();
  }

  private async *paced(
    slices: AsyncIterable<readonly BackendPair[]>,
  ): AsyncGenerator<readonly BackendPair[]> {
    for await (const slice of slices) {
      await this.turn?.();
      yield slice;
    }
  }
}
