/**
 * A validating policy as it runs: its expressions compiled, and what they make of one request and one parameter. Says
 * what was found; what follows from that is the binding's.
 *
 * Modelled on the validator of apiserver's admission/plugin/policy/validating, texts included. Unlike there, a message
 * expression is evaluated only where its validation failed.
 */

import type { KubeObject } from '../../api/meta.ts';
import { RUNTIME_LIMITS, type BaseEnvironment } from '../../cel/environment.ts';
import {
  AUDIT_VALUE,
  CONDITION,
  MESSAGE,
  PolicyCompiler,
  type PolicyExpression,
} from '../../cel/policy-expressions.ts';
import { typeName, typeOf } from '../../cel/values.ts';
import { part, parts, text } from '../../validation/value.ts';
import { byteLength } from '../../validation/labels.ts';
import { ExpressionSet, OutOfBudget, type Evaluation, type PolicyVariables } from './evaluate.ts';
import {
  compileConditions,
  matchConditions,
  type ConditionObserver,
  type ConditionOwner,
} from './match-conditions.ts';
import { policyOf, type Policy } from './policy.ts';
import type { Scope } from './scope.ts';
import type { Steps } from './steps.ts';

export type DenyReason = 'Forbidden' | 'Invalid' | 'RequestEntityTooLarge' | 'Unauthorized';

interface Validation {
  readonly expression: PolicyExpression;
  readonly message: string;
  readonly messageExpression: PolicyExpression | undefined;
  readonly reason: DenyReason;
}

export interface ValidatingPolicy extends Policy {
  readonly conditions: readonly PolicyExpression[];
  readonly variables: PolicyVariables;
  readonly validations: readonly Validation[];
  readonly auditAnnotations: readonly { readonly key: string; readonly value: PolicyExpression }[];
}

/** What one validation came to. */
export interface PolicyDecision {
  readonly action: 'admit' | 'deny';
  readonly evaluation: 'admit' | 'error' | 'deny';
  readonly message: string;
  readonly reason: DenyReason;
  readonly seconds: number;
}

export interface AuditResult {
  readonly key: string;
  /** The value to publish, or what was wrong with it. */
  readonly value?: string;
  readonly error?: string;
  readonly seconds: number;
}

export interface PolicyResult {
  readonly decisions: readonly PolicyDecision[];
  readonly audits: readonly AuditResult[];
}

const MESSAGE_BYTES_MAX = 5 * 1024;
const NOTHING: PolicyResult = { decisions: [], audits: [] };

/** Variables and conditions of any policy. */
export function compileShared(
  object: KubeObject,
  base: BaseEnvironment,
): {
  readonly policy: Policy;
  readonly compiler: PolicyCompiler;
  readonly variables: PolicyVariables;
  readonly conditions: readonly PolicyExpression[];
} {
  const spec = part(object, 'spec');
  const policy = policyOf(object);
  const compiler = new PolicyCompiler(base, { params: policy.paramKind !== undefined, composed: true });
  const variables = new Map<string, PolicyExpression>();
  for (const variable of parts(spec, 'variables')) {
    const name = text(variable, 'name');
    variables.set(name, compiler.variable(name, text(variable, 'expression')));
  }
  return {
    policy,
    compiler,
    variables,
    conditions: compileConditions(compiler, parts(spec, 'matchConditions')),
  };
}

export function compileValidatingPolicy(object: KubeObject, base: BaseEnvironment): ValidatingPolicy {
  const { policy, compiler, variables, conditions } = compileShared(object, base);
  const spec = part(object, 'spec');
  return {
    ...policy,
    conditions,
    variables,
    validations: parts(spec, 'validations').map((validation) => {
      const message = text(validation, 'messageExpression');
      const reason = text(validation, 'reason');
      return {
        expression: compiler.compile(text(validation, 'expression'), CONDITION),
        message: text(validation, 'message'),
        messageExpression: message === '' ? undefined : compiler.compile(message, MESSAGE),
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the API lets no other reason in
        reason: (reason === '' ? 'Invalid' : reason) as DenyReason,
      };
    }),
    auditAnnotations: parts(spec, 'auditAnnotations').map((audit) => ({
      key: text(audit, 'key'),
      value: compiler.compile(text(audit, 'valueExpression'), AUDIT_VALUE),
    })),
  };
}

/**
 * @param scope for conditions it is the same without the namespace
 * @param operation for metrics
 */
export function* evaluatePolicy(
  policy: ValidatingPolicy,
  scope: Scope,
  conditionScope: Scope,
  operation: string,
  observer: ConditionObserver | undefined,
): Steps<PolicyResult> {
  const { variables } = policy;
  const owner: ConditionOwner = {
    name: policy.name,
    kind: 'policy',
    type: 'validate',
    operation,
    failurePolicy: policy.failurePolicy,
  };
  const matched = yield* matchConditions(policy.conditions, conditionScope, owner, observer, variables);
  if (matched.kind === 'error') return failed(policy, matched.message);
  if (matched.kind === 'no-match') {
    observer?.excluded(owner);
    return NOTHING;
  }
  const set = new ExpressionSet(scope, RUNTIME_LIMITS.perObject, variables);
  const evaluations: Evaluation[] = [];
  try {
    for (const { expression } of policy.validations) evaluations.push(yield* set.evaluate(expression));
  } catch (error) {
    if (error instanceof OutOfBudget) return failed(policy, error.message);
    throw error;
  }
  const messages = new ExpressionSet(scope, set.budget, variables);
  const decisions: PolicyDecision[] = [];
  for (const [index, validation] of policy.validations.entries()) {
    decisions.push(yield* decisionOf(policy, validation, evaluations[index], messages));
  }
  if (policy.auditAnnotations.length === 0) return { decisions, audits: [] };
  try {
    return { decisions, audits: yield* auditsOf(policy, scope) };
  } catch (error) {
    if (error instanceof OutOfBudget) return failed(policy, error.message);
    throw error;
  }
}

function failed(policy: Policy, message: string): PolicyResult {
  return { decisions: [failure(policy, message, 0)], audits: [] };
}

function failure({ failurePolicy }: Policy, message: string, seconds: number): PolicyDecision {
  return {
    action: failurePolicy === 'Ignore' ? 'admit' : 'deny',
    evaluation: 'error',
    message,
    reason: 'Invalid',
    seconds,
  };
}

function* decisionOf(
  policy: Policy,
  validation: Validation,
  evaluation: Evaluation,
  messages: ExpressionSet,
): Steps<PolicyDecision> {
  const { seconds } = evaluation;
  if (evaluation.kind === 'error') return failure(policy, evaluation.message, seconds);
  if (evaluation.value === true) {
    return { action: 'admit', evaluation: 'admit', message: '', reason: 'Invalid', seconds };
  }
  try {
    const message = yield* messageOf(validation, messages);
    return { action: 'deny', evaluation: 'deny', message, reason: validation.reason, seconds };
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error;
    return failure(policy, `failed messageExpression: ${error.message}`, seconds);
  }
}

/** What the expression says, where that can be said in a line; else the policy's own words; else its expression. */
function* messageOf(
  { messageExpression, message, expression }: Validation,
  set: ExpressionSet,
): Steps<string> {
  if (messageExpression !== undefined) {
    const evaluation = yield* set.evaluate(messageExpression);
    const said =
      evaluation.kind === 'value' && typeof evaluation.value === 'string' ? evaluation.value.trim() : '';
    if (said !== '' && byteLength(said) <= MESSAGE_BYTES_MAX && !said.includes('\n')) return said;
  }
  const own = message.trim();
  return own === '' ? `failed expression: ${expression.source.trim()}` : own;
}

function* auditsOf(policy: ValidatingPolicy, scope: Scope): Steps<AuditResult[]> {
  const set = new ExpressionSet(scope, RUNTIME_LIMITS.perObject, policy.variables);
  const evaluations: Evaluation[] = [];
  for (const { value } of policy.auditAnnotations) evaluations.push(yield* set.evaluate(value));
  return evaluations.flatMap((evaluation, index): AuditResult[] => {
    const { key, value: expression } = policy.auditAnnotations[index];
    const { seconds } = evaluation;
    if (evaluation.kind === 'error') {
      return policy.failurePolicy === 'Ignore' ? [] : [{ key, error: evaluation.message, seconds }];
    }
    const { value } = evaluation;
    if (value === null) return [];
    if (typeof value === 'string') {
      const trimmed = value.trim();
      return trimmed === '' ? [] : [{ key, value: trimmed, seconds }];
    }
    return [
      {
        key,
        error:
          `valueExpression '${expression.source}' resulted in unsupported return type: ${typeName(typeOf(value))}. ` +
          'Return type must be either string or null.',
        seconds,
      },
    ];
  });
}
