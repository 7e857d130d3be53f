/**
 * How the rules of a schema (x-kubernetes-validations) are written: what of their members is there and in what form.
 * Whether an expression is right is told by who compiles it.
 */

import type { JsonObject } from '../api/json.ts';
import { Structural } from '../schema/structural.ts';
import type { FieldErrors } from '../validation/field-errors.ts';
import type { FieldPath } from '../validation/field-path.ts';
import { parts, text, textOf } from '../validation/value.ts';
import { schemaAt } from './field-paths.ts';

const RULES = 'x-kubernetes-validations';
const REASONS: readonly string[] = [
  'FieldValueDuplicate',
  'FieldValueForbidden',
  'FieldValueInvalid',
  'FieldValueRequired',
];

export function checkRuleTexts(errors: FieldErrors, schema: JsonObject, path: FieldPath): void {
  for (const [index, rule] of parts(schema, RULES).entries()) {
    checkRule(errors, schema, rule, path.child(RULES).index(index));
  }
}

function checkRule(errors: FieldErrors, schema: JsonObject, rule: JsonObject, path: FieldPath): void {
  const message = text(rule, 'message');
  const expression = text(rule, 'rule');
  if (expression.trim() === '') {
    errors.required(path.child('rule'), 'rule is not specified');
  } else if (message !== '' && message.trim() === '') {
    errors.invalid(path.child('message'), message, 'must be non-empty if specified');
  } else if (hasLineBreak(message.trim())) {
    errors.invalid(path.child('message'), message, 'must not contain line breaks');
  } else if (hasLineBreak(expression.trim()) && message.trim() === '') {
    errors.required(path.child('message'), 'message must be specified if rule contains line breaks');
  }
  const messageExpression = text(rule, 'messageExpression');
  if (messageExpression !== '' && messageExpression.trim() === '') {
    errors.required(path.child('messageExpression'), 'messageExpression must be non-empty if specified');
  }
  const reason = textOf(rule, 'reason');
  if (reason !== undefined && !REASONS.includes(reason)) {
    errors.notSupported(path.child('reason'), reason, REASONS);
  }
  const fieldPath = text(rule, 'fieldPath');
  const at = path.child('fieldPath');
  if (fieldPath === '') return;
  if (fieldPath.trim() === '') errors.invalid(at, fieldPath, 'must be non-empty if specified');
  if (hasLineBreak(fieldPath)) errors.invalid(at, fieldPath, 'must not contain line breaks');
  if (typeof schemaAt(new Structural(schema), fieldPath, true) === 'string') {
    errors.invalid(at, fieldPath, 'must be a valid path');
  }
}

function hasLineBreak(value: string): boolean {
  return /[\n\r]/.test(value);
}
