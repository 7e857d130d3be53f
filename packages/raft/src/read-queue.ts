/**
 * Linearizable reads waiting for a quorum of heartbeat answers, oldest first. A context names a batch of
 * reads and must be new for every attempt: an answer to an earlier heartbeat with the same context would
 * confirm a leader that may be deposed by now. Modelled on etcd-io/raft's readOnly.
 */
import type { Message, NodeId } from './types.ts';

export class PendingRead {
  /** The MsgReadIndex that asked. */
  readonly request: Message;
  /** Commit index when it came: the read may be served once this is applied. */
  readonly index: number;
  readonly acks = new Map<NodeId, boolean>();

  constructor(request: Message, index: number) {
    this.request = request;
    this.index = index;
  }
}

export class ReadQueue {
  private readonly pending = new Map<string, PendingRead>();

  /** Files a read; one whose context is already waiting is the same read. */
  add(context: Buffer, request: Message, index: number): void {
    const key = context.toString('latin1');
    if (!this.pending.has(key)) this.pending.set(key, new PendingRead(request, index));
  }

  /** Notes that `from` answered a heartbeat with this context; undefined when nobody waits for it. */
  acknowledge(from: NodeId, context: Buffer): PendingRead | undefined {
    const read = this.pending.get(context.toString('latin1'));
    read?.acks.set(from, true);
    return read;
  }

  /** The read with this context is confirmed: takes it out, and all older ones, which it confirms too. */
  release(context: Buffer): PendingRead[] {
    const key = context.toString('latin1');
    const released: PendingRead[] = [];
    if (!this.pending.has(key)) return released;
    // A Map iterates in insertion order, which is the order of arrival.
    for (const [each, read] of this.pending) {
      this.pending.delete(each);
      released.push(read);
      if (each === key) break;
    }
    return released;
  }

  /** Context of the newest read: one more heartbeat with it can confirm everything that waits. */
  newestContext(): Buffer | undefined {
    let newest: PendingRead | undefined;
    for (const read of this.pending.values()) newest = read;
    return newest?.request.entries[0]?.data;
  }

  clear(): void {
    this.pending.clear();
  }
}
