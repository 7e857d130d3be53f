/**
 * How two values differ, as messages of the original show it: both written as JSON a member a line, then the changed
 * lines with three around them. Which lines are taken for the same is the choice of Python's difflib, whose port
 * the original uses: the longest run first, then what is left and right of it.
 */

import { goJson } from './go-json.ts';

/** Lines shown around a change. */
const CONTEXT = 3;
/** A text of this many lines has popular ones: those that stand in more than a hundredth of it begin no run. */
const POPULAR_FROM = 200;

/** A run of equal lines: where it begins in either text. */
interface Run {
  readonly a: number;
  readonly b: number;
  readonly length: number;
}

/** A stretch of either text: the same lines, or what stands in place of the other. */
interface Change {
  readonly same: boolean;
  readonly a: readonly [from: number, to: number];
  readonly b: readonly [from: number, to: number];
}

/** The difference between two values, in lines that each end; empty where they are alike. */
export function valueDiff(before: unknown, after: unknown): string {
  return lineDiff(goJson(before, ' ').split('\n'), goJson(after, ' ').split('\n'));
}

export function lineDiff(a: readonly string[], b: readonly string[]): string {
  let text = '';
  for (const group of groups(changes(a, b))) {
    const [first] = group;
    const last = group.at(-1) ?? first;
    text += `@@ -${range(first.a[0], last.a[1])} +${range(first.b[0], last.b[1])} @@\n`;
    for (const change of group) {
      if (change.same) for (const line of a.slice(...change.a)) text += ` ${line}\n`;
      else {
        for (const line of a.slice(...change.a)) text += `-${line}\n`;
        for (const line of b.slice(...change.b)) text += `+${line}\n`;
      }
    }
  }
  return text;
}

function range(from: number, to: number): string {
  const length = to - from;
  if (length === 1) return String(from + 1);
  return `${length === 0 ? from : from + 1},${length}`;
}

/** The longest equal run of a part of both texts; of two alike the one that begins earlier. */
function longest(
  a: readonly string[],
  b: readonly string[],
  places: ReadonlyMap<string, readonly number[]>,
  [aFrom, aTo, bFrom, bTo]: Part,
): Run {
  let best: Run = { a: aFrom, b: bFrom, length: 0 };
  let ending = new Map<number, number>();
  for (let i = aFrom; i < aTo; i += 1) {
    const next = new Map<number, number>();
    for (const j of places.get(a[i]) ?? []) {
      if (j < bFrom) continue;
      if (j >= bTo) break;
      const length = (ending.get(j - 1) ?? 0) + 1;
      next.set(j, length);
      if (length > best.length) best = { a: i - length + 1, b: j - length + 1, length };
    }
    ending = next;
  }
  // Popular lines begin no run, they make one longer.
  let { a: left, b: top, length } = best;
  while (left > aFrom && top > bFrom && a[left - 1] === b[top - 1]) {
    left -= 1;
    top -= 1;
    length += 1;
  }
  while (left + length < aTo && top + length < bTo && a[left + length] === b[top + length]) length += 1;
  return { a: left, b: top, length };
}

type Part = readonly [aFrom: number, aTo: number, bFrom: number, bTo: number];

function runs(a: readonly string[], b: readonly string[]): Run[] {
  const places = new Map<string, number[]>();
  for (const [index, line] of b.entries()) {
    const known = places.get(line);
    if (known === undefined) places.set(line, [index]);
    else known.push(index);
  }
  if (b.length >= POPULAR_FROM) {
    const most = Math.floor(b.length / 100) + 1;
    for (const [line, known] of places) if (known.length > most) places.delete(line);
  }
  const found: Run[] = [];
  const parts: Part[] = [[0, a.length, 0, b.length]];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    const run = longest(a, b, places, part);
    if (run.length === 0) continue;
    found.push(run);
    const [aFrom, aTo, bFrom, bTo] = part;
    if (aFrom < run.a && bFrom < run.b) parts.push([aFrom, run.a, bFrom, run.b]);
    if (run.a + run.length < aTo && run.b + run.length < bTo)
      parts.push([run.a + run.length, aTo, run.b + run.length, bTo]);
  }
  return found.toSorted((one, other) => one.a - other.a || one.b - other.b);
}

/** Both texts from begin to end; runs that touch are one. */
function changes(a: readonly string[], b: readonly string[]): Change[] {
  const all: Change[] = [];
  let i = 0;
  let j = 0;
  for (const run of [...runs(a, b), { a: a.length, b: b.length, length: 0 }]) {
    if (i < run.a || j < run.b) all.push({ same: false, a: [i, run.a], b: [j, run.b] });
    i = run.a + run.length;
    j = run.b + run.length;
    if (run.length === 0) continue;
    const before = all.at(-1);
    if (before?.same === true) all[all.length - 1] = { ...before, a: [before.a[0], i], b: [before.b[0], j] };
    else all.push({ same: true, a: [run.a, i], b: [run.b, j] });
  }
  return all;
}

/** Changes with the lines around them; those that are near each other together. */
function groups(all: readonly Change[]): [Change, ...Change[]][] {
  const made: [Change, ...Change[]][] = [];
  let group: Change[] = [];
  const end = (): void => {
    const [first, ...rest] = group;
    if (first !== undefined && group.some(({ same }) => !same)) made.push([first, ...rest]);
    group = [];
  };
  for (const [index, change] of all.entries()) {
    if (!change.same) {
      group.push(change);
      continue;
    }
    const { a, b } = change;
    const head: Change = {
      same: true,
      a: [a[0], Math.min(a[1], a[0] + CONTEXT)],
      b: [b[0], Math.min(b[1], b[0] + CONTEXT)],
    };
    const tail: Change = {
      same: true,
      a: [Math.max(a[0], a[1] - CONTEXT), a[1]],
      b: [Math.max(b[0], b[1] - CONTEXT), b[1]],
    };
    const last = index === all.length - 1;
    if (index === 0) group.push(tail);
    else if (last) group.push(head);
    else if (a[1] - a[0] > 2 * CONTEXT) {
      group.push(head);
      end();
      group.push(tail);
    } else group.push(change);
  }
  end();
  return made;
}
