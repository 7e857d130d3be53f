/**
 * What is wrong with an expression although its types are right: lists and maps of unlike literals, and, since 1.29,
 * constants that no duration(), timestamp() or matches() takes. Modelled on cel-go's cel.ASTValidators.
 */

import { type CallExpr, type Expr } from './ast.ts';
import { type Checked } from './checker.ts';
import { formatClauses } from './format-text.ts';
import { compileRegex } from './regex.ts';
import { type CelIssue } from './source.ts';
import { makeTimestamp, parseDuration, parseTimestamp } from './times.ts';
import { DYN, type CelType, type TypeKind } from './types.ts';
import { CelError, typeName } from './values.ts';

const valid: Readonly<Record<string, (text: string) => boolean>> = {
  duration: (text) => {
    const parsed = parseDuration(text);
    return parsed !== undefined && !(parsed instanceof CelError);
  },
  timestamp: (text) => {
    const parsed = parseTimestamp(text);
    return parsed !== undefined && !(parsed instanceof CelError);
  },
  matches: (text) => !(compileRegex(text) instanceof CelError),
};

/** Types that a clause takes, and what is said of others. */
const CLAUSES: Readonly<Record<string, readonly [ReadonlySet<TypeKind>, string]>> = (() => {
  const whole: readonly TypeKind[] = ['int', 'uint'];
  // NaN and infinity may come as texts.
  const doubles: ReadonlySet<TypeKind> = new Set(['double', 'string']);
  const hex = [
    new Set<TypeKind>([...whole, 'string', 'bytes']),
    'only integers, byte buffers, and strings can be formatted as hex',
  ] as const;
  return {
    d: [new Set(whole), 'decimal clause can only be used on integers'],
    f: [doubles, 'fixed-point clause can only be used on doubles'],
    e: [doubles, 'scientific clause can only be used on doubles'],
    b: [new Set<TypeKind>([...whole, 'bool']), 'only integers and bools can be formatted as binary'],
    o: [new Set(whole), 'octal clause can only be used on integers'],
    x: hex,
    X: hex,
    s: [
      new Set<TypeKind>([
        ...whole,
        ...['list', 'map', 'double', 'bool', 'string', 'timestamp', 'bytes', 'duration', 'type', 'null'],
      ] as const),
      'string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps',
    ],
  };
})();

/** The first of an argument's parts that a clause does not take. */
function refusedPart(
  expr: Expr,
  letter: string,
  types: Checked['types'],
): { readonly expr: Expr; readonly type: CelType } | undefined {
  const type = types.get(expr.id) ?? DYN;
  if (type.kind !== 'dyn' && !CLAUSES[letter][0].has(type.kind)) return { expr, type };
  if (letter !== 's' || (expr.kind !== 'list' && expr.kind !== 'map')) return undefined;
  for (const child of children(expr)) {
    const refused = refusedPart(child, letter, types);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

/** `"…".format([…])` of a text and a list that stand there. */
function checkFormat(expr: CallExpr, types: Checked['types'], issues: CelIssue[]): void {
  const { target } = expr;
  const [list] = expr.args;
  if (target?.kind !== 'const' || target.constant.kind !== 'string' || list?.kind !== 'list') return;
  const { elements } = list;
  const { clauses, wrong } = formatClauses(target.constant.value, elements.length);
  for (const [index, { letter }] of clauses.entries()) {
    const refused = refusedPart(elements[index], letter, types);
    if (refused === undefined) continue;
    issues.push({
      offset: refused.expr.offset,
      message: `error during formatting: ${CLAUSES[letter][1]}, was given ${typeName(refused.type)}`,
    });
    return;
  }
  if (wrong !== undefined) issues.push({ offset: expr.offset, message: wrong });
  else if (elements.length > clauses.length) {
    issues.push({
      offset: expr.offset,
      message: `too many arguments supplied to string.format (expected ${clauses.length}, got ${elements.length})`,
    });
  }
}

function checkCall(expr: CallExpr, types: Checked['types'], issues: CelIssue[]): void {
  if (expr.name === 'format' && expr.target !== undefined) checkFormat(expr, types, issues);
  const test = Object.hasOwn(valid, expr.name) ? valid[expr.name] : undefined;
  if (test === undefined) return;
  // Of matches(text, pattern) that is the text, as there.
  const [arg] = expr.args;
  if (arg?.kind !== 'const') return;
  const { constant } = arg;
  if (constant.kind === 'int' && expr.name === 'timestamp') {
    if (!(makeTimestamp(constant.value * 1_000_000_000n) instanceof CelError)) return;
  } else if (constant.kind !== 'string' || test(constant.value)) return;
  issues.push({ offset: arg.offset, message: `invalid ${expr.name} argument` });
}

export function children(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'const':
    case 'ident':
      return [];
    case 'select':
      return [expr.operand];
    case 'call':
      return expr.target === undefined ? expr.args : [expr.target, ...expr.args];
    case 'list':
      return expr.elements;
    case 'map':
      return expr.entries.flatMap((entry) => [entry.key, entry.value]);
    case 'struct':
      return expr.fields.map((field) => field.value);
    case 'comprehension':
      return [expr.range, expr.init, expr.condition, expr.step, expr.result];
  }
}

/** Calls whose arguments may be lists of unlike elements, however deep they are in them. */
const EXEMPT: ReadonlySet<string> = new Set(['format']);

class LiteralTypes {
  private readonly checked: Checked;
  private readonly issues: CelIssue[];

  constructor(checked: Checked, issues: CelIssue[]) {
    this.checked = checked;
    this.issues = issues;
  }

  private typeOf(expr: Expr, optional: boolean): CelType {
    const type = this.checked.types.get(expr.id) ?? DYN;
    return optional && type.params.length > 0 ? type.params[0] : type;
  }

  /** Whether `type` is as the ones before it; says so at `expr` where it is not. */
  private fits(expr: Expr, before: CelType | undefined, type: CelType): boolean {
    if (before === undefined || before.equals(type)) return true;
    this.issues.push({
      offset: expr.offset,
      message: `expected type '${before.toString()}' but found '${type.toString()}'`,
    });
    return false;
  }

  check(expr: Expr): void {
    if (expr.kind === 'list') {
      let element: CelType | undefined;
      for (const [i, item] of expr.elements.entries()) {
        const type = this.typeOf(item, expr.optionalIndices.includes(i));
        if (!this.fits(item, element, type)) return;
        element ??= type;
      }
    } else if (expr.kind === 'map') {
      let key: CelType | undefined;
      let value: CelType | undefined;
      for (const entry of expr.entries) {
        const keyType = this.typeOf(entry.key, false);
        const valueType = this.typeOf(entry.value, entry.optional);
        this.fits(entry.key, key, keyType);
        this.fits(entry.value, value, valueType);
        key ??= keyType;
        value ??= valueType;
      }
    }
  }
}

export function validateLiterals(
  checked: Checked,
  rules: { readonly homogeneousLiterals: boolean; readonly validatesLiterals: boolean },
): readonly CelIssue[] {
  const issues: CelIssue[] = [];
  const literals = new LiteralTypes(checked, issues);
  const stack: { readonly expr: Expr; readonly exempt: boolean }[] = [{ expr: checked.expr, exempt: false }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { expr } = top;
    if (expr.kind === 'call' && rules.validatesLiterals) checkCall(expr, checked.types, issues);
    if (rules.homogeneousLiterals && !top.exempt) literals.check(expr);
    const exempt = top.exempt || (expr.kind === 'call' && EXEMPT.has(expr.name));
    for (const child of children(expr)) stack.push({ expr: child, exempt });
  }
  return issues;
}
