/**
 * Keys and values of a load, from a seed: the same seed asks the same of every server. Keys are decimal
 * numbers with leading zeros, so that a prefix is a power of ten of neighbours; values are random bytes that
 * no store can compress, cut from one pool so that making one costs nothing.
 */
import { Prng } from '@keelson/base';

export interface KeyOptions {
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** Different keys. */
  readonly keySpace: number;
  /** In order of the number, wrapping around; else uniformly at random. */
  readonly sequential: boolean;
  readonly seed: number;
}

const POOL_SPARE_BYTES = 65_536;

export class Keys {
  readonly options: KeyOptions;
  private readonly prng: Prng;
  private readonly pool: Buffer;
  private next = 0;

  /** @throws RangeError when a key is too short to tell the key space apart */
  constructor(options: KeyOptions) {
    if (options.keyBytes < String(options.keySpace - 1).length) {
      throw new RangeError(
        `keys of ${options.keyBytes} bytes cannot tell ${options.keySpace} keys apart: raise --key-size`,
      );
    }
    this.options = options;
    this.prng = new Prng(options.seed);
    this.pool = Buffer.allocUnsafe(options.valueBytes + POOL_SPARE_BYTES);
    for (let i = 0; i + 4 <= this.pool.length; i += 4) this.pool.writeUInt32LE(this.prng.uint32(), i);
    this.pool.fill(1, this.pool.length & ~3);
  }

  /** Key number `index`, from 0. */
  at(index: number): Buffer {
    return Buffer.from(String(index).padStart(this.options.keyBytes, '0'), 'latin1');
  }

  /** The next key of the load. */
  pick(): Buffer {
    const { keySpace, sequential } = this.options;
    if (!sequential) return this.at(this.prng.below(keySpace));
    const index = this.next;
    this.next = index + 1 === keySpace ? 0 : index + 1;
    return this.at(index);
  }

  /** A view into the pool: valid for ever, never to be written. */
  value(): Buffer {
    const offset = this.prng.below(POOL_SPARE_BYTES);
    return this.pool.subarray(offset, offset + this.options.valueBytes);
  }

  /** True for `share` (0 to 1) of the calls. */
  chance(share: number): boolean {
    return this.prng.below(1_000_000) < share * 1_000_000;
  }
}
