/**
 * A search through a long text with a compiled regular expression, in slices: all ways to match at once, a character at a
 * time, so that the time is the text's length times the expression's and never more. Finds what re2js finds, which is
 * quicker with short texts but cannot be put down.
 *
 * The algorithm is Pike's, as in RE2 and Go's regexp: threads in the order of their preference, the leftmost first.
 */

import type { Pace, Sliced } from '../api/sliced.ts';

/** An instruction of re2js' programs. */
export interface Instruction {
  readonly op: number;
  /** The instruction behind it. */
  readonly out: number;
  /** The other one of a branch; the conditions of an empty match. */
  readonly arg: number;
  readonly runes: ArrayLike<number>;
  matchRune(rune: number): boolean;
}

export interface RegexProgram {
  readonly inst: readonly Instruction[];
  readonly start: number;
}

/** Where a match lies, in code units. */
export interface Place {
  readonly from: number;
  readonly to: number;
}

/** The numbers of re2js' Inst. */
const OP = {
  alt: 1,
  altMatch: 2,
  capture: 3,
  emptyWidth: 4,
  fail: 5,
  match: 6,
  nop: 7,
  rune: 8,
  rune1: 9,
  runeAny: 10,
  runeAnyNotNewline: 11,
} as const;

/** The bits of an empty match's conditions, as in re2js. */
const AT = {
  lineStart: 1,
  lineEnd: 2,
  textStart: 4,
  textEnd: 8,
  wordBoundary: 16,
  noWordBoundary: 32,
} as const;

const NEWLINE = 10;
/** No character: before the first and behind the last. */
const NONE = -1;
/** Threads that are moved between two looks at the pace: a tenth of a millisecond. */
const LOOK_STEPS = 5_000;

function isWord(rune: number): boolean {
  return (
    (rune >= 97 && rune <= 122) || (rune >= 65 && rune <= 90) || (rune >= 48 && rune <= 57) || rune === 95
  );
}

function conditions(before: number, after: number): number {
  let bits = isWord(before) === isWord(after) ? AT.noWordBoundary : AT.wordBoundary;
  if (before === NONE) bits |= AT.textStart | AT.lineStart;
  if (before === NEWLINE) bits |= AT.lineStart;
  if (after === NONE) bits |= AT.textEnd | AT.lineEnd;
  if (after === NEWLINE) bits |= AT.lineEnd;
  return bits;
}

/** The threads at one place of the text, in the order of their preference, each instruction once. */
class Threads {
  size = 0;
  readonly at: Int32Array;
  /** Where the match of each would begin. */
  readonly from: Int32Array;
  private readonly places: Int32Array;

  constructor(count: number) {
    this.at = new Int32Array(count);
    this.from = new Int32Array(count);
    this.places = new Int32Array(count);
  }

  has(at: number): boolean {
    const place = this.places[at];
    return place < this.size && this.at[place] === at;
  }

  add(at: number, from: number): void {
    this.places[at] = this.size;
    this.at[this.size] = at;
    this.from[this.size] = from;
    this.size += 1;
  }
}

class Search {
  /** Since it began. */
  steps = 0;
  private readonly program: RegexProgram;
  private readonly stack: number[] = [];
  private current: Threads;
  private next: Threads;

  constructor(program: RegexProgram) {
    this.program = program;
    this.current = new Threads(program.inst.length);
    this.next = new Threads(program.inst.length);
  }

  /** Threads before a character. */
  get live(): number {
    return this.current.size;
  }

  /** A match may begin here. */
  begin(at: number, bits: number): void {
    this.follow(this.current, this.program.start, at, bits);
  }

  /**
   * Takes all threads over a character.
   *
   * @param at where the character stands
   * @param bits what holds behind it
   * @returns where the match of the most preferred thread that was through at `at` began; undefined: none was
   */
  take(rune: number, bits: number): number | undefined {
    const { current, next } = this;
    const { inst } = this.program;
    let found: number | undefined;
    next.size = 0;
    for (let index = 0; index < current.size; index += 1) {
      const instruction = inst[current.at[index]];
      const from = current.from[index];
      if (instruction.op === OP.match) {
        // Those that come later are less preferred.
        found = from;
        break;
      }
      if (rune !== NONE && matches(instruction, rune)) this.follow(next, instruction.out, from, bits);
    }
    this.steps += current.size + next.size + 1;
    this.current = next;
    this.next = current;
    return found;
  }

  /** Adds an instruction and what can be reached from it without a character. */
  private follow(threads: Threads, start: number, from: number, bits: number): void {
    const { stack } = this;
    stack.push(start);
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (at === 0 || threads.has(at)) continue;
      threads.add(at, from);
      const { op, out, arg } = this.program.inst[at];
      switch (op) {
        case OP.alt:
        case OP.altMatch:
          stack.push(arg, out);
          break;
        case OP.capture:
        case OP.nop:
          stack.push(out);
          break;
        case OP.emptyWidth:
          if ((arg & ~bits) === 0) stack.push(out);
          break;
        default:
      }
    }
  }
}

function matches(instruction: Instruction, rune: number): boolean {
  switch (instruction.op) {
    case OP.rune:
      return instruction.matchRune(rune);
    case OP.rune1:
      return instruction.runes[0] === rune;
    case OP.runeAny:
      return true;
    case OP.runeAnyNotNewline:
      return rune !== NEWLINE;
    default:
      return false;
  }
}

/**
 * The leftmost match at or behind a place; undefined where there is none.
 *
 * @param start in code units, at the beginning of a character
 * @param anywhere only whether there is one is asked: the first that is seen is told, wherever it ends
 */
export function* search(
  program: RegexProgram,
  text: string,
  start: number,
  pace: Pace,
  anywhere = false,
): Sliced<Place | undefined> {
  const walk = new Search(program);
  let looked = 0;
  let best: Place | undefined;
  let at = start;
  let rune = text.codePointAt(at) ?? NONE;
  let bits = conditions(start === 0 ? NONE : before(text, start), rune);
  for (;;) {
    if (best === undefined) walk.begin(at, bits);
    else if (walk.live === 0) return best;
    const width = rune === NONE ? 0 : rune > 0xff_ff ? 2 : 1;
    const following = width === 0 ? NONE : (text.codePointAt(at + width) ?? NONE);
    bits = conditions(rune, following);
    const from = walk.take(rune, bits);
    if (from !== undefined) {
      best = { from, to: at };
      if (anywhere) return best;
    }
    if (width === 0) return best;
    at += width;
    rune = following;
    if (walk.steps - looked > LOOK_STEPS) {
      looked = walk.steps;
      if (pace.due()) yield;
    }
  }
}

/** The character that ends before a place. */
function before(text: string, at: number): number {
  const unit = text.charCodeAt(at - 1);
  const pair = unit >= 0xdc_00 && unit <= 0xdf_ff ? text.codePointAt(at - 2) : undefined;
  return pair !== undefined && pair > 0xff_ff ? pair : unit;
}
