/**
 * Takes an expression apart into tokens: the lexical rules of CEL, with the texts of CEL-go's generated lexer
 * for what it does not know (`Syntax error: token recognition error at: '$'`). Offsets are code points.
 */

import { type CelIssue, type Source } from './source.ts';

export type TokenKind =
  'symbol' | 'keyword' | 'identifier' | 'escaped' | 'int' | 'uint' | 'float' | 'string' | 'bytes' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** As it is written. */
  readonly text: string;
  readonly offset: number;
}

/** Words that are tokens of their own; no selector may be one of them. */
const KEYWORDS: ReadonlySet<string> = new Set(['true', 'false', 'null', 'in']);

const TWO: readonly string[] = ['==', '!=', '<=', '>=', '&&', '||'];
const ONE = '<>[]{}().,-!?:+*/%';

const LETTER = /^[A-Za-z_]$/;
const WORD = /^[A-Za-z0-9_]$/;
const DIGIT = /^[0-9]$/;
const HEX = /^[0-9A-Fa-f]$/;
const OCTAL = /^[0-7]$/;
const SPACE = /^[\t\n\f\r ]$/;
const ESCAPED_WORD = /^[A-Za-z0-9_.\-/ ]$/;

/** How many of a sort of digit follow `\x`, `\u`, `\U`. */
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, X: 2, u: 4, U: 8 };

class Lexer {
  private readonly points: readonly string[];
  private at = 0;
  readonly tokens: Token[] = [];
  readonly issues: CelIssue[] = [];

  constructor(source: Source) {
    this.points = source.points;
  }

  run(): void {
    for (;;) {
      this.skipBlank();
      if (this.at >= this.points.length) break;
      this.next();
    }
    this.tokens.push({ kind: 'end', text: '<EOF>', offset: this.points.length });
  }

  private is(test: RegExp, at: number): boolean {
    return at < this.points.length && test.test(this.points[at]);
  }

  private skipBlank(): void {
    for (;;) {
      while (this.is(SPACE, this.at)) this.at++;
      if (this.points[this.at] !== '/' || this.points[this.at + 1] !== '/') return;
      while (this.at < this.points.length && this.points[this.at] !== '\n') this.at++;
    }
  }

  private push(kind: TokenKind, end: number): void {
    this.tokens.push({ kind, text: this.points.slice(this.at, end).join(''), offset: this.at });
    this.at = end;
  }

  /** No token is written so; the text up to and with the point that fits none is left out. */
  private fail(dead: number): void {
    const end = Math.min(Math.max(dead + 1, this.at + 1), this.points.length);
    const text = this.points.slice(this.at, end).join('');
    this.issues.push({
      offset: this.at,
      message: `Syntax error: token recognition error at: '${text}'`,
    });
    this.at = end;
  }

  private next(): void {
    const point = this.points[this.at];
    if (point === '"' || point === "'" || this.stringPrefix() > 0) {
      this.string();
    } else if (LETTER.test(point)) {
      let end = this.at + 1;
      while (this.is(WORD, end)) end++;
      const word = this.points.slice(this.at, end).join('');
      this.push(KEYWORDS.has(word) ? 'keyword' : 'identifier', end);
    } else if (DIGIT.test(point) || (point === '.' && this.is(DIGIT, this.at + 1))) {
      this.number();
    } else if (point === '`') {
      let end = this.at + 1;
      while (this.is(ESCAPED_WORD, end)) end++;
      if (this.points[end] === '`' && end > this.at + 1) this.push('escaped', end + 1);
      else this.fail(end);
    } else if (TWO.includes(point + (this.points[this.at + 1] ?? ''))) {
      this.push('symbol', this.at + 2);
    } else if (ONE.includes(point)) {
      this.push('symbol', this.at + 1);
    } else {
      // The signs that only exist in pairs die at the point behind them.
      this.fail(point === '=' || point === '&' || point === '|' ? this.at + 1 : this.at);
    }
  }

  private number(): void {
    let end = this.at;
    if (this.points[end] === '0' && this.points[end + 1] === 'x' && this.is(HEX, end + 2)) {
      end += 2;
      while (this.is(HEX, end)) end++;
    } else {
      while (this.is(DIGIT, end)) end++;
      let float = false;
      if (this.points[end] === '.' && this.is(DIGIT, end + 1)) {
        float = true;
        end++;
        while (this.is(DIGIT, end)) end++;
      }
      const exponent = this.exponentEnd(end);
      if (float || exponent > end) {
        this.push('float', exponent);
        return;
      }
    }
    if (this.is(/^[uU]$/, end)) this.push('uint', end + 1);
    else this.push('int', end);
  }

  private exponentEnd(at: number): number {
    if (!this.is(/^[eE]$/, at)) return at;
    let end = at + 1;
    if (this.is(/^[+-]$/, end)) end++;
    if (!this.is(DIGIT, end)) return at;
    while (this.is(DIGIT, end)) end++;
    return end;
  }

  /** How many letters stand before a quote here: `b`, `r`, `br`; 0 when no string begins with letters here. */
  private stringPrefix(): number {
    const word = this.points.slice(this.at, this.at + 3).join('');
    return /^(?:[bB][rR]?|[rR])(?=["'])/.exec(word)?.[0].length ?? 0;
  }

  private string(): void {
    const prefix = this.points
      .slice(this.at, this.at + this.stringPrefix())
      .join('')
      .toLowerCase();
    let at = this.at + prefix.length;
    const quote = this.points[at];
    const triple = this.points[at + 1] === quote && this.points[at + 2] === quote;
    const width = triple ? 3 : 1;
    const raw = prefix.includes('r');
    at += width;
    for (;;) {
      const point = this.points[at];
      if (point === undefined || (!triple && (point === '\n' || point === '\r'))) {
        // An open triple quote is an empty string and an open quote to the original.
        if (triple) this.push(prefix.includes('b') ? 'bytes' : 'string', this.at + prefix.length + 2);
        else this.failString(prefix, at);
        return;
      }
      if (point === quote && (!triple || (this.points[at + 1] === quote && this.points[at + 2] === quote))) {
        this.push(prefix.includes('b') ? 'bytes' : 'string', at + width);
        return;
      }
      if (point === '\\' && !raw) {
        const escape = this.escapeEnd(at);
        if (escape < 0) {
          this.failString(prefix, -escape);
          return;
        }
        at = escape;
      } else {
        at++;
      }
    }
  }

  /** What would be a prefix of a string is a name where none comes of the string. */
  private failString(prefix: string, dead: number): void {
    if (prefix === '') this.fail(dead);
    else this.push('identifier', this.at + prefix.length);
  }

  /** The end of the escape that begins at `at`; the negative place where it stops being one. */
  private escapeEnd(at: number): number {
    const letter = this.points[at + 1];
    if (letter === undefined) return -(at + 1);
    if ('abfnrtv"\'\\?`'.includes(letter)) return at + 2;
    const digits = HEX_DIGITS[letter];
    if (digits !== undefined) {
      for (let i = 0; i < digits; i++) if (!this.is(HEX, at + 2 + i)) return -(at + 2 + i);
      return at + 2 + digits;
    }
    if ('0123'.includes(letter)) {
      for (let i = 0; i < 2; i++) if (!this.is(OCTAL, at + 2 + i)) return -(at + 2 + i);
      return at + 4;
    }
    return -(at + 1);
  }
}

/** The tokens of an expression, the last of kind `end`, and what is no token. */
export function tokenize(source: Source): {
  readonly tokens: readonly Token[];
  readonly issues: readonly CelIssue[];
} {
  const lexer = new Lexer(source);
  lexer.run();
  return lexer;
}
