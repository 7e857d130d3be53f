/**
 * The window of appends on their way to one follower: a ring of (last index, bytes), bounded by count
 * and by bytes. It never sends anything. Modelled on etcd-io/raft's tracker.Inflights.
 */
import { assert } from '@keelson/base';

/** First ring of a window: most followers never have more than a few appends in flight. */
const RING_MIN = 8;

/** Laws: 0 ≤ count ≤ countMax; indexes in the ring ascend; bytes is their sum. */
export class Inflights {
  count = 0;
  private bytes = 0;
  private start = 0;
  private indexes: number[] = [];
  private sizes: number[] = [];
  private readonly countMax: number;
  private readonly bytesMax: number;

  constructor(countMax: number, bytesMax: number) {
    this.countMax = countMax;
    this.bytesMax = bytesMax;
  }

  full(): boolean {
    return this.count === this.countMax || this.bytes >= this.bytesMax;
  }

  /** Notes an append whose last entry is `index`. The window must not be full. */
  add(index: number, bytes: number): void {
    assert(!this.full(), 'cannot add into a Full inflights');
    if (this.count === this.indexes.length) this.grow();
    const place = (this.start + this.count) & (this.indexes.length - 1);
    this.indexes[place] = index;
    this.sizes[place] = bytes;
    this.count++;
    this.bytes += bytes;
  }

  /** Frees every append up to and including `index`; one acknowledgement answers for all before it. */
  freeTo(index: number): void {
    const mask = this.indexes.length - 1;
    while (this.count > 0 && this.indexes[this.start] <= index) {
      this.bytes -= this.sizes[this.start];
      this.start = (this.start + 1) & mask;
      this.count--;
    }
    if (this.count === 0) this.start = 0;
  }

  reset(): void {
    this.count = 0;
    this.bytes = 0;
    this.start = 0;
  }

  private grow(): void {
    const size = this.indexes.length === 0 ? RING_MIN : this.indexes.length * 2;
    const indexes: number[] = [];
    const sizes: number[] = [];
    const mask = this.indexes.length - 1;
    for (let i = 0; i < size; i++) {
      const live = i < this.count;
      indexes.push(live ? this.indexes[(this.start + i) & mask] : 0);
      sizes.push(live ? this.sizes[(this.start + i) & mask] : 0);
    }
    this.indexes = indexes;
    this.sizes = sizes;
    this.start = 0;
  }
}
