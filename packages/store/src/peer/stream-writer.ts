/**
 * The sending end of one stream to one peer. The peer opened the connection; we only attach to it. What
 * is enqueued during a turn leaves in one socket write at flush(). While there is no connection nothing
 * is accepted (the peer's pipeline takes over), and when one is lost what waited is lost with it: raft
 * repeats. Never blocks, never retries. (etcd: rafthttp stream.go streamWriter.)
 */
import type { Socket } from 'node:net';
import { Ring, type Timer, assert, hexId } from '@keelson/base';
import { type Message, MessageType, type NodeId } from '@keelson/raft';
import { encodeEntries } from '../wal/entry-codec.ts';
import { messageSize } from './codec.ts';
import { Deadline } from './deadline.ts';
import { BY_REFERENCE_BYTES, FrameBlock } from './frame-block.ts';
import { messageEncoder } from './message-codec.ts';
import { MsgAppEncoder } from './msgapp-codec.ts';
import { PeerError } from './peer-error.ts';
import type { PeerContext } from './peer-options.ts';
import type { PeerStatus } from './peer-status.ts';

/** The two streams between a pair of members, by the name in their path. */
export type StreamKind = 'msgapp' | 'message';

interface FrameEncoder {
  encode(block: FrameBlock, message: Message): void;
  linkHeartbeat(block: FrameBlock): void;
}

/** Bound of one message's frame without its entries: ten fields, a frame header, slack. */
const FRAME_OVERHEAD_BYTES = 160;
/** Per entry: an u64 length, or a tag and a varint. */
const ENTRY_OVERHEAD_BYTES = 8;

/** What is handed to the socket at a time of a write that is larger: a stall is 5 s without that much, 400 kB/s. */
const SLICE_BYTES = 2 * 1024 * 1024;

/** A connection that is attached now, and everything that ends with it. */
class AttachedStream {
  readonly socket: Socket;
  readonly encoder: FrameEncoder;
  readonly stalled: Deadline;
  heartbeat: Timer | undefined = undefined;
  /** Given to the socket or on its way there, not yet taken by the kernel. */
  inflightBytes = 0;
  /** A large write is given to the socket slice by slice; nothing may come between. */
  slicing = false;
  error: Error | undefined = undefined;

  constructor(socket: Socket, encoder: FrameEncoder, stalled: Deadline) {
    this.socket = socket;
    this.encoder = encoder;
    this.stalled = stalled;
  }
}

/** One message that waits, and bounds of its frame's size. */
interface Waiting {
  readonly message: Message;
  readonly bytes: number;
  readonly copiedBytes: number;
}

export class StreamWriter {
  private readonly context: PeerContext;
  private readonly peer: NodeId;
  private readonly kind: StreamKind;
  private readonly status: PeerStatus;
  private readonly queue = new Ring<Waiting>();
  private queuedBytes = 0;
  private stream: AttachedStream | undefined = undefined;
  private stopped = false;

  constructor(context: PeerContext, peer: NodeId, kind: StreamKind, status: PeerStatus) {
    this.context = context;
    this.peer = peer;
    this.kind = kind;
    this.status = status;
  }

  get attached(): boolean {
    return this.stream !== undefined;
  }

  /**
   * Takes over a connection whose response headers have been sent; the body is what we write to it, until
   * it closes. A newer connection replaces the older one, which is closed.
   */
  attach(socket: Socket): void {
    if (this.stopped) {
      socket.destroy();
      return;
    }
    this.lose(this.stream, 'replace', new PeerError('CONNECTION', 'replaced by a newer one'));
    const stalled = new Deadline(this.context.clock, this.context.limits.writeTimeoutMs, () =>
      this.lose(stream, 'write', new PeerError('TIMEOUT')),
    );
    const encoder = this.kind === 'msgapp' ? new MsgAppEncoder() : messageEncoder;
    const stream = new AttachedStream(socket, encoder, stalled);
    this.stream = stream;
    socket.setNoDelay(true);
    socket.setTimeout(0);
    socket.on('error', (error) => {
      stream.error = error;
    });
    socket.once('close', () => this.lose(stream, 'write', stream.error ?? new PeerError('CONNECTION')));
    this.status.activate();
    this.context.logger.info('established TCP streaming connection with remote peer', this.fields());
    this.armHeartbeat(stream);
  }

  /** Messages that wait for a flush, and their bytes. */
  get waiting(): { readonly messages: number; readonly bytes: number } {
    return { messages: this.queue.length, bytes: this.queuedBytes };
  }

  /**
   * Puts a message into the next flush; false when the queue is full or nothing is attached. Its entries
   * are encoded here if they were not yet.
   */
  enqueue(message: Message): boolean {
    if (this.stream === undefined) return false;
    const limits = this.context.limits;
    const waiting = measure(message);
    if (
      this.queue.length >= limits.streamQueueMax ||
      (this.queue.length > 0 && this.queuedBytes + waiting.bytes > limits.streamQueueBytesMax)
    ) {
      return false;
    }
    this.queue.push(waiting);
    this.queuedBytes += waiting.bytes;
    return true;
  }

  /** Writes what waits, as one write, unless the connection is behind: then when it has caught up. */
  flush(): void {
    const stream = this.stream;
    const room = this.context.limits.inflightBytesMax;
    if (stream === undefined || this.queue.length === 0) return;
    if (stream.slicing || stream.inflightBytes >= room) return;
    let count = 0;
    let bytes = 0;
    let copiedBytes = 0;
    for (let item = this.queue.at(0); item !== undefined && bytes < room; item = this.queue.at(count)) {
      bytes += item.bytes;
      copiedBytes += item.copiedBytes;
      count++;
    }
    const block = new FrameBlock(copiedBytes);
    for (let i = 0; i < count; i++) {
      const item = this.queue.shift();
      assert(item !== undefined, 'what was counted is there');
      this.queuedBytes -= item.bytes;
      stream.encoder.encode(block, item.message);
    }
    this.status.counters.sentMessages += count;
    this.write(stream, block.finish());
  }

  /** Flushes and closes; nothing is reported. */
  stop(): void {
    if (this.stopped) return;
    this.flush();
    this.stopped = true;
    const stream = this.stream;
    if (stream === undefined) return;
    this.release(stream);
    stream.socket.destroySoon();
    const timer = this.context.clock.setTimer(this.context.limits.writeTimeoutMs, () =>
      stream.socket.destroy(),
    );
    stream.socket.once('close', () => timer.cancel());
  }

  private write(stream: AttachedStream, parts: readonly Buffer[]): void {
    const socket = stream.socket;
    let bytes = 0;
    let largestBytes = 0;
    for (let i = 0; i < parts.length; i++) {
      bytes += parts[i].length;
      largestBytes = Math.max(largestBytes, parts[i].length);
    }
    if (stream.inflightBytes === 0) stream.stalled.touch();
    stream.inflightBytes += bytes;
    if (largestBytes > SLICE_BYTES) {
      stream.slicing = true;
      this.writeSlices(stream, slicesOf(parts));
      return;
    }
    if (parts.length > 1) socket.cork();
    for (let i = 0; i < parts.length - 1; i++) socket.write(parts[i]);
    socket.write(parts[parts.length - 1], (error) => {
      if (error === undefined || error === null) this.written(stream, bytes);
    });
    if (parts.length > 1) socket.uncork();
  }

  /** One after the other, so that each that is taken is a sign of life: 60 MB may take longer than a stall. */
  private writeSlices(stream: AttachedStream, slices: Iterator<Buffer, undefined>): void {
    const { value: slice } = slices.next();
    if (slice === undefined) {
      stream.slicing = false;
      if (this.stream === stream) this.flush();
      return;
    }
    stream.socket.write(slice, (error) => {
      if (error !== undefined && error !== null) return;
      this.written(stream, slice.length);
      this.writeSlices(stream, slices);
    });
  }

  private written(stream: AttachedStream, bytes: number): void {
    this.status.counters.sentBytes += bytes;
    stream.inflightBytes -= bytes;
    if (this.stream !== stream) return;
    if (stream.inflightBytes === 0) stream.stalled.stop();
    else stream.stalled.touch();
    this.flush();
  }

  /** Three signs of life within the peer's read timeout; none while the connection is behind anyway. */
  private armHeartbeat(stream: AttachedStream): void {
    stream.heartbeat = this.context.clock.setTimer(this.context.limits.readTimeoutMs / 3, () => {
      if (stream.inflightBytes === 0) {
        const block = new FrameBlock(32);
        stream.encoder.linkHeartbeat(block);
        this.write(stream, block.finish());
      }
      this.armHeartbeat(stream);
    });
  }

  private lose(stream: AttachedStream | undefined, action: string, reason: Error): void {
    if (stream === undefined || this.stream !== stream) return;
    const lost = this.queue.length > 0 || stream.inflightBytes > 0;
    this.release(stream);
    stream.socket.destroy();
    this.context.logger.warn('lost TCP streaming connection with remote peer', {
      ...this.fields(),
      error: reason.message,
    });
    if (action !== 'replace') this.status.deactivate(action, `stream ${this.kind}`, reason);
    if (lost) {
      this.status.counters.sentFailures++;
      this.context.handler.reportUnreachable(this.peer);
    }
  }

  private release(stream: AttachedStream): void {
    stream.heartbeat?.cancel();
    stream.stalled.stop();
    this.stream = undefined;
    this.queue.clear();
    this.queuedBytes = 0;
  }

  private fields(): Record<string, string> {
    return {
      'stream-writer-type': `stream ${this.kind}`,
      'local-member-id': hexId(this.context.identity.memberId),
      'remote-peer-id': hexId(this.peer),
    };
  }
}

function* slicesOf(parts: readonly Buffer[]): Generator<Buffer, undefined> {
  for (const part of parts)
    for (let at = 0; at < part.length; at += SLICE_BYTES) yield part.subarray(at, at + SLICE_BYTES);
  return undefined;
}

function measure(message: Message): Waiting {
  if (message.type !== MessageType.App) {
    const bytes = messageSize(message) + 8;
    return { message, bytes, copiedBytes: bytes };
  }
  let bytes = FRAME_OVERHEAD_BYTES + message.context.length;
  let referencedBytes = 0;
  const entries = message.entries;
  encodeEntries(entries);
  for (let i = 0; i < entries.length; i++) {
    const length = entries[i].encodedEnd - entries[i].encodedStart;
    bytes += length + ENTRY_OVERHEAD_BYTES;
    if (length >= BY_REFERENCE_BYTES) referencedBytes += length;
  }
  return { message, bytes, copiedBytes: bytes - referencedBytes };
}
