/**
 * Calls as closures: && and || with what they absorb, the ternary, functions by their overloads. Errors are values that
 * go up until one of the former absorbs them.
 */

import { OPERATOR, type CallExpr, type Expr } from './ast.ts';
import { candidateNames, qualifiedName } from './checker.ts';
import type { CompiledNode, CompilerScope, NodeCompiler } from './compiled-node.ts';
import { accepts, type Overload } from './functions.ts';
import { withoutOverload } from './overload-errors.ts';
import { compileRegex } from './regex.ts';
import { callCost } from './runtime-cost.ts';
import { CelError, CelList, equal, noSuchOverload, typeOf, type Value } from './values.ts';

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

export function logical(compiler: NodeCompiler, expr: CallExpr, absorbing: boolean): CompiledNode {
  const left = compiler.compile(expr.args[0]).run;
  const right = compiler.compile(expr.args[1]).run;
  return {
    run: (frame) => {
      const first = left(frame);
      if (first === absorbing) return absorbing;
      const second = right(frame);
      if (second === absorbing) return absorbing;
      if (first === !absorbing && second === !absorbing) return !absorbing;
      if (first instanceof CelError) return first;
      if (second instanceof CelError) return second;
      return noSuchOverload();
    },
  };
}

export function conditional(compiler: NodeCompiler, expr: CallExpr): CompiledNode {
  const condition = compiler.compile(expr.args[0]).run;
  const yes = compiler.compile(expr.args[1], 0).run;
  const no = compiler.compile(expr.args[2], 0).run;
  return {
    run: (frame) => {
      const chosen = condition(frame);
      if (chosen === true) return yes(frame);
      if (chosen === false) return no(frame);
      return chosen instanceof CelError ? chosen : noSuchOverload();
    },
  };
}

export function functionCall(compiler: NodeCompiler, expr: CallExpr): CompiledNode {
  const { name, target, overloads } = functionOf(compiler.scope, expr);
  const argExprs = target === undefined ? expr.args : [target, ...expr.args];
  const args = argExprs.map((arg) => compiler.compile(arg));
  if (overloads.length === 0) {
    const error = new CelError(`unbound function: ${name}()`);
    return { run: () => error };
  }
  const known = folded(compiler, name, overloads, args);
  if (known !== undefined) return known;
  const runs = args.map((arg) => arg.run);
  const costs = overloads.map((overload) => callCost(name, overload.id));
  return {
    run: (frame) => {
      const values: Value[] = [];
      for (const run of runs) {
        const value = run(frame);
        if (value instanceof CelError) return value;
        values.push(value);
      }
      for (let i = 0; i < overloads.length; i++) {
        const overload = overloads[i];
        if (!fits(overload, values)) continue;
        const { cost, byResult } = costs[i];
        // Charged first: what is beyond the budget is not begun.
        if (!byResult) frame.charge(cost(values, null));
        // An argument that an overload does not have is never looked at.
        const result = overload.run(
          values[0] ?? null,
          values[1] ?? null,
          values[2] ?? null,
          values[3] ?? null,
        );
        if (byResult) frame.charge(cost(values, result));
        return result;
      }
      frame.charge(1);
      return withoutOverload(name, values);
    },
  };
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
    return {
      run: (frame) => {
        const value = first.run(frame);
        return value instanceof CelError ? value : values.some((element) => equal(element, value));
      },
    };
  }
  return undefined;
}

function fits(overload: Overload, values: readonly Value[]): boolean {
  if (overload.args.length !== values.length) return false;
  for (let i = 0; i < values.length; i++) if (!accepts(overload.args[i], values[i])) return false;
  return true;
}
