/**
 * Match conditions of webhooks and policies: expressions that all have to be true. One that is false leaves the webhook
 * or policy out, whatever happened to others; without one, an error is what the failure policy makes of it.
 *
 * Modelled on apiserver's admission/plugin/webhook/matchconditions.
 */

import type { JsonObject } from '../../api/json.ts';
import { RUNTIME_LIMITS } from '../../cel/environment.ts';
import { CONDITION, type PolicyCompiler, type PolicyExpression } from '../../cel/policy-expressions.ts';
import { text } from '../../validation/value.ts';
import { aggregateText } from '../refusals.ts';
import { ExpressionSet, OutOfBudget, type Evaluation, type PolicyVariables } from './evaluate.ts';
import type { Scope } from './scope.ts';
import type { Steps } from './steps.ts';

/** Whose conditions they are, for metrics. */
export interface ConditionOwner {
  readonly name: string;
  readonly kind: 'webhook' | 'policy';
  readonly type: 'admit' | 'validating' | 'validate';
  readonly operation: string;
  readonly failurePolicy: 'Fail' | 'Ignore';
}

/** What is counted; `apiserver_admission_match_condition_*` are made of it. */
export interface ConditionObserver {
  failed(owner: ConditionOwner): void;
  /** Conditions left the owner out. */
  excluded(owner: ConditionOwner): void;
  evaluated(owner: ConditionOwner, seconds: number): void;
}

export type MatchOutcome =
  | { readonly kind: 'match' }
  | { readonly kind: 'no-match' }
  /** One could not be evaluated, and the owner fails closed. */
  | { readonly kind: 'error'; readonly message: string };

export function compileConditions(
  compiler: PolicyCompiler,
  conditions: readonly JsonObject[],
): readonly PolicyExpression[] {
  return conditions.map((condition) => compiler.compile(text(condition, 'expression'), CONDITION));
}

export function* matchConditions(
  conditions: readonly PolicyExpression[],
  scope: Scope,
  owner: ConditionOwner,
  observer: ConditionObserver | undefined,
  variables?: PolicyVariables,
): Steps<MatchOutcome> {
  if (conditions.length === 0) return { kind: 'match' };
  const start = scope.slices.seconds();
  const outcome = yield* outcomeOf(conditions, scope, owner, observer, variables);
  observer?.evaluated(owner, scope.slices.seconds() - start);
  return outcome;
}

function* outcomeOf(
  conditions: readonly PolicyExpression[],
  scope: Scope,
  owner: ConditionOwner,
  observer: ConditionObserver | undefined,
  variables: PolicyVariables | undefined,
): Steps<MatchOutcome> {
  const set = new ExpressionSet(scope, RUNTIME_LIMITS.matchConditions, variables);
  const evaluations: Evaluation[] = [];
  try {
    for (const condition of conditions) evaluations.push(yield* set.evaluate(condition));
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error;
    return failure(owner, error.message);
  }
  const errors: string[] = [];
  for (const evaluation of evaluations) {
    if (evaluation.kind === 'error') {
      errors.push(evaluation.message);
      observer?.failed(owner);
    } else if (evaluation.value !== true) return { kind: 'no-match' };
  }
  return errors.length === 0 ? { kind: 'match' } : failure(owner, aggregateText(errors));
}

function failure({ failurePolicy }: ConditionOwner, message: string): MatchOutcome {
  return failurePolicy === 'Ignore' ? { kind: 'no-match' } : { kind: 'error', message };
}
