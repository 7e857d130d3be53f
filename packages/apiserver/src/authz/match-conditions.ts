/**
 * Whether an authorization webhook is asked about a question at all: its conditions in CEL over the SubjectAccessReview
 * it would be sent (v1, whatever version it speaks). One that is false leaves the webhook out; one that fails counts as
 * the webhook's failure, unless another is false.
 *
 * Modelled on apiserver's authorization/cel and the checks of its AuthorizationConfiguration, texts included.
 */

import type { Json } from '../api/json.ts';
import type { AuthorizationAttributes } from '../api/user-info.ts';
import { BaseEnvironment, CURRENT_VERSION, RUNTIME_LIMITS, type Environment } from '../cel/environment.ts';
import { typedResult } from '../cel/json-values.ts';
import { compile, type Program } from '../cel/program.ts';
import { authorizationEnvironment, SUBJECT_ACCESS_REVIEW } from '../cel/rule-variables.ts';
import { CelError } from '../cel/values.ts';
import type { FieldErrors } from '../validation/field-errors.ts';
import type { FieldPath } from '../validation/field-path.ts';
import { selectorAttributes } from './webhook.ts';

const CONDITIONS_MAX = 64;

/** A condition could not be evaluated, and none was false. */
export class MatchConditionError extends Error {
  override readonly name = 'MatchConditionError';
}

function environment(): Environment {
  return authorizationEnvironment(new BaseEnvironment(CURRENT_VERSION));
}

/** @returns the program, or what is wrong with the expression */
function compiled(source: string, within: Environment): Program | string {
  const compilation = compile(source, within);
  if (compilation.program === undefined) return `compilation failed: ${compilation.text}`;
  const { program } = compilation;
  return program.type.kind === 'bool' ? program : `must evaluate to bool but got ${program.type.toString()}`;
}

/** Tells what is wrong with the conditions of a webhook. @param path of the list */
export function checkMatchConditions(
  errors: FieldErrors,
  path: FieldPath,
  expressions: readonly string[],
): void {
  if (expressions.length === 0) return;
  if (expressions.length > CONDITIONS_MAX) {
    errors.tooMany(path, expressions.length, CONDITIONS_MAX);
    return;
  }
  const within = environment();
  for (const [index, expression] of expressions.entries()) {
    const at = path.index(index).child('expression');
    if (expression.trim() === '') errors.required(at);
    else if (expressions.indexOf(expression) < index) errors.duplicate(at, expression);
    else {
      const result = compiled(expression, within);
      if (typeof result === 'string') errors.invalid(at, expression, result);
    }
  }
}

/**
 * Whether all conditions hold for a question.
 *
 * @param expressions as checkMatchConditions let them pass
 * @returns a function that throws MatchConditionError where that cannot be told
 */
export function matchConditions(
  expressions: readonly string[],
): (attributes: AuthorizationAttributes) => boolean {
  const within = environment();
  const conditions = expressions.map((source) => ({ source, program: compiled(source, within) }));
  return (attributes) => {
    const request = typedResult(reviewOf(attributes), SUBJECT_ACCESS_REVIEW);
    if (request instanceof CelError) throw new MatchConditionError(request.message);
    const bindings = new Map([['request', request]]);
    const failures: string[] = [];
    for (const { source, program } of conditions) {
      if (typeof program === 'string') {
        failures.push(program);
        continue;
      }
      const outcome = program.evaluate(bindings, RUNTIME_LIMITS.perCall);
      if (outcome.kind !== 'value') {
        const said = outcome.kind === 'undecided' ? 'no authorizer' : outcome.message;
        failures.push(`cel evaluation error: expression '${source}' resulted in error: ${said}`);
      } else if (outcome.value !== true) return false;
    }
    if (failures.length === 0) return true;
    const distinct = [...new Set(failures)];
    throw new MatchConditionError(distinct.length === 1 ? distinct[0] : `[${distinct.join(', ')}]`);
  };
}

/** The spec of the review with every text in it, empty ones too: a condition need not ask whether one is there. */
function reviewOf(attributes: AuthorizationAttributes): Json {
  const { user, isResource, verb, path } = attributes;
  const { namespace, group, version, resource, subresource, name } = attributes;
  const who = {
    user: user.name,
    groups: [...user.groups],
    uid: user.uid,
    extra: Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]])),
  };
  if (!isResource) return { ...who, nonResourceAttributes: { path, verb } };
  return {
    ...who,
    resourceAttributes: {
      namespace,
      verb,
      group,
      version,
      resource,
      subresource,
      name,
      ...selectorAttributes(attributes),
    },
  };
}
