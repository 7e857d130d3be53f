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
  type Expr,
  type SelectExpr,
} from './ast.ts';
import { conditional, functionCall, logical } from './call-nodes.ts';
import { candidateNames, qualifiedName } from './checker.ts';
import type { CompiledNode, CompilerScope, NodeCompiler } from './compiled-node.ts';
import type { Evaluate, Frame } from './frame.ts';
import { constantValue, listNode, mapNode, structNode } from './literal-nodes.ts';
import { goTypeName } from './overload-errors.ts';
import { indexPresence, indexResult, presence, selectResult, testField } from './qualifiers.ts';
import { NAMED_TYPES } from './types.ts';
import {
  ArrayList,
  CelError,
  CelList,
  CelMap,
  ListBuilder,
  MapBuilder,
  TypeValue,
  type Result,
  type Value,
} from './values.ts';

class Compiler implements NodeCompiler {
  readonly scope: CompilerScope;
  private readonly locals: string[] = [];
  slotCount = 0;
  /** What is wrong with a constant, which would be found at each evaluation. */
  failure: string | undefined = undefined;

  constructor(scope: CompilerScope) {
    this.scope = scope;
  }

  fail(message: string): void {
    this.failure ??= message;
  }

  compile(expr: Expr, rootCost = 1): CompiledNode {
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
        return listNode(this, expr);
      case 'map':
        return mapNode(this, expr);
      case 'struct':
        return structNode(this, expr);
      case 'comprehension':
        return this.comprehension(expr);
    }
  }

  // Names.

  private slot(name: string): number {
    return this.locals.lastIndexOf(name);
  }

  /** A local, a variable or a type; undefined when the name is none of them. */
  private name(id: number, name: string, rootCost: number): CompiledNode | undefined {
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

  private variable(names: readonly string[], shown: string, rootCost: number): CompiledNode {
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

  private unbound(name: string): CompiledNode {
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

  private select(expr: SelectExpr, rootCost: number): CompiledNode {
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
  private qualified(expr: SelectExpr, rootCost: number): CompiledNode | undefined {
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

  private index(expr: CallExpr, rootCost: number, optional: boolean): CompiledNode {
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

  private optionalSelect(expr: CallExpr, rootCost: number): CompiledNode {
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

  private call(expr: CallExpr, rootCost: number): CompiledNode {
    switch (expr.name) {
      case OPERATOR.and:
        return logical(this, expr, false);
      case OPERATOR.or:
        return logical(this, expr, true);
      case OPERATOR.conditional:
        return conditional(this, expr);
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
        return functionCall(this, expr);
    }
  }

  // Folds.

  private comprehension(expr: ComprehensionExpr): CompiledNode {
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

function typeNode(type: TypeValue): CompiledNode {
  return { run: () => type };
}

function builderOf(init: Expr): (() => Value) | undefined {
  if (init.kind === 'list' && init.elements.length === 0) return () => new ListBuilder();
  if (init.kind === 'map' && init.entries.length === 0) return () => new MapBuilder();
  return undefined;
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
