/**
 * Where a pod may run: node selectors, affinity, tolerations, spread. Texts as upstream's core validation.
 */

import type { JsonObject } from '../api/json.ts';
import { labelValueErrors } from '../api/selectors.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { checkLabelName, checkLabelSelector } from './labels.ts';
import { checkDnsLabel, checkPositive, NOT_NEGATIVE, POSITIVE } from './scalars.ts';
import { dnsSubdomainErrors, rangeErrors } from './names.ts';
import { count, countOf, has, partOf, parts, part, text, texts } from './value.ts';

export function checkNodeSelector(errors: FieldErrors, path: FieldPath, selector: JsonObject): void {
  const terms = parts(selector, 'nodeSelectorTerms');
  if (terms.length === 0) {
    errors.required(path.child('nodeSelectorTerms'), 'must have at least one node selector term');
  }
  for (const [index, term] of terms.entries()) {
    checkNodeSelectorTerm(errors, path.child('nodeSelectorTerms').index(index), term);
  }
}

export function checkNodeSelectorTerm(errors: FieldErrors, path: FieldPath, term: JsonObject): void {
  for (const [index, requirement] of parts(term, 'matchExpressions').entries()) {
    const at = path.child('matchExpressions').index(index);
    checkNodeRequirement(errors, at, requirement);
    checkLabelName(errors, at.child('key'), text(requirement, 'key'));
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
      checkNodeSelectorTerm(errors, place.child('preference'), part(term, 'preference'));
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
  checkLabelKeys(errors, path, term, 'matchLabelKeys');
  checkLabelKeys(errors, path, term, 'mismatchLabelKeys');
  for (const key of texts(term, 'matchLabelKeys')) {
    if (texts(term, 'mismatchLabelKeys').includes(key)) {
      errors.invalid(
        path.child('matchLabelKeys').index(texts(term, 'matchLabelKeys').indexOf(key)),
        key,
        'exists in both matchLabelKeys and mismatchLabelKeys',
      );
    }
  }
  const key = text(term, 'topologyKey');
  if (key === '') errors.required(path.child('topologyKey'), 'can not be empty');
  checkLabelName(errors, path.child('topologyKey'), key);
}

function checkLabelKeys(errors: FieldErrors, path: FieldPath, term: JsonObject, name: string): void {
  const keys = texts(term, name);
  if (keys.length === 0) return;
  const selector = partOf(term, 'labelSelector');
  if (selector === undefined) {
    errors.forbidden(path.child(name), 'must not be specified when labelSelector is not set');
    return;
  }
  for (const [index, key] of keys.entries()) {
    checkLabelName(errors, path.child(name).index(index), key);
    if (Object.hasOwn(part(selector, 'matchLabels'), key)) {
      errors.invalid(path.child(name).index(index), key, 'exists in both matchLabelKeys and labelSelector');
    }
  }
}

const EFFECTS: readonly string[] = ['NoExecute', 'NoSchedule', 'PreferNoSchedule'];

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
      errors.invalids(at.child('operator'), value, labelValueErrors(value).slice(0, 1));
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
    else if (!EFFECTS.includes(effect))
      errors.notSupported(at.child('effect'), effect, ['NoSchedule', 'PreferNoSchedule', 'NoExecute']);
    const id = `${effect} ${text(taint, 'key')}`;
    if (seen.has(id)) errors.duplicate(at, { key: text(taint, 'key'), value, effect });
    seen.add(id);
  }
}

const POLICIES: readonly string[] = ['Honor', 'Ignore'];

export function checkSpread(errors: FieldErrors, path: FieldPath, constraints: readonly JsonObject[]): void {
  const seen = new Set<string>();
  for (const [index, constraint] of constraints.entries()) {
    const at = path.index(index);
    if (count(constraint, 'maxSkew') <= 0)
      errors.invalid(at.child('maxSkew'), count(constraint, 'maxSkew'), POSITIVE);
    const key = text(constraint, 'topologyKey');
    if (key === '') errors.required(at.child('topologyKey'), 'can not be empty');
    else checkLabelName(errors, at.child('topologyKey'), key);
    const action = text(constraint, 'whenUnsatisfiable');
    const actions = ['DoNotSchedule', 'ScheduleAnyway'];
    if (!actions.includes(action)) errors.notSupported(at.child('whenUnsatisfiable'), action, actions);
    const pair = `{${key}, ${action}}`;
    if (seen.has(pair)) errors.duplicate(at.child('{topologyKey, whenUnsatisfiable}'), pair);
    seen.add(pair);
    const domains = countOf(constraint, 'minDomains');
    if (domains !== undefined) {
      checkPositive(errors, at.child('minDomains'), domains);
      if (action !== 'DoNotSchedule') {
        errors.invalid(
          at.child('minDomains'),
          domains,
          'can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway',
        );
      }
    }
    for (const name of ['nodeAffinityPolicy', 'nodeTaintsPolicy']) {
      const policy = text(constraint, name);
      if (policy !== '' && !POLICIES.includes(policy)) errors.notSupported(at.child(name), policy, POLICIES);
    }
    checkLabelKeys(errors, at, constraint, 'matchLabelKeys');
    checkLabelSelector(errors, at.child('labelSelector'), partOf(constraint, 'labelSelector'));
  }
}

/** Seconds a pod may run: at least one, at most what 31 bits hold. */
export function checkActiveDeadline(errors: FieldErrors, path: FieldPath, seconds: number | undefined): void {
  if (seconds === undefined) return;
  errors.invalids(path, seconds, rangeErrors(seconds, 1, 2 ** 31 - 1));
}

export function checkGrace(errors: FieldErrors, path: FieldPath, seconds: number | undefined): void {
  if (seconds !== undefined && seconds < 0) errors.invalid(path, seconds, NOT_NEGATIVE);
}
