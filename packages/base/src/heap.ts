/**
 * A binary min-heap of items that know their own place, so that an item's priority can change in
 * O(log n). An item may sit in at most one heap.
 */
export interface HeapItem {
  /** Owned by the heap: the item's index, or -1 outside. */
  heapIndex: number;
}

export class Heap<T extends HeapItem> {
  private readonly items: T[] = [];
  private readonly less: (a: T, b: T) => boolean;

  constructor(less: (a: T, b: T) => boolean) {
    this.less = less;
  }

  get length(): number {
    return this.items.length;
  }

  /** The least item, kept; undefined when empty. */
  peek(): T | undefined {
    return this.items[0];
  }

  push(item: T): void {
    item.heapIndex = this.items.length;
    this.items.push(item);
    this.up(item.heapIndex);
  }

  /** The least item, removed; undefined when empty. */
  pop(): T | undefined {
    const first = this.items[0];
    if (first !== undefined) this.remove(first);
    return first;
  }

  /** Restores the order after the item's priority changed. */
  update(item: T): void {
    this.down(item.heapIndex);
    this.up(item.heapIndex);
  }

  remove(item: T): void {
    const index = item.heapIndex;
    const last = this.items.pop();
    item.heapIndex = -1;
    if (last !== undefined && last !== item) {
      this.items[index] = last;
      last.heapIndex = index;
      this.update(last);
    }
  }

  clear(): void {
    for (const item of this.items) item.heapIndex = -1;
    this.items.length = 0;
  }

  private up(start: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.less(this.items[index], this.items[parent])) return;
      this.swap(index, parent);
      index = parent;
    }
  }

  private down(start: number): void {
    let index = start;
    for (;;) {
      let least = index;
      const left = 2 * index + 1;
      if (left < this.items.length && this.less(this.items[left], this.items[least])) least = left;
      if (left + 1 < this.items.length && this.less(this.items[left + 1], this.items[least]))
        least = left + 1;
      if (least === index) return;
      this.swap(index, least);
      index = least;
    }
  }

  private swap(i: number, j: number): void {
    const a = this.items[i];
    const b = this.items[j];
    this.items[i] = b;
    this.items[j] = a;
    b.heapIndex = i;
    a.heapIndex = j;
  }
}
