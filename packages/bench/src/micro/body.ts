/** What a micro-benchmark repeats; the rooms' files make them, micro.ts times them. */
export interface Body {
  /** room: what one operation is. */
  readonly name: string;
  /** Operations one call of `run` makes. */
  readonly operations: number;
  /** @returns something that depends on the work, so that it cannot be optimised away */
  run(): unknown;
}
