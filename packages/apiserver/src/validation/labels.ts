/**
 * Labels, annotations and selectors inside of objects: templates, label selectors of workloads, node selectors'
 * kin. Texts as apimachinery's metav1 validation. Metadata of the object itself is the registry's (before.ts).
 */

import type { JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import {
  labelKeyErrors,
  labelValueErrors,
  matchesLabels,
  requirementsOf,
  SelectorError,
  type LabelSelector,
} from '../api/selectors.ts';
import { finish, LOOK_EVERY, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { qualifiedNameErrors } from './names.ts';
import { parts, text, textMap, texts, type Fields } from './value.ts';

export const ANNOTATIONS_BYTES_MAX = 256 * 1024;

export function checkLabels(
  errors: FieldErrors,
  path: FieldPath,
  labels: Readonly<Record<string, string>>,
): void {
  finish(checkLabelsInSlices(errors, path, labels, WITHOUT_PAUSE));
}

/** The same, which can be put down. */
export function* checkLabelsInSlices(
  errors: FieldErrors,
  path: FieldPath,
  labels: Readonly<Record<string, string>>,
  pace: Pace,
): Sliced<void> {
  let count = 0;
  for (const key of namesOf(labels)) {
    if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    const value = labels[key];
    errors.invalids(path, key, labelKeyErrors(key));
    errors.invalids(path, value, labelValueErrors(value));
  }
}

/** A label's key where only the key is written. */
export function checkLabelName(errors: FieldErrors, path: FieldPath, key: string): void {
  errors.invalids(path, key, labelKeyErrors(key));
}

export function checkAnnotations(
  errors: FieldErrors,
  path: FieldPath,
  annotations: Readonly<Record<string, string>>,
): void {
  finish(checkAnnotationsInSlices(errors, path, annotations, WITHOUT_PAUSE));
}

/** The same, which can be put down. */
export function* checkAnnotationsInSlices(
  errors: FieldErrors,
  path: FieldPath,
  annotations: Readonly<Record<string, string>>,
  pace: Pace,
): Sliced<void> {
  let bytes = 0;
  let count = 0;
  for (const key of namesOf(annotations)) {
    if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    const value = annotations[key];
    errors.invalids(path, key, qualifiedNameErrors(key.toLowerCase()));
    bytes += byteLength(key) + byteLength(value);
  }
  if (bytes > ANNOTATIONS_BYTES_MAX) errors.tooLong(path, ANNOTATIONS_BYTES_MAX);
}

const OPERATORS: ReadonlySet<string> = new Set(['In', 'NotIn', 'Exists', 'DoesNotExist']);

/** metav1.LabelSelector; undefined is right, whoever needs one says so. */
export function checkLabelSelector(
  errors: FieldErrors,
  path: FieldPath,
  selector: JsonObject | undefined,
  options: { readonly valuesChecked?: boolean } = {},
): void {
  if (selector === undefined) return;
  checkLabels(errors, path.child('matchLabels'), textMap(selector, 'matchLabels'));
  for (const [index, expression] of parts(selector, 'matchExpressions').entries()) {
    const at = path.child('matchExpressions').index(index);
    const operator = text(expression, 'operator');
    checkOperatorValues(errors, at, expression);
    if (!OPERATORS.has(operator)) {
      errors.invalid(at.child('operator'), operator, 'not a valid selector operator');
    }
    checkLabelName(errors, at.child('key'), text(expression, 'key'));
    if (options.valuesChecked !== false) checkLabelValues(errors, at, expression);
  }
}

/** Whether a requirement has values where its operator wants some, and only there. Says nothing of operators it does not know. */
export function checkOperatorValues(errors: FieldErrors, path: FieldPath, requirement: JsonObject): void {
  const operator = text(requirement, 'operator');
  const values = texts(requirement, 'values');
  const at = path.child('values');
  if (operator === 'In' || operator === 'NotIn') {
    if (values.length === 0) errors.required(at, "must be specified when `operator` is 'In' or 'NotIn'");
  } else if (operator === 'Exists' || operator === 'DoesNotExist') {
    if (values.length > 0) {
      errors.forbidden(at, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    }
  }
}

/** The values of a requirement, each of which must be one a label may have. */
export function checkLabelValues(errors: FieldErrors, path: FieldPath, requirement: JsonObject): void {
  for (const [number, value] of texts(requirement, 'values').entries()) {
    errors.invalids(path.child('values').index(number), value, labelValueErrors(value));
  }
}

/** Whether a selector finds these labels. None finds nothing; one that is no selector was told already, and fits. */
export function selectorFits(
  selector: JsonObject | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  if (selector === undefined) return false;
  try {
    return matchesLabels(requirementsOf(readSelector(selector)), labels);
  } catch (error) {
    if (error instanceof SelectorError) return true;
    throw error;
  }
}

/** A metav1.LabelSelector of an object whose types are right. */
export function readSelector(selector: Fields): LabelSelector {
  return {
    matchLabels: textMap(selector, 'matchLabels'),
    matchExpressions: parts(selector, 'matchExpressions').map((each) => ({
      key: text(each, 'key'),
      operator: text(each, 'operator'),
      values: texts(each, 'values'),
    })),
  };
}

/** Whether a label selector says nothing: it selects everything. */
export function selectsAll(selector: JsonObject): boolean {
  return (
    Object.keys(textMap(selector, 'matchLabels')).length === 0 &&
    parts(selector, 'matchExpressions').length === 0
  );
}

// oxlint-disable-next-line no-control-regex -- each of these is one byte
const ASCII = /^[\x00-\x7f]*$/;

/** UTF-8 bytes of a text. */
export function byteLength(value: string): number {
  if (ASCII.test(value)) return value.length;
  let bytes = 0;
  for (const char of value) {
    const code = char.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

/** Bytes that a base64 text stands for. */
export function base64Length(value: string): number {
  const padding = value.endsWith('==') ? 2 : value.endsWith('=') ? 1 : 0;
  return Math.floor(value.length / 4) * 3 - padding;
}
