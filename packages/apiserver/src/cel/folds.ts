/**
 * Folds, which the macros all(), exists(), map() and their like unfold to: over each element of a list, or each key of a
 * map, a step is taken until the condition is false. Between two elements an evaluation can be put down.
 */

import type { Sliced } from '../api/sliced.ts';
import { ACCUMULATOR, type ComprehensionExpr, type Expr } from './ast.ts';
import type { Frame } from './frame.ts';
import type { CompiledNode } from './compiled-node.ts';
import { goTypeName } from './overload-errors.ts';
import {
  ArrayList,
  CelError,
  CelList,
  CelMap,
  ListBuilder,
  MapBuilder,
  type Result,
  type Value,
} from './values.ts';

export interface Fold {
  readonly expr: ComprehensionExpr;
  readonly range: CompiledNode;
  readonly init: CompiledNode;
  readonly condition: CompiledNode;
  readonly step: CompiledNode;
  readonly result: CompiledNode;
  /** Of the frame; `second` where there are two variables: index or key, and value. */
  readonly slots: {
    readonly accumulator: number;
    readonly first: number;
    readonly second: number | undefined;
  };
}

export function fold({ expr, range, init, condition, step, result, slots }: Fold): CompiledNode {
  const builder = expr.accuVar === ACCUMULATOR ? builderOf(expr.init) : undefined;
  const { accumulator, first, second } = slots;

  const begin = (frame: Frame, element: Value, value: Result): void => {
    frame.step();
    frame.slots[first] = element;
    if (second !== undefined) frame.slots[second] = value;
  };
  /** Whether the condition lets the step be taken. */
  const goesOn = (frame: Frame, go: Result): boolean => {
    if (go instanceof CelError) frame.slots[accumulator] = go;
    return go !== false && !(go instanceof CelError);
  };
  const { run: runCondition } = condition;
  const { run: runStep } = step;
  /** One element; undefined where that is done in steps itself. @returns whether to go on */
  const quick =
    runCondition === undefined || runStep === undefined
      ? undefined
      : (frame: Frame, element: Value, value: Result): boolean => {
          begin(frame, element, value);
          if (!goesOn(frame, runCondition(frame))) return false;
          frame.slots[accumulator] = runStep(frame);
          return true;
        };
  function* sliced(frame: Frame, element: Value, value: Result): Sliced<boolean> {
    begin(frame, element, value);
    const go = condition.run === undefined ? yield* condition.sliced(frame) : condition.run(frame);
    if (!goesOn(frame, go)) return false;
    frame.slots[accumulator] = step.run === undefined ? yield* step.sliced(frame) : step.run(frame);
    return true;
  }

  return {
    *sliced(frame) {
      const over = range.run === undefined ? yield* range.sliced(frame) : range.run(frame);
      if (over instanceof CelError) return over;
      const initial = init.run === undefined ? yield* init.sliced(frame) : init.run(frame);
      frame.slots[accumulator] = builder === undefined ? initial : builder();
      if (over instanceof CelList) {
        const { size } = over;
        for (let i = 0; i < size; i++) {
          if (frame.due()) yield;
          const value = over.at(i);
          const element = second === undefined ? value : BigInt(i);
          const more =
            quick === undefined ? yield* sliced(frame, element, value) : quick(frame, element, value);
          if (!more) break;
        }
      } else if (over instanceof CelMap) {
        for (const key of over.keys()) {
          if (frame.due()) yield;
          const value = second === undefined ? null : (over.get(key) ?? null);
          const more = quick === undefined ? yield* sliced(frame, key, value) : quick(frame, key, value);
          if (!more) break;
        }
      } else {
        return new CelError(`got 'types.${goTypeName(over)}', expected iterable type`);
      }
      const value = result.run === undefined ? yield* result.sliced(frame) : result.run(frame);
      return value instanceof ListBuilder ? new ArrayList(value.values) : value;
    },
  };
}

/** What grows in place, where a fold collects. */
function builderOf(init: Expr): (() => Value) | undefined {
  if (init.kind === 'list' && init.elements.length === 0) return () => new ListBuilder();
  if (init.kind === 'map' && init.entries.length === 0) return () => new MapBuilder();
  return undefined;
}
