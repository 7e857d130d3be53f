/**
 * What is wrong with an expression although its types are right: constants that no duration(), timestamp() or
 * matches() takes. Kubernetes refuses these when a rule is written, since 1.29.
 */

import { type CallExpr, type Expr } from './ast.ts';
import { type Checked } from './checker.ts';
import { compileRegex } from './regex.ts';
import { type CelIssue } from './source.ts';
import { parseDuration, parseTimestamp } from './times.ts';
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

export function validateLiterals(checked: Checked): readonly CelIssue[] {
  const issues: CelIssue[] = [];
  const stack: Expr[] = [checked.expr];
  for (let expr = stack.pop(); expr !== undefined; expr = stack.pop()) {
    if (expr.kind === 'call') checkCall(expr, issues);
    stack.push(...children(expr));
  }
  return issues;
}
