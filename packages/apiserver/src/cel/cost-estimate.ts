/**
 * How much an expression may cost at most, before it ever runs: what Kubernetes decides by whether a rule may be
 * written. Sizes come from the literals of the expression and from the limits of the schema (maxItems, maxLength …).
 *
 * Modelled on cel-go checker/cost.go; presence tests are free, as Kubernetes has it.
 */

import { ACCUMULATOR, OPERATOR, type CallExpr, type ComprehensionExpr, type Expr } from './ast.ts';
import { type Checked } from './checker.ts';
import {
  kubernetesCall,
  listCallEstimate,
  standardCall,
  type CallEstimate,
  type Operand,
  type SizeOf,
} from './cost-of-calls.ts';
import { exactly, ONE, product, sum, union, UNBOUNDED, UNKNOWN, ZERO, type Range } from './cost-range.ts';
import { type Overload } from './functions.ts';
import { stringSize } from './values.ts';
import { DYN, type CelType } from './types.ts';

/** Sizes of what is in a list or map. */
interface EntrySize {
  readonly container: 'list' | 'map';
  readonly key: Range;
  readonly value: Range;
}

interface Local {
  readonly path: readonly string[] | undefined;
  readonly size: Range | undefined;
  readonly entries: EntrySize | undefined;
}

const LIST = exactly(10);
const MAP = exactly(30);
const STRUCT = exactly(40);

/** The types whose values have one size. */
function isScalar(type: CelType): boolean {
  switch (type.kind) {
    case 'bool':
    case 'double':
    case 'duration':
    case 'int':
    case 'timestamp':
    case 'uint':
      return true;
    case 'opaque':
      return type.name === 'optional_type' && isScalar(type.params[0]);
    default:
      return false;
  }
}

function literalSize(expr: Expr): Range | undefined {
  switch (expr.kind) {
    case 'const':
      if (expr.constant.kind === 'string') return exactly(stringSize(expr.constant.value));
      return exactly(expr.constant.kind === 'bytes' ? expr.constant.value.length : 1);
    case 'list':
      return exactly(expr.elements.length);
    case 'map':
      return exactly(expr.entries.length);
    default:
      return undefined;
  }
}

class Estimator {
  private readonly checked: Checked;
  private readonly sizeOf: SizeOf;
  private readonly paths: Map<number, readonly string[]> = new Map();
  private readonly sizes: Map<number, Range> = new Map();
  private readonly entrySizes: Map<number, EntrySize> = new Map();
  private readonly locals: Map<string, Local[]> = new Map();

  constructor(checked: Checked, sizeOf: SizeOf) {
    this.checked = checked;
    this.sizeOf = sizeOf;
  }

  cost(expr: Expr): Range {
    switch (expr.kind) {
      case 'const':
        return ZERO;
      case 'ident':
        this.paths.set(expr.id, this.local(expr.name)?.path ?? [expr.name]);
        return ONE;
      case 'select': {
        const operand = this.cost(expr.operand);
        if (expr.testOnly) return operand;
        const { kind } = this.typeOf(expr.operand);
        const path = this.path(expr.operand);
        if (path !== undefined) this.paths.set(expr.id, [...path, expr.field]);
        return kind === 'map' || kind === 'struct' || kind === 'param' ? sum(operand, ONE) : operand;
      }
      case 'call':
        return this.call(expr);
      case 'list': {
        const costs = expr.elements.map((element) => this.cost(element));
        const value = this.unionOf(expr.elements);
        this.entrySizes.set(expr.id, { container: 'list', key: ONE, value });
        return sum(LIST, ...costs);
      }
      case 'map': {
        const costs = expr.entries.flatMap((entry) => [this.cost(entry.key), this.cost(entry.value)]);
        const key = this.unionOf(expr.entries.map((entry) => entry.key));
        const value = this.unionOf(expr.entries.map((entry) => entry.value));
        this.entrySizes.set(expr.id, { container: 'map', key, value });
        return sum(MAP, ...costs);
      }
      case 'struct':
        return sum(STRUCT, ...expr.fields.map((field) => this.cost(field.value)));
      case 'comprehension':
        return isBinding(expr) ? this.binding(expr) : this.fold(expr);
    }
  }

  private unionOf(exprs: readonly Expr[]): Range {
    if (exprs.length === 0) return ZERO;
    return exprs.map((expr) => this.sizeOrUnknown(expr)).reduce(union);
  }

  // What is known of a node.

  private typeOf(expr: Expr): CelType {
    return this.checked.types.get(expr.id) ?? DYN;
  }

  private local(name: string): Local | undefined {
    return this.locals.get(name)?.at(-1);
  }

  private push(name: string, local: Local): void {
    const stack = this.locals.get(name);
    if (stack === undefined) this.locals.set(name, [local]);
    else stack.push(local);
  }

  private pop(name: string): void {
    this.locals.get(name)?.pop();
  }

  private path(expr: Expr): readonly string[] | undefined {
    if (expr.kind === 'ident') {
      const local = this.local(expr.name);
      if (local !== undefined) return local.path;
    }
    return this.paths.get(expr.id);
  }

  private entriesOf(expr: Expr): EntrySize | undefined {
    return (
      this.entrySizes.get(expr.id) ?? (expr.kind === 'ident' ? this.local(expr.name)?.entries : undefined)
    );
  }

  private size(expr: Expr): Range | undefined {
    const known = this.sizes.get(expr.id) ?? literalSize(expr);
    if (known !== undefined) return known;
    const type = this.typeOf(expr);
    const said = this.sizeOf({ type, expr, path: this.dataPath(expr) });
    if (said !== undefined) {
      this.sizes.set(expr.id, said);
      return said;
    }
    if (isScalar(type)) return ONE;
    return expr.kind === 'ident' ? this.local(expr.name)?.size : undefined;
  }

  private sizeOrUnknown(expr: Expr): Range {
    return this.size(expr) ?? UNKNOWN;
  }

  /** A path that begins at a variable of the rule, not at a fold's own. */
  private dataPath(expr: Expr): readonly string[] | undefined {
    const path = this.path(expr);
    return path === undefined || path[0] === ACCUMULATOR ? undefined : path;
  }

  private operand(expr: Expr): Operand {
    return { type: this.typeOf(expr), expr, path: this.dataPath(expr), size: this.size(expr) };
  }

  // Calls.

  private call(expr: CallExpr): Range {
    if (expr.name === 'dyn' && expr.target === undefined) {
      const cost = this.cost(expr.args[0]);
      this.copySizes(expr, expr.args[0]);
      return sum(ONE, cost);
    }
    const argCosts = expr.args.map((arg) => this.cost(arg));
    const reference = this.checked.references.get(expr.id);
    if (reference?.kind !== 'function') return ZERO;
    const target = reference.qualified ? undefined : expr.target;
    const targetCost = target === undefined ? ZERO : this.cost(target);
    const callCosts: Range[] = [];
    let size: Range | undefined;
    for (const overload of reference.overloads) {
      const estimate = this.overload(expr, reference.name, overload, target, argCosts);
      callCosts.push(estimate.cost);
      if (estimate.size !== undefined) size = size === undefined ? estimate.size : union(size, estimate.size);
      size = this.indexSize(expr, overload) ?? size;
    }
    size ??= this.size(expr);
    if (size !== undefined) this.sizes.set(expr.id, size);
    return sum(targetCost, callCosts.length === 0 ? ZERO : callCosts.reduce(union));
  }

  /** An index goes on with the path of what it indexes. */
  private indexSize(expr: CallExpr, overload: Overload): Range | undefined {
    const step =
      overload.id === 'index_list' ? '@items' : overload.id === 'index_map' ? '@values' : undefined;
    if (step === undefined) return undefined;
    const path = this.path(expr.args[0]);
    if (path !== undefined) this.paths.set(expr.id, [...path, step]);
    return this.entriesOf(expr.args[0])?.value;
  }

  private overload(
    expr: CallExpr,
    name: string,
    overload: Overload,
    target: Expr | undefined,
    argCosts: readonly Range[],
  ): CallEstimate {
    const [first, second, third] = argCosts;
    if (name === OPERATOR.and || name === OPERATOR.or) {
      return { cost: { min: first.min, max: sum(first, second).max } };
    }
    if (name === OPERATOR.conditional) {
      const [, yes, no] = expr.args;
      const [a, b] = [this.entriesOf(yes), this.entriesOf(no)];
      if (a !== undefined && b !== undefined) this.entrySizes.set(expr.id, unionEntries(a, b));
      return {
        cost: sum(first, union(second, third)),
        size: union(this.sizeOrUnknown(yes), this.sizeOrUnknown(no)),
      };
    }
    if (overload.id === 'add_list' || overload.id === 'add_string' || overload.id === 'add_bytes') {
      const [a, b] = [this.entriesOf(expr.args[0]), this.entriesOf(expr.args[1])];
      if (a !== undefined && b !== undefined) this.entrySizes.set(expr.id, unionEntries(a, b));
    }
    const args = expr.args.map((arg) => this.operand(arg));
    const on = target === undefined ? undefined : this.operand(target);
    const estimate =
      listCallEstimate(overload.id, on, args) ??
      kubernetesCall(name, overload.id, on, args, this.sizeOf) ??
      standardCall(overload.id, on, args);
    return { cost: sum(estimate.cost, ...argCosts), size: estimate.size };
  }

  private copySizes(to: Expr, from: Expr): void {
    const size = this.size(from);
    const entries = this.entriesOf(from);
    if (size !== undefined) this.sizes.set(to.id, size);
    if (entries !== undefined) this.entrySizes.set(to.id, entries);
  }

  // Folds.

  private iteration(range: Expr, step: '@items' | '@indices' | '@keys' | '@values'): Local {
    const entries = this.entriesOf(range);
    const path = this.path(range);
    const size = step === '@items' || step === '@values' ? entries?.value : entries?.key;
    return { path: path === undefined ? undefined : [...path, step], size, entries: undefined };
  }

  private fold(expr: ComprehensionExpr): Range {
    const rangeCost = this.cost(expr.range);
    const initCost = this.cost(expr.init);
    this.push(expr.accuVar, {
      path: this.path(expr.init),
      size: this.size(expr.init),
      entries: this.entriesOf(expr.init),
    });
    const container = this.entriesOf(expr.range)?.container ?? this.typeOf(expr.range).kind;
    const isList = container === 'list';
    if (expr.iterVar2 === '') {
      this.push(expr.iterVar, this.iteration(expr.range, isList ? '@items' : '@keys'));
    } else {
      this.push(expr.iterVar, this.iteration(expr.range, isList ? '@indices' : '@keys'));
      this.push(expr.iterVar2, this.iteration(expr.range, isList ? '@items' : '@values'));
    }
    const each = sum(this.cost(expr.condition), this.cost(expr.step));
    this.pop(expr.iterVar);
    if (expr.iterVar2 !== '') this.pop(expr.iterVar2);
    const resultCost = this.cost(expr.result);
    this.pop(expr.accuVar);
    const count = this.sizeOrUnknown(expr.range);
    if (expr.init.kind === 'const') {
      const size = this.size(expr.init);
      if (size !== undefined) this.sizes.set(expr.id, size);
    } else if (expr.init.kind === 'list' || expr.init.kind === 'map') {
      // A filter may leave nothing over.
      this.sizes.set(expr.id, count);
      const entries = this.entriesOf(expr.step);
      if (entries !== undefined) this.entrySizes.set(expr.id, entries);
    }
    return sum(rangeCost, initCost, resultCost, product(count, each));
  }

  private binding(expr: ComprehensionExpr): Range {
    const cost = sum(this.cost(expr.range), this.cost(expr.init));
    this.push(expr.accuVar, {
      path: this.path(expr.init),
      size: this.size(expr.init),
      entries: this.entriesOf(expr.init),
    });
    const result = this.cost(expr.result);
    this.pop(expr.accuVar);
    this.copySizes(expr, expr.result);
    return sum(cost, result);
  }
}

function unionEntries(a: EntrySize, b: EntrySize): EntrySize {
  return { container: a.container, key: union(a.key, b.key), value: union(a.value, b.value) };
}

/** A fold over nothing: it only names a value. */
function isBinding(expr: ComprehensionExpr): boolean {
  return (
    expr.range.kind === 'list' &&
    expr.range.elements.length === 0 &&
    expr.condition.kind === 'const' &&
    expr.accuVar !== ACCUMULATOR
  );
}

/** @param sizeOf what the schema says of the size of data; undefined where it says nothing */
export function estimateCost(checked: Checked, sizeOf: SizeOf): Range {
  return new Estimator(checked, sizeOf).cost(checked.expr);
}

/** What a rule of a CRD may cost by the estimate, and all rules of one together. */
export const STATIC_LIMITS = { perExpression: 10_000_000, perDefinition: 100_000_000 } as const;

/** A cost times how often the rule may run in one object, which the lists and maps around it say. */
export function timesCardinality(cost: number, cardinality: number | undefined): number {
  return cardinality === undefined ? UNBOUNDED : Math.min(cost * cardinality, UNBOUNDED);
}

/** What is said of a rule (`estimated rule cost`) or a definition whose estimate is beyond its limit. */
export function costExceededText(what: string, cost: number, limit: number): string {
  const factor = cost / limit;
  const shown =
    factor > 100 ? 'more than 100x' : factor < 1.5 ? `${factor.toFixed(6)}x` : `${factor.toFixed(1)}x`;
  return (
    `${what} exceeds budget by factor of ${shown} (try simplifying the rule, or adding maxItems, maxProperties, and ` +
    'maxLength where arrays, maps, and strings are declared)'
  );
}
