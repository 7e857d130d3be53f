/**
 * Costs and sizes as ranges, before anything runs: from the least to the most, saturating where Go's uint64 would
 * overflow. A number is exact up to 2^53; budgets are far below that.
 */

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** What "unbounded" is: 2^64, where the original stops at one less. */
export const UNBOUNDED = 2 ** 64;

export const UNKNOWN: Range = { min: 0, max: UNBOUNDED };
export const ZERO: Range = { min: 0, max: 0 };
export const ONE: Range = { min: 1, max: 1 };

export const exactly = (value: number): Range => ({ min: value, max: value });

const cap = (value: number): number => Math.min(value, UNBOUNDED);

export function sum(...ranges: readonly Range[]): Range {
  let min = 0;
  let max = 0;
  for (const range of ranges) {
    min = cap(min + range.min);
    max = cap(max + range.max);
  }
  return { min, max };
}

export const product = (a: Range, b: Range): Range => ({ min: cap(a.min * b.min), max: cap(a.max * b.max) });

/** Rounded up on both sides. */
export const scaled = (range: Range, factor: number): Range => ({
  min: cap(Math.ceil(range.min * factor)),
  max: cap(Math.ceil(range.max * factor)),
});

/** What holds both. */
export const union = (a: Range, b: Range): Range => ({
  min: Math.min(a.min, b.min),
  max: Math.max(a.max, b.max),
});
