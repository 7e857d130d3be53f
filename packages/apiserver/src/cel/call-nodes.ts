/**
 * Calls as closures: && and || with what they absorb, the ternary, functions by their overloads. Errors are values that
 * go up until one of the former absorbs them.
 */

import { WITHOUT_PAUSE, type Pace } from '../api/sliced.ts';
import { OPERATOR, type CallExpr, type Expr } from './ast.ts';
import { candidateNames, qualifiedName } from './checker.ts';
import type { CompiledNode, CompilerScope, NodeCompiler } from './compiled-node.ts';
import { TooLong, type Frame } from './frame.ts';
import { accepts, type Overload, type SlicedImplementation } from './functions.ts';
import { choice, firstOr, logical, strict, unary, type Making } from './operands.ts';
import { withoutOverload } from './overload-errors.ts';
import { compileRegex } from './regex.ts';
import { callCost } from './runtime-cost.ts';
import {
  CelError,
  CelList,
  equal,
  noSuchOverload,
  Optional,
  typeOf,
  type Result,
  type Value,
} from './values.ts';

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

/** What a set of constants can be made of. */
const HASHED: ReadonlySet<string> = new Set(['bool', 'int', 'uint', 'double', 'string']);

export function logicalNode(compiler: NodeCompiler, expr: CallExpr, absorbing: boolean): CompiledNode {
  const [left, right] = expr.args.map((arg) => compiler.compile(arg));
  return logical(left, right, absorbing, (first, second) => {
    if (first === !absorbing && second === !absorbing) return !absorbing;
    // The first that is no bool says why.
    if (first === !absorbing) return second instanceof CelError ? second : noSuchOverload();
    return first instanceof CelError ? first : noSuchOverload();
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
  if (overloads.length === 1 && overloads[0].id === 'optional_or_optional') {
    return firstOr(args[0], args[1], (first) => presentOr(first, first));
  }
  if (overloads.length === 1 && overloads[0].id === 'optional_orValue_value') {
    return firstOr(args[0], args[1], (first) =>
      presentOr(first, first instanceof Optional ? first.value : undefined),
    );
  }
  return (
    folded(compiler, name, overloads, args) ??
    strict(args, calling(name, overloads, args.length, compiler.scope.patient))
  );
}

/** An optional that holds something, and what is no optional at all, is not looked behind. */
function presentOr(first: Result, held: Result | undefined): Result | undefined {
  if (!(first instanceof Optional)) return first;
  return first.value === undefined ? undefined : held;
}

/** How the fitting overload of a function is called, and charged. */
function calling(
  name: string,
  overloads: readonly Overload[],
  count: number,
  patient: boolean,
): Making<Value[]> {
  // Which of several overloads it will be is not known when the cost is: that of the function itself is taken.
  const { cost, costInSlices, byResult } = callCost(name, overloads.length === 1 ? overloads[0].id : '');
  const chosen = (values: readonly Value[]): Overload | undefined =>
    overloads.find((overload) => fits(overload, values));
  const making: Making<Value[]> = {
    begin: () => [],
    take(values, _i, value) {
      values.push(value);
      return undefined;
    },
    // One or two arguments are all looked at, and the call is charged; with more it ends at the first error.
    whole: count <= 2,
    failed(frame, values, error, behind) {
      if (count <= 2) frame.charge(cost([...values, error, ...behind], error));
    },
    end(frame, values) {
      const found = chosen(values);
      // Charged first: what is beyond the budget is not begun.
      if (!byResult) frame.charge(cost(values, null));
      const result = found === undefined ? withoutOverload(name, values) : inOneGo(frame, found, values);
      if (byResult) frame.charge(cost(values, result));
      return result;
    },
  };
  const work = ({ sliced, seldom }: Overload): SlicedImplementation | undefined =>
    sliced ?? (patient ? seldom : undefined);
  if (overloads.every((overload) => work(overload) === undefined)) return making;
  return {
    ...making,
    *endSliced(frame, values) {
      const found = chosen(values);
      if (costInSlices !== undefined) frame.charge(yield* costInSlices(values, frame.pace));
      else if (!byResult) frame.charge(cost(values, null));
      if (frame.due()) yield;
      const begun = found && work(found)?.(values, frame.pace);
      let result: Result;
      if (found === undefined) result = withoutOverload(name, values);
      else result = begun === undefined ? called(found, values) : yield* begun;
      if (byResult) frame.charge(cost(values, result));
      return result;
    },
  };
}

const AT_ONCE: Pace = { due: () => true };

/** @throws TooLong where it would take long and others wait */
function inOneGo({ pace }: Frame, overload: Overload, values: readonly Value[]): Result {
  const work = pace === WITHOUT_PAUSE ? undefined : overload.seldom?.(values, AT_ONCE);
  if (work === undefined) return called(overload, values);
  const step = work.next();
  if (step.done !== true) throw new TooLong();
  return step.value;
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
    const result =
      overload?.run(value, null, null, null) ?? (overload ? null : withoutOverload(name, [value]));
    if (result instanceof CelError) compiler.fail(result.message);
    return result instanceof CelError ? undefined : { run: () => result, constant: result };
  }
  if ((name === 'find' || name === 'findAll' || name === 'matches') && typeof second?.constant === 'string') {
    const regex = compileRegex(second.constant);
    if (regex instanceof CelError) compiler.fail(regex.message);
  }
  if (name === OPERATOR.in && overloads.length === 1 && overloads[0].id === 'in_list') {
    const list = second.constant;
    if (!(list instanceof CelList)) return undefined;
    const values = list.toArray();
    if (values.length === 0) return { run: () => false, constant: false };
    if (!values.every((value) => HASHED.has(typeOf(value).kind))) return undefined;
    return unary(first, (_frame, value) =>
      value instanceof CelError ? value : values.some((element) => equal(element, value)),
    );
  }
  return undefined;
}

/** These take lists of anything, and look for themselves. */
const UNGUARDED = /^list_(?:flatten|\w+_sort(?:ByAssociatedKeys)?)/;

function fits(overload: Overload, values: readonly Value[]): boolean {
  if (overload.args.length !== values.length) return false;
  if (UNGUARDED.test(overload.id)) return values[0] instanceof CelList;
  for (let i = 0; i < values.length; i++) if (!accepts(overload.args[i], values[i])) return false;
  return true;
}
