/**
 * metav1.Condition in the statuses of newer kinds: each type once, with a status, a time and a reason. Texts as
 * apimachinery's ValidateConditions.
 */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { qualifiedNameErrors } from './names.ts';
import { countOf, has, text } from './value.ts';

const REASON = '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?';
const wholeReason = new RegExp(`^${REASON}$`);
const REASON_LENGTH_MAX = 1024;
const MESSAGE_LENGTH_MAX = 32 * 1024;
const STATUSES: readonly string[] = ['False', 'True', 'Unknown'];

export function checkConditions(
  errors: FieldErrors,
  path: FieldPath,
  conditions: readonly JsonObject[],
): void {
  const first = new Map<string, number>();
  for (const [index, condition] of conditions.entries()) {
    const type = text(condition, 'type');
    if (first.has(type)) errors.duplicate(path.index(index).child('type'), type);
    else first.set(type, index);
    checkCondition(errors, path.index(index), condition);
  }
}

function checkCondition(errors: FieldErrors, path: FieldPath, condition: JsonObject): void {
  const type = text(condition, 'type');
  const wrong = qualifiedNameErrors(type);
  errors.invalids(path.child('type'), type, wrong);
  const status = text(condition, 'status');
  if (!STATUSES.includes(status)) errors.notSupported(path.child('status'), status, STATUSES);
  const generation = countOf(condition, 'observedGeneration') ?? 0;
  if (generation < 0)
    errors.invalid(path.child('observedGeneration'), generation, 'must be greater than or equal to zero');
  if (!has(condition, 'lastTransitionTime')) errors.required(path.child('lastTransitionTime'));
  const reason = text(condition, 'reason');
  if (reason === '') errors.required(path.child('reason'));
  else {
    if (!wholeReason.test(reason))
      errors.invalid(
        path.child('reason'),
        reason,
        `a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '${REASON}')`,
      );
    if (reason.length > REASON_LENGTH_MAX) errors.tooLong(path.child('reason'), REASON_LENGTH_MAX);
  }
  if (text(condition, 'message').length > MESSAGE_LENGTH_MAX)
    errors.tooLong(path.child('message'), MESSAGE_LENGTH_MAX);
}
