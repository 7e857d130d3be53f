/** A store over a backend that outlives it, with the least an applier does: one mark after each write. */
import { MemoryBackend } from '../../src/backend/memory-backend.ts';
import { WriteBuffer } from '../../src/backend/write-buffer.ts';
import type { WatchEvent } from '../../src/mvcc/event.ts';
import { MvccStore, type MvccOptions, type RangeResult, type RevisionError } from '../../src/mvcc/store.ts';
import type { WriteTxn } from '../../src/mvcc/write-txn.ts';

export const noPause = (): Promise<void> => Promise.resolve();

export class Bench {
  readonly backend: MemoryBackend;
  readonly buffer: WriteBuffer;
  readonly store: MvccStore;
  private index: number;

  private constructor(backend: MemoryBackend, buffer: WriteBuffer, store: MvccStore) {
    this.backend = backend;
    this.buffer = buffer;
    this.store = store;
    this.index = buffer.newestMark?.consistentIndex ?? 0;
  }

  static async open(backend = new MemoryBackend(), options: MvccOptions = {}): Promise<Bench> {
    const buffer = await WriteBuffer.load(backend, {
      onError: (error) => {
        throw error;
      },
    });
    return new Bench(backend, buffer, await MvccStore.restore(buffer, options));
  }

  /** What is committed, in a new store. */
  async reopen(options: MvccOptions = {}): Promise<Bench> {
    await this.buffer.commit();
    return Bench.open(this.backend, options);
  }

  write(change: (txn: WriteTxn) => void): readonly WatchEvent[] {
    const txn = this.store.beginWrite();
    change(txn);
    const { events } = txn.end();
    this.mark();
    return events;
  }

  put(key: string, value: string, lease = 0n): readonly WatchEvent[] {
    return this.write((txn) => txn.put(key, Buffer.from(value), lease));
  }

  delete(key: string, end = ''): readonly WatchEvent[] {
    return this.write((txn) => (end === '' ? txn.delete(key) : txn.deleteRange(key, end)));
  }

  compact(revision: number): 'ok' | RevisionError {
    const result = this.store.compact(revision);
    this.mark();
    return result;
  }

  mark(): void {
    this.index++;
    this.buffer.mark({
      consistentIndex: this.index,
      term: 1,
      newestRevision: this.store.newestRevision,
      confState: '{}',
    });
  }

  read(key: string, end = '', revision = 0): string {
    const result = this.store.range(key, end, { revision });
    return typeof result === 'string' ? result : show(result);
  }
}

/** Narrows a range's answer; fails the test otherwise. */
export function found(result: RangeResult | RevisionError): RangeResult {
  if (typeof result === 'string') throw new Error(`range answered ${result}`);
  return result;
}

/** key=value@created/modified/version of each. */
export function show(result: RangeResult): string {
  return result.kvs
    .map(
      (kv) => `${kv.keyString}=${kv.value.toString()}@${kv.createRevision}/${kv.modRevision}/${kv.version}`,
    )
    .join(' ');
}
