/**
 * What of a pod may change once it is there: images, its deadline, more tolerations, gates that go. Everything
 * else of the spec stays. Texts as upstream's core validation.
 */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { rangeErrors } from './names.ts';
import { count, countOf, has, parts, same, text, without } from './value.ts';

const INT32_MAX = 2 ** 31 - 1;

export function checkPodSpecUpdate(
  errors: FieldErrors,
  path: FieldPath,
  spec: JsonObject,
  old: JsonObject,
): void {
  for (const list of ['containers', 'initContainers']) {
    if (parts(spec, list).length !== parts(old, list).length) {
      errors.forbidden(
        path.child(list),
        list === 'containers'
          ? 'pod updates may not add or remove containers'
          : 'pod updates may not add or remove containers',
      );
      return;
    }
  }
  const seconds = countOf(spec, 'activeDeadlineSeconds');
  const before = countOf(old, 'activeDeadlineSeconds');
  if (seconds !== undefined) {
    if (seconds < 0 || seconds > INT32_MAX) {
      errors.invalids(path.child('activeDeadlineSeconds'), seconds, rangeErrors(seconds, 0, INT32_MAX));
      return;
    }
    if (before !== undefined && before < seconds) {
      errors.invalid(
        path.child('activeDeadlineSeconds'),
        seconds,
        'must be less than or equal to previous value',
      );
      return;
    }
  } else if (before !== undefined) {
    errors.invalid(
      path.child('activeDeadlineSeconds'),
      null,
      'must not update from a positive integer to nil value',
    );
  }
  checkGates(errors, path.child('schedulingGates'), spec, old);
  checkTolerationsKept(errors, path.child('tolerations'), spec, old);
  const grace = count(old, 'terminationGracePeriodSeconds');
  const mutable = (value: JsonObject): JsonObject => {
    let rest = without(value, 'activeDeadlineSeconds', 'tolerations', 'schedulingGates');
    if (grace < 0 && count(spec, 'terminationGracePeriodSeconds') === 1) {
      rest = without(rest, 'terminationGracePeriodSeconds');
    }
    if (parts(old, 'schedulingGates').length > 0) rest = without(rest, 'nodeSelector', 'affinity');
    for (const list of ['containers', 'initContainers']) {
      if (has(rest, list))
        rest = { ...rest, [list]: parts(rest, list).map((each) => without(each, 'image')) };
    }
    return rest;
  };
  if (!same(mutable(spec), mutable(old))) {
    errors.forbidden(
      path,
      'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
    );
  }
  for (const list of ['containers', 'initContainers']) {
    for (const [index, container] of parts(spec, list).entries()) {
      if (text(container, 'image') === '') errors.required(path.child(list).index(index).child('image'));
    }
  }
}

function checkGates(errors: FieldErrors, path: FieldPath, spec: JsonObject, old: JsonObject): void {
  const before = new Set(parts(old, 'schedulingGates').map((gate) => text(gate, 'name')));
  for (const [index, gate] of parts(spec, 'schedulingGates').entries()) {
    if (!before.has(text(gate, 'name'))) {
      errors.forbidden(
        path.index(index),
        "only deletion is allowed, but found new scheduling gate '" + text(gate, 'name') + "'",
      );
    }
  }
}

function checkTolerationsKept(errors: FieldErrors, path: FieldPath, spec: JsonObject, old: JsonObject): void {
  const now = parts(spec, 'tolerations');
  for (const toleration of parts(old, 'tolerations')) {
    const kept = now.some((each) =>
      same(without(each, 'tolerationSeconds'), without(toleration, 'tolerationSeconds')),
    );
    if (!kept) {
      errors.forbidden(path, 'existing toleration can not be modified except its tolerationSeconds');
      return;
    }
  }
}
