/**
 * Calls as closures: && and || with what they absorb, the ternary, functions by their overloads. Errors are values that
 * go up until one of the former absorbs them.
 */

import { OPERATOR, type CallExpr, type Expr } from './ast.ts';
import { candidateNames, qualifiedName } from './checker.ts';
import type { CompiledNode, CompilerScope, NodeCompiler } from './compiled-node.ts';
import type { Frame } from './frame.ts';
import { accepts, type Overload } from './functions.ts';
import { choice, logical, strict, unary, type Making } from './operands.ts';
import { withoutOverload } from './overload-errors.ts';
import { compileRegex } from './regex.ts';
import { callCost } from './runtime-cost.ts';
import { CelError, CelList, equal, noSuchOverload, typeOf, type Result, type Value } from './values.ts';

const TYPE_CONVERSIONS: ReadonlySet<string> = new Set([
  'bool',
  'bytes',
  'double',
  'duration',
  'dyn',
  'int',
  'string',
  'timestamp',
  'type',
  'uint',
]);

export function logicalNode(compiler: NodeCompiler, expr: CallExpr, absorbing: boolean): CompiledNode {
  const [left, right] = expr.args.map((arg) => compiler.compile(arg));
  return logical(left, right, absorbing, (first, second) => {
    if (first === !absorbing && second === !absorbing) return !absorbing;
    if (first instanceof CelError) return first;
    return second instanceof CelError ? second : noSuchOverload();
  });
}

export function conditional(compiler: NodeCompiler, expr: CallExpr): CompiledNode {
  const [condition, yes, no] = expr.args;
  return choice(compiler.compile(condition), compiler.compile(yes, 0), compiler.compile(no, 0), (chosen) =>
    chosen instanceof CelError ? chosen : noSuchOverload(),
  );
}

export function functionCall(compiler: NodeCompiler, expr: CallExpr): CompiledNode {
  const { name, target, overloads } = functionOf(compiler.scope, expr);
  const argExprs = target === undefined ? expr.args : [target, ...expr.args];
  const args = argExprs.map((arg) => compiler.compile(arg));
  if (overloads.length === 0) {
    const error = new CelError(`unbound function: ${name}()`);
    return { run: () => error };
  }
  return folded(compiler, name, overloads, args) ?? strict(args, calling(name, overloads));
}

/** How the fitting overload of a function is called, and charged. */
function calling(name: string, overloads: readonly Overload[]): Making<Value[]> {
  const costs = overloads.map((overload) => callCost(name, overload.id));
  const chosen = (values: readonly Value[]): number =>
    overloads.findIndex((overload) => fits(overload, values));
  const none = (frame: Frame, values: readonly Value[]): CelError => {
    frame.charge(1);
    return withoutOverload(name, values);
  };
  const making: Making<Value[]> = {
    begin: () => [],
    take(values, _i, value) {
      values.push(value);
      return undefined;
    },
    end(frame, values) {
      const index = chosen(values);
      if (index < 0) return none(frame, values);
      const { cost, byResult } = costs[index];
      // Charged first: what is beyond the budget is not begun.
      if (!byResult) frame.charge(cost(values, null));
      const result = called(overloads[index], values);
      if (byResult) frame.charge(cost(values, result));
      return result;
    },
  };
  if (overloads.every(({ sliced }) => sliced === undefined)) return making;
  return {
    ...making,
    *endSliced(frame, values) {
      const index = chosen(values);
      if (index < 0) return none(frame, values);
      const { cost, byResult } = costs[index];
      if (!byResult) frame.charge(cost(values, null));
      if (frame.due()) yield;
      const work = overloads[index].sliced?.(values, frame.pace);
      const result = work === undefined ? called(overloads[index], values) : yield* work;
      if (byResult) frame.charge(cost(values, result));
      return result;
    },
  };
}

/** An argument that an overload does not have is never looked at. */
function called({ run }: Overload, values: readonly Value[]): Result {
  return run(values[0] ?? null, values[1] ?? null, values[2] ?? null, values[3] ?? null);
}

function functionOf(
  scope: CompilerScope,
  expr: CallExpr,
): {
  readonly name: string;
  readonly target: Expr | undefined;
  readonly overloads: readonly Overload[];
} {
  const reference = scope.references?.get(expr.id);
  if (reference?.kind === 'function') {
    return {
      name: reference.name,
      target: reference.qualified ? undefined : expr.target,
      overloads: reference.overloads,
    };
  }
  const prefix = expr.target === undefined ? undefined : qualifiedName(expr.target);
  if (prefix !== undefined) {
    const name = `${prefix}.${expr.name}`;
    const overloads = scope.functions.find(name);
    if (overloads !== undefined) return { name, target: undefined, overloads };
  }
  for (const name of candidateNames(scope.container, expr.name)) {
    const all = scope.functions.find(name);
    if (all === undefined) continue;
    return {
      name,
      target: expr.target,
      overloads: all.filter((overload) => overload.instance === (expr.target !== undefined)),
    };
  }
  return { name: expr.name, target: expr.target, overloads: [] };
}

/** A conversion of a constant, and membership in a list of constants: worked out, or free of cost. */
function folded(
  compiler: NodeCompiler,
  name: string,
  overloads: readonly Overload[],
  args: readonly CompiledNode[],
): CompiledNode | undefined {
  if (!compiler.scope.foldConstants) return undefined;
  const [first, second] = args;
  if (args.length === 1 && TYPE_CONVERSIONS.has(name) && first.constant !== undefined) {
    const value = first.constant;
    const overload = overloads.find((candidate) => fits(candidate, [value]));
    const result = overload?.run(value, null, null, null);
    if (result instanceof CelError) compiler.fail(result.message);
    if (result === undefined || result instanceof CelError) return undefined;
    return { run: () => result, constant: result };
  }
  if ((name === 'find' || name === 'findAll') && typeof second?.constant === 'string') {
    const regex = compileRegex(second.constant);
    if (regex instanceof CelError) compiler.fail(regex.message);
  }
  if (name === OPERATOR.in && overloads.length === 1 && overloads[0].id === 'in_list') {
    const list = second.constant;
    if (!(list instanceof CelList)) return undefined;
    const values = list.toArray();
    const kind = values.length === 0 ? undefined : typeOf(values[0]).kind;
    const simple = kind === undefined || ['bool', 'int', 'uint', 'double', 'string'].includes(kind);
    if (!simple || !values.every((value) => typeOf(value).kind === kind)) return undefined;
    return unary(first, (_frame, value) =>
      value instanceof CelError ? value : values.some((element) => equal(element, value)),
    );
  }
  return undefined;
}

function fits(overload: Overload, values: readonly Value[]): boolean {
  if (overload.args.length !== values.length) return false;
  for (let i = 0; i < values.length; i++) if (!accepts(overload.args[i], values[i])) return false;
  return true;
}
