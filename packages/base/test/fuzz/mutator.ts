/**
 * Seeded mutations of bytes: what an input of a corpus becomes after bits were flipped, lengths made extreme, ranges
 * cut, doubled, moved or taken from another input. Nothing is learned from an execution: the same Prng gives the same
 * bytes for ever. Inputs are made in one scratch buffer, so that an execution costs no allocation.
 */
import type { Prng } from '@keelson/base';

/** Where counters and lengths turn over. */
const BYTES: readonly number[] = [0, 1, 2, 7, 8, 0x0a, 0x12, 0x20, 0x22, 0x7f, 0x80, 0x81, 0xfe, 0xff];
const WORDS: readonly number[] = [
  0, 1, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0xff_ffff,
].concat([0x100_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff]);

export class Mutator {
  private readonly corpus: readonly Buffer[];
  private readonly dictionary: readonly Buffer[];
  private readonly scratch: Buffer;
  private used = 0;

  /**
   * @param corpus not empty; inputs longer than `bytesMax` are cut
   * @param dictionary what is inserted whole: words of the format
   */
  constructor(corpus: readonly Buffer[], dictionary: readonly Buffer[] = [], bytesMax = 64 * 1024) {
    this.corpus = corpus;
    this.dictionary = dictionary;
    this.scratch = Buffer.alloc(bytesMax);
  }

  /** The next input: a view that is valid until the next call. One in 16 is as it stands in the corpus. */
  next(prng: Prng): Buffer {
    return this.of(prng, prng.pick(this.corpus));
  }

  /** An input made from `bytes`: a view that is valid until the next call. */
  of(prng: Prng, bytes: Buffer): Buffer {
    this.used = bytes.copy(this.scratch, 0, 0, Math.min(bytes.length, this.scratch.length));
    const rounds = prng.below(16) === 0 ? 0 : 1 + prng.below(prng.below(4) === 0 ? 8 : 2);
    for (let i = 0; i < rounds; i++) this.mutate(prng);
    return this.scratch.subarray(0, this.used);
  }

  private mutate(prng: Prng): void {
    const { scratch } = this;
    const kind = prng.below(this.dictionary.length === 0 ? 12 : 16);
    if (this.used === 0) {
      this.insert(prng, Buffer.from([prng.below(256)]));
      return;
    }
    const at = prng.below(this.used);
    switch (kind) {
      case 0:
      case 1:
        scratch[at] ^= 1 << prng.below(8);
        return;
      case 2:
        scratch[at] = prng.below(256);
        return;
      case 3:
        scratch[at] = prng.pick(BYTES);
        return;
      case 4:
        scratch[at] = (scratch[at] + prng.between(-4, 4)) & 0xff;
        return;
      case 5:
        this.word(prng, at);
        return;
      case 6:
        this.used = at;
        return;
      case 7:
        this.remove(at, 1 + prng.below(Math.min(16, this.used - at)));
        return;
      case 8:
        this.insert(prng, Buffer.from([prng.below(256), prng.pick(BYTES)].slice(0, 1 + prng.below(2))));
        return;
      case 9:
        // Doubles a range in front of itself, or somewhere else.
        this.insert(prng, this.range(prng, scratch.subarray(0, this.used)));
        return;
      case 10:
        this.insert(prng, this.range(prng, prng.pick(this.corpus)));
        return;
      case 11: {
        const count = Math.min(1 + prng.below(16), this.used - at);
        scratch.fill(prng.chance(1, 2) ? 0 : 0xff, at, at + count);
        return;
      }
      default:
        this.insert(prng, prng.pick(this.dictionary));
    }
  }

  /** A number of 16, 32 or 64 bits, at either end first. */
  private word(prng: Prng, at: number): void {
    const value = prng.pick(WORDS);
    const { scratch } = this;
    const width = prng.pick([2, 4, 8]);
    if (at + width > this.used) return;
    const little = prng.chance(1, 2);
    if (width === 2) {
      if (little) scratch.writeUInt16LE(value & 0xffff, at);
      else scratch.writeUInt16BE(value & 0xffff, at);
      return;
    }
    if (width === 8) scratch.fill(value === 0xffff_ffff ? 0xff : 0, at, at + 8);
    const place = width === 8 && !little ? at + 4 : at;
    if (little) scratch.writeUInt32LE(value, place);
    else scratch.writeUInt32BE(value, place);
  }

  private range(prng: Prng, bytes: Buffer): Buffer {
    if (bytes.length === 0) return bytes;
    const start = prng.below(bytes.length);
    const count = 1 + prng.below(Math.min(64, bytes.length - start));
    return Buffer.from(bytes.subarray(start, start + count));
  }

  private insert(prng: Prng, bytes: Buffer): void {
    const count = Math.min(bytes.length, this.scratch.length - this.used);
    const at = prng.below(this.used + 1);
    this.scratch.copyWithin(at + count, at, this.used);
    bytes.copy(this.scratch, at, 0, count);
    this.used += count;
  }

  private remove(at: number, count: number): void {
    this.scratch.copyWithin(at, at + count, this.used);
    this.used -= count;
  }
}
