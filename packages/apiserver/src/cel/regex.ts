/**
 * Regular expressions of expressions and schemas: RE2's syntax and its linear time, through re2js. Compiled patterns
 * are kept by whoever owns the cache, up to a number; none is kept by the module.
 */

import { RE2JS, RE2JSException } from 're2js';
import { CelError } from './values.ts';

/** Patterns that come from data, not from the text of a rule, may be many; beyond this the oldest is dropped. */
const PATTERNS_MAX = 256;

export interface Regex {
  /** Whether some part of the text matches. */
  test(text: string): boolean;
  /** The first parts that match, at most `limit`, from left to right without overlap. */
  findAll(text: string, limit: number): readonly string[];
}

class Compiled implements Regex {
  private readonly regex: RE2JS;

  constructor(regex: RE2JS) {
    this.regex = regex;
  }

  test(text: string): boolean {
    return this.regex.test(text);
  }

  findAll(text: string, limit: number): readonly string[] {
    const found: string[] = [];
    const matcher = this.regex.matcher(text);
    while (found.length < limit && matcher.find()) found.push(matcher.group() ?? '');
    return found;
  }
}

export class RegexCache {
  private readonly kept: Map<string, Regex | CelError> = new Map();

  /** The pattern, or an error with RE2's text. */
  compile(pattern: string): Regex | CelError {
    const known = this.kept.get(pattern);
    if (known !== undefined) return known;
    const regex = compileRegex(pattern);
    if (this.kept.size >= PATTERNS_MAX) {
      for (const oldest of this.kept.keys()) {
        this.kept.delete(oldest);
        break;
      }
    }
    this.kept.set(pattern, regex);
    return regex;
  }
}

export function compileRegex(pattern: string): Regex | CelError {
  try {
    return new Compiled(RE2JS.compile(pattern));
  } catch (error) {
    if (error instanceof RE2JSException) return new CelError(error.message);
    throw error;
  }
}
