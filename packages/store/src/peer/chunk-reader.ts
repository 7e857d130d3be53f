/**
 * Cuts a byte stream that arrives in chunks into pieces of exact length, resuming where the last chunk
 * ended. Knows no frame; the stream decoders are built on it.
 *
 * Memory: a piece that lies inside one chunk is a view of it; a piece across chunks is a copy of its own.
 * Node gives a client connection's data in buffers of exactly the bytes read, 64 KiB at most, so a kept
 * view holds at most that, and under load nearly all of it is entries that live equally long. A chunk
 * that is a small part of a larger slab is copied first, once for all its frames.
 */
import { EMPTY, readU64BE } from '@keelson/base';
import { PeerError } from './peer-error.ts';

/** First size of the buffer for a piece across chunks: a length field alone allocates no more than this. */
const PARTIAL_BYTES = 64 * 1024;

export class ChunkReader {
  private chunk: Buffer = EMPTY;
  private at = 0;
  private partial: Buffer | undefined = undefined;
  private filled = 0;
  /** What pass() has found: passed[passedStart, passedEnd). */
  passed: Buffer = EMPTY;
  passedStart = 0;
  passedEnd = 0;

  /** Gives the next bytes. All of the previous chunk must have been taken (until a take gave undefined). */
  feed(chunk: Buffer): void {
    this.chunk = chunk.buffer.byteLength > 2 * chunk.length + 1024 ? Buffer.from(chunk) : chunk;
    this.at = 0;
  }

  /** Bytes of the chunk that were not taken yet. */
  get available(): number {
    return this.chunk.length - this.at;
  }

  /** Whether a piece has begun and waits for more bytes. */
  get midway(): boolean {
    return this.partial !== undefined;
  }

  /** The next byte; -1 when the chunk is used up. */
  takeByte(): number {
    return this.at < this.chunk.length ? this.chunk[this.at++] : -1;
  }

  /**
   * The next big-endian u64; -1 when the chunk is used up first (ask again after feed).
   * @throws PeerError 'TOO_LARGE' beyond 2^53-1
   */
  takeU64(): number {
    if (this.partial === undefined && this.chunk.length - this.at >= 8) {
      if (this.chunk.readUInt32BE(this.at) > 0x1f_ffff) throw new PeerError('TOO_LARGE', 'length or count');
      const value = readU64BE(this.chunk, this.at);
      this.at += 8;
      return value;
    }
    const bytes = this.take(8);
    if (bytes === undefined) return -1;
    if (bytes.readUInt32BE(0) > 0x1f_ffff) throw new PeerError('TOO_LARGE', 'length or count');
    return readU64BE(bytes, 0);
  }

  /** The next `length` bytes; undefined when the chunk is used up first (ask again with the same length). */
  take(length: number): Buffer | undefined {
    return this.pass(length) ? this.passed.subarray(this.passedStart, this.passedEnd) : undefined;
  }

  /**
   * As take(), without a view: the bytes are then passed[passedStart, passedEnd).
   * @returns false when the chunk is used up first
   */
  pass(length: number): boolean {
    if (this.partial === undefined) {
      const end = this.at + length;
      if (end <= this.chunk.length) {
        this.passed = this.chunk;
        this.passedStart = this.at;
        this.passedEnd = end;
        this.at = end;
        return true;
      }
      if (this.at === this.chunk.length) return false;
      this.partial = Buffer.allocUnsafeSlow(Math.min(length, PARTIAL_BYTES));
      this.filled = 0;
    }
    const wanted = Math.min(length - this.filled, this.chunk.length - this.at);
    if (this.filled + wanted > this.partial.length) {
      const size = Math.min(length, Math.max(this.filled + wanted, this.partial.length * 2));
      const larger = Buffer.allocUnsafeSlow(size);
      this.partial.copy(larger, 0, 0, this.filled);
      this.partial = larger;
    }
    this.chunk.copy(this.partial, this.filled, this.at, this.at + wanted);
    this.at += wanted;
    this.filled += wanted;
    if (this.filled < length) return false;
    this.passed = this.partial;
    this.passedStart = 0;
    this.passedEnd = length;
    this.partial = undefined;
    return true;
  }
}
