/** Worlds in order, packed into one growing block of words: a million of them take some 60 MB. */

const FIRST_WORDS = 1 << 16;

export class WorldQueue {
  count = 0;
  private words = new Int32Array(FIRST_WORDS);
  private ends = new Int32Array(FIRST_WORDS);
  private used = 0;

  push(world: readonly number[]): void {
    if (this.used + world.length > this.words.length) this.words = larger(this.words);
    if (this.count === this.ends.length) this.ends = larger(this.ends);
    for (let i = 0; i < world.length; i++) this.words[this.used++] = world[i];
    this.ends[this.count++] = this.used;
  }

  /** A copy of the world at `place`, from 0. */
  at(place: number): number[] {
    const start = place === 0 ? 0 : this.ends[place - 1];
    const end = this.ends[place];
    const world: number[] = [];
    for (let i = start; i < end; i++) world.push(this.words[i]);
    return world;
  }

  /** Empties it; the block stays. */
  clear(): void {
    this.count = 0;
    this.used = 0;
  }
}

function larger(block: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(block.length * 2);
  copy.set(block);
  return copy;
}
