/**
 * The door of the room: an expression and an environment in, a program or what is wrong with the expression out. A
 * program is pure: it may be kept and evaluated as often as there are objects.
 */

import { finish, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import { check, type Checked } from './checker.ts';
import { type Environment } from './environment.ts';
import { estimateCost } from './cost-estimate.ts';
import { type SizeOf } from './cost-of-calls.ts';
import { type Range } from './cost-range.ts';
import { compileTree, type Tree } from './evaluator.ts';
import { CostExceeded, Frame, Interrupted, TooLong, type Bindings } from './frame.ts';
import { parse } from './parser.ts';
import { PendingDecision, type AuthorizationQuestion } from './library-authorizer.ts';
import { Source, type CelIssue } from './source.ts';
import { type CelType } from './types.ts';
import { CelError, type Value } from './values.ts';
import { validateLiterals } from './validators.ts';

/** What came of an evaluation; `cost` is what it used of its budget, whatever came. */
export type Outcome =
  | { readonly kind: 'value'; readonly value: Value; readonly cost: number }
  | { readonly kind: 'error'; readonly message: string; readonly cost: number }
  /** The budget was used up. */
  | { readonly kind: 'exceeded'; readonly message: string; readonly cost: number }
  /** `stop` said so. */
  | { readonly kind: 'interrupted'; readonly message: string; readonly cost: number }
  /** An authorizer was asked what it does not know yet: evaluate again when it does. */
  | { readonly kind: 'undecided'; readonly question: AuthorizationQuestion; readonly cost: number };

/** CEL-go's texts. */
const EXCEEDED = 'operation cancelled: actual cost limit exceeded';
const INTERRUPTED = 'operation interrupted';

export class Program {
  readonly checked: Checked;
  /** What the expression gives. */
  readonly type: CelType;
  /** Why it gives an error whatever it is evaluated over: a constant that is no value of its type. */
  readonly failure: string | undefined;
  private readonly tree: Tree;
  private readonly environment: Environment;
  /** For data that has shown to be long. */
  private patient: Tree | undefined = undefined;

  constructor(checked: Checked, environment: Environment) {
    this.checked = checked;
    this.type = checked.type;
    this.environment = environment;
    this.tree = this.compiled(false);
    this.failure = this.tree.failure;
  }

  private compiled(patient: boolean): Tree {
    const { checked, environment } = this;
    return compileTree(checked.expr, {
      container: environment.container,
      functions: environment.functions,
      namedTypes: environment.namedTypes,
      struct: (name) => environment.struct(name),
      references: checked.references,
      foldConstants: environment.foldConstants,
      lazyVariable: environment.lazyVariable,
      patient,
    });
  }

  /** What it may cost by the sizes data may have, before it runs. */
  estimate(sizeOf: SizeOf): Range {
    return estimateCost(this.checked, sizeOf);
  }

  /**
   * @param costMax the budget; what is charged beyond it ends the evaluation
   * @param stop asked now and then by folds whether to give up
   */
  evaluate(bindings: Bindings, costMax = Number.POSITIVE_INFINITY, stop?: () => boolean): Outcome {
    const frame = frameOf(this.tree, bindings, costMax, WITHOUT_PAUSE, stop);
    return finish(outcomeOf(this.tree, frame));
  }

  /** The same, put down wherever the pace wants that. */
  *sliced(bindings: Bindings, costMax: number, pace: Pace): Sliced<Outcome> {
    try {
      return yield* outcomeOf(this.tree, frameOf(this.tree, bindings, costMax, pace));
    } catch (error) {
      if (!(error instanceof TooLong)) throw error;
    }
    const tree = (this.patient ??= this.compiled(true));
    return yield* outcomeOf(tree, frameOf(tree, bindings, costMax, pace));
  }
}

function frameOf(
  { slotCount }: Tree,
  bindings: Bindings,
  costMax: number,
  pace: Pace,
  stop?: () => boolean,
): Frame {
  return new Frame({ bindings, slotCount, costMax, pace, stop });
}

function* outcomeOf({ node }: Tree, frame: Frame): Sliced<Outcome> {
  try {
    const result = node.run === undefined ? yield* node.sliced(frame) : node.run(frame);
    const { cost } = frame;
    return result instanceof CelError
      ? { kind: 'error', message: result.message, cost }
      : { kind: 'value', value: result, cost };
  } catch (error) {
    const { cost } = frame;
    if (error instanceof CostExceeded) return { kind: 'exceeded', message: EXCEEDED, cost };
    if (error instanceof Interrupted) return { kind: 'interrupted', message: INTERRUPTED, cost };
    // The engine's own bounds: a text longer than it can hold, values nested deeper than its stack.
    if (error instanceof RangeError)
      return { kind: 'error', message: `out of range: ${error.message}`, cost };
    if (error instanceof PendingDecision) return { kind: 'undecided', question: error.question, cost };
    throw error;
  }
}

export type Compilation =
  | { readonly program: Program; readonly issues?: undefined }
  | {
      readonly program?: undefined;
      readonly issues: readonly CelIssue[];
      /** As people read them. */ readonly text: string;
    };

/** Parses, checks and compiles an expression. */
export function compile(expression: string, environment: Environment): Compilation {
  const source = new Source(expression);
  const refuse = (issues: readonly CelIssue[]): Compilation => ({ issues, text: source.showAll(issues) });
  const parsed = parse(source, environment.parserOptions);
  if (parsed.issues !== undefined) return refuse(parsed.issues);
  const checked = check(parsed.expr, environment.checkerScope);
  if (checked.issues !== undefined) return refuse(checked.issues);
  const issues = validateLiterals(checked, environment);
  if (issues.length > 0) return refuse(issues);
  return { program: new Program(checked, environment) };
}

/** Runs an expression unchecked: names are found while it runs. For tools and conformance tests. */
export function evaluateUnchecked(expression: string, environment: Environment, bindings: Bindings): Outcome {
  const source = new Source(expression);
  const parsed = parse(source, environment.parserOptions);
  if (parsed.issues !== undefined) return { kind: 'error', message: source.showAll(parsed.issues), cost: 0 };
  const tree = compileTree(parsed.expr, {
    container: environment.container,
    functions: environment.functions,
    namedTypes: environment.namedTypes,
    struct: (name) => environment.struct(name),
    references: undefined,
    foldConstants: false,
    lazyVariable: undefined,
    patient: false,
  });
  const costMax = Number.POSITIVE_INFINITY;
  return finish(
    outcomeOf(tree, new Frame({ bindings, slotCount: tree.slotCount, costMax, pace: WITHOUT_PAUSE })),
  );
}
