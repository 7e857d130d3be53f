/**
 * Newest versions of recently written or read keys, within a bound of bytes. Law: what it holds is the newest
 * version of a key that exists, so a hit needs neither index nor backend. Losing an entry is always allowed.
 *
 * Two generations instead of a list: a hit in the old one moves the entry to the young one, and when the
 * young one is full it becomes the old one. A hit costs one Map lookup and no bookkeeping, and so does writing a
 * key again. An outdated entry of the old generation is hidden by the one in the young, and goes with its
 * generation.
 */
import type { KeyHistory } from './key-index.ts';
import type { KeyValue } from './key-value.ts';

/** Objects, Map slot and Buffer header of one entry, roughly (measured over 100,000 entries). */
const ENTRY_BYTES = 400;

/** What is remembered of a key. It stays the same object while the key is written over and over. */
export class CacheEntry {
  kv: KeyValue;
  /** Where the index keeps the key's revisions, if a write has told: the next one need not search for it. */
  history: KeyHistory | undefined;
  /** In which generation it lives: the cache's own count. */
  readonly generation: number;

  constructor(kv: KeyValue, history: KeyHistory | undefined, generation: number) {
    this.kv = kv;
    this.history = history;
    this.generation = generation;
  }
}

export class ValueCache {
  private young = new Map<string, CacheEntry>();
  private old = new Map<string, CacheEntry>();
  private generation = 0;
  /** Everything put into the young generation, replaced entries included: they share its slabs of memory. */
  private youngBytes = 0;
  private readonly generationBytes: number;

  /** @param bytesMax bound of both generations together; 0 keeps nothing */
  constructor(bytesMax: number) {
    this.generationBytes = bytesMax / 2;
  }

  /** Entries of both; a key that is in both counts twice. */
  get size(): number {
    return this.young.size + this.old.size;
  }

  get(key: string): KeyValue | undefined {
    const entry = this.young.get(key);
    if (entry !== undefined) return entry.kv;
    if (this.old.size === 0) return undefined;
    const older = this.old.get(key);
    if (older === undefined) return undefined;
    // Copied, or the entry would keep the slab its old neighbours shared with it.
    const moved = older.kv.compacted();
    this.replace(undefined, key, moved, older.history);
    return moved;
  }

  /** As get(), for one who is about to replace or delete the entry. */
  peek(key: string): KeyValue | undefined {
    return this.find(key)?.kv;
  }

  /** The entry of a key, for replace() at once. */
  find(key: string): CacheEntry | undefined {
    return this.young.get(key) ?? this.old.get(key);
  }

  /** The newest version of `key` is now `kv`. */
  set(key: string, kv: KeyValue): void {
    const entry = this.find(key);
    this.replace(entry, key, kv, entry?.history);
  }

  /**
   * As set(), where the caller has looked already.
   * @param entry what find(key) returned, or undefined
   */
  replace(entry: CacheEntry | undefined, key: string, kv: KeyValue, history: KeyHistory | undefined): void {
    const bytes = ENTRY_BYTES + key.length + kv.valueLength;
    if (bytes > this.generationBytes / 8) {
      this.delete(key);
      return;
    }
    if (this.youngBytes + bytes > this.generationBytes) {
      this.old = this.young;
      this.young = new Map();
      this.youngBytes = 0;
      this.generation++;
    }
    this.youngBytes += bytes;
    if (entry !== undefined && entry.generation === this.generation) {
      entry.kv = kv;
      entry.history = history;
    } else this.young.set(key, new CacheEntry(kv, history, this.generation));
  }

  /** `key` does not exist any more, or has a newer version that is not worth keeping. */
  delete(key: string): void {
    this.young.delete(key);
    this.old.delete(key);
  }
}
