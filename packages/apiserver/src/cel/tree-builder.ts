/**
 * Nodes of a tree: each gets an id, macros are unfolded as their calls are made, and a tree that is too deep is refused.
 *
 * Modelled on CEL-go's parser helper.
 */

import type { CallExpr, Constant, Expr } from './ast.ts';
import type { Macro, NodeMaker } from './macros.ts';
import type { CelIssue } from './source.ts';
import { Stop } from './token-cursor.ts';

/** What a position that cannot be read is parsed as, after an issue was noted. */
export const NOTHING: Constant = { kind: 'null' };

export class TreeBuilder {
  private readonly macros: readonly Macro[];
  private readonly depthMax: number;
  private readonly issues: CelIssue[];
  private lastId = 0;
  /** The depth of each node's tree, by id. */
  private readonly depths: number[] = [0];

  /** @param issues where what is wrong is added */
  constructor(macros: readonly Macro[], depthMax: number, issues: CelIssue[]) {
    this.macros = macros;
    this.depthMax = depthMax;
    this.issues = issues;
  }

  id(...children: readonly Expr[]): number {
    let depth = 1;
    for (const child of children) depth = Math.max(depth, this.depths[child.id] + 1);
    if (depth > this.depthMax) {
      this.tell(-1, 'max recursion depth exceeded');
      throw new Stop();
    }
    this.lastId++;
    this.depths[this.lastId] = depth;
    return this.lastId;
  }

  constant(offset: number, constant: Constant | string): Expr {
    if (typeof constant === 'string') {
      this.tell(offset, constant);
      return { kind: 'const', id: this.id(), offset, constant: NOTHING };
    }
    return { kind: 'const', id: this.id(), offset, constant };
  }

  call(offset: number, name: string, args: readonly Expr[], target?: Expr): CallExpr {
    const id = target === undefined ? this.id(...args) : this.id(target, ...args);
    return { kind: 'call', id, offset, target, name, args };
  }

  private maker(offset: number): NodeMaker {
    const fresh = (): { id: number; offset: number } => {
      this.lastId++;
      this.depths[this.lastId] = 1;
      return { id: this.lastId, offset };
    };
    return {
      constant: (constant) => ({ kind: 'const', ...fresh(), constant }),
      ident: (name) => ({ kind: 'ident', ...fresh(), name }),
      call: (name, args) => ({ kind: 'call', ...fresh(), target: undefined, name, args }),
      memberCall: (target, name, args) => ({ kind: 'call', ...fresh(), target, name, args }),
      list: (elements) => ({ kind: 'list', ...fresh(), elements, optionalIndices: [] }),
      emptyMap: () => ({ kind: 'map', ...fresh(), entries: [] }),
      presenceTest: (operand, field) => ({
        kind: 'select',
        id: this.id(operand),
        offset,
        operand,
        field,
        testOnly: true,
      }),
      comprehension: (fold) => ({
        kind: 'comprehension',
        id: this.id(fold.range, fold.init, fold.step, fold.result),
        offset,
        ...fold,
      }),
      copy: (expr) => this.copy(expr),
      fail: (expr, message) => this.tell(expr.offset, message),
    };
  }

  private copy(expr: Expr): Expr {
    const depth = this.depths[expr.id];
    this.lastId++;
    this.depths[this.lastId] = depth;
    const id = this.lastId;
    const entryId = (): number => {
      this.lastId++;
      return this.lastId;
    };
    switch (expr.kind) {
      case 'const':
      case 'ident':
        return { ...expr, id };
      case 'select':
        return { ...expr, id, operand: this.copy(expr.operand) };
      case 'call':
        return {
          ...expr,
          id,
          target: expr.target === undefined ? undefined : this.copy(expr.target),
          args: expr.args.map((arg) => this.copy(arg)),
        };
      case 'list':
        return { ...expr, id, elements: expr.elements.map((element) => this.copy(element)) };
      case 'map':
        return {
          ...expr,
          id,
          entries: expr.entries.map((entry) => ({
            ...entry,
            id: entryId(),
            key: this.copy(entry.key),
            value: this.copy(entry.value),
          })),
        };
      case 'struct':
        return {
          ...expr,
          id,
          fields: expr.fields.map((field) => ({ ...field, id: entryId(), value: this.copy(field.value) })),
        };
      case 'comprehension':
        return {
          ...expr,
          id,
          range: this.copy(expr.range),
          init: this.copy(expr.init),
          condition: this.copy(expr.condition),
          step: this.copy(expr.step),
          result: this.copy(expr.result),
        };
    }
  }

  /** A call that may be a macro. */
  callOrMacro(offset: number, name: string, args: readonly Expr[], target: Expr | undefined): Expr {
    for (const macro of this.macros) {
      if (macro.name !== name || macro.argCount !== args.length) continue;
      if (macro.receiver !== (target !== undefined)) continue;
      const issuesBefore = this.issues.length;
      const expanded = macro.expand(this.maker(offset), target, args);
      if (expanded !== undefined) return expanded;
      if (this.issues.length > issuesBefore) return this.constant(offset, NOTHING);
    }
    return this.call(offset, name, args, target);
  }

  private tell(offset: number, message: string): undefined {
    this.issues.push({ offset, message });
  }
}
