/**
 * Regular expressions of expressions and schemas: RE2's syntax and its linear time, through re2js. Compiled patterns
 * are kept by whoever owns the cache, up to a number; none is kept by the module. A search that takes long can be done in
 * slices, by an engine of our own over what re2js compiled.
 */

import { RE2JS, RE2JSException } from 're2js';
import { finish, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import { search, type Place, type RegexProgram } from './regex-search.ts';
import { CelError } from './values.ts';

/** Patterns that come from data, not from the text of a rule, may be many; beyond this the oldest is dropped. */
const PATTERNS_MAX = 256;

/** Instructions of all patterns that are kept: some 100 bytes each. */
const INSTRUCTIONS_MAX = 400_000;

/**
 * Bytes of states that re2js may make of one pattern while it searches, with all patterns 64 MB; it would take 8 MB for each. A
 * pattern of people has some dozens of states of half a kilobyte; one that has more begins anew, or is searched without.
 */
const STATES_BYTES_MAX = 256 * 1024;

/** Code units of a pattern. To compile one takes 3 µs for each; Go draws the line at 128 MB of instructions. */
const PATTERN_LENGTH_MAX = 32 * 1024;

/** Characters times instructions: the most that re2js is given, which works on it in one go for up to 10 ms. */
const QUICK_STEPS_MAX = 400_000;

export class Regex {
  private readonly regex: RE2JS;
  private readonly program: RegexProgram;
  private bounded = false;

  constructor(regex: RE2JS) {
    this.regex = regex;
    this.program = regex.re2().prog;
  }

  /** Whether a search may take long: then it is to be done in slices. */
  isLong(text: string): boolean {
    return text.length * this.program.inst.length > QUICK_STEPS_MAX;
  }

  /** Whether some part of the text matches. */
  test(text: string): boolean {
    this.bound();
    return this.regex.test(text);
  }

  /** What it is compiled to. */
  get instructions(): number {
    return this.program.inst.length;
  }

  /** Bytes of the states that were made of it while searching; tests look. */
  get stateBytes(): number {
    const { lazyDFA } = this.regex.re2();
    return lazyDFA === null ? 0 : lazyDFA.stateBudget - lazyDFA.memBudget;
  }

  private bound(): void {
    if (this.bounded) return;
    this.bounded = true;
    const re2 = this.regex.re2();
    // What can be told by its first character needs no states.
    if (re2.onepass !== null) return;
    re2.dfa.stateBudget = STATES_BYTES_MAX;
    re2.dfa.memBudget = STATES_BYTES_MAX;
  }

  *slicedTest(text: string, pace: Pace): Sliced<boolean> {
    if (!this.isLong(text)) return this.test(text);
    return (yield* search(this.program, text, 0, pace, true)) !== undefined;
  }

  /** The first parts that match, at most `limit`, from left to right without overlap. */
  findAll(text: string, limit: number): readonly string[] {
    return finish(this.slicedFindAll(text, limit, WITHOUT_PAUSE));
  }

  /** As Go's FindAllString: an empty match right behind another one is none. */
  *slicedFindAll(text: string, limit: number, pace: Pace): Sliced<readonly string[]> {
    const found: string[] = [];
    const long = this.isLong(text);
    const matcher = this.regex.matcher(text);
    let end = -1;
    for (let at = 0; at <= text.length && found.length < limit;) {
      let place: Place | undefined;
      if (long) place = yield* search(this.program, text, at, pace);
      else if (matcher.find(at)) place = { from: matcher.start(), to: matcher.end() };
      if (place === undefined) break;
      const { from, to } = place;
      if (to > from || from !== end) found.push(text.slice(from, to));
      if (to > at) at = to;
      else at += (text.codePointAt(at) ?? 0) > 0xff_ff ? 2 : 1;
      end = to;
    }
    return found;
  }
}

export class RegexCache {
  private readonly kept: Map<string, Regex | CelError> = new Map();
  /** Of those. */
  private instructions = 0;

  get size(): number {
    return this.kept.size;
  }

  /** The pattern, or an error with RE2's text. */
  compile(pattern: string): Regex | CelError {
    const known = this.kept.get(pattern);
    if (known !== undefined) return known;
    const regex = compileRegex(pattern);
    this.instructions += instructionsOf(regex);
    for (const [oldest, each] of this.kept) {
      if (this.kept.size < PATTERNS_MAX && this.instructions <= INSTRUCTIONS_MAX) break;
      this.kept.delete(oldest);
      this.instructions -= instructionsOf(each);
    }
    this.kept.set(pattern, regex);
    return regex;
  }
}

function instructionsOf(regex: Regex | CelError): number {
  return regex instanceof Regex ? regex.instructions : 0;
}

export function compileRegex(pattern: string): Regex | CelError {
  if (pattern.length > PATTERN_LENGTH_MAX) {
    return new CelError('error parsing regexp: expression too large');
  }
  try {
    return new Regex(RE2JS.compile(pattern));
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    // Go lets groups share a name; here nobody asks for a group by its name.
    if (error.message.includes('duplicate capture group name')) return compileRegex(nameless(pattern));
    const { message } = error;
    // Go names the part that is wrong, which is none here.
    return new CelError(
      message.endsWith('trailing backslash at end of expression') ? `${message}: \`\`` : message,
    );
  }
}

/**
 * Quoted parts, escapes and classes as they are; the rest is where a group may begin. A class that does not end takes all
 * that is left: from each of many that do not it would be read to the end again.
 */
const PATTERN_PARTS =
  /\\Q[\s\S]*?(?:\\E|$)|\\[\s\S]|\[\^?\]?(?:\\[\s\S]?|\[:\^?\w+:\]|[^\]\\])*(?:\]|$)|\(\?P?<\w+>/g;

/** The pattern with groups that have no names. */
function nameless(pattern: string): string {
  return pattern.replace(PATTERN_PARTS, (part) => (part.startsWith('(?') ? '(' : part));
}
