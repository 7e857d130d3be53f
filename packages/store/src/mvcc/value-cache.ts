/**
 * Newest versions of recently written or read keys, within a bound of bytes. Law: what it holds is the newest
 * version of a key that exists, so a hit needs neither index nor backend. Losing an entry is always allowed.
 *
 * Two generations instead of a list: a hit in the old one moves the entry to the young one, and when the
 * young one is full it becomes the old one. A hit costs one Map lookup and no bookkeeping. An outdated entry of
 * the old generation is hidden by the one in the young, and goes with its generation.
 */
import type { KeyValue } from './key-value.ts';

/** Objects, Map slot and Buffer header of one entry, roughly (measured over 100,000 entries). */
const ENTRY_BYTES = 400;

export class ValueCache {
  private young = new Map<string, KeyValue>();
  private old = new Map<string, KeyValue>();
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
    const kv = this.young.get(key);
    if (kv !== undefined || this.old.size === 0) return kv;
    const older = this.old.get(key);
    if (older === undefined) return undefined;
    // Copied, or the entry would keep the slab its old neighbours shared with it.
    const moved = older.compacted();
    this.set(key, moved);
    return moved;
  }

  /** As get(), for one who is about to replace or delete the entry. */
  peek(key: string): KeyValue | undefined {
    return this.young.get(key) ?? this.old.get(key);
  }

  /** The newest version of `key` is now `kv`. */
  set(key: string, kv: KeyValue): void {
    const bytes = ENTRY_BYTES + key.length + kv.valueLength;
    if (bytes > this.generationBytes / 8) {
      this.delete(key);
      return;
    }
    if (this.youngBytes + bytes > this.generationBytes) {
      this.old = this.young;
      this.young = new Map();
      this.youngBytes = 0;
    }
    this.young.set(key, kv);
    this.youngBytes += bytes;
  }

  /** `key` does not exist any more, or has a newer version that is not worth keeping. */
  delete(key: string): void {
    this.young.delete(key);
    this.old.delete(key);
  }
}
