/**
 * Where the frames of one turn for one peer are put: one allocation of a size guessed beforehand, so
 * that they leave in one socket write. Large entries are not copied but passed on as they are, between two
 * slices of the block. A block is written once and then belongs to the socket.
 */
import { writeU64BE } from '@keelson/base';

/**
 * Entries from this size on are passed by reference. Below it, copying (under 2 µs) is cheaper than one
 * more buffer in the gathered write (about 1 µs each, and a system call per 1,024 of them).
 */
export const BY_REFERENCE_BYTES: number = 16 * 1024;

/** What is allocated when a block turns out too small. */
const GROWTH_BYTES = 64 * 1024;

export class FrameBlock {
  /** Where reserved bytes are written; read it after reserve(), which may replace it. */
  target: Buffer;
  private at = 0;
  private sliced = 0;
  private parts: Buffer[] | undefined = undefined;

  /** @param bytesHint what will be copied into the block, as far as known; more makes a second allocation */
  constructor(bytesHint: number) {
    this.target = Buffer.allocUnsafe(bytesHint);
  }

  /** Room for `length` bytes, which the caller writes into `target` at the offset given back. */
  reserve(length: number): number {
    if (this.at + length > this.target.length) {
      this.cut();
      this.target = Buffer.allocUnsafe(Math.max(length, GROWTH_BYTES));
      this.at = 0;
      this.sliced = 0;
    }
    const at = this.at;
    this.at = at + length;
    return at;
  }

  byte(value: number): void {
    const at = this.reserve(1);
    this.target[at] = value;
  }

  u64(value: number): void {
    const at = this.reserve(8);
    writeU64BE(this.target, at, value);
  }

  /** Appends bytes[start, end), by reference when they are many; they must not change afterwards. */
  bytes(bytes: Buffer, start: number, end: number): void {
    if (end - start < BY_REFERENCE_BYTES) {
      const at = this.reserve(end - start);
      bytes.copy(this.target, at, start, end);
      return;
    }
    this.cut();
    (this.parts ??= []).push(bytes.subarray(start, end));
  }

  /** All bytes in order. The block must not be used afterwards. */
  finish(): Buffer[] {
    this.cut();
    return this.parts ?? [];
  }

  /** Ends the current slice. */
  private cut(): void {
    if (this.at === this.sliced) return;
    (this.parts ??= []).push(this.target.subarray(this.sliced, this.at));
    this.sliced = this.at;
  }
}
