/**
 * Linearizable reads waiting for a quorum of heartbeat answers, oldest first. A context names a batch of
 * reads and must be new for every attempt: an answer to an earlier heartbeat with the same context would
 * confirm a leader that may be deposed by now. A read that another node passed on may come twice all the
 * same, for a network may deliver a message again; so what its heartbeats carry is numbered here. Modelled on
 * etcd-io/raft's readOnly, which leaves that to the network.
 */
import { type Message, NONE, type NodeId } from './types.ts';

/** Bytes of the number after the context of a read that was passed on: 2^48 of them in one term. */
const ROUND_BYTES = 6;

export class PendingRead {
  /** The MsgReadIndex that asked. */
  readonly request: Message;
  /** Commit index when it came: the read may be served once this is applied. */
  readonly index: number;
  /** The context of its heartbeats, by which their answers name it. */
  readonly beat: Buffer;
  readonly acks = new Map<NodeId, boolean>();

  constructor(request: Message, index: number, beat: Buffer) {
    this.request = request;
    this.index = index;
    this.beat = beat;
  }
}

export class ReadQueue {
  /** By what their heartbeats carry, in order of arrival. */
  private readonly pending = new Map<string, PendingRead>();
  private readonly byContext = new Map<string, PendingRead>();
  /** Reads that others passed on in this term: no answer to a heartbeat for one of them counts for another. */
  private passedOn = 0;

  /** Files a read and returns it; one whose context is already waiting is the same read. */
  add(context: Buffer, request: Message, index: number): PendingRead {
    const key = context.toString('latin1');
    const waiting = this.byContext.get(key);
    if (waiting !== undefined) return waiting;
    const beat = request.from === NONE ? context : this.numbered(context);
    const read = new PendingRead(request, index, beat);
    this.byContext.set(key, read);
    this.pending.set(beat.toString('latin1'), read);
    return read;
  }

  private numbered(context: Buffer): Buffer {
    const beat = Buffer.alloc(context.length + ROUND_BYTES);
    context.copy(beat);
    beat.writeUIntBE(this.passedOn++, context.length, ROUND_BYTES);
    return beat;
  }

  /** Notes that `from` answered a heartbeat with this context; undefined when nobody waits for it. */
  acknowledge(from: NodeId, beat: Buffer): PendingRead | undefined {
    const read = this.pending.get(beat.toString('latin1'));
    read?.acks.set(from, true);
    return read;
  }

  /** The read of these heartbeats is confirmed: takes it out, and all older ones, which it confirms too. */
  release(beat: Buffer): PendingRead[] {
    const key = beat.toString('latin1');
    const released: PendingRead[] = [];
    if (!this.pending.has(key)) return released;
    // A Map iterates in insertion order, which is the order of arrival.
    for (const [each, read] of this.pending) {
      this.pending.delete(each);
      released.push(read);
      if (each === key) break;
    }
    for (const { request } of released) this.byContext.delete(contextOf(request).toString('latin1'));
    return released;
  }

  /** What the newest read's heartbeats carry: one more with it can confirm everything that waits. */
  newestContext(): Buffer | undefined {
    let newest: PendingRead | undefined;
    for (const read of this.pending.values()) newest = read;
    return newest?.beat;
  }

  /** The leadership ends; answers of its term count for nothing in another. */
  clear(): void {
    this.pending.clear();
    this.byContext.clear();
    this.passedOn = 0;
  }
}

/** A request has one entry, whose data is the context. */
export function contextOf(request: Message): Buffer {
  return (request.entries[0] as { readonly data: Buffer }).data;
}
