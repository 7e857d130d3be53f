/**
 * What a run looked like, in 64 bits: everything that happens is mixed in, in order, so that two runs with
 * the same hash had the same history. It proves that a seed repeats; it is no defence against forgery.
 * Two lanes of FNV-1a (Fowler, Noll, Vo) with different multipliers.
 */
// Bound once: this runs for every byte, and a global is slow to find in a test runner's context.
const { imul, trunc } = Math;
const INT_MAX = 0x7fff_ffff;

export class TraceHash {
  private a = 0x811c_9dc5;
  private b = 0x2545_f491;

  /** Any safe integer, or Infinity. */
  number(value: number): void {
    const low = value | 0;
    this.a = imul(this.a ^ low, 0x0100_0193);
    // Infinity divided is Infinity, whose low bits are 0 here as well: -1 stands for it.
    const high = value <= INT_MAX ? 0 : value === Infinity ? -1 : trunc(value / 0x1_0000_0000) | 0;
    this.b = imul(this.b ^ (low + imul(high, 31)) ^ (this.b >>> 15), 0x85eb_ca6b);
  }

  bytes(data: Uint8Array): void {
    this.number(data.length);
    for (let i = 0; i < data.length; i++) this.number(data[i] ?? 0);
  }

  text(text: string): void {
    this.number(text.length);
    for (let i = 0; i < text.length; i++) this.number(text.charCodeAt(i));
  }

  /** Sixteen hexadecimal digits. */
  digest(): string {
    const hex = (lane: number): string => (lane >>> 0).toString(16).padStart(8, '0');
    return hex(this.a) + hex(this.b);
  }
}
