/**
 * How many changes each main revision made, one byte a revision: with it the history of a span of revisions
 * is read by their keys alone, without an iterator over the backend and in the same turn that asks for it.
 * Rebuilt at restore, never stored.
 */
import { assert } from '@keelson/base';

/** In the byte: look into the map. */
const LARGE = 255;
const CAPACITY_MIN = 1024;

export class ChangeCounts {
  private bytes = new Uint8Array(CAPACITY_MIN);
  /** Main revision of bytes[0]. */
  private base = 0;
  private length = 0;
  private readonly large = new Map<number, number>();
  /** Changes of all revisions that are known. */
  total = 0;

  /** Main revisions come in ascending order; those left out made no changes that are still there. */
  append(main: number, count: number): void {
    if (this.length === 0) this.base = main;
    const index = main - this.base;
    assert(index >= this.length && count > 0, 'change counts only grow');
    if (index >= this.bytes.length) {
      let capacity = this.bytes.length;
      while (capacity <= index) capacity *= 2;
      const larger = new Uint8Array(capacity);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    if (count >= LARGE) this.large.set(main, count);
    this.bytes[index] = Math.min(count, LARGE);
    this.length = index + 1;
    this.total += count;
  }

  /** 0 for a revision that is unknown or was dropped. */
  get(main: number): number {
    const index = main - this.base;
    if (index < 0 || index >= this.length) return 0;
    const count = this.bytes[index];
    return count === LARGE ? this.large.get(main)! : count;
  }

  /** Forgets the revisions below `main`. */
  dropBelow(main: number): void {
    const cut = Math.min(main - this.base, this.length);
    if (cut <= 0) return;
    for (let i = 0; i < cut; i++) this.total -= this.get(this.base + i);
    this.length -= cut;
    const smaller = new Uint8Array(Math.max(CAPACITY_MIN, this.length * 2));
    smaller.set(this.bytes.subarray(cut, cut + this.length));
    this.bytes = smaller;
    this.base += cut;
    for (const large of this.large.keys()) if (large < main) this.large.delete(large);
  }
}
