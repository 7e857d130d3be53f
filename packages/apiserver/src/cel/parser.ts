/**
 * Parses an expression: the grammar of CEL with optional syntax, precedence by descent, macros unfolded on the way.
 * Chains of && and || become balanced trees. It never throws for what a user wrote: it answers with issues.
 *
 * Modelled on CEL-go's parser; its generated grammar's messages (mismatched, extraneous, missing) and places are
 * kept for the first mistake, and for the ones after it as far as recovery goes the same way.
 */

import { OPERATOR, type Expr, type FieldEntry, type MapEntry } from './ast.ts';
import type { Token } from './lexer.ts';
import { bytesLiteral, doubleLiteral, intLiteral, stringLiteral, uintLiteral } from './literals.ts';
import type { Macro } from './macros.ts';
import type { CelIssue, Source } from './source.ts';
import { follows, startsPrimary, Stop, TokenCursor } from './token-cursor.ts';
import { NOTHING, TreeBuilder } from './tree-builder.ts';

export interface ParserOptions {
  readonly macros: readonly Macro[];
  /** `a.?b`, `a[?b]`, `{?k: v}`. */
  readonly optionalSyntax: boolean;
  /** Field names between backticks. */
  readonly escapedIdentifiers?: boolean;
  /** How deep expressions may nest; CEL-go's 250. */
  readonly depthMax?: number;
  /** How many mistakes are recovered from; CEL-go's 30. */
  readonly recoveriesMax?: number;
  /** Longest expression in code points; CEL-go's 100,000. */
  readonly sizeMax?: number;
}

export const DEPTH_MAX = 250;
const RECOVERIES_MAX = 30;
const SIZE_MAX = 100_000;

const RESERVED: ReadonlySet<string> = new Set(
  (
    'as break const continue else false for function if import in let loop package namespace null return true ' +
    'var void while'
  ).split(' '),
);

const PRIMARY_SET =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const FIELD_SET = "{'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}";
const MAP_SET =
  "{'[', '{', '}', '(', '.', ',', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const RELATIONS: Readonly<Record<string, string>> = {
  '==': OPERATOR.equals,
  '!=': OPERATOR.notEquals,
  '<': OPERATOR.less,
  '<=': OPERATOR.lessEquals,
  '>': OPERATOR.greater,
  '>=': OPERATOR.greaterEquals,
  in: OPERATOR.in,
};
const SUMS: Readonly<Record<string, string>> = { '+': OPERATOR.add, '-': OPERATOR.subtract };
const PRODUCTS: Readonly<Record<string, string>> = {
  '*': OPERATOR.multiply,
  '/': OPERATOR.divide,
  '%': OPERATOR.modulo,
};

class Parser {
  private readonly tokens: TokenCursor;
  private readonly tree: TreeBuilder;
  private depth = 0;
  private readonly options: ParserOptions;
  private readonly depthMax: number;

  constructor(source: Source, options: ParserOptions) {
    this.options = options;
    this.depthMax = options.depthMax ?? DEPTH_MAX;
    this.tokens = new TokenCursor(source, options.recoveriesMax ?? RECOVERIES_MAX);
    this.tree = new TreeBuilder(options.macros, this.depthMax, this.tokens.issues);
  }

  get issues(): readonly CelIssue[] {
    return this.tokens.issues;
  }

  run(): Expr | undefined {
    try {
      const expr = this.expr();
      if (this.tokens.token.kind !== 'end') {
        this.tokens.report(this.tokens.next?.kind === 'end' ? 'extraneous' : 'mismatched', '<EOF>');
      }
      return expr;
    } catch (error) {
      if (error instanceof Stop) return undefined;
      throw error;
    }
  }

  // The grammar, from the loosest binding to the tightest.

  private expr(): Expr {
    this.depth++;
    if (this.depth > this.depthMax) {
      this.tokens.issue(-1, `expression recursion limit exceeded: ${this.depthMax}`);
      throw new Stop();
    }
    const condition = this.logical('||', OPERATOR.or, () =>
      this.logical('&&', OPERATOR.and, () => this.relation()),
    );
    let result = condition;
    if (this.tokens.isSymbol('?')) {
      const { offset } = this.tokens.take();
      const yes = this.logical('||', OPERATOR.or, () =>
        this.logical('&&', OPERATOR.and, () => this.relation()),
      );
      this.tokens.expect(':');
      const no = this.expr();
      result = this.tree.call(offset, OPERATOR.conditional, [condition, yes, no]);
    }
    this.depth--;
    return result;
  }

  private logical(symbol: string, name: string, operand: () => Expr): Expr {
    const terms = [operand()];
    const offsets: number[] = [];
    while (this.tokens.isSymbol(symbol)) {
      offsets.push(this.tokens.take().offset);
      terms.push(operand());
    }
    return terms.length === 1 ? terms[0] : this.balanced(name, terms, offsets, 0, offsets.length - 1);
  }

  private balanced(
    name: string,
    terms: readonly Expr[],
    offsets: readonly number[],
    low: number,
    high: number,
  ): Expr {
    const middle = (low + high + 1) >> 1;
    const left = middle === low ? terms[middle] : this.balanced(name, terms, offsets, low, middle - 1);
    const right = middle === high ? terms[middle + 1] : this.balanced(name, terms, offsets, middle + 1, high);
    return this.tree.call(offsets[middle], name, [left, right]);
  }

  private binary(operators: Readonly<Record<string, string>>, operand: () => Expr): Expr {
    let left = operand();
    for (;;) {
      const token = this.tokens.token;
      const name = token.kind === 'symbol' || token.kind === 'keyword' ? operators[token.text] : undefined;
      if (name === undefined) return left;
      this.tokens.take();
      left = this.tree.call(token.offset, name, [left, operand()]);
    }
  }

  private relation(): Expr {
    return this.binary(RELATIONS, () => this.binary(SUMS, () => this.binary(PRODUCTS, () => this.unary())));
  }

  private unary(): Expr {
    const sign = this.tokens.token;
    if (this.tokens.isSymbol('!') || (this.tokens.isSymbol('-') && !this.isNegativeNumber())) {
      let count = 0;
      // All signs are operators where there is more than one, that before a number too.
      while (this.tokens.isSymbol(sign.text)) {
        this.tokens.take();
        count++;
      }
      const operand = this.member();
      if (count % 2 === 0) return operand;
      return this.tree.call(sign.offset, sign.text === '!' ? OPERATOR.not : OPERATOR.negate, [operand]);
    }
    return this.member();
  }

  private isNegativeNumber(): boolean {
    const { next } = this.tokens;
    return this.tokens.isSymbol('-') && (next?.kind === 'int' || next?.kind === 'float');
  }

  private member(): Expr {
    let operand = this.primary();
    for (;;) {
      if (this.tokens.isSymbol('.')) {
        operand = this.selection(operand);
      } else if (this.tokens.isSymbol('[')) {
        const { offset } = this.tokens.take();
        const optional = this.optionalMark(offset, '[?');
        const index = this.expr();
        this.tokens.expect(']');
        operand = this.tree.call(offset, optional ? OPERATOR.optionalIndex : OPERATOR.index, [
          operand,
          index,
        ]);
      } else {
        return operand;
      }
    }
  }

  /** Takes a `?` and says whether one was there; where optional syntax is off that is an issue. */
  private optionalMark(offset: number, shown: string): boolean {
    if (!this.tokens.takeSymbol('?')) return false;
    if (!this.options.optionalSyntax) this.tokens.issue(offset, `unsupported syntax '${shown}'`);
    return true;
  }

  private selection(operand: Expr): Expr {
    const { offset } = this.tokens.take();
    const optional = this.optionalMark(offset, '.?');
    const token = this.tokens.token;
    if (token.kind === 'escaped') {
      const field = this.escapedName();
      return this.selectNode(offset, operand, field, optional);
    }
    if (token.kind !== 'identifier') {
      if (token.kind === 'keyword') this.tokens.report('mismatched', 'IDENTIFIER');
      else this.tokens.report('no viable', `'.${token.kind === 'end' ? '' : token.text}'`);
      throw new Stop();
    }
    this.tokens.take();
    if (!optional && this.tokens.isSymbol('(')) {
      const open = this.tokens.take();
      const args = this.exprList(')');
      return this.tree.callOrMacro(open.offset, token.text, args, operand);
    }
    return this.selectNode(offset, operand, token.text, optional);
  }

  private selectNode(offset: number, operand: Expr, field: string, optional: boolean): Expr {
    if (optional) {
      const name = this.tree.constant(this.tokens.ahead(-1)?.offset ?? offset, {
        kind: 'string',
        value: field,
      });
      return this.tree.call(offset, OPERATOR.optionalSelect, [operand, name]);
    }
    return { kind: 'select', id: this.tree.id(operand), offset, operand, field, testOnly: false };
  }

  private escapedName(): string {
    const token = this.tokens.take();
    if (this.options.escapedIdentifiers !== true) this.tokens.issue(token.offset, "unsupported syntax: '`'");
    return token.text.slice(1, -1);
  }

  private primary(): Expr {
    const token = this.tokens.token;
    switch (token.kind) {
      case 'int':
        this.tokens.take();
        return this.tree.constant(token.offset, intLiteral(token.text));
      case 'uint':
        this.tokens.take();
        return this.tree.constant(token.offset, uintLiteral(token.text));
      case 'float':
        this.tokens.take();
        return this.tree.constant(token.offset, doubleLiteral(token.text));
      case 'string':
        this.tokens.take();
        return this.tree.constant(token.offset, stringLiteral(token.text));
      case 'bytes':
        this.tokens.take();
        return this.tree.constant(token.offset, bytesLiteral(token.text));
      case 'keyword':
        if (token.text === 'in') return this.noPrimary();
        this.tokens.take();
        return this.tree.constant(
          token.offset,
          token.text === 'null' ? NOTHING : { kind: 'bool', value: token.text === 'true' },
        );
      case 'identifier':
        return this.named('');
      case 'symbol':
        return this.symbolPrimary(token);
      default:
        return this.noPrimary();
    }
  }

  private symbolPrimary(token: Token): Expr {
    switch (token.text) {
      case '-': {
        if (!this.isNegativeNumber()) return this.noPrimary();
        this.tokens.take();
        const number = this.tokens.take();
        const text = `-${number.text}`;
        return this.tree.constant(
          token.offset,
          number.kind === 'int' ? intLiteral(text) : doubleLiteral(text),
        );
      }
      case '(': {
        this.tokens.take();
        const inner = this.expr();
        this.tokens.expect(')');
        return inner;
      }
      case '[':
        return this.list();
      case '{':
        return this.map();
      case '.':
        this.tokens.take();
        if (this.tokens.token.kind !== 'identifier') {
          this.tokens.report(
            'no viable',
            `'.${this.tokens.token.kind === 'end' ? '' : this.tokens.token.text}'`,
          );
          throw new Stop();
        }
        return this.named('.');
      default:
        return this.noPrimary();
    }
  }

  /** What begins no operand: taken out when one begins behind it, else left for what follows. */
  private noPrimary(): Expr {
    const { offset } = this.tokens.token;
    const { next } = this.tokens;
    if (next !== undefined && this.tokens.token.kind !== 'end' && startsPrimary(next)) {
      this.tokens.report('extraneous', PRIMARY_SET);
      this.tokens.skip();
      return this.unary();
    }
    this.tokens.report('mismatched', PRIMARY_SET);
    while (!follows(this.tokens.token)) this.tokens.skip();
    return this.tree.constant(offset, NOTHING);
  }

  /** An identifier, a call of a function by its simple name, or a message. */
  private named(dot: string): Expr {
    const struct = this.structName();
    if (struct !== undefined) return this.struct(dot + struct);
    const token = this.tokens.take();
    const name = dot + token.text;
    if (this.tokens.isSymbol('(')) {
      const open = this.tokens.take();
      return this.tree.callOrMacro(open.offset, name, this.exprList(')'), undefined);
    }
    if (RESERVED.has(token.text))
      return this.tree.constant(token.offset, `reserved identifier: ${token.text}`);
    return { kind: 'ident', id: this.tree.id(), offset: token.offset, name };
  }

  /** `a.b.C` in front of a brace, without taking it; undefined when there is no message here. */
  private structName(): string | undefined {
    let name = this.tokens.token.text;
    let count = 1;
    while (this.tokens.ahead(count)?.text === '.' && this.tokens.ahead(count + 1)?.kind === 'identifier') {
      name += `.${this.tokens.ahead(count + 1)?.text}`;
      count += 2;
    }
    const brace = this.tokens.ahead(count);
    if (brace?.kind !== 'symbol' || brace.text !== '{') return undefined;
    return name;
  }

  private exprList(close: string): readonly Expr[] {
    const exprs: Expr[] = [];
    if (this.tokens.takeSymbol(close)) return exprs;
    do exprs.push(this.expr());
    while (this.tokens.takeSymbol(','));
    this.tokens.expect(close);
    return exprs;
  }

  private list(): Expr {
    const { offset } = this.tokens.take();
    const elements: Expr[] = [];
    const optionalIndices: number[] = [];
    while (!this.tokens.isSymbol(']')) {
      if (elements.length === 0 && this.tokens.isSymbol(',')) {
        this.tokens.take();
        break;
      }
      if (this.optionalMark(this.tokens.token.offset, '?')) optionalIndices.push(elements.length);
      elements.push(this.expr());
      if (!this.tokens.takeSymbol(',')) break;
    }
    this.tokens.expect(']');
    return { kind: 'list', id: this.tree.id(...elements), offset, elements, optionalIndices };
  }

  private map(): Expr {
    const { offset } = this.tokens.take();
    const entries: MapEntry[] = [];
    this.sync((token) => startsPrimary(token) || ['}', ',', '?'].includes(token.text), MAP_SET);
    while (!this.tokens.isSymbol('}')) {
      if (entries.length === 0 && this.tokens.takeSymbol(',')) break;
      const optional = this.optionalMark(this.tokens.token.offset, '?');
      const key = this.expr();
      const colon = this.tokens.expect(':');
      const value = this.expr();
      entries.push({ id: this.tree.id(), offset: colon.offset, key, value, optional });
      if (!this.tokens.takeSymbol(',')) break;
    }
    this.tokens.expect('}');
    return {
      kind: 'map',
      id: this.tree.id(...entries.flatMap(({ key, value }) => [key, value])),
      offset,
      entries,
    };
  }

  private struct(name: string): Expr {
    while (!this.tokens.isSymbol('{')) this.tokens.take();
    const { offset } = this.tokens.take();
    const fields: FieldEntry[] = [];
    const fits = (token: Token): boolean =>
      token.kind === 'identifier' || token.kind === 'escaped' || ['}', ',', '?'].includes(token.text);
    this.sync(fits, FIELD_SET);
    while (!this.tokens.isSymbol('}')) {
      if (fields.length === 0 && this.tokens.takeSymbol(',')) break;
      const optional = this.optionalMark(this.tokens.token.offset, '?');
      const token = this.tokens.token;
      if (token.kind !== 'identifier' && token.kind !== 'escaped') {
        this.tokens.report('mismatched', optional ? '{IDENTIFIER, ESC_IDENTIFIER}' : FIELD_SET);
        throw new Stop();
      }
      const field = token.kind === 'escaped' ? this.escapedName() : this.tokens.take().text;
      const colon = this.tokens.expect(':');
      const value = this.expr();
      fields.push({ id: this.tree.id(), offset: colon.offset, name: field, value, optional });
      if (!this.tokens.takeSymbol(',')) break;
    }
    this.tokens.expect('}');
    return { kind: 'struct', id: this.tree.id(...fields.map((field) => field.value)), offset, name, fields };
  }

  /** At the begin of a literal with braces: takes out one token that cannot stand here when the next one can. */
  private sync(fits: (token: Token) => boolean, set: string): void {
    if (fits(this.tokens.token)) return;
    const { next } = this.tokens;
    if (next !== undefined && this.tokens.token.kind !== 'end' && fits(next)) {
      this.tokens.report('extraneous', set);
      this.tokens.skip();
      return;
    }
    this.tokens.report('mismatched', set);
    throw new Stop();
  }
}

/** The tree of an expression with the highest id in it, or what is wrong with it. */
export function parse(
  source: Source,
  options: ParserOptions,
): { readonly expr: Expr; readonly issues?: undefined } | { readonly issues: readonly CelIssue[] } {
  const sizeMax = options.sizeMax ?? SIZE_MAX;
  if (source.points.length > sizeMax) {
    const size = source.points.length;
    return {
      issues: [
        { offset: -1, message: `expression code point size exceeds limit: size: ${size}, limit ${sizeMax}` },
      ],
    };
  }
  const parser = new Parser(source, options);
  const expr = parser.run();
  return expr === undefined || parser.issues.length > 0 ? { issues: parser.issues } : { expr };
}
