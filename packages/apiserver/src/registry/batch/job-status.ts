/**
 * What may become of a job's status: a job that is complete or failed has ended, says when, and stays so. A rule
 * holds where what it speaks of changed, so that statuses of older servers may still be written.
 *
 * Modelled on validateJobStatus and getStatusValidationOptions of kubernetes' batch validation; texts are its own.
 */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { checkNotNegative } from '../../validation/scalars.ts';
import { count, countOf, flag, has, part, parts, same, text, texts } from '../../validation/value.ts';
import { STATUS } from '../kinds/kind.ts';
import { indexesError, overlapError } from './job-indexes.ts';

const CONDITIONS = STATUS.child('conditions');
const UNCOUNTED = STATUS.child('uncountedTerminatedPods');

export function isTrue(status: JsonObject, type: string): boolean {
  return parts(status, 'conditions').some(
    (each) => text(each, 'type') === type && text(each, 'status') === 'True',
  );
}

function isFinished(status: JsonObject): boolean {
  return isTrue(status, 'Complete') || isTrue(status, 'Failed');
}

export function checkJobStatus(errors: FieldErrors, object: KubeObject, old: KubeObject): void {
  const spec = part(object, 'spec');
  const status = part(object, 'status');
  const before = part(old, 'status');
  for (const name of ['active', 'succeeded', 'failed', 'ready', 'terminating']) {
    checkNotNegative(errors, STATUS.child(name), countOf(status, name));
  }
  checkUncounted(errors, part(status, 'uncountedTerminatedPods'));
  checkEnd(errors, spec, status, before);
  checkIndexes(errors, spec, status, before);
  checkCriteria(errors, spec, status);
  checkKept(errors, spec, status, before);
}

/** Pods by uid, each once. */
function checkUncounted(errors: FieldErrors, uncounted: JsonObject): void {
  const seen = new Set<string>();
  for (const list of ['succeeded', 'failed']) {
    for (const [index, uid] of texts(uncounted, list).entries()) {
      const at = UNCOUNTED.child(list).index(index);
      if (uid === '') errors.invalid(at, uid, 'must not be empty');
      else if (seen.has(uid)) errors.duplicate(at, uid);
      else seen.add(uid);
    }
  }
}

function checkEnd(errors: FieldErrors, spec: JsonObject, status: JsonObject, before: JsonObject): void {
  const turned = (type: string): boolean => isTrue(status, type) !== isTrue(before, type);
  const changed = (name: string): boolean => !same(status[name], before[name]);
  const complete = isTrue(status, 'Complete');
  const failed = isTrue(status, 'Failed');
  const ended = complete || failed;
  const endTurned = ended !== isFinished(before);
  const endTime = text(status, 'completionTime');
  const startTime = text(status, 'startTime');
  if ((turned('Complete') || turned('Failed')) && complete && failed)
    errors.refused(CONDITIONS, 'cannot set Complete=True and Failed=true conditions');
  if ((turned('Complete') || turned('FailureTarget')) && complete && isTrue(status, 'FailureTarget'))
    errors.refused(CONDITIONS, 'cannot set Complete=True and FailureTarget=true conditions');
  if (turned('Complete') || changed('completionTime')) {
    const at = STATUS.child('completionTime');
    if (endTime !== '' && !complete)
      errors.invalid(at, endTime, 'cannot set completionTime when there is no Complete=True condition');
    if (endTime === '' && complete) errors.required(at, 'completionTime is required for Complete jobs');
  }
  if ((changed('startTime') || changed('completionTime')) && startTime !== '' && endTime !== '') {
    if (Date.parse(endTime) < Date.parse(startTime))
      errors.invalid(
        STATUS.child('completionTime'),
        endTime,
        'completionTime cannot be set before startTime',
      );
  }
  if ((turned('Failed') || turned('FailureTarget')) && failed && !isTrue(status, 'FailureTarget'))
    errors.refused(CONDITIONS, 'cannot set Failed=True condition without the FailureTarget=true condition');
  if (
    (turned('Complete') || turned('SuccessCriteriaMet')) &&
    complete &&
    !isTrue(status, 'SuccessCriteriaMet')
  )
    errors.refused(
      CONDITIONS,
      'cannot set Complete=True condition without the SuccessCriteriaMet=true condition',
    );
  if (!ended) return;
  if ((endTurned || changed('active')) && count(status, 'active') > 0)
    errors.invalid(STATUS.child('active'), count(status, 'active'), 'active>0 is invalid for finished job');
  const nothingToStart = flag(spec, 'suspend') && countOf(spec, 'completions') === 0;
  if ((endTurned || changed('startTime')) && !nothingToStart && startTime === '')
    errors.required(STATUS.child('startTime'), 'startTime is required for finished job');
  const uncounted = part(status, 'uncountedTerminatedPods');
  if (
    (endTurned || changed('uncountedTerminatedPods')) &&
    texts(uncounted, 'failed').length + texts(uncounted, 'succeeded').length > 0
  ) {
    errors.invalid(UNCOUNTED, uncounted, 'uncountedTerminatedPods needs to be empty for finished job');
  }
}

function checkIndexes(errors: FieldErrors, spec: JsonObject, status: JsonObject, before: JsonObject): void {
  const completed = text(status, 'completedIndexes');
  const failed = text(status, 'failedIndexes');
  const completedNew = completed !== text(before, 'completedIndexes');
  const failedNew = !same(status['failedIndexes'], before['failedIndexes']);
  const completions = countOf(spec, 'completions');
  const limited = has(spec, 'backoffLimitPerIndex');
  const completedAt = STATUS.child('completedIndexes');
  const failedAt = STATUS.child('failedIndexes');
  if (completedNew && completions !== undefined) {
    const wrong = indexesError(completed, completions).error;
    if (wrong !== undefined)
      errors.invalid(completedAt, completed, `error parsing completedIndexes: ${wrong}`);
  }
  if (failedNew && completions !== undefined && limited && has(status, 'failedIndexes')) {
    const wrong = indexesError(failed, completions).error;
    if (wrong !== undefined) errors.invalid(failedAt, failed, `error parsing failedIndexes: ${wrong}`);
  }
  if (completedNew && completed !== '' && text(spec, 'completionMode') !== 'Indexed')
    errors.invalid(
      completedAt,
      completed,
      'cannot set non-empty completedIndexes when non-indexed completion mode',
    );
  if (failedNew && !limited && has(status, 'failedIndexes'))
    errors.invalid(failedAt, failed, 'cannot set non-null failedIndexes when backoffLimitPerIndex is null');
  if ((failedNew || completedNew) && completions !== undefined && has(status, 'failedIndexes')) {
    const wrong = overlapError(completed, failed, completions);
    if (wrong !== undefined) errors.invalid(failedAt, failed, wrong);
  }
  const terminating = count(status, 'terminating');
  const endTurned = isFinished(status) !== isFinished(before);
  if (
    (endTurned || !same(status['terminating'], before['terminating'])) &&
    terminating > 0 &&
    isFinished(status)
  ) {
    errors.invalid(STATUS.child('terminating'), terminating, 'terminating>0 is invalid for finished job');
  }
  const counted = !same(status['ready'], before['ready']) || !same(status['active'], before['active']);
  if (counted && count(status, 'ready') > count(status, 'active'))
    errors.invalid(STATUS.child('ready'), count(status, 'ready'), 'cannot set more ready pods than active');
}

function checkCriteria(errors: FieldErrors, spec: JsonObject, status: JsonObject): void {
  const met = isTrue(status, 'SuccessCriteriaMet');
  if (met && isTrue(status, 'Failed'))
    errors.refused(CONDITIONS, 'cannot set SuccessCriteriaMet=True and Failed=true conditions');
  if (met && isTrue(status, 'FailureTarget'))
    errors.refused(CONDITIONS, 'cannot set SuccessCriteriaMet=True and FailureTarget=true conditions');
  if (has(spec, 'successPolicy') && !met && isTrue(status, 'Complete'))
    errors.refused(
      CONDITIONS,
      'cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True',
    );
}

/** What a later status does not take back. */
function checkKept(errors: FieldErrors, spec: JsonObject, status: JsonObject, before: JsonObject): void {
  for (const type of ['Failed', 'Complete', 'FailureTarget']) {
    if (isTrue(before, type) && !isTrue(status, type))
      errors.refused(CONDITIONS, `cannot disable the terminal ${type}=True condition`);
  }
  // An indexed job whose parallelism is its completions may be made smaller.
  const scales = text(spec, 'completionMode') === 'Indexed' && same(spec['completions'], spec['parallelism']);
  for (const name of scales ? ['failed'] : ['failed', 'succeeded']) {
    if (count(status, name) < count(before, name))
      errors.invalid(STATUS.child(name), count(status, name), `cannot decrease the ${name} counter`);
  }
  const endTime = text(status, 'completionTime');
  const endBefore = text(before, 'completionTime');
  if (endTime !== '' && endBefore !== '' && endTime !== endBefore)
    errors.invalid(STATUS.child('completionTime'), endTime, 'field is immutable');
  const startBefore = text(before, 'startTime');
  if (startBefore !== '' && startBefore !== text(status, 'startTime') && !flag(spec, 'suspend'))
    errors.required(STATUS.child('startTime'), 'startTime cannot be removed for unsuspended job');
  const met = isTrue(status, 'SuccessCriteriaMet');
  const metBefore = isTrue(before, 'SuccessCriteriaMet');
  if (metBefore && !met) errors.refused(CONDITIONS, 'cannot disable the SuccessCriteriaMet=True condition');
  if (isTrue(before, 'Complete') && !metBefore && met)
    errors.refused(
      CONDITIONS,
      'cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions',
    );
}
