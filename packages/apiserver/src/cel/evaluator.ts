/**
 * Turns a tree into nodes that run over a frame: names, fields and indices here, calls and literals and
 * folds in files of their own. Errors are values
 * that go up until && or || (and the folds made of them, folds.ts) absorb one. No clock, no await: who must put a long
 * evaluation down hands in a pace, which folds and long calls ask.
 *
 * Costs are counted as CEL-go counts them: one for a variable, one for each field or index behind it, nothing for a
 * ternary's own branches, 10 for a list, 30 for a map, 40 for a message, and what a function costs for a call.
 */

import { OPERATOR, type CallExpr, type ComprehensionExpr, type Expr, type SelectExpr } from './ast.ts';
import { conditional, functionCall, logicalNode } from './call-nodes.ts';
import { candidateNames, qualifiedName } from './checker.ts';
import type { CompiledNode, CompilerScope, NodeCompiler } from './compiled-node.ts';
import { fold } from './folds.ts';
import type { Frame } from './frame.ts';
import { constantValue, listNode, mapNode, structNode } from './literal-nodes.ts';
import { binary, unary } from './operands.ts';
import { indexPresence, indexResult, presence, selectResult, testField } from './qualifiers.ts';
import { NAMED_TYPES } from './types.ts';
import { CelError, LazyObject, TypeValue, type Result } from './values.ts';

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
  private operand(expr: Expr, rootCost: number): { readonly node: CompiledNode; readonly cost: number } {
    if (this.isAttribute(expr)) return { node: this.compile(expr, rootCost), cost: 1 };
    return { node: this.compile(expr), cost: 1 + rootCost };
  }

  private select(expr: SelectExpr, rootCost: number): CompiledNode {
    if (!expr.testOnly) {
      const resolved = this.qualified(expr, rootCost);
      if (resolved !== undefined) return resolved;
    }
    const { field } = expr;
    if (expr.testOnly) {
      const attribute = this.isAttribute(expr.operand);
      return unary(this.compile(expr.operand), (frame, value) => {
        if (!attribute) frame.charge(1);
        return value instanceof CelError ? value : testField(value, field);
      });
    }
    const { node, cost } = this.operand(expr.operand, rootCost);
    if (this.isLazy(expr.operand)) return lazyField(node, cost, field);
    return unary(node, (frame, value) => {
      frame.charge(cost);
      return value instanceof CelError ? value : selectResult(value, field);
    });
  }

  private isLazy(expr: Expr): boolean {
    const { lazyVariable } = this.scope;
    return lazyVariable !== undefined && expr.kind === 'ident' && this.variableOf(expr.id) === lazyVariable;
  }

  private variableOf(id: number): string | undefined {
    const reference = this.scope.references?.get(id);
    return reference?.kind === 'variable' ? reference.name : undefined;
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
    const { node, cost } = this.operand(expr.operand, rootCost);
    const bound = (frame: Frame): Result | undefined => {
      for (const candidate of candidates) {
        const value = frame.bindings.get(candidate);
        if (value !== undefined) return value;
      }
      return undefined;
    };
    const selected = unary(node, (frame, value) => {
      frame.charge(cost);
      return value instanceof CelError ? value : selectResult(value, expr.field);
    });
    return {
      *sliced(frame) {
        const value = bound(frame);
        if (value === undefined) {
          return selected.run === undefined ? yield* selected.sliced(frame) : selected.run(frame);
        }
        frame.charge(rootCost);
        return value;
      },
    };
  }

  /** An index's key: an attribute as a key costs what it is, anything else one more. */
  private key(expr: Expr): CompiledNode {
    return this.compile(expr, this.isAttribute(expr) ? 0 : 1);
  }

  private index(expr: CallExpr, rootCost: number, optional: boolean): CompiledNode {
    const { node, cost } = this.operand(expr.args[0], rootCost);
    return binary(node, this.key(expr.args[1]), (frame, container, at) => {
      frame.charge(cost);
      if (container instanceof CelError) return container;
      if (at instanceof CelError) return at;
      return optional ? indexPresence(container, at) : indexResult(container, at);
    });
  }

  private optionalSelect(expr: CallExpr, rootCost: number): CompiledNode {
    const { node, cost } = this.operand(expr.args[0], rootCost);
    const [, name] = expr.args;
    const field = name.kind === 'const' && name.constant.kind === 'string' ? name.constant.value : '';
    return unary(node, (frame, value) => {
      frame.charge(cost);
      return value instanceof CelError ? value : presence(value, field);
    });
  }

  // Calls.

  private call(expr: CallExpr, rootCost: number): CompiledNode {
    switch (expr.name) {
      case OPERATOR.and:
        return logicalNode(this, expr, false);
      case OPERATOR.or:
        return logicalNode(this, expr, true);
      case OPERATOR.conditional:
        return conditional(this, expr);
      case OPERATOR.notStrictlyFalse:
        return unary(this.compile(expr.args[0]), (frame, value) => {
          frame.charge(1);
          return value !== false;
        });
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
    const { locals } = this;
    const range = this.compile(expr.range);
    const init = this.compile(expr.init);
    const accumulator = locals.push(expr.accuVar) - 1;
    const first = locals.push(expr.iterVar) - 1;
    const second = expr.iterVar2 === '' ? undefined : locals.push(expr.iterVar2) - 1;
    this.slotCount = Math.max(this.slotCount, locals.length);
    const condition = this.compile(expr.condition);
    const step = this.compile(expr.step);
    locals.length = first;
    const result = this.compile(expr.result);
    locals.length = accumulator;
    return fold({ expr, range, init, condition, step, result, slots: { accumulator, first, second } });
  }
}

/** A field that is an expression itself. */
function lazyField(operand: CompiledNode, cost: number, field: string): CompiledNode {
  return {
    *sliced(frame) {
      const value = operand.run === undefined ? yield* operand.sliced(frame) : operand.run(frame);
      frame.charge(cost);
      if (value instanceof CelError) return value;
      return value instanceof LazyObject
        ? yield* value.slicedField(field, frame.pace)
        : selectResult(value, field);
    },
  };
}

function typeNode(type: TypeValue): CompiledNode {
  return { run: () => type, constant: type };
}

export interface Tree {
  readonly node: CompiledNode;
  /** How many slots a frame needs. */
  readonly slotCount: number;
  /** What is wrong with a constant, which would be found at each evaluation. */
  readonly failure: string | undefined;
}

export function compileTree(expr: Expr, scope: CompilerScope): Tree {
  const compiler = new Compiler(scope);
  const node = compiler.compile(expr);
  return { node, slotCount: compiler.slotCount, failure: compiler.failure };
}
