/**
 * Leases by deadline, earliest first. Deadlines are monotonic milliseconds and known only on the
 * primary lessor; a lease without one (Infinity) is not in the queue.
 */
import { Heap, type HeapItem } from '@keelson/base';

export interface Expiring extends HeapItem {
  deadlineMs: number;
}

export class ExpiryQueue<T extends Expiring> {
  private readonly heap = new Heap<T>((a, b) => a.deadlineMs < b.deadlineMs);

  get length(): number {
    return this.heap.length;
  }

  /** Sets or moves an item's deadline; Infinity takes it out. */
  schedule(item: T, deadlineMs: number): void {
    item.deadlineMs = deadlineMs;
    if (deadlineMs === Infinity) this.remove(item);
    else if (item.heapIndex === -1) this.heap.push(item);
    else this.heap.update(item);
  }

  remove(item: T): void {
    if (item.heapIndex !== -1) this.heap.remove(item);
  }

  clear(): void {
    this.heap.clear();
  }

  hasDue(nowMs: number): boolean {
    const first = this.heap.peek();
    return first !== undefined && first.deadlineMs <= nowMs;
  }

  /** Items due at `nowMs`, earliest first, at most `limit`; removed from the queue. */
  takeDue(nowMs: number, limit: number): T[] {
    const due: T[] = [];
    while (due.length < limit) {
      const first = this.heap.peek();
      if (first === undefined || first.deadlineMs > nowMs) break;
      this.heap.pop();
      due.push(first);
    }
    return due;
  }
}
