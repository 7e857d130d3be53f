/**
 * When the primary next tells the others how long a lease has left. Leases whose term is not longer than one
 * interval are never in it: a new leader that gives them their whole term again gives away less than what a
 * checkpoint would save. It owns no clock; modelled on the checkpoint heap of etcd's lessor.
 */
import { ExpiryQueue, type Expiring } from './expiry-queue.ts';

/** A lease as far as checkpoints go. */
export interface Checkpointed {
  readonly id: bigint;
  /** Granted, or left at the last checkpoint. */
  readonly termSeconds: number;
}

class Slot<T extends Checkpointed> implements Expiring {
  readonly lease: T;
  deadlineMs = Infinity;
  heapIndex = -1;

  constructor(lease: T) {
    this.lease = lease;
  }
}

export class CheckpointQueue<T extends Checkpointed> {
  private readonly queue = new ExpiryQueue<Slot<T>>();
  private readonly slots = new Map<bigint, Slot<T>>();
  private readonly intervalMs: number;

  /** @param intervalMs between two checkpoints of a lease; Infinity: there are none */
  constructor(intervalMs: number) {
    this.intervalMs = intervalMs;
  }

  /** From now on, after one interval; replaces what was said of the lease before. */
  schedule(lease: T, nowMs: number): void {
    if (lease.termSeconds * 1000 <= this.intervalMs) {
      this.forget(lease.id);
      return;
    }
    let slot = this.slots.get(lease.id);
    if (slot?.lease !== lease) {
      this.forget(lease.id);
      slot = new Slot(lease);
      this.slots.set(lease.id, slot);
    }
    this.queue.schedule(slot, nowMs + this.intervalMs);
  }

  forget(id: bigint): void {
    const slot = this.slots.get(id);
    if (slot === undefined) return;
    this.queue.remove(slot);
    this.slots.delete(id);
  }

  clear(): void {
    this.queue.clear();
    this.slots.clear();
  }

  hasDue(nowMs: number): boolean {
    return this.queue.hasDue(nowMs);
  }

  /** Due at `nowMs`, at most `limit`; each is due again one interval later, should its checkpoint get lost. */
  takeDue(nowMs: number, limit: number): T[] {
    const due = this.queue.takeDue(nowMs, limit);
    for (const slot of due) this.queue.schedule(slot, nowMs + this.intervalMs);
    return due.map((slot) => slot.lease);
  }
}
