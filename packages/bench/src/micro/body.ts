/** What a micro-benchmark repeats; the rooms' files make them, measure.ts times them. */
export interface Body {
  /** room: what one operation is. */
  readonly name: string;
  /** Operations one call of `run` makes. */
  readonly operations: number;
  /** @returns something that depends on the work, so that it cannot be optimised away */
  run(): unknown;
  /** The same work done in the obvious way, timed in the same rounds: what the room's cleverness is worth. */
  readonly naive?: { readonly name: string; run(): unknown };
}
