/**
 * What a connection wants to send, between two writes: frames are put one behind the other into slabs that
 * all connections of a server share, so an idle connection holds none; large payloads stay where they are
 * and are referred to. It knows frames and no state of streams. Everything leaves in one `write` a turn.
 */
import { FRAME_HEADER_BYTES, Flag, FrameType, writeFrameHeader, writeUint32 } from './frames.ts';

/** As large as what one read brings: the answers to it usually fit one slab. */
const SLAB_BYTES = 65_536;
/** Spare slabs kept: 2 MiB a server. */
const SPARE_COUNT = 32;
/** Payloads from this size on are not copied: below, the copy is cheaper than one more item in writev. */
const REFER_FROM_BYTES = 4096;

/** Takes chunks; true when it is done with their memory already. */
export type Writer = (chunks: readonly Buffer[]) => boolean;

/** Slabs to use again. */
export class SlabPool {
  private readonly spare: Buffer[] = [];

  take(): Buffer {
    return this.spare.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
  }

  give(slab: Buffer): void {
    if (this.spare.length < SPARE_COUNT) this.spare.push(slab);
  }
}

const NONE: Buffer = Buffer.alloc(0);

export class OutBuffer {
  /** DATA frames of messages so far. */
  dataCount = 0;
  private readonly pool: SlabPool;
  private slab = NONE;
  /** The part of the slab that is not in `chunks` yet. */
  private from = 0;
  private at = 0;
  private chunks: Buffer[] = [];
  private chunkBytes = 0;
  /** Slabs that `chunks` points into. */
  private filled: Buffer[] = [];
  /** Where the flags of the last DATA frame stand, if that frame is the last thing in the slab. */
  private lastFlagsAt = -1;
  private lastEnd = -1;
  private lastStream = 0;

  constructor(pool: SlabPool) {
    this.pool = pool;
  }

  get bytes(): number {
    return this.chunkBytes + this.at - this.from;
  }

  /** Appends a frame whose payload is copied. */
  frame(type: number, flags: number, streamId: number, payload: Buffer): void {
    this.room(FRAME_HEADER_BYTES + payload.length);
    this.at = writeFrameHeader(this.slab, this.at, payload.length, type, flags, streamId);
    this.copy(payload, 0, payload.length);
  }

  /** Appends a frame of four bytes: RST_STREAM, WINDOW_UPDATE. */
  frameOfUint32(type: number, streamId: number, value: number): void {
    this.room(FRAME_HEADER_BYTES + 4);
    this.at = writeFrameHeader(this.slab, this.at, 4, type, 0, streamId);
    this.at = writeUint32(this.slab, this.at, value);
  }

  /**
   * Appends one DATA frame with bytes[start, end) of a gRPC message, and its five-byte prefix in front when
   * `start` is 0 (`prefix` is then the compressed flag, else -1).
   */
  data(streamId: number, bytes: Buffer, start: number, end: number, prefix: number): void {
    const size = end - start;
    const head = prefix < 0 ? FRAME_HEADER_BYTES : FRAME_HEADER_BYTES + 5;
    const refer = size >= REFER_FROM_BYTES;
    this.room(refer ? head : head + size);
    const slab = this.slab;
    const flagsAt = this.at + 4;
    this.at = writeFrameHeader(slab, this.at, head - FRAME_HEADER_BYTES + size, FrameType.Data, 0, streamId);
    if (prefix >= 0) {
      slab[this.at] = prefix;
      this.at = writeUint32(slab, this.at + 1, bytes.length);
    }
    if (refer) {
      this.cut();
      this.chunks.push(bytes.subarray(start, end));
      this.chunkBytes += size;
    } else {
      this.copy(bytes, start, end);
    }
    this.dataCount++;
    this.lastFlagsAt = flagsAt;
    this.lastEnd = this.at;
    this.lastStream = streamId;
  }

  /** Appends a DATA frame that only ends the stream, or lets the stream's last DATA frame say so. */
  endStream(streamId: number): void {
    if (this.lastStream === streamId && this.lastEnd === this.at && this.lastFlagsAt >= 0) {
      this.slab[this.lastFlagsAt] |= Flag.EndStream;
    } else {
      this.room(FRAME_HEADER_BYTES);
      this.at = writeFrameHeader(this.slab, this.at, 0, FrameType.Data, Flag.EndStream, streamId);
    }
    this.lastFlagsAt = -1;
  }

  /** Hands everything to `write` in one call. */
  flush(write: Writer): void {
    this.cut();
    const chunks = this.chunks;
    this.lastFlagsAt = -1;
    this.chunkBytes = 0;
    this.chunks = [];
    const done = write(chunks);
    if (done) {
      if (this.slab.length > 0) this.pool.give(this.slab);
      for (const slab of this.filled) this.pool.give(slab);
    }
    this.slab = NONE;
    this.from = 0;
    this.at = 0;
    if (this.filled.length > 0) this.filled = [];
  }

  /** Forgets everything. */
  clear(): void {
    this.flush(() => true);
  }

  private copy(bytes: Buffer, start: number, end: number): void {
    const size = end - start;
    if (size <= 24) {
      // Shorter than the price of a native call.
      const slab = this.slab;
      let at = this.at;
      for (let i = start; i < end; i++) slab[at++] = bytes[i];
    } else {
      bytes.copy(this.slab, this.at, start, end);
    }
    this.at += size;
  }

  /** Makes sure that `bytes` fit behind `at`. */
  private room(bytes: number): void {
    if (this.at + bytes <= this.slab.length) return;
    this.cut();
    if (this.slab.length > 0) this.filled.push(this.slab);
    this.from = 0;
    this.at = 0;
    this.lastFlagsAt = -1;
    this.slab = bytes <= SLAB_BYTES ? this.pool.take() : Buffer.allocUnsafeSlow(bytes);
  }

  /** Moves what the slab holds to `chunks`. */
  private cut(): void {
    if (this.at === this.from) return;
    this.chunks.push(this.slab.subarray(this.from, this.at));
    this.chunkBytes += this.at - this.from;
    this.from = this.at;
  }
}
