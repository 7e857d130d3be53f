/** Streams that were closed lately, and who closed them: what the peer said of one before it knew is no fault (RFC 9113 §5.1). */

/** So many are remembered; the oldest go. */
const MEMORY = 256;

export class ClosedStreams {
  /** Negative: by our reset. A ring. */
  private readonly ids = new Int32Array(MEMORY);
  private at = 0;

  add(id: number, byReset: boolean): void {
    this.ids[this.at] = byReset ? -id : id;
    this.at = (this.at + 1) % MEMORY;
  }

  /** Whether we reset it. */
  byReset(id: number): boolean {
    return this.ids.includes(-id);
  }

  /** Whether it came to its end. */
  orderly(id: number): boolean {
    return this.ids.includes(id);
  }
}
