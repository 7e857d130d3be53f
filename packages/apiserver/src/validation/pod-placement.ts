/**
 * Where a pod may run: node selectors, affinity, tolerations, spread. Texts as upstream's core validation.
 */

import type { JsonObject } from '../api/json.ts';
import { labelValueErrors } from '../api/selectors.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { checkLabelName, checkLabelSelector } from './labels.ts';
import { shownTaint } from './go-shape.ts';
import { ABOVE_ZERO, checkDnsLabel, checkOptionalEnum } from './scalars.ts';
import { dnsSubdomainErrors, rangeErrors } from './names.ts';
import { count, countOf, has, partOf, parts, part, text, textOf, texts } from './value.ts';

/** Terms of which one must fit; their values are those of labels. */
export function checkNodeSelector(errors: FieldErrors, path: FieldPath, selector: JsonObject): void {
  const terms = parts(selector, 'nodeSelectorTerms');
  if (terms.length === 0) {
    errors.required(path.child('nodeSelectorTerms'), 'must have at least one node selector term');
  }
  for (const [index, term] of terms.entries()) {
    checkNodeSelectorTerm(errors, path.child('nodeSelectorTerms').index(index), term, true);
  }
}

/** @param labelValues whether values must be such as labels may have: a preference may say anything */
function checkNodeSelectorTerm(
  errors: FieldErrors,
  path: FieldPath,
  term: JsonObject,
  labelValues: boolean,
): void {
  for (const [index, requirement] of parts(term, 'matchExpressions').entries()) {
    const at = path.child('matchExpressions').index(index);
    checkNodeRequirement(errors, at, requirement);
    checkLabelName(errors, at.child('key'), text(requirement, 'key'));
    if (!labelValues) continue;
    for (const [number, value] of texts(requirement, 'values').entries()) {
      errors.invalids(at.child('values').index(number), value, labelValueErrors(value));
    }
  }
  for (const [index, requirement] of parts(term, 'matchFields').entries()) {
    const at = path.child('matchFields').index(index);
    const operator = text(requirement, 'operator');
    const values = texts(requirement, 'values');
    if (operator !== 'In' && operator !== 'NotIn') {
      errors.invalid(at.child('operator'), operator, 'not a valid selector operator');
    } else if (values.length !== 1) {
      errors.required(
        at.child('values'),
        "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
      );
    }
    const key = text(requirement, 'key');
    if (key !== 'metadata.name') errors.invalid(at.child('key'), key, 'not a valid field selector key');
    else {
      for (const [number, value] of values.entries()) {
        errors.invalids(at.child('values').index(number), value, dnsSubdomainErrors(value));
      }
    }
  }
}

function checkNodeRequirement(errors: FieldErrors, path: FieldPath, requirement: JsonObject): void {
  const operator = text(requirement, 'operator');
  const values = texts(requirement, 'values');
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length === 0)
        errors.required(path.child('values'), "must be specified when `operator` is 'In' or 'NotIn'");
      break;
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0)
        errors.forbidden(
          path.child('values'),
          "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        );
      break;
    case 'Gt':
    case 'Lt':
      if (values.length !== 1)
        errors.required(
          path.child('values'),
          "must be specified single value when `operator` is 'Lt' or 'Gt'",
        );
      break;
    default:
      errors.invalid(path.child('operator'), operator, 'not a valid selector operator');
  }
}

export function checkAffinity(errors: FieldErrors, path: FieldPath, affinity: JsonObject): void {
  const node = partOf(affinity, 'nodeAffinity');
  if (node !== undefined) {
    const at = path.child('nodeAffinity');
    const required = partOf(node, 'requiredDuringSchedulingIgnoredDuringExecution');
    if (required !== undefined) {
      checkNodeSelector(errors, at.child('requiredDuringSchedulingIgnoredDuringExecution'), required);
    }
    for (const [index, term] of parts(node, 'preferredDuringSchedulingIgnoredDuringExecution').entries()) {
      const place = at.child('preferredDuringSchedulingIgnoredDuringExecution').index(index);
      checkWeight(errors, place, count(term, 'weight'));
      checkNodeSelectorTerm(errors, place.child('preference'), part(term, 'preference'), false);
    }
  }
  for (const name of ['podAffinity', 'podAntiAffinity']) {
    const pod = partOf(affinity, name);
    if (pod === undefined) continue;
    const at = path.child(name);
    for (const [index, term] of parts(pod, 'requiredDuringSchedulingIgnoredDuringExecution').entries()) {
      checkPodTerm(errors, at.child('requiredDuringSchedulingIgnoredDuringExecution').index(index), term);
    }
    for (const [index, weighted] of parts(pod, 'preferredDuringSchedulingIgnoredDuringExecution').entries()) {
      const place = at.child('preferredDuringSchedulingIgnoredDuringExecution').index(index);
      checkWeight(errors, place, count(weighted, 'weight'));
      checkPodTerm(errors, place.child('podAffinityTerm'), part(weighted, 'podAffinityTerm'));
    }
  }
}

function checkWeight(errors: FieldErrors, path: FieldPath, weight: number): void {
  if (weight <= 0 || weight > 100) errors.invalid(path.child('weight'), weight, 'must be in the range 1-100');
}

function checkPodTerm(errors: FieldErrors, path: FieldPath, term: JsonObject): void {
  checkLabelSelector(errors, path.child('labelSelector'), partOf(term, 'labelSelector'));
  checkLabelSelector(errors, path.child('namespaceSelector'), partOf(term, 'namespaceSelector'));
  for (const name of texts(term, 'namespaces')) checkDnsLabel(errors, path.child('namespace'), name);
  checkLabelKeys(errors, path, term);
  const key = text(term, 'topologyKey');
  if (key === '') errors.required(path.child('topologyKey'), 'can not be empty');
  checkLabelName(errors, path.child('topologyKey'), key);
}

/**
 * Keys whose values a selector takes from the pod itself. When a pod is made they are written into the selector
 * (registry/core/pod-selectors.ts), so a key that stands there twice was said by the user as well.
 */
function checkLabelKeys(errors: FieldErrors, path: FieldPath, term: JsonObject): void {
  const selector = partOf(term, 'labelSelector');
  const matching = texts(term, 'matchLabelKeys');
  const differing = texts(term, 'mismatchLabelKeys');
  for (const [name, keys] of [
    ['matchLabelKeys', matching],
    ['mismatchLabelKeys', differing],
  ] as const) {
    if (keys.length === 0) continue;
    if (selector === undefined) {
      errors.forbidden(path.child(name), 'must not be specified when labelSelector is not set');
      continue;
    }
    for (const [index, key] of keys.entries()) checkLabelName(errors, path.child(name).index(index), key);
  }
  const seen = new Set(Object.keys(part(selector ?? {}, 'matchLabels')));
  for (const expression of parts(selector ?? {}, 'matchExpressions')) {
    const key = text(expression, 'key');
    const index = matching.lastIndexOf(key);
    if (index >= 0 && seen.has(key)) {
      errors.invalid(path.index(index), key, 'exists in both matchLabelKeys and labelSelector');
    }
    seen.add(key);
  }
  for (const [index, key] of matching.entries()) {
    if (!differing.includes(key)) continue;
    const at = path.child('matchLabelKeys').index(index);
    errors.invalid(at, key, 'exists in both matchLabelKeys and mismatchLabelKeys');
  }
}

const EFFECTS: readonly string[] = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export function checkTolerations(
  errors: FieldErrors,
  path: FieldPath,
  tolerations: readonly JsonObject[],
): void {
  for (const [index, toleration] of tolerations.entries()) {
    const at = path.index(index);
    const key = text(toleration, 'key');
    const operator = text(toleration, 'operator');
    const value = text(toleration, 'value');
    const effect = text(toleration, 'effect');
    if (key !== '') checkLabelName(errors, at.child('key'), key);
    if (key === '' && operator !== 'Exists') {
      errors.invalid(
        at.child('operator'),
        operator,
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      );
    }
    if (has(toleration, 'tolerationSeconds') && effect !== 'NoExecute') {
      errors.invalid(
        at.child('effect'),
        effect,
        "effect must be 'NoExecute' when `tolerationSeconds` is set",
      );
    }
    if (operator === '' || operator === 'Equal') {
      const wrong = labelValueErrors(value);
      if (wrong.length > 0) errors.invalid(at.child('operator'), value, wrong.join(';'));
    } else if (operator === 'Exists') {
      if (value !== '')
        errors.invalid(at.child('operator'), value, "value must be empty when `operator` is 'Exists'");
    } else errors.notSupported(at.child('operator'), operator, ['Equal', 'Exists']);
    if (effect !== '' && !EFFECTS.includes(effect)) errors.notSupported(at.child('effect'), effect, EFFECTS);
  }
}

/** A taint of a node. */
export function checkTaints(errors: FieldErrors, path: FieldPath, taints: readonly JsonObject[]): void {
  const seen = new Set<string>();
  for (const [index, taint] of taints.entries()) {
    const at = path.index(index);
    checkLabelName(errors, at.child('key'), text(taint, 'key'));
    const value = text(taint, 'value');
    const wrong = labelValueErrors(value);
    if (wrong.length > 0) errors.invalid(at.child('value'), value, wrong.join(';'));
    const effect = text(taint, 'effect');
    if (effect === '') errors.required(at.child('effect'));
    else if (!EFFECTS.includes(effect)) errors.notSupported(at.child('effect'), effect, EFFECTS);
    const id = `${effect} ${text(taint, 'key')}`;
    if (seen.has(id)) {
      errors.duplicate(at, shownTaint(taint), 'taints must be unique by key and effect pair');
    }
    seen.add(id);
  }
}

const POLICIES: readonly string[] = ['Honor', 'Ignore'];
const ACTIONS: readonly string[] = ['DoNotSchedule', 'ScheduleAnyway'];

export function checkSpread(errors: FieldErrors, path: FieldPath, constraints: readonly JsonObject[]): void {
  for (const [index, constraint] of constraints.entries()) {
    const at = path.index(index);
    const skew = count(constraint, 'maxSkew');
    if (skew <= 0) errors.invalid(at.child('maxSkew'), skew, ABOVE_ZERO);
    const key = text(constraint, 'topologyKey');
    if (key === '') errors.required(at.child('topologyKey'), 'can not be empty');
    const action = text(constraint, 'whenUnsatisfiable');
    if (!ACTIONS.includes(action)) errors.notSupported(at.child('whenUnsatisfiable'), action, ACTIONS);
    const again = constraints
      .slice(index + 1)
      .some((other) => text(other, 'topologyKey') === key && text(other, 'whenUnsatisfiable') === action);
    if (again) errors.duplicate(at.child('{topologyKey, whenUnsatisfiable}'), `{${key}, ${action}}`);
    const domains = countOf(constraint, 'minDomains');
    if (domains !== undefined) {
      if (domains <= 0) errors.invalid(at.child('minDomains'), domains, ABOVE_ZERO);
      if (action !== 'DoNotSchedule') {
        const why = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${action}`;
        errors.invalid(at.child('minDomains'), domains, why);
      }
    }
    for (const name of ['nodeAffinityPolicy', 'nodeTaintsPolicy']) {
      checkOptionalEnum(errors, at.child(name), textOf(constraint, name), POLICIES);
    }
    checkLabelKeys(errors, at, constraint);
    checkLabelSelector(errors, at.child('labelSelector'), partOf(constraint, 'labelSelector'));
  }
}

/** Seconds a pod may run: at least one, at most what 31 bits hold. */
export function checkActiveDeadline(errors: FieldErrors, path: FieldPath, seconds: number | undefined): void {
  if (seconds === undefined) return;
  errors.invalids(path, seconds, rangeErrors(seconds, 1, 2 ** 31 - 1));
}
