/**
 * Bytes as they come from a socket, cut into whole frames (RFC 9113 §4.1). A frame that lies whole in what came is handed
 * on where it lies; of one whose end has not come, the beginning is kept. Knows lengths only.
 */
import { ConnectionError, ErrorCode, FRAME_HEADER_BYTES, FRAME_SIZE_MIN } from './frames.ts';

export interface FrameSink {
  /** Nothing more is read. */
  readonly dead: boolean;
  /** One whole frame, its header at `start`. */
  frameArrived(bytes: Buffer, start: number, end: number): void;
}

const NO_BYTES = Buffer.alloc(0);

export class FrameReader {
  private readonly sink: FrameSink;
  /** A frame whose end has not come: of its size, once that is known. */
  private partial: Buffer = NO_BYTES;
  private filled = 0;

  constructor(sink: FrameSink) {
    this.sink = sink;
  }

  /** Memory of the frame that is not complete. */
  get heldBytes(): number {
    return this.partial.length;
  }

  clear(): void {
    this.partial = NO_BYTES;
    this.filled = 0;
  }

  /**
   * @param start where frames begin, or go on
   * @throws ConnectionError for a frame that is too long
   */
  read(bytes: Buffer, start: number): void {
    const { sink } = this;
    const end = bytes.length;
    let at = start;
    if (this.filled > 0) {
      at = this.complete(bytes, at);
      if (at < 0 || sink.dead) return;
    }
    while (end - at >= FRAME_HEADER_BYTES) {
      const next = at + FRAME_HEADER_BYTES + lengthAt(bytes, at);
      if (next > end) break;
      sink.frameArrived(bytes, at, next);
      if (sink.dead) return;
      at = next;
    }
    if (at < end) {
      // The frame's beginning is kept by itself, in a buffer of the frame's size once that is known.
      this.partial = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
      this.filled = 0;
      this.complete(bytes, at);
    }
  }

  /** Fills the kept frame. @returns where the next frame begins; -1 when this one is not complete */
  private complete(bytes: Buffer, start: number): number {
    let at = start;
    while (at < bytes.length || this.filled === this.partial.length) {
      const take = Math.min(this.partial.length - this.filled, bytes.length - at);
      bytes.copy(this.partial, this.filled, at, at + take);
      this.filled += take;
      at += take;
      if (this.filled < this.partial.length) return -1;
      const size = FRAME_HEADER_BYTES + lengthAt(this.partial, 0);
      if (this.partial.length === size) {
        const whole = this.partial;
        this.partial = NO_BYTES;
        this.filled = 0;
        this.sink.frameArrived(whole, 0, size);
        return at;
      }
      const larger = Buffer.allocUnsafe(size);
      this.partial.copy(larger, 0, 0, FRAME_HEADER_BYTES);
      this.partial = larger;
    }
    return -1;
  }
}

/** @throws ConnectionError */
function lengthAt(bytes: Buffer, at: number): number {
  const length = (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2];
  if (length > FRAME_SIZE_MIN) tooLong(length);
  return length;
}

function tooLong(frameBytes: number): never {
  throw new ConnectionError(ErrorCode.FrameSizeError, `a frame of ${frameBytes} bytes`);
}
