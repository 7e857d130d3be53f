/** Sorting what may be many: runs that are sorted at once, merged with looks at the pace between. Pure. */

import type { Pace, Sliced } from './sliced.ts';

/** Items of a run: a fifth of a millisecond. */
const RUN = 512;

/**
 * The items in order; of equal ones the first stays the first.
 *
 * @param items is used up
 */
export function* sortedInSlices<T>(items: T[], compare: (a: T, b: T) => number, pace: Pace): Sliced<T[]> {
  if (yield* isSorted(items, compare, pace)) return items;
  let from: T[] = items;
  for (let start = 0; start < from.length; start += RUN) {
    const run = from.slice(start, start + RUN).sort(compare);
    for (let at = 0; at < run.length; at += 1) from[start + at] = run[at];
    if (pace.due()) yield;
  }
  let to: T[] = from.slice();
  for (let width = RUN; width < from.length; width *= 2) {
    for (let start = 0; start < from.length; start += 2 * width) {
      const middle = Math.min(start + width, from.length);
      const end = Math.min(start + 2 * width, from.length);
      let left = start;
      let right = middle;
      for (let at = start; at < end; at += 1) {
        if (at % RUN === 0 && pace.due()) yield;
        const takesLeft = left < middle && (right >= end || compare(from[left], from[right]) <= 0);
        to[at] = from[takesLeft ? left : right];
        if (takesLeft) left += 1;
        else right += 1;
      }
    }
    [from, to] = [to, from];
  }
  return from;
}

function* isSorted<T>(items: readonly T[], compare: (a: T, b: T) => number, pace: Pace): Sliced<boolean> {
  for (let at = 1; at < items.length; at += 1) {
    if (compare(items[at - 1], items[at]) > 0) return false;
    if (at % RUN === 0 && pace.due()) yield;
  }
  return true;
}
