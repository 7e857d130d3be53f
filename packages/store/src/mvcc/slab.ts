/**
 * Memory for what is written one after the other and lives about equally long: stretches of large blocks, so that
 * a stored version is a place in a block and no object of its own for the collector. A block is freed when nothing
 * refers to it any more; who keeps one stretch for long keeps its block.
 */
import { EMPTY } from '@keelson/base';

/** Some 200 versions of 300 bytes. What the value cache keeps is bounded by all that was written, so larger is no worse. */
const BLOCK_BYTES = 64 * 1024;
/** Anything larger has a block of its own. */
const SHARED_BYTES_MAX = BLOCK_BYTES / 8;

export class Slab {
  /** Where the stretch of the last reserve() lies. */
  block: Buffer = EMPTY;
  private shared: Buffer = EMPTY;
  private used = 0;

  /** Room for `bytes`, of which every one is to be written. @returns its start in `block` */
  reserve(bytes: number): number {
    if (bytes > SHARED_BYTES_MAX) {
      this.block = Buffer.allocUnsafeSlow(bytes);
      return 0;
    }
    if (this.used + bytes > this.shared.length) {
      this.shared = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.used = 0;
    }
    this.block = this.shared;
    const start = this.used;
    this.used = start + bytes;
    return start;
  }
}
