/**
 * Nodes with others below them: what is computed with their values is written once, whether they run in one go or in
 * steps.
 */

import type { Sliced } from '../api/sliced.ts';
import type { CompiledNode, Evaluate } from './compiled-node.ts';
import type { Frame } from './frame.ts';
import { CelError, type Result, type Value } from './values.ts';

/** The nodes' own functions, where all of them run in one go. */
function quickOnes(nodes: readonly CompiledNode[]): Evaluate[] | undefined {
  const runs: Evaluate[] = [];
  for (const { run } of nodes) {
    if (run === undefined) return undefined;
    runs.push(run);
  }
  return runs;
}

/** @param then computes with what the operand gives, errors too */
export function unary(operand: CompiledNode, then: (frame: Frame, value: Result) => Result): CompiledNode {
  const { run, sliced } = operand;
  if (run !== undefined) return { run: (frame) => then(frame, run(frame)) };
  return {
    *sliced(frame) {
      return then(frame, yield* sliced(frame));
    },
  };
}

/** @param then computes with what both give, errors too */
export function binary(
  left: CompiledNode,
  right: CompiledNode,
  then: (frame: Frame, first: Result, second: Result) => Result,
): CompiledNode {
  const runs = quickOnes([left, right]);
  if (runs !== undefined) {
    const [first, second] = runs;
    return { run: (frame) => then(frame, first(frame), second(frame)) };
  }
  return {
    *sliced(frame) {
      const first = left.run === undefined ? yield* left.sliced(frame) : left.run(frame);
      const second = right.run === undefined ? yield* right.sliced(frame) : right.run(frame);
      return then(frame, first, second);
    },
  };
}

/**
 * `&&` or `||`: the absorbing value of one side is that of both, whatever the other is.
 *
 * @param otherwise what two values come to of which none absorbs
 */
export function logical(
  left: CompiledNode,
  right: CompiledNode,
  absorbing: boolean,
  otherwise: (first: Result, second: Result) => Result,
): CompiledNode {
  const runs = quickOnes([left, right]);
  if (runs !== undefined) {
    const [runFirst, runSecond] = runs;
    return {
      run: (frame) => {
        const first = runFirst(frame);
        if (first === absorbing) return absorbing;
        const second = runSecond(frame);
        return second === absorbing ? absorbing : otherwise(first, second);
      },
    };
  }
  return {
    *sliced(frame) {
      const first = left.run === undefined ? yield* left.sliced(frame) : left.run(frame);
      if (first === absorbing) return absorbing;
      const second = right.run === undefined ? yield* right.sliced(frame) : right.run(frame);
      return second === absorbing ? absorbing : otherwise(first, second);
    },
  };
}

/** One of two branches. @param otherwise what a condition that is no bool comes to */
export function choice(
  condition: CompiledNode,
  yes: CompiledNode,
  no: CompiledNode,
  otherwise: (chosen: Result) => Result,
): CompiledNode {
  const runs = quickOnes([condition, yes, no]);
  if (runs !== undefined) {
    const [choose, runYes, runNo] = runs;
    return {
      run: (frame) => {
        const chosen = choose(frame);
        if (chosen === true) return runYes(frame);
        return chosen === false ? runNo(frame) : otherwise(chosen);
      },
    };
  }
  return {
    *sliced(frame) {
      const chosen = condition.run === undefined ? yield* condition.sliced(frame) : condition.run(frame);
      if (typeof chosen !== 'boolean') return otherwise(chosen);
      const branch = chosen ? yes : no;
      return branch.run === undefined ? yield* branch.sliced(frame) : branch.run(frame);
    },
  };
}

/** The second where nothing comes of the first. @param taken what comes of the first; undefined: nothing */
export function firstOr(
  left: CompiledNode,
  right: CompiledNode,
  taken: (first: Result) => Result | undefined,
): CompiledNode {
  const runs = quickOnes([left, right]);
  if (runs !== undefined) {
    const [runFirst, runSecond] = runs;
    return {
      run: (frame) => {
        const first = taken(runFirst(frame));
        return first === undefined ? runSecond(frame) : first;
      },
    };
  }
  return {
    *sliced(frame) {
      const first = taken(left.run === undefined ? yield* left.sliced(frame) : left.run(frame));
      if (first !== undefined) return first;
      return right.run === undefined ? yield* right.sliced(frame) : right.run(frame);
    },
  };
}

/** What is made of operands in their order; the first that is an error is what comes of it. */
export interface Making<T> {
  begin(): T;
  /** @returns what is wrong with a value; undefined: it was taken */
  take(into: T, index: number, value: Value): CelError | undefined;
  end(frame: Frame, into: T): Result;
  /** Whether the operands behind one that is an error are looked at, which costs what they cost. */
  readonly whole: boolean;
  /** Charges what there is to be charged although an operand is an error. @param behind what is `whole` */
  failed(frame: Frame, into: T, error: CelError, behind: readonly Result[]): void;
  /** Ends it where that may take long. */
  readonly endSliced?: (frame: Frame, into: T) => Sliced<Result>;
}

/** A call, or a literal of a list, a map or a message. */
export function strict<T>(operands: readonly CompiledNode[], making: Making<T>): CompiledNode {
  const runs = quickOnes(operands);
  const { endSliced } = making;
  if (runs !== undefined && endSliced === undefined) {
    return {
      run: (frame) => {
        const into = making.begin();
        for (let i = 0; i < runs.length; i++) {
          const value = runs[i](frame);
          if (value instanceof CelError) {
            const behind = making.whole ? runs.slice(i + 1).map((run) => run(frame)) : [];
            making.failed(frame, into, value, behind);
            return value;
          }
          const wrong = making.take(into, i, value);
          if (wrong !== undefined) return wrong;
        }
        return making.end(frame, into);
      },
    };
  }
  return {
    *sliced(frame) {
      const into = making.begin();
      for (const [i, operand] of operands.entries()) {
        const value = operand.run === undefined ? yield* operand.sliced(frame) : operand.run(frame);
        if (value instanceof CelError) {
          const behind: Result[] = [];
          for (const other of making.whole ? operands.slice(i + 1) : []) {
            behind.push(other.run === undefined ? yield* other.sliced(frame) : other.run(frame));
          }
          making.failed(frame, into, value, behind);
          return value;
        }
        const wrong = making.take(into, i, value);
        if (wrong !== undefined) return wrong;
      }
      return endSliced === undefined ? making.end(frame, into) : yield* endSliced(frame, into);
    },
  };
}
