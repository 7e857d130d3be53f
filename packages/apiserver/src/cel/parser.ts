/**
 * Parses an expression: the grammar of CEL with optional syntax, precedence by descent, macros unfolded on the way.
 * Chains of && and || become balanced trees. It never throws for what a user wrote: it answers with issues.
 *
 * Modelled on CEL-go's parser; its generated grammar's messages (mismatched, extraneous, missing) and places are
 * kept for the first mistake, and for the ones after it as far as recovery goes the same way.
 */

import { OPERATOR, type CallExpr, type Constant, type Expr, type FieldEntry, type MapEntry } from './ast.ts';
import { tokenize, type Token } from './lexer.ts';
import { bytesLiteral, doubleLiteral, intLiteral, stringLiteral, uintLiteral } from './literals.ts';
import { type Macro, type NodeMaker } from './macros.ts';
import { type CelIssue, type Source } from './source.ts';

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
const FOLLOW: ReadonlySet<string> = new Set('== != < <= > >= && || in [ ] } ) . , - ? : + * / %'.split(' '));

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

/** Ends the parsing; the issues say why. */
class Stop extends Error {}

/** What a position that cannot be read is parsed as, after an issue was noted. */
const NOTHING: Constant = { kind: 'null' };

class Parser {
  private readonly tokens: readonly Token[];
  private at = 0;
  private lastId = 0;
  private depth = 0;
  private recovering = false;
  private recoveries = 0;
  private readonly options: ParserOptions;
  private readonly depthMax: number;
  /** The depth of each node's tree, by id. */
  private readonly depths: number[] = [0];
  readonly issues: CelIssue[];

  constructor(source: Source, options: ParserOptions) {
    this.options = options;
    this.depthMax = options.depthMax ?? DEPTH_MAX;
    const { tokens, issues } = tokenize(source);
    this.tokens = tokens;
    this.issues = [...issues];
  }

  run(): Expr | undefined {
    try {
      const expr = this.expr();
      if (this.token.kind !== 'end') {
        this.report(this.tokens[this.at + 1]?.kind === 'end' ? 'extraneous' : 'mismatched', '<EOF>');
      }
      return expr;
    } catch (error) {
      if (error instanceof Stop) return undefined;
      throw error;
    }
  }

  // Tokens and mistakes.

  private get token(): Token {
    return this.tokens[this.at];
  }

  private isSymbol(text: string): boolean {
    return this.token.kind === 'symbol' && this.token.text === text;
  }

  private take(): Token {
    this.recovering = false;
    const token = this.token;
    if (token.kind !== 'end') this.at++;
    return token;
  }

  private takeSymbol(text: string): boolean {
    if (!this.isSymbol(text)) return false;
    this.take();
    return true;
  }

  private issue(offset: number, message: string): undefined {
    this.issues.push({ offset, message });
  }

  /** Notes a syntax error at the current token, unless the last one is still being recovered from. */
  private report(kind: 'mismatched' | 'extraneous' | 'missing' | 'no viable', expecting: string): void {
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
    const max = this.options.recoveriesMax ?? RECOVERIES_MAX;
    if (this.recoveries > max) {
      this.issue(this.token.offset, `Syntax error: error recovery attempt limit exceeded: ${max}`);
      throw new Stop();
    }
  }

  private expect(text: string): Token {
    if (this.isSymbol(text)) return this.take();
    const next = this.tokens[this.at + 1];
    if (next?.kind === 'symbol' && next.text === text) {
      this.report('extraneous', `'${text}'`);
      this.at++;
      return this.take();
    }
    const fits =
      text === ':' ? startsPrimary(this.token) : this.token.kind === 'end' || FOLLOW.has(this.token.text);
    if (fits) {
      this.report('missing', `'${text}'`);
      return this.token;
    }
    this.report('mismatched', `'${text}'`);
    throw new Stop();
  }

  // Nodes.

  private id(...children: readonly Expr[]): number {
    let depth = 1;
    for (const child of children) depth = Math.max(depth, this.depths[child.id] + 1);
    if (depth > this.depthMax) {
      this.issue(-1, 'max recursion depth exceeded');
      throw new Stop();
    }
    this.lastId++;
    this.depths[this.lastId] = depth;
    return this.lastId;
  }

  private constant(offset: number, constant: Constant | string): Expr {
    if (typeof constant === 'string') {
      this.issue(offset, constant);
      return { kind: 'const', id: this.id(), offset, constant: NOTHING };
    }
    return { kind: 'const', id: this.id(), offset, constant };
  }

  private callNode(offset: number, name: string, args: readonly Expr[], target?: Expr): CallExpr {
    const id = target === undefined ? this.id(...args) : this.id(target, ...args);
    return { kind: 'call', id, offset, target, name, args };
  }

  private maker(offset: number): NodeMaker {
    const fresh = (): { id: number; offset: number } => {
      this.lastId++;
      this.depths[this.lastId] = 1;
      return { id: this.lastId, offset };
    };
    return {
      constant: (constant) => ({ kind: 'const', ...fresh(), constant }),
      ident: (name) => ({ kind: 'ident', ...fresh(), name }),
      call: (name, args) => ({ kind: 'call', ...fresh(), target: undefined, name, args }),
      memberCall: (target, name, args) => ({ kind: 'call', ...fresh(), target, name, args }),
      list: (elements) => ({ kind: 'list', ...fresh(), elements, optionalIndices: [] }),
      emptyMap: () => ({ kind: 'map', ...fresh(), entries: [] }),
      presenceTest: (operand, field) => ({
        kind: 'select',
        id: this.id(operand),
        offset,
        operand,
        field,
        testOnly: true,
      }),
      comprehension: (fold) => ({
        kind: 'comprehension',
        id: this.id(fold.range, fold.init, fold.step, fold.result),
        offset,
        ...fold,
      }),
      copy: (expr) => this.copy(expr),
      fail: (expr, message) => this.issue(expr.offset, message),
    };
  }

  private copy(expr: Expr): Expr {
    const depth = this.depths[expr.id];
    this.lastId++;
    this.depths[this.lastId] = depth;
    const id = this.lastId;
    const entryId = (): number => {
      this.lastId++;
      return this.lastId;
    };
    switch (expr.kind) {
      case 'const':
      case 'ident':
        return { ...expr, id };
      case 'select':
        return { ...expr, id, operand: this.copy(expr.operand) };
      case 'call':
        return {
          ...expr,
          id,
          target: expr.target === undefined ? undefined : this.copy(expr.target),
          args: expr.args.map((arg) => this.copy(arg)),
        };
      case 'list':
        return { ...expr, id, elements: expr.elements.map((element) => this.copy(element)) };
      case 'map':
        return {
          ...expr,
          id,
          entries: expr.entries.map((entry) => ({
            ...entry,
            id: entryId(),
            key: this.copy(entry.key),
            value: this.copy(entry.value),
          })),
        };
      case 'struct':
        return {
          ...expr,
          id,
          fields: expr.fields.map((field) => ({ ...field, id: entryId(), value: this.copy(field.value) })),
        };
      case 'comprehension':
        return {
          ...expr,
          id,
          range: this.copy(expr.range),
          init: this.copy(expr.init),
          condition: this.copy(expr.condition),
          step: this.copy(expr.step),
          result: this.copy(expr.result),
        };
    }
  }

  /** A call that may be a macro. */
  private callOrMacro(offset: number, name: string, args: readonly Expr[], target: Expr | undefined): Expr {
    for (const macro of this.options.macros) {
      if (macro.name !== name || macro.argCount !== args.length) continue;
      if (macro.receiver !== (target !== undefined)) continue;
      const issuesBefore = this.issues.length;
      const expanded = macro.expand(this.maker(offset), target, args);
      if (expanded !== undefined) return expanded;
      if (this.issues.length > issuesBefore) return this.constant(offset, NOTHING);
    }
    return this.callNode(offset, name, args, target);
  }

  // The grammar, from the loosest binding to the tightest.

  private expr(): Expr {
    this.depth++;
    if (this.depth > this.depthMax) {
      this.issue(-1, `expression recursion limit exceeded: ${this.depthMax}`);
      throw new Stop();
    }
    const condition = this.logical('||', OPERATOR.or, () =>
      this.logical('&&', OPERATOR.and, () => this.relation()),
    );
    let result = condition;
    if (this.isSymbol('?')) {
      const { offset } = this.take();
      const yes = this.logical('||', OPERATOR.or, () =>
        this.logical('&&', OPERATOR.and, () => this.relation()),
      );
      this.expect(':');
      const no = this.expr();
      result = this.callNode(offset, OPERATOR.conditional, [condition, yes, no]);
    }
    this.depth--;
    return result;
  }

  private logical(symbol: string, name: string, operand: () => Expr): Expr {
    const terms = [operand()];
    const offsets: number[] = [];
    while (this.isSymbol(symbol)) {
      offsets.push(this.take().offset);
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
    return this.callNode(offsets[middle], name, [left, right]);
  }

  private binary(operators: Readonly<Record<string, string>>, operand: () => Expr): Expr {
    let left = operand();
    for (;;) {
      const token = this.token;
      const name = token.kind === 'symbol' || token.kind === 'keyword' ? operators[token.text] : undefined;
      if (name === undefined) return left;
      this.take();
      left = this.callNode(token.offset, name, [left, operand()]);
    }
  }

  private relation(): Expr {
    return this.binary(RELATIONS, () => this.binary(SUMS, () => this.binary(PRODUCTS, () => this.unary())));
  }

  private unary(): Expr {
    const sign = this.token;
    if (this.isSymbol('!') || (this.isSymbol('-') && !this.isNegativeNumber())) {
      let count = 0;
      while (this.isSymbol(sign.text) && !(sign.text === '-' && this.isNegativeNumber())) {
        this.take();
        count++;
      }
      const operand = this.member();
      if (count % 2 === 0) return operand;
      return this.callNode(sign.offset, sign.text === '!' ? OPERATOR.not : OPERATOR.negate, [operand]);
    }
    return this.member();
  }

  private isNegativeNumber(): boolean {
    const next = this.tokens[this.at + 1];
    return this.isSymbol('-') && (next?.kind === 'int' || next?.kind === 'float');
  }

  private member(): Expr {
    let operand = this.primary();
    for (;;) {
      if (this.isSymbol('.')) {
        operand = this.selection(operand);
      } else if (this.isSymbol('[')) {
        const { offset } = this.take();
        const optional = this.optionalMark(offset, '[?');
        const index = this.expr();
        this.expect(']');
        operand = this.callNode(offset, optional ? OPERATOR.optionalIndex : OPERATOR.index, [operand, index]);
      } else {
        return operand;
      }
    }
  }

  /** Takes a `?` and says whether one was there; where optional syntax is off that is an issue. */
  private optionalMark(offset: number, shown: string): boolean {
    if (!this.takeSymbol('?')) return false;
    if (!this.options.optionalSyntax) this.issue(offset, `unsupported syntax '${shown}'`);
    return true;
  }

  private selection(operand: Expr): Expr {
    const { offset } = this.take();
    const optional = this.optionalMark(offset, '.?');
    const token = this.token;
    if (token.kind === 'escaped') {
      const field = this.escapedName();
      return this.selectNode(offset, operand, field, optional);
    }
    if (token.kind !== 'identifier') {
      if (token.kind === 'keyword') this.report('mismatched', 'IDENTIFIER');
      else this.report('no viable', `'.${token.kind === 'end' ? '' : token.text}'`);
      throw new Stop();
    }
    this.take();
    if (!optional && this.isSymbol('(')) {
      const open = this.take();
      const args = this.exprList(')');
      return this.callOrMacro(open.offset, token.text, args, operand);
    }
    return this.selectNode(offset, operand, token.text, optional);
  }

  private selectNode(offset: number, operand: Expr, field: string, optional: boolean): Expr {
    if (optional) {
      const name = this.constant(this.tokens[this.at - 1].offset, { kind: 'string', value: field });
      return this.callNode(offset, OPERATOR.optionalSelect, [operand, name]);
    }
    return { kind: 'select', id: this.id(operand), offset, operand, field, testOnly: false };
  }

  private escapedName(): string {
    const token = this.take();
    if (this.options.escapedIdentifiers !== true) this.issue(token.offset, "unsupported syntax: '`'");
    return token.text.slice(1, -1);
  }

  private primary(): Expr {
    const token = this.token;
    switch (token.kind) {
      case 'int':
        this.take();
        return this.constant(token.offset, intLiteral(token.text));
      case 'uint':
        this.take();
        return this.constant(token.offset, uintLiteral(token.text));
      case 'float':
        this.take();
        return this.constant(token.offset, doubleLiteral(token.text));
      case 'string':
        this.take();
        return this.constant(token.offset, stringLiteral(token.text));
      case 'bytes':
        this.take();
        return this.constant(token.offset, bytesLiteral(token.text));
      case 'keyword':
        if (token.text === 'in') return this.noPrimary();
        this.take();
        return this.constant(
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
        this.take();
        const number = this.take();
        const text = `-${number.text}`;
        return this.constant(token.offset, number.kind === 'int' ? intLiteral(text) : doubleLiteral(text));
      }
      case '(': {
        this.take();
        const inner = this.expr();
        this.expect(')');
        return inner;
      }
      case '[':
        return this.list();
      case '{':
        return this.map();
      case '.':
        this.take();
        if (this.token.kind !== 'identifier') {
          this.report('no viable', `'.${this.token.kind === 'end' ? '' : this.token.text}'`);
          throw new Stop();
        }
        return this.named('.');
      default:
        return this.noPrimary();
    }
  }

  /** What begins no operand: taken out when one begins behind it, else left for what follows. */
  private noPrimary(): Expr {
    const { offset } = this.token;
    const next = this.tokens[this.at + 1];
    if (next !== undefined && this.token.kind !== 'end' && startsPrimary(next)) {
      this.report('extraneous', PRIMARY_SET);
      this.at++;
      return this.unary();
    }
    this.report('mismatched', PRIMARY_SET);
    while (this.token.kind !== 'end' && !FOLLOW.has(this.token.text)) this.at++;
    return this.constant(offset, NOTHING);
  }

  /** An identifier, a call of a function by its simple name, or a message. */
  private named(dot: string): Expr {
    const struct = this.structName();
    if (struct !== undefined) return this.struct(dot + struct);
    const token = this.take();
    const name = dot + token.text;
    if (this.isSymbol('(')) {
      const open = this.take();
      return this.callOrMacro(open.offset, name, this.exprList(')'), undefined);
    }
    if (RESERVED.has(token.text)) return this.constant(token.offset, `reserved identifier: ${token.text}`);
    return { kind: 'ident', id: this.id(), offset: token.offset, name };
  }

  /** `a.b.C` in front of a brace, without taking it; undefined when there is no message here. */
  private structName(): string | undefined {
    let name = this.token.text;
    let at = this.at + 1;
    while (this.tokens[at]?.text === '.' && this.tokens[at + 1]?.kind === 'identifier') {
      name += `.${this.tokens[at + 1].text}`;
      at += 2;
    }
    if (this.tokens[at]?.kind !== 'symbol' || this.tokens[at].text !== '{') return undefined;
    return name;
  }

  private exprList(close: string): readonly Expr[] {
    const exprs: Expr[] = [];
    if (this.takeSymbol(close)) return exprs;
    do exprs.push(this.expr());
    while (this.takeSymbol(','));
    this.expect(close);
    return exprs;
  }

  private list(): Expr {
    const { offset } = this.take();
    const elements: Expr[] = [];
    const optionalIndices: number[] = [];
    while (!this.isSymbol(']')) {
      if (elements.length === 0 && this.isSymbol(',')) {
        this.take();
        break;
      }
      if (this.optionalMark(this.token.offset, '?')) optionalIndices.push(elements.length);
      elements.push(this.expr());
      if (!this.takeSymbol(',')) break;
    }
    this.expect(']');
    return { kind: 'list', id: this.id(...elements), offset, elements, optionalIndices };
  }

  private map(): Expr {
    const { offset } = this.take();
    const entries: MapEntry[] = [];
    this.sync((token) => startsPrimary(token) || ['}', ',', '?'].includes(token.text), MAP_SET);
    while (!this.isSymbol('}')) {
      if (entries.length === 0 && this.takeSymbol(',')) break;
      const optional = this.optionalMark(this.token.offset, '?');
      const key = this.expr();
      const colon = this.expect(':');
      const value = this.expr();
      entries.push({ id: this.id(), offset: colon.offset, key, value, optional });
      if (!this.takeSymbol(',')) break;
    }
    this.expect('}');
    return {
      kind: 'map',
      id: this.id(...entries.flatMap(({ key, value }) => [key, value])),
      offset,
      entries,
    };
  }

  private struct(name: string): Expr {
    while (!this.isSymbol('{')) this.take();
    const { offset } = this.take();
    const fields: FieldEntry[] = [];
    const fits = (token: Token): boolean =>
      token.kind === 'identifier' || token.kind === 'escaped' || ['}', ',', '?'].includes(token.text);
    this.sync(fits, FIELD_SET);
    while (!this.isSymbol('}')) {
      if (fields.length === 0 && this.takeSymbol(',')) break;
      const optional = this.optionalMark(this.token.offset, '?');
      const token = this.token;
      if (token.kind !== 'identifier' && token.kind !== 'escaped') {
        this.report('mismatched', optional ? '{IDENTIFIER, ESC_IDENTIFIER}' : FIELD_SET);
        throw new Stop();
      }
      const field = token.kind === 'escaped' ? this.escapedName() : this.take().text;
      const colon = this.expect(':');
      const value = this.expr();
      fields.push({ id: this.id(), offset: colon.offset, name: field, value, optional });
      if (!this.takeSymbol(',')) break;
    }
    this.expect('}');
    return { kind: 'struct', id: this.id(...fields.map((field) => field.value)), offset, name, fields };
  }

  /** At the begin of a literal with braces: takes out one token that cannot stand here when the next one can. */
  private sync(fits: (token: Token) => boolean, set: string): void {
    if (fits(this.token)) return;
    const next = this.tokens[this.at + 1];
    if (next !== undefined && this.token.kind !== 'end' && fits(next)) {
      this.report('extraneous', set);
      this.at++;
      return;
    }
    this.report('mismatched', set);
    throw new Stop();
  }
}

function startsPrimary(token: Token): boolean {
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
