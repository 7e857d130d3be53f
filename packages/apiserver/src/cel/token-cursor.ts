/**
 * The tokens of an expression as its parser goes through them, and the mistakes it meets: told in CEL-go's words, those
 * that follow from another not at all, and no more than so many.
 *
 * Modelled on the error strategy of CEL-go's generated parser.
 */

import { tokenize, type Token } from './lexer.ts';
import { type CelIssue, type Source } from './source.ts';

const FOLLOW: ReadonlySet<string> = new Set('== != < <= > >= && || in [ ] } ) . , - ? : + * / %'.split(' '));

/** Ends the parsing; the issues say why. */
export class Stop extends Error {}

export class TokenCursor {
  private readonly tokens: readonly Token[];
  private at = 0;
  private recovering = false;
  private recoveries = 0;
  private readonly recoveriesMax: number;
  readonly issues: CelIssue[];

  constructor(source: Source, recoveriesMax: number) {
    const { tokens, issues } = tokenize(source);
    this.tokens = tokens;
    this.issues = [...issues];
    this.recoveriesMax = recoveriesMax;
  }

  get token(): Token {
    return this.tokens[this.at];
  }

  /** The one behind it. */
  get next(): Token | undefined {
    return this.ahead(1);
  }

  /** So many behind it; before it, where that is negative. */
  ahead(count: number): Token | undefined {
    return this.tokens[this.at + count];
  }

  isSymbol(text: string): boolean {
    return this.token.kind === 'symbol' && this.token.text === text;
  }

  take(): Token {
    this.recovering = false;
    const token = this.token;
    if (token.kind !== 'end') this.at++;
    return token;
  }

  /** Passes over one that has been told of as a mistake. */
  skip(): void {
    this.at++;
  }

  takeSymbol(text: string): boolean {
    if (!this.isSymbol(text)) return false;
    this.take();
    return true;
  }

  issue(offset: number, message: string): undefined {
    this.issues.push({ offset, message });
  }

  /** Notes a syntax error at the current token, unless the last one is still being recovered from. */
  report(kind: 'mismatched' | 'extraneous' | 'missing' | 'no viable', expecting: string): void {
    if (this.recovering) return;
    this.recovering = true;
    const shown = `'${this.token.text.replaceAll('\n', '\\n').replaceAll('\t', '\\t')}'`;
    const text =
      kind === 'missing'
        ? `missing ${expecting} at ${shown}`
        : kind === 'no viable'
          ? `no viable alternative at input ${expecting}`
          : `${kind} input ${shown} expecting ${expecting}`;
    this.issue(this.token.offset, `Syntax error: ${text}`);
    this.recoveries++;
    const max = this.recoveriesMax;
    if (this.recoveries > max) {
      this.issue(this.token.offset, `Syntax error: error recovery attempt limit exceeded: ${max}`);
      throw new Stop();
    }
  }

  expect(text: string): Token {
    if (this.isSymbol(text)) return this.take();
    const { next } = this;
    if (next?.kind === 'symbol' && next.text === text) {
      this.report('extraneous', `'${text}'`);
      this.skip();
      return this.take();
    }
    const fits = text === ':' ? startsPrimary(this.token) : follows(this.token);
    if (fits) {
      this.report('missing', `'${text}'`);
      return this.token;
    }
    this.report('mismatched', `'${text}'`);
    throw new Stop();
  }
}

/** Whether the token may stand behind an operand. */
export function follows(token: Token): boolean {
  return token.kind === 'end' || FOLLOW.has(token.text);
}

export function startsPrimary(token: Token): boolean {
  switch (token.kind) {
    case 'symbol':
      return ['[', '{', '(', '.', '-', '!'].includes(token.text);
    case 'keyword':
      return token.text !== 'in';
    case 'escaped':
    case 'end':
      return false;
    default:
      return true;
  }
}
