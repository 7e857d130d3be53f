/**
 * What a job asks for, alone or in the template of a cron job: how many pods, when it has failed, when it has
 * succeeded. Modelled on validateJobSpec of kubernetes' batch validation; texts are its own.
 */

import type { JsonObject } from '../../api/json.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import type { FieldPath } from '../../validation/field-path.ts';
import { goValue } from '../../validation/go-values.ts';
import { checkDomainPath } from '../../validation/names.ts';
import { checkPodTemplate } from '../../validation/pod-spec.ts';
import { checkNotNegative, checkQualifiedName } from '../../validation/scalars.ts';
import { asNumber, count, countOf, has, items, part, partOf, parts, text } from '../../validation/value.ts';
import { indexesError } from './job-indexes.ts';

const INDEXED_MAX = 100_000;
/** Above so many completions the status would not hold all indexes unless these stay below. */
const MANY_COMPLETIONS = 100_000;
const WITH_MANY_MAX = 10_000;
const MANAGED_BY_MAX = 63;
const RULES_MAX = 20;
const EXIT_CODES_MAX = 255;
const CONDITION_PATTERNS_MAX = 20;
const SUCCEEDED_INDEXES_MAX = 64 * 1024;
const ACTIONS: readonly string[] = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
const CONDITION_STATUSES: readonly string[] = ['False', 'True', 'Unknown'];

export function checkJobSpec(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  for (const name of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
  ]) {
    checkNotNegative(errors, path.child(name), countOf(spec, name));
  }
  if (has(spec, 'maxFailedIndexes') && !has(spec, 'backoffLimitPerIndex'))
    errors.required(path.child('backoffLimitPerIndex'), 'when maxFailedIndexes is specified');
  if (has(spec, 'managedBy')) {
    const manager = text(spec, 'managedBy');
    checkDomainPath(errors, path.child('managedBy'), manager);
    if (manager.length > MANAGED_BY_MAX) errors.tooLong(path.child('managedBy'), MANAGED_BY_MAX);
  }
  checkMode(errors, path, spec);
  checkFailurePolicy(errors, path.child('podFailurePolicy'), partOf(spec, 'podFailurePolicy'), spec);
  checkSuccessPolicy(errors, path.child('successPolicy'), partOf(spec, 'successPolicy'), spec);
  const replacement = text(spec, 'podReplacementPolicy');
  const replacements = has(spec, 'podFailurePolicy') ? ['Failed'] : ['Failed', 'TerminatingOrFailed'];
  if (has(spec, 'podReplacementPolicy') && !replacements.includes(replacement))
    errors.notSupported(path.child('podReplacementPolicy'), replacement, replacements);
  checkTemplate(errors, path.child('template'), spec);
}

function checkTemplate(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  checkPodTemplate(errors, path, part(spec, 'template'));
  const at = path.child('spec', 'restartPolicy');
  const policy = text(part(part(spec, 'template'), 'spec'), 'restartPolicy');
  if (policy === 'Always' || policy === '') errors.required(at, 'valid values: "OnFailure", "Never"');
  else if (policy !== 'OnFailure' && policy !== 'Never')
    errors.notSupported(at, policy, ['OnFailure', 'Never']);
  else if (has(spec, 'podFailurePolicy') && policy !== 'Never')
    errors.invalid(at, policy, 'only "Never" is supported when podFailurePolicy is specified');
}

function checkMode(errors: FieldErrors, path: FieldPath, spec: JsonObject): void {
  const mode = text(spec, 'completionMode');
  if (has(spec, 'completionMode') && mode !== 'NonIndexed' && mode !== 'Indexed')
    errors.notSupported(path.child('completionMode'), mode, ['NonIndexed', 'Indexed']);
  const failedMax = countOf(spec, 'maxFailedIndexes');
  const at = path.child('maxFailedIndexes');
  if (mode === 'Indexed') {
    const completions = countOf(spec, 'completions');
    const parallelism = count(spec, 'parallelism');
    if (completions === undefined)
      errors.required(path.child('completions'), 'when completion mode is Indexed');
    if (parallelism > INDEXED_MAX)
      errors.invalid(
        path.child('parallelism'),
        parallelism,
        `must be less than or equal to ${INDEXED_MAX} when completion mode is Indexed`,
      );
    if (completions !== undefined && failedMax !== undefined && failedMax > completions)
      errors.invalid(at, failedMax, 'must be less than or equal to completions');
    if (failedMax !== undefined && failedMax > INDEXED_MAX)
      errors.invalid(at, failedMax, `must be less than or equal to ${INDEXED_MAX}`);
    if ((completions ?? 0) > MANY_COMPLETIONS && has(spec, 'backoffLimitPerIndex')) {
      const text = `must be less than or equal to ${WITH_MANY_MAX} when completions are above ${MANY_COMPLETIONS} and used with backoff limit per index`;
      if (failedMax === undefined)
        errors.required(at, `must be specified when completions is above ${MANY_COMPLETIONS}`);
      if (parallelism > WITH_MANY_MAX) errors.invalid(path.child('parallelism'), parallelism, text);
      if (failedMax !== undefined && failedMax > WITH_MANY_MAX) errors.invalid(at, failedMax, text);
    }
  } else if (mode === '' || mode === 'NonIndexed') {
    for (const name of ['backoffLimitPerIndex', 'maxFailedIndexes']) {
      if (has(spec, name)) errors.invalid(path.child(name), spec[name], 'requires indexed completion mode');
    }
  }
}

function checkFailurePolicy(
  errors: FieldErrors,
  path: FieldPath,
  policy: JsonObject | undefined,
  spec: JsonObject,
): void {
  if (policy === undefined) return;
  const rules = parts(policy, 'rules');
  if (rules.length > RULES_MAX) errors.tooMany(path.child('rules'), rules.length, RULES_MAX);
  const names = new Set(
    ['containers', 'initContainers'].flatMap((list) =>
      parts(part(part(spec, 'template'), 'spec'), list).map((each) => text(each, 'name')),
    ),
  );
  for (const [index, rule] of rules.entries()) {
    const at = path.child('rules').index(index);
    const action = text(rule, 'action');
    if (action === '')
      errors.required(at.child('action'), 'valid values: ["Count" "FailIndex" "FailJob" "Ignore"]');
    else if (action === 'FailIndex') {
      if (!has(spec, 'backoffLimitPerIndex'))
        errors.invalid(at.child('action'), action, 'requires the backoffLimitPerIndex to be set');
    } else if (!ACTIONS.includes(action)) errors.notSupported(at.child('action'), action, ACTIONS);
    const codes = partOf(rule, 'onExitCodes');
    const conditions = parts(rule, 'onPodConditions');
    if (codes !== undefined) checkExitCodes(errors, at.child('onExitCodes'), codes, names);
    checkConditions(errors, at.child('onPodConditions'), conditions);
    if (codes !== undefined && conditions.length > 0)
      errors.refused(at, 'specifying both OnExitCodes and OnPodConditions is not supported');
    if (codes === undefined && conditions.length === 0)
      errors.refused(at, 'specifying one of OnExitCodes and OnPodConditions is required');
  }
}

function checkConditions(errors: FieldErrors, path: FieldPath, patterns: readonly JsonObject[]): void {
  if (patterns.length > CONDITION_PATTERNS_MAX) errors.tooMany(path, patterns.length, CONDITION_PATTERNS_MAX);
  for (const [index, pattern] of patterns.entries()) {
    const at = path.index(index);
    checkQualifiedName(errors, at.child('type'), text(pattern, 'type'));
    const status = text(pattern, 'status');
    if (!CONDITION_STATUSES.includes(status))
      errors.notSupported(at.child('status'), status, CONDITION_STATUSES);
  }
}

function checkExitCodes(
  errors: FieldErrors,
  path: FieldPath,
  codes: JsonObject,
  names: ReadonlySet<string>,
): void {
  const operator = text(codes, 'operator');
  if (operator === '') errors.required(path.child('operator'), 'valid values: ["In" "NotIn"]');
  else if (operator !== 'In' && operator !== 'NotIn')
    errors.notSupported(path.child('operator'), operator, ['In', 'NotIn']);
  if (has(codes, 'containerName') && !names.has(text(codes, 'containerName'))) {
    errors.invalid(
      path.child('containerName'),
      text(codes, 'containerName'),
      'must be one of the container or initContainer names in the pod template',
    );
  }
  const at = path.child('values');
  const values = items(codes, 'values').map((value) => asNumber(value) ?? 0);
  if (values.length === 0) errors.invalid(at, values, 'at least one value is required');
  else if (values.length > EXIT_CODES_MAX) errors.tooMany(at, values.length, EXIT_CODES_MAX);
  const seen = new Set<number>();
  for (const [index, value] of values.entries()) {
    if (operator === 'In' && value === 0)
      errors.invalid(at.index(index), value, 'must not be 0 for the In operator');
    if (seen.has(value)) errors.duplicate(at.index(index), value);
    seen.add(value);
  }
  if (values.some((value, index) => index > 0 && values[index - 1] > value))
    errors.invalid(at, values, 'must be ordered');
}

function checkSuccessPolicy(
  errors: FieldErrors,
  path: FieldPath,
  policy: JsonObject | undefined,
  spec: JsonObject,
): void {
  if (policy === undefined) return;
  if (text(spec, 'completionMode') !== 'Indexed') {
    errors.invalid(path, goValue('batch.SuccessPolicy', policy), 'requires indexed completion mode');
    return;
  }
  const rules = parts(policy, 'rules');
  if (rules.length === 0)
    errors.required(
      path.child('rules'),
      'at least one rules must be specified when the successPolicy is specified',
    );
  if (rules.length > RULES_MAX) errors.tooMany(path.child('rules'), rules.length, RULES_MAX);
  // That there are none is told above.
  const completions = count(spec, 'completions');
  for (const [index, rule] of rules.entries()) {
    const at = path.child('rules').index(index);
    const wanted = countOf(rule, 'succeededCount');
    if (wanted === undefined && !has(rule, 'succeededIndexes'))
      errors.required(at, 'at least one of succeededCount or succeededIndexes must be specified');
    const indexes = text(rule, 'succeededIndexes');
    if (indexes.length > SUCCEEDED_INDEXES_MAX)
      errors.tooLong(at.child('succeededIndexes'), SUCCEEDED_INDEXES_MAX);
    const listed = indexesError(indexes, completions);
    if (listed.error !== undefined)
      errors.invalid(
        at.child('succeededIndexes'),
        indexes,
        `error parsing succeededIndexes: ${listed.error}`,
      );
    if (wanted === undefined) continue;
    const place = at.child('succeededCount');
    checkNotNegative(errors, place, wanted);
    if (wanted > completions)
      errors.invalid(
        place,
        wanted,
        `must be less than or equal to ${completions} (the number of specified completions)`,
      );
    if (has(rule, 'succeededIndexes') && wanted > listed.count)
      errors.invalid(
        place,
        wanted,
        `must be less than or equal to ${listed.count} (the number of indexes in the specified succeededIndexes field)`,
      );
  }
}
