/**
 * One HTTP/2 stream that carries gRPC messages, as far as client and server have it in common: messages out
 * through windows and queue, messages in through reassembly, parking and credit. What the messages mean,
 * headers and the end of the call are its heirs' (server-connection.ts, client-connection.ts). No socket.
 */
import { Ring } from '@keelson/base';
import { FrameType, readUint32, writeUint32 } from './frames.ts';
import { ReceiveWindow, SendWindow } from './flow-control.ts';
import { MessageReader, PREFIX_BYTES, inflate, tooLarge, type Refusal } from './grpc.ts';
import type { OutBuffer } from './out-buffer.ts';
import { StatusCode } from './status.ts';
import { HIGH_WATER_BYTES, LOW_WATER_BYTES } from './wire.ts';

/** What a stream needs of its connection. */
export interface StreamHost {
  readonly out: OutBuffer;
  readonly window: SendWindow;
  /** The peer's SETTINGS_MAX_FRAME_SIZE. */
  readonly frameBytesMax: number;
  /** The socket holds enough: nothing a window governs is written now. */
  readonly busy: boolean;
  /** Something stands in `out`. */
  touched(): void;
  /** The stream could send, were it not for the connection; `resumed` follows. */
  await(stream: Stream): void;
  /** Bytes of messages nobody read yet, or no longer. */
  unread(bytes: number): void;
  /** Bytes of messages that wait to leave, or no longer. */
  stalled(bytes: number): void;
  /** Announces what the stream's window got back. */
  announce(streamId: number, increment: number): void;
}

/** A compressed message nobody asked for yet: it grows to its size only when somebody reads it. */
class Packed {
  readonly bytes: Buffer;
  readonly flag: number;

  constructor(bytes: Buffer, flag: number) {
    this.bytes = bytes;
    this.flag = flag;
  }
}

export abstract class Stream {
  readonly id: number;
  readonly window: SendWindow;
  /** The peer sent END_STREAM. */
  remoteEnded = false;
  /** Over: nothing is sent, delivered or queued any more. */
  closed = false;
  protected readonly host: StreamHost;
  protected reading = false;
  /** grpc-encoding of what comes in. */
  protected encoding = '';
  /** What goes out is compressed. */
  protected compress: ((bytes: Buffer) => Buffer) | undefined = undefined;
  /** Of content-length: what has not come; -1: not announced. */
  protected expectedBytes = -1;
  private readonly receiveWindow: ReceiveWindow;
  private readonly receiveBytesMax: number;
  private reader: MessageReader | undefined = undefined;
  private parked: Ring<Buffer | Packed> | undefined = undefined;
  private parkedBytes = 0;
  private owed = 0;
  private pumping = false;
  private endDelivered = false;
  private queue: Ring<Buffer> | undefined = undefined;
  /** Of the first message in the queue, prefix included: how much has left. */
  private queueOffset = 0;
  private queuedBytes = 0;
  private full = false;
  private waiting = false;

  constructor(
    id: number,
    host: StreamHost,
    sendBytes: number,
    receiveWindowBytes: number,
    receiveBytesMax: number,
  ) {
    this.id = id;
    this.host = host;
    this.window = new SendWindow(sendBytes);
    this.receiveWindow = new ReceiveWindow(receiveWindowBytes);
    this.receiveBytesMax = receiveBytesMax;
  }

  // What the heirs do.

  /** A message, while reading is on. */
  protected abstract arrived(bytes: Buffer): void;
  /** The peer's last message was delivered. */
  protected abstract ended(): void;
  /** Writing may go on. */
  protected abstract drained(): void;
  /** Everything queued has left. */
  protected abstract emptied(): void;
  /** The peer sent another number of bytes than it announced (§8.1.1): the stream is reset. */
  protected abstract miscounted(why: string): void;
  /** The peer's message cannot be taken: ends the call. */
  protected abstract refuse(refusal: Refusal): void;

  // Out.

  /** Takes a message; false when more than the mark waits. */
  protected sendMessage(message: Buffer): boolean {
    const flag = this.compress === undefined ? 0 : 1;
    const bytes = this.compress === undefined ? message : this.compress(message);
    const host = this.host;
    const size = bytes.length + PREFIX_BYTES;
    if (
      (this.queue === undefined || this.queue.length === 0) &&
      size <= this.window.left &&
      size <= host.window.left &&
      size <= host.frameBytesMax &&
      !host.busy
    ) {
      this.window.left -= size;
      host.window.left -= size;
      host.out.data(this.id, bytes, 0, bytes.length, flag);
      host.touched();
      return true;
    }
    this.queue ??= new Ring(4);
    this.queue.push(bytes);
    this.queuedBytes += size;
    host.stalled(size);
    this.pump();
    // Once full it stays so until it is drained: who was told to wait is told to go on.
    if (this.queuedBytes > HIGH_WATER_BYTES) this.full = true;
    return !this.full;
  }

  protected get queueEmpty(): boolean {
    return this.queue === undefined || this.queue.length === 0;
  }

  /** Sends what is queued as far as windows and socket allow. @param framesMax before others get their turn */
  pump(framesMax = Infinity): void {
    const { queue, host } = this;
    if (queue === undefined || queue.length === 0 || this.closed) return;
    const flag = this.compress === undefined ? 0 : 1;
    for (let frames = 0; ; frames++) {
      const bytes = queue.at(0);
      if (bytes === undefined || this.closed) break;
      if (this.window.left <= 0) break;
      if (host.window.left <= 0 || host.busy || frames >= framesMax) {
        this.wait();
        break;
      }
      const size = bytes.length + PREFIX_BYTES;
      const room = Math.min(this.window.left, host.window.left, host.frameBytesMax);
      let take = Math.min(room, size - this.queueOffset);
      if (this.queueOffset === 0 && take >= PREFIX_BYTES) {
        host.out.data(this.id, bytes, 0, take - PREFIX_BYTES, flag);
      } else if (this.queueOffset >= PREFIX_BYTES) {
        const from = this.queueOffset - PREFIX_BYTES;
        host.out.data(this.id, bytes, from, from + take, -1);
      } else {
        // A window of a few bytes tears the prefix.
        const prefix = Buffer.from([flag, 0, 0, 0, 0]);
        writeUint32(prefix, 1, bytes.length);
        take = Math.min(take, PREFIX_BYTES - this.queueOffset);
        const piece = prefix.subarray(this.queueOffset, this.queueOffset + take);
        host.out.frame(FrameType.Data, 0, this.id, piece);
      }
      this.window.left -= take;
      host.window.left -= take;
      this.queuedBytes -= take;
      host.stalled(-take);
      this.queueOffset += take;
      if (this.queueOffset === size) {
        queue.shift();
        this.queueOffset = 0;
      }
      host.touched();
    }
    if (this.closed) return;
    if (queue.length === 0) this.emptied();
    if (this.full && this.queuedBytes <= LOW_WATER_BYTES && !this.closed) {
      this.full = false;
      this.drained();
    }
  }

  /** The connection can take more; called for streams that wait for it, in turn. */
  resumed(): void {
    this.waiting = false;
    this.pump(1);
  }

  private wait(): void {
    if (this.waiting) return;
    this.waiting = true;
    this.host.await(this);
  }

  // In.

  /** @returns false when the peer passed the stream's window */
  takeWindow(frameBytes: number): boolean {
    if (!this.receiveWindow.take(frameBytes)) return false;
    this.owed += frameBytes;
    return true;
  }

  /** A DATA frame's content. */
  bytesArrived(bytes: Buffer, start: number, end: number): void {
    if (this.expectedBytes >= 0) {
      this.expectedBytes -= end - start;
      if (this.expectedBytes < 0) {
        this.miscounted('more than content-length');
        return;
      }
    }
    let at = start;
    if (this.reader === undefined || this.reader.empty) {
      // Messages that lie whole in this frame are looked at in place.
      while (end - at >= PREFIX_BYTES && !this.closed) {
        const length = readUint32(bytes, at + 1);
        if (length > this.receiveBytesMax) {
          this.refuse(tooLarge(length, this.receiveBytesMax));
          return;
        }
        const next = at + PREFIX_BYTES + length;
        if (next > end) break;
        this.deliver(bytes[at], bytes.subarray(at + PREFIX_BYTES, next));
        at = next;
      }
    }
    while (at < end && !this.closed) {
      this.reader ??= new MessageReader();
      const reader = this.reader;
      // The prefix first, by itself: the length is judged before anything is kept.
      const prefixEnd = reader.length < 0 ? Math.min(end, at + PREFIX_BYTES) : end;
      at += reader.feed(bytes, at, prefixEnd);
      if (reader.length > this.receiveBytesMax) {
        this.refuse(tooLarge(reader.length, this.receiveBytesMax));
        return;
      }
      if (reader.complete) this.deliver(reader.flag, reader.take());
    }
    this.credit();
  }

  /** END_STREAM arrived. */
  endArrived(): void {
    if (this.expectedBytes > 0) {
      this.miscounted('less than content-length');
      return;
    }
    this.remoteEnded = true;
    this.deliverEnd();
  }

  /** True when the peer ended in the middle of a message. */
  protected get torn(): boolean {
    return this.reader !== undefined && !this.reader.empty;
  }

  protected get unreadMessages(): boolean {
    return this.parked !== undefined && this.parked.length > 0;
  }

  protected setReadingTo(on: boolean): void {
    this.reading = on;
    if (!on || this.closed) return;
    // Never from inside the call that turned reading on: its caller may not be ready.
    if (this.unreadMessages || (this.remoteEnded && !this.endDelivered)) queueMicrotask(() => this.unpark());
    else this.credit();
  }

  /** Lets go of everything that waits. The heir has told its side. */
  protected release(): void {
    this.closed = true;
    if (this.parkedBytes > 0) this.host.unread(-this.parkedBytes);
    this.parkedBytes = 0;
    this.parked = undefined;
    this.reader = undefined;
    if (this.queuedBytes > 0) this.host.stalled(-this.queuedBytes);
    this.queuedBytes = 0;
    this.queue = undefined;
  }

  private deliver(flag: number, bytes: Buffer): void {
    if (this.reading && !this.unreadMessages && !this.pumping) {
      if (flag === 0) this.arrived(bytes);
      else this.unpack(flag, bytes);
      return;
    }
    this.parked ??= new Ring(4);
    this.parked.push(flag === 0 ? bytes : new Packed(bytes, flag));
    this.parkedBytes += bytes.length;
    this.host.unread(bytes.length);
  }

  private unpack(flag: number, bytes: Buffer): void {
    const inflated = inflate(flag, bytes, this.encoding, this.receiveBytesMax);
    if (Buffer.isBuffer(inflated)) this.arrived(inflated);
    else this.refuse(inflated);
  }

  private deliverEnd(): void {
    if (!this.reading || this.unreadMessages || this.endDelivered || this.closed) return;
    this.endDelivered = true;
    if (this.torn) this.refuse({ code: StatusCode.Internal, text: 'unexpected EOF' });
    else this.ended();
  }

  private unpark(): void {
    if (this.pumping) return;
    this.pumping = true;
    while (this.reading && !this.closed) {
      const message = this.parked?.shift();
      if (message === undefined) break;
      const bytes = message instanceof Packed ? message.bytes : message;
      this.parkedBytes -= bytes.length;
      this.host.unread(-bytes.length);
      if (message instanceof Packed) this.unpack(message.flag, bytes);
      else this.arrived(bytes);
    }
    this.pumping = false;
    if (this.closed) return;
    this.credit();
    if (this.remoteEnded) this.deliverEnd();
  }

  /** Gives the window back once nothing lies here that nobody asked for. */
  private credit(): void {
    if (this.owed === 0 || this.remoteEnded || this.closed || this.unreadMessages) return;
    if (!this.reading && this.torn) return;
    this.receiveWindow.release(this.owed);
    this.owed = 0;
    const increment = this.receiveWindow.due();
    if (increment > 0) this.host.announce(this.id, increment);
  }
}
