/**
 * Turns a tree into closures. Each adds what it costs to the frame of one evaluation and stops it when the budget is
 * used up; errors are values that go up until && or || (and the folds made of them) absorb one. No clock, no await:
 * who must interrupt a long evaluation hands in a question that folds ask now and then.
 *
 * Costs are counted as CEL-go counts them: one for a variable, one for each field or index behind it, nothing for a
 * ternary's own branches, 10 for a list, 30 for a map, 40 for a message, and what a function costs for a call.
 */

import {
  ACCUMULATOR,
  OPERATOR,
  type CallExpr,
  type ComprehensionExpr,
  type Constant,
  type Expr,
  type MapExpr,
  type SelectExpr,
  type StructExpr,
} from './ast.ts';
import { candidateNames, qualifiedName, type Reference, type StructDeclaration } from './checker.ts';
import { accepts, type FunctionTable, type Overload } from './functions.ts';
import { goTypeName, withoutOverload } from './overload-errors.ts';
import { indexPresence, indexResult, presence, selectResult, testField } from './qualifiers.ts';
import { compileRegex } from './regex.ts';
import { callCost } from './runtime-cost.ts';
import { NAMED_TYPES, type CelType } from './types.ts';
import {
  ArrayList,
  CelError,
  CelList,
  CelMap,
  EntryMap,
  equal,
  ListBuilder,
  MapBuilder,
  noSuchOverload,
  Optional,
  TypeValue,
  Uint,
  typeName,
  typeOf,
  type Result,
  type Value,
} from './values.ts';

/** Where the variables of an expression come from; undefined for one that is not bound. */
export interface Bindings {
  get(name: string): Result | undefined;
}

/** Ends an evaluation whose budget is used up. */
export class CostExceeded extends Error {}
export class Interrupted extends Error {}

/** Folds ask whether to stop after this many steps, as Kubernetes configures it. */
const INTERRUPT_CHECK_STEPS = 100;

/** One evaluation. */
export class Frame {
  readonly bindings: Bindings;
  readonly slots: Result[];
  cost = 0;
  readonly costMax: number;
  private readonly stop: (() => boolean) | undefined;
  private steps = 0;

  constructor(bindings: Bindings, slotCount: number, costMax: number, stop: (() => boolean) | undefined) {
    this.bindings = bindings;
    this.slots = [];
    for (let i = 0; i < slotCount; i++) this.slots.push(null);
    this.costMax = costMax;
    this.stop = stop;
  }

  charge(cost: number): void {
    this.cost += cost;
    if (this.cost > this.costMax) throw new CostExceeded();
  }

  step(): void {
    this.steps++;
    if (this.stop !== undefined && this.steps % INTERRUPT_CHECK_STEPS === 0 && this.stop())
      throw new Interrupted();
  }
}

export type Evaluate = (frame: Frame) => Result;

const LIST_COST = 10;
const MAP_COST = 30;
const STRUCT_COST = 40;

export interface CompilerScope {
  readonly container: string;
  readonly functions: FunctionTable;
  readonly namedTypes: ReadonlyMap<string, CelType>;
  struct(name: string): StructDeclaration | undefined;
  /** What the checker found; undefined for an expression that is run unchecked. */
  readonly references: ReadonlyMap<number, Reference> | undefined;
  /** Whether constants are folded before they run, and then cost nothing. */
  readonly foldConstants: boolean;
}

export function constantValue(constant: Constant): Value {
  switch (constant.kind) {
    case 'null':
      return null;
    case 'uint':
      return new Uint(constant.value);
    default:
      return constant.value;
  }
}

/** A compiled node; `constant` where its value is known without a frame. */
interface Node {
  readonly run: Evaluate;
  readonly constant?: Value;
}

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

class Compiler {
  private readonly scope: CompilerScope;
  private readonly locals: string[] = [];
  slotCount = 0;
  /** What is wrong with a constant, which would be found at each evaluation. */
  failure: string | undefined = undefined;

  constructor(scope: CompilerScope) {
    this.scope = scope;
  }

  /**
   * @param rootCost what the attribute an expression is (a variable with fields and indices behind it, or a ternary's
   * branch) costs for itself: 0 where something around it counts that
   */
  compile(expr: Expr, rootCost = 1): Node {
    switch (expr.kind) {
      case 'const': {
        const constant = constantValue(expr.constant);
        return { run: () => constant, constant };
      }
      case 'ident':
        return this.name(expr.id, expr.name, rootCost) ?? this.unbound(expr.name);
      case 'select':
        return this.select(expr, rootCost);
      case 'call':
        return this.call(expr, rootCost);
      case 'list':
        return this.list(expr.elements, expr.optionalIndices);
      case 'map':
        return this.map(expr);
      case 'struct':
        return this.struct(expr);
      case 'comprehension':
        return this.comprehension(expr);
    }
  }

  // Names.

  private slot(name: string): number {
    return this.locals.lastIndexOf(name);
  }

  /** A local, a variable or a type; undefined when the name is none of them. */
  private name(id: number, name: string, rootCost: number): Node | undefined {
    const slot = this.slot(name);
    if (slot >= 0) {
      return {
        run: (frame) => {
          frame.charge(rootCost);
          return frame.slots[slot];
        },
      };
    }
    const reference = this.scope.references?.get(id);
    if (reference?.kind === 'variable') return this.variable([reference.name], name, rootCost);
    if (reference?.kind === 'type') return typeNode(new TypeValue(reference.type));
    if (this.scope.references !== undefined) return undefined;
    const candidates = candidateNames(this.scope.container, name);
    for (const candidate of candidates) {
      const type = NAMED_TYPES.get(candidate) ?? this.scope.namedTypes.get(candidate);
      if (type !== undefined) return typeNode(new TypeValue(type));
    }
    return this.variable(candidates, name, rootCost);
  }

  private variable(names: readonly string[], shown: string, rootCost: number): Node {
    return {
      run: (frame) => {
        frame.charge(rootCost);
        for (const name of names) {
          const value = frame.bindings.get(name);
          if (value !== undefined) return value;
        }
        return new CelError(`no such attribute(s): ${shown}`);
      },
    };
  }

  private unbound(name: string): Node {
    const error = new CelError(`no such attribute(s): ${name}`);
    return { run: () => error };
  }

  // Attributes: variables with fields and indices behind them.

  /** Whether a field or index behind it makes one attribute with it. */
  private isAttribute(expr: Expr): boolean {
    switch (expr.kind) {
      case 'ident':
        return true;
      case 'select':
        return !expr.testOnly;
      case 'call':
        return (
          expr.target === undefined &&
          (expr.name === OPERATOR.index ||
            expr.name === OPERATOR.optionalIndex ||
            expr.name === OPERATOR.optionalSelect ||
            expr.name === OPERATOR.conditional)
        );
      default:
        return false;
    }
  }

  /** The operand of a field or index, with what it and the step behind it cost. */
  private operand(expr: Expr, rootCost: number): { readonly run: Evaluate; readonly cost: number } {
    if (this.isAttribute(expr)) return { run: this.compile(expr, rootCost).run, cost: 1 };
    return { run: this.compile(expr).run, cost: 1 + rootCost };
  }

  private select(expr: SelectExpr, rootCost: number): Node {
    if (!expr.testOnly) {
      const resolved = this.qualified(expr, rootCost);
      if (resolved !== undefined) return resolved;
    }
    const { field } = expr;
    if (expr.testOnly) {
      const attribute = this.isAttribute(expr.operand);
      const { run } = this.compile(expr.operand);
      return {
        run: (frame) => {
          const value = run(frame);
          if (!attribute) frame.charge(1);
          return value instanceof CelError ? value : testField(value, field);
        },
      };
    }
    const { run, cost } = this.operand(expr.operand, rootCost);
    return {
      run: (frame) => {
        const value = run(frame);
        frame.charge(cost);
        return value instanceof CelError ? value : selectResult(value, field);
      },
    };
  }

  /** `a.b.c` where that, or a part of it, is the name of a variable or type. */
  private qualified(expr: SelectExpr, rootCost: number): Node | undefined {
    const reference = this.scope.references?.get(expr.id);
    const name = qualifiedName(expr);
    if (name === undefined) return undefined;
    if (reference?.kind === 'variable') return this.variable([reference.name], name, rootCost);
    if (reference?.kind === 'type') return typeNode(new TypeValue(reference.type));
    if (this.scope.references !== undefined || this.slot(name.split('.')[0]) >= 0) return undefined;
    const candidates = candidateNames(this.scope.container, name);
    const type = candidates
      .map((candidate) => NAMED_TYPES.get(candidate) ?? this.scope.namedTypes.get(candidate))
      .find((found) => found !== undefined);
    if (type !== undefined) return typeNode(new TypeValue(type));
    const { run, cost } = this.operand(expr.operand, rootCost);
    return {
      run: (frame) => {
        for (const candidate of candidates) {
          const value = frame.bindings.get(candidate);
          if (value === undefined) continue;
          frame.charge(rootCost);
          return value;
        }
        const value = run(frame);
        frame.charge(cost);
        return value instanceof CelError ? value : selectResult(value, expr.field);
      },
    };
  }

  /** An index's key: an attribute as a key costs what it is, anything else one more. */
  private key(expr: Expr): { readonly run: Evaluate; readonly cost: number } {
    const attribute = this.isAttribute(expr);
    return { run: this.compile(expr, attribute ? 0 : 1).run, cost: 1 };
  }

  private index(expr: CallExpr, rootCost: number, optional: boolean): Node {
    const operand = this.operand(expr.args[0], rootCost);
    const key = this.key(expr.args[1]);
    const cost = operand.cost + key.cost - 1;
    return {
      run: (frame) => {
        const container = operand.run(frame);
        const at = key.run(frame);
        frame.charge(cost);
        if (container instanceof CelError) return container;
        if (at instanceof CelError) return at;
        return optional ? indexPresence(container, at) : indexResult(container, at);
      },
    };
  }

  private optionalSelect(expr: CallExpr, rootCost: number): Node {
    const { run, cost } = this.operand(expr.args[0], rootCost);
    const [, name] = expr.args;
    const field = name.kind === 'const' && name.constant.kind === 'string' ? name.constant.value : '';
    return {
      run: (frame) => {
        const value = run(frame);
        frame.charge(cost);
        return value instanceof CelError ? value : presence(value, field);
      },
    };
  }

  // Calls.

  private call(expr: CallExpr, rootCost: number): Node {
    switch (expr.name) {
      case OPERATOR.and:
        return this.logical(expr, false);
      case OPERATOR.or:
        return this.logical(expr, true);
      case OPERATOR.conditional:
        return this.conditional(expr);
      case OPERATOR.notStrictlyFalse: {
        const { run } = this.compile(expr.args[0]);
        return {
          run: (frame) => {
            const value = run(frame);
            frame.charge(1);
            return value !== false;
          },
        };
      }
      case OPERATOR.index:
        return this.index(expr, rootCost, false);
      case OPERATOR.optionalIndex:
        return this.index(expr, rootCost, true);
      case OPERATOR.optionalSelect:
        return this.optionalSelect(expr, rootCost);
      default:
        return this.functionCall(expr);
    }
  }

  private logical(expr: CallExpr, absorbing: boolean): Node {
    const left = this.compile(expr.args[0]).run;
    const right = this.compile(expr.args[1]).run;
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

  private conditional(expr: CallExpr): Node {
    const condition = this.compile(expr.args[0]).run;
    const yes = this.compile(expr.args[1], 0).run;
    const no = this.compile(expr.args[2], 0).run;
    return {
      run: (frame) => {
        const chosen = condition(frame);
        if (chosen === true) return yes(frame);
        if (chosen === false) return no(frame);
        return chosen instanceof CelError ? chosen : noSuchOverload();
      },
    };
  }

  private functionCall(expr: CallExpr): Node {
    const { name, target, overloads } = this.function(expr);
    const argExprs = target === undefined ? expr.args : [target, ...expr.args];
    const args = argExprs.map((arg) => this.compile(arg));
    if (overloads.length === 0) {
      const error = new CelError(`unbound function: ${name}()`);
      return { run: () => error };
    }
    const folded = this.foldCall(name, overloads, args);
    if (folded !== undefined) return folded;
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

  private function(expr: CallExpr): {
    readonly name: string;
    readonly target: Expr | undefined;
    readonly overloads: readonly Overload[];
  } {
    const reference = this.scope.references?.get(expr.id);
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
      const overloads = this.scope.functions.find(name);
      if (overloads !== undefined) return { name, target: undefined, overloads };
    }
    for (const name of candidateNames(this.scope.container, expr.name)) {
      const all = this.scope.functions.find(name);
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
  private foldCall(name: string, overloads: readonly Overload[], args: readonly Node[]): Node | undefined {
    if (!this.scope.foldConstants) return undefined;
    const [first, second] = args;
    if (args.length === 1 && TYPE_CONVERSIONS.has(name) && first.constant !== undefined) {
      const value = first.constant;
      const overload = overloads.find((candidate) => fits(candidate, [value]));
      const result = overload?.run(value, null, null, null);
      if (result instanceof CelError) this.failure ??= result.message;
      if (result === undefined || result instanceof CelError) return undefined;
      return { run: () => result, constant: result };
    }
    if ((name === 'find' || name === 'findAll') && typeof second?.constant === 'string') {
      const regex = compileRegex(second.constant);
      if (regex instanceof CelError) this.failure ??= regex.message;
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

  // Literals.

  private list(elements: readonly Expr[], optionalIndices: readonly number[]): Node {
    const nodes = elements.map((element) => this.compile(element));
    const constants = nodes.map((node) => node.constant);
    if (
      this.scope.foldConstants &&
      optionalIndices.length === 0 &&
      constants.every((value) => value !== undefined)
    ) {
      const constant = new ArrayList(constants);
      return { run: () => constant, constant };
    }
    const runs = nodes.map((node) => node.run);
    const optional = runs.map((_run, i) => optionalIndices.includes(i));
    return {
      run: (frame) => {
        const values: Value[] = [];
        for (let i = 0; i < runs.length; i++) {
          const value = runs[i](frame);
          if (value instanceof CelError) return value;
          if (!optional[i]) values.push(value);
          else if (!(value instanceof Optional)) return optionalNeeded('[', value);
          else if (value.value !== undefined) values.push(value.value);
        }
        frame.charge(LIST_COST);
        return new ArrayList(values);
      },
    };
  }

  private map(expr: MapExpr): Node {
    const entries = expr.entries.map((entry) => ({
      key: this.compile(entry.key),
      value: this.compile(entry.value),
      optional: entry.optional,
    }));
    const build = (frame: Frame): EntryMap | CelError => {
      const map = new EntryMap();
      for (const entry of entries) {
        const key = entry.key.run(frame);
        if (key instanceof CelError) return key;
        let value: Result | undefined = entry.value.run(frame);
        if (value instanceof CelError) return value;
        if (entry.optional) {
          if (!(value instanceof Optional)) return optionalNeeded('{', value);
          value = value.value;
          if (value === undefined) continue;
        }
        if (map.insert(key, value)) continue;
        return new CelError(
          map.get(key) === undefined || typeof key === 'number'
            ? `unsupported key type: ${typeName(typeOf(key))}`
            : 'Failed with repeated key',
        );
      }
      return map;
    };
    const constant = entries.every(
      (entry) => !entry.optional && entry.key.constant !== undefined && entry.value.constant !== undefined,
    );
    if (this.scope.foldConstants && constant) {
      const map = build(new Frame(NO_BINDINGS, 0, Number.POSITIVE_INFINITY, undefined));
      if (!(map instanceof CelError)) return { run: () => map, constant: map };
    }
    return {
      run: (frame) => {
        const map = build(frame);
        if (!(map instanceof CelError)) frame.charge(MAP_COST);
        return map;
      },
    };
  }

  private struct(expr: StructExpr): Node {
    const reference = this.scope.references?.get(expr.id);
    const name = reference?.kind === 'type' ? reference.name : expr.name;
    const declaration = this.scope.struct(name);
    const fields = expr.fields.map((field) => ({
      name: field.name,
      run: this.compile(field.value).run,
      optional: field.optional,
    }));
    return {
      run: (frame) => {
        const values: Map<string, Value> = new Map();
        for (const field of fields) {
          const value = field.run(frame);
          if (value instanceof CelError) return value;
          if (!field.optional) values.set(field.name, value);
          else if (!(value instanceof Optional)) return optionalNeeded('{', value);
          else if (value.value !== undefined) values.set(field.name, value.value);
        }
        frame.charge(STRUCT_COST);
        return declaration?.make?.(values) ?? new CelError(`unknown type: ${name}`);
      },
    };
  }

  // Folds.

  private comprehension(expr: ComprehensionExpr): Node {
    const range = this.compile(expr.range).run;
    const init = this.compile(expr.init).run;
    const builder = expr.accuVar === ACCUMULATOR ? builderOf(expr.init) : undefined;
    const two = expr.iterVar2 !== '';
    const accuSlot = this.locals.push(expr.accuVar) - 1;
    const firstSlot = this.locals.push(expr.iterVar) - 1;
    const secondSlot = two ? this.locals.push(expr.iterVar2) - 1 : -1;
    this.slotCount = Math.max(this.slotCount, this.locals.length);
    const condition = this.compile(expr.condition).run;
    const step = this.compile(expr.step).run;
    this.locals.length = firstSlot;
    const result = this.compile(expr.result).run;
    this.locals.length = accuSlot;

    const iterate = (frame: Frame, first: Value, second: Result): boolean => {
      frame.step();
      frame.slots[firstSlot] = first;
      if (two) frame.slots[secondSlot] = second;
      const go = condition(frame);
      if (go === false) return false;
      if (go instanceof CelError) {
        frame.slots[accuSlot] = go;
        return false;
      }
      frame.slots[accuSlot] = step(frame);
      return true;
    };
    return {
      run: (frame) => {
        const over = range(frame);
        if (over instanceof CelError) return over;
        const initial = init(frame);
        frame.slots[accuSlot] = builder === undefined ? initial : builder();
        if (over instanceof CelList) {
          const size = over.size;
          for (let i = 0; i < size; i++) {
            const value = over.at(i);
            if (!iterate(frame, two ? BigInt(i) : value, value)) break;
          }
        } else if (over instanceof CelMap) {
          for (const key of over.keys()) {
            if (!iterate(frame, key, two ? (over.get(key) ?? null) : null)) break;
          }
        } else {
          return new CelError(`got 'types.${goTypeName(over)}', expected iterable type`);
        }
        const value = result(frame);
        return value instanceof ListBuilder ? new ArrayList(value.values) : value;
      },
    };
  }
}

const NO_BINDINGS: Bindings = { get: () => undefined };

function typeNode(type: TypeValue): Node {
  return { run: () => type };
}

function builderOf(init: Expr): (() => Value) | undefined {
  if (init.kind === 'list' && init.elements.length === 0) return () => new ListBuilder();
  if (init.kind === 'map' && init.entries.length === 0) return () => new MapBuilder();
  return undefined;
}

function optionalNeeded(where: string, value: Value): CelError {
  const place = where === '[' ? 'list element' : 'entry';
  return new CelError(
    `cannot initialize optional ${place} from non-optional value ${typeName(typeOf(value))}`,
  );
}

function fits(overload: Overload, values: readonly Value[]): boolean {
  if (overload.args.length !== values.length) return false;
  for (let i = 0; i < values.length; i++) if (!accepts(overload.args[i], values[i])) return false;
  return true;
}

/** @returns how many slots a frame needs, and what runs the expression */
export function compileTree(
  expr: Expr,
  scope: CompilerScope,
): { readonly run: Evaluate; readonly slotCount: number; readonly failure: string | undefined } {
  const compiler = new Compiler(scope);
  const { run } = compiler.compile(expr);
  return { run, slotCount: compiler.slotCount, failure: compiler.failure };
}
