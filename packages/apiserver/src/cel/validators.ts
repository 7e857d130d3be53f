/**
 * What is wrong with an expression although its types are right: lists and maps of unlike literals, and, since 1.29,
 * constants that no duration(), timestamp() or matches() takes. Modelled on cel-go's cel.ASTValidators.
 */

import { type CallExpr, type Expr } from './ast.ts';
import { type Checked } from './checker.ts';
import { compileRegex } from './regex.ts';
import { type CelIssue } from './source.ts';
import { parseDuration, parseTimestamp } from './times.ts';
import { DYN, Substitution, type CelType } from './types.ts';
import { CelError } from './values.ts';

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

function checkCall(expr: CallExpr, issues: CelIssue[]): void {
  const test = Object.hasOwn(valid, expr.name) ? valid[expr.name] : undefined;
  if (test === undefined) return;
  const arg = expr.args[expr.args.length - 1];
  if (arg?.kind !== 'const' || arg.constant.kind !== 'string' || test(arg.constant.value)) return;
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

/** Whether literals may stand beside each other: of one type, or of one that is not known. */
const alike = (a: CelType, b: CelType): boolean =>
  new Substitution().assignable(a, b) || new Substitution().assignable(b, a);

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
    if (before === undefined || alike(before, type)) return true;
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
    if (expr.kind === 'call' && rules.validatesLiterals) checkCall(expr, issues);
    if (rules.homogeneousLiterals && !top.exempt) literals.check(expr);
    const exempt = top.exempt || (expr.kind === 'call' && EXEMPT.has(expr.name));
    for (const child of children(expr)) stack.push({ expr: child, exempt });
  }
  return issues;
}
