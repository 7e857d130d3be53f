/**
 * The states that were seen, by a hash of 64 bits in two halves, and how each was first reached. Two
 * different states that share a hash would be taken for one: with n states the chance that any two do is
 * about n²/2⁶⁵, 3 in a hundred million for a million states and 3 in a million for ten. Nothing is forgotten.
 */

const FIRST = 1 << 16;

/** One of two independent halves: multiply and mix, as in MurmurHash3's 32-bit form, from another seed. */
export function hashOf(words: readonly number[], seed: number): number {
  let hash = seed;
  for (let i = 0; i < words.length; i++) {
    let word = Math.imul(words[i] ?? 0, 0xcc9e2d51);
    word = (word << 15) | (word >>> 17);
    hash ^= Math.imul(word, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  hash ^= words.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function larger(from: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const to = new Int32Array(from.length * 2);
  to.set(from);
  return to;
}

/** Law: a state's number is its place in order of discovery, and its parent's number is smaller. */
export class Visited {
  count = 0;
  private high = new Int32Array(FIRST);
  private low = new Int32Array(FIRST);
  private parents = new Int32Array(FIRST);
  private events = new Int32Array(FIRST);
  /** Open addressing over state numbers + 1; 0 is a free place. */
  private places = new Int32Array(FIRST * 4);

  /** @returns the new state's number, or -1 when it was seen before */
  add(words: readonly number[], parent: number, event: number): number {
    const high = hashOf(words, 0x9747b28c | 0);
    const low = hashOf(words, 0x3c6ef372);
    const mask = this.places.length - 1;
    let place = low & mask;
    for (let found = this.places[place] ?? 0; found !== 0; found = this.places[place] ?? 0) {
      if (this.high[found - 1] === high && this.low[found - 1] === low) return -1;
      place = (place + 1) & mask;
    }
    if (this.count === this.high.length) this.grow();
    const state = this.count++;
    this.high[state] = high;
    this.low[state] = low;
    this.parents[state] = parent;
    this.events[state] = event;
    this.places[place] = state + 1;
    if (this.count * 2 > this.places.length) this.rehash();
    return state;
  }

  parent(state: number): number {
    return this.parents[state] ?? -1;
  }

  event(state: number): number {
    return this.events[state] ?? -1;
  }

  /** The first state's number up to this one's, in order. */
  path(state: number): number[] {
    const path: number[] = [];
    for (let each = state; each >= 0; each = this.parent(each)) path.push(each);
    return path.toReversed();
  }

  private grow(): void {
    this.high = larger(this.high);
    this.low = larger(this.low);
    this.parents = larger(this.parents);
    this.events = larger(this.events);
  }

  private rehash(): void {
    const places = new Int32Array(this.places.length * 2);
    const mask = places.length - 1;
    for (let state = 0; state < this.count; state++) {
      let place = (this.low[state] ?? 0) & mask;
      while (places[place] !== 0) place = (place + 1) & mask;
      places[place] = state + 1;
    }
    this.places = places;
  }
}
