/**
 * What the nodes of a tree become: closures over a frame. A node that holds a fold, or a call that may take long, is done
 * in steps between which the evaluation can be put down; all others run in one go. And what whoever makes one may ask of
 * the compiler.
 */

import type { Sliced } from '../api/sliced.ts';
import type { Expr } from './ast.ts';
import type { Reference, StructDeclaration } from './checker.ts';
import type { Frame } from './frame.ts';
import type { FunctionTable } from './functions.ts';
import type { CelType } from './types.ts';
import type { Result, Value } from './values.ts';

export type Evaluate = (frame: Frame) => Result;
export type EvaluateSliced = (frame: Frame) => Sliced<Result>;

/** Runs in one go; `constant` where its value is known without a frame. */
export interface QuickNode {
  readonly run: Evaluate;
  readonly sliced?: undefined;
  readonly constant?: Value;
}

export interface SlicedNode {
  readonly run?: undefined;
  readonly sliced: EvaluateSliced;
  readonly constant?: undefined;
}

export type CompiledNode = QuickNode | SlicedNode;

export interface CompilerScope {
  readonly container: string;
  readonly functions: FunctionTable;
  readonly namedTypes: ReadonlyMap<string, CelType>;
  struct(name: string): StructDeclaration | undefined;
  /** What the checker found; undefined for an expression that is run unchecked. */
  readonly references: ReadonlyMap<number, Reference> | undefined;
  /** Whether constants are folded before they run, and then cost nothing. */
  readonly foldConstants: boolean;
  /** Whether calls that take long seldom can be put down too: slower where they do not. */
  readonly patient: boolean;
  /** The variable whose fields are expressions themselves. */
  readonly lazyVariable: string | undefined;
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
