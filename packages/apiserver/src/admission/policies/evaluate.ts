/**
 * Expressions of a policy evaluated one after the other within a budget: each has its own limit, all together another.
 * Variables are evaluated when they are asked for, and paid by who asked first. An expression that needs an answer of the
 * authorizer is evaluated again when that is there.
 *
 * Modelled on the evaluation of apiserver's admission/plugin/cel, texts included.
 */

import { RUNTIME_LIMITS } from '../../cel/environment.ts';
import type { PolicyExpression } from '../../cel/policy-expressions.ts';
import type { Outcome, Program } from '../../cel/program.ts';
import { ComposedVariables, type VariableDefinition } from '../../cel/rule-variables.ts';
import { CelError, type Value } from '../../cel/values.ts';
import type { Scope } from './scope.ts';
import { breathe, inTurns, type Steps } from './steps.ts';

const OUT_OF_BUDGET =
  'validation failed due to running out of cost budget, no further validation rules will be run';

/** What came of an expression. */
export type Evaluation = { readonly seconds: number } & (
  { readonly kind: 'value'; readonly value: Value } | { readonly kind: 'error'; readonly message: string }
);

/** The budget of a set of expressions is used up: none of it counts. */
export class OutOfBudget extends Error {
  override readonly name = 'OutOfBudget';

  constructor() {
    super(OUT_OF_BUDGET);
  }
}

/** Variables of a policy, in their order. */
export type PolicyVariables = ReadonlyMap<string, PolicyExpression>;

/** A set of expressions over one scope: they share a budget and what is known of variables. */
export class ExpressionSet {
  /** What is left. */
  budget: number;
  private readonly scope: Scope;
  private readonly bindings: ReadonlyMap<string, Value>;
  private readonly composed: ComposedVariables | undefined;

  constructor(scope: Scope, budget: number, variables?: PolicyVariables) {
    this.scope = scope;
    this.budget = budget;
    if (variables === undefined) {
      this.bindings = scope.bindings;
      return;
    }
    const bindings = new Map(scope.bindings);
    this.composed = new ComposedVariables(
      new Map([...variables].map(([name, expression]) => [name, evaluation(name, expression, bindings)])),
    );
    this.bindings = bindings.set('variables', this.composed);
  }

  /** @throws OutOfBudget */
  *evaluate(expression: PolicyExpression): Steps<Evaluation> {
    const { program, source, error } = expression;
    if (program === undefined) {
      return { kind: 'error', message: `compilation error: ${error}`, seconds: 0 };
    }
    const { slices } = this.scope;
    yield* breathe(slices);
    const start = slices.seconds();
    const before = this.composed?.cost ?? 0;
    const outcome = yield* this.outcomeOf(program);
    const seconds = slices.seconds() - start;
    this.budget -= (this.composed?.cost ?? 0) - before;
    if (this.budget < 0 || outcome.cost > this.budget) throw new OutOfBudget();
    this.budget -= outcome.cost;
    if (outcome.kind === 'value') return { kind: 'value', value: outcome.value, seconds };
    return {
      kind: 'error',
      message: `expression '${source}' resulted in error: ${outcome.message}`,
      seconds,
    };
  }

  private *outcomeOf(program: Program): Steps<Exclude<Outcome, { kind: 'undecided' }>> {
    for (;;) {
      const { slices } = this.scope;
      const outcome = yield* inTurns(slices, program.sliced(this.bindings, RUNTIME_LIMITS.perCall, slices));
      if (outcome.kind !== 'undecided') return outcome;
      yield this.scope.decisions.ask(outcome.question);
    }
  }
}

function evaluation(
  name: string,
  { program, error }: PolicyExpression,
  bindings: ReadonlyMap<string, Value>,
): VariableDefinition {
  return program === undefined
    ? () => new CelError(`composited variable ${JSON.stringify(name)} fails to compile: ${error}`)
    : (pace) => program.sliced(bindings, RUNTIME_LIMITS.perCall, pace);
}
