/**
 * What of a pod may change once it is there: images, its deadline, more tolerations, gates that go. Everything
 * else of the spec stays. Texts as upstream's core validation.
 */

import type { JsonObject } from '../api/json.ts';
import type { FieldErrors } from './field-errors.ts';
import type { FieldPath } from './field-path.ts';
import { shownNodeTerm } from './go-shape.ts';
import { goMap, goValue } from './go-values.ts';
import { valueDiff } from './line-diff.ts';
import { rangeErrors } from './names.ts';
import { checkTolerations } from './pod-placement.ts';
import { count, countOf, has, part, parts, same, text, textMap, withField, without } from './value.ts';

const INT32_MAX = 2 ** 31 - 1;

export function checkPodSpecUpdate(
  errors: FieldErrors,
  path: FieldPath,
  spec: JsonObject,
  old: JsonObject,
): void {
  for (const list of ['containers', 'initContainers']) {
    if (!checkContainersKept(errors, path.child(list), parts(spec, list), parts(old, list))) return;
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
  checkTolerationsKept(errors, path.child('tolerations'), spec, old);
  checkGates(errors, path.child('schedulingGates'), spec, old);
  if (same(spec, old)) return;
  const gated = parts(old, 'schedulingGates').length > 0;
  if (gated) checkGatedPlacement(errors, path, spec, old);
  const grace = count(old, 'terminationGracePeriodSeconds');
  // The spec with what may change as it was: what differs then may not.
  let rest = spec;
  const kept = ['activeDeadlineSeconds', 'tolerations', 'schedulingGates'];
  if (grace < 0 && count(spec, 'terminationGracePeriodSeconds') === 1)
    kept.push('terminationGracePeriodSeconds');
  if (gated) kept.push('nodeSelector');
  for (const name of kept) rest = withField(rest, name, old[name]);
  if (gated) rest = withNodeAffinityOf(rest, old);
  for (const list of ['containers', 'initContainers']) {
    const had = parts(old, list);
    if (!has(rest, list)) continue;
    const images = parts(rest, list).map((each, index) => withField(each, 'image', had[index]['image']));
    rest = { ...rest, [list]: images };
  }
  if (!same(rest, old)) {
    const changed = valueDiff(goValue('core.PodSpec', old), goValue('core.PodSpec', rest));
    errors.forbidden(path, `pod updates may not change fields other than ${MUTABLE}\n${changed}`);
  }
}

const MUTABLE =
  '`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** Whether there are as many as before, so that they can be compared. */
function checkContainersKept(
  errors: FieldErrors,
  path: FieldPath,
  containers: readonly JsonObject[],
  old: readonly JsonObject[],
): boolean {
  if (containers.length !== old.length) {
    errors.forbidden(path, 'pod updates may not add or remove containers');
    return false;
  }
  for (const [index, container] of containers.entries()) {
    const at = path.index(index).child('image');
    const image = text(container, 'image');
    if (image === '') errors.required(at);
    if (image.trim() !== image) errors.invalid(at, image, 'must not have leading or trailing whitespace');
  }
  return true;
}

/** A pod whose scheduling is held back may be narrowed to fewer nodes, never widened. */
function checkGatedPlacement(errors: FieldErrors, path: FieldPath, spec: JsonObject, old: JsonObject): void {
  const selector = textMap(spec, 'nodeSelector');
  const changed = Object.entries(textMap(old, 'nodeSelector')).some(
    ([key, value]) => selector[key] !== value,
  );
  if (changed) {
    const why = 'only additions to spec.nodeSelector are allowed (no mutations or deletions)';
    errors.invalid(path.child('nodeSelector'), goMap(spec['nodeSelector']), why);
  }
  const terms = nodeTerms(spec);
  const had = nodeTerms(old);
  if (had.length === 0 || same(terms, had)) return;
  const at = path.child(
    'affinity',
    'nodeAffinity',
    'requiredDuringSchedulingIgnoredDuringExecution',
    'nodeSelectorTerms',
  );
  if (had.length !== terms.length) {
    const why = 'no additions/deletions to non-empty NodeSelectorTerms list are allowed';
    errors.invalid(at, terms.length === 0 ? null : terms.map(shownNodeTerm), why);
    return;
  }
  for (const [index, term] of terms.entries()) {
    if (onlyAdds(term, had[index])) continue;
    const why = 'only additions are allowed (no mutations or deletions)';
    errors.invalid(at.index(index), shownNodeTerm(term), why);
  }
}

function nodeTerms(spec: JsonObject): readonly JsonObject[] {
  const affinity = part(part(spec, 'affinity'), 'nodeAffinity');
  return parts(part(affinity, 'requiredDuringSchedulingIgnoredDuringExecution'), 'nodeSelectorTerms');
}

/** Whether what a term asked for still stands at the beginning of its lists; one that asked for nothing stays so. */
function onlyAdds(term: JsonObject, old: JsonObject): boolean {
  const lists = ['matchExpressions', 'matchFields'];
  const empty = (of: JsonObject): boolean => lists.every((list) => parts(of, list).length === 0);
  if (empty(old)) return empty(term);
  return lists.every((list) => {
    const had = parts(old, list);
    return same(parts(term, list).slice(0, had.length), had);
  });
}

/** The spec with what a gated pod may change of its affinity as it was; an affinity of nothing goes. */
function withNodeAffinityOf(spec: JsonObject, old: JsonObject): JsonObject {
  const before = part(old, 'affinity')['nodeAffinity'];
  const affinity = withField(part(spec, 'affinity'), 'nodeAffinity', before);
  const empty = Object.keys(affinity).length === 0 && !has(old, 'affinity');
  return withField(spec, 'affinity', empty ? undefined : affinity);
}

function checkGates(errors: FieldErrors, path: FieldPath, spec: JsonObject, old: JsonObject): void {
  const before = new Set(parts(old, 'schedulingGates').map((gate) => text(gate, 'name')));
  for (const [index, gate] of parts(spec, 'schedulingGates').entries()) {
    if (!before.has(text(gate, 'name'))) {
      errors.forbidden(
        path.index(index).child('name'),
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
  checkTolerations(errors, path, now);
}
