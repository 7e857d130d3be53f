/** What the nodes of a tree become, and what whoever makes one may ask of the compiler. */

import type { Expr } from './ast.ts';
import type { Reference, StructDeclaration } from './checker.ts';
import type { Evaluate } from './frame.ts';
import type { FunctionTable } from './functions.ts';
import type { CelType } from './types.ts';
import type { Value } from './values.ts';

/** A compiled node; `constant` where its value is known without a frame. */
export interface CompiledNode {
  readonly run: Evaluate;
  readonly constant?: Value;
}

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

export interface NodeCompiler {
  readonly scope: CompilerScope;
  /**
   * @param rootCost what the attribute an expression is (a variable with fields and indices behind it, or a ternary's
   * branch) costs for itself: 0 where something around it counts that; 1 unless said
   */
  compile(expr: Expr, rootCost?: number): CompiledNode;
  /** Tells what is wrong with a constant, which would be found at each evaluation. */
  fail(message: string): void;
}
