/** The selector of a workload and the labels of its template: there must be one, and it must fit. */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { matchesLabels, requirementsOf, SelectorError } from '../../api/selectors.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { checkLabelSelector, selectsAll } from '../../validation/labels.ts';
import { checkPodTemplate } from '../../validation/pod-spec.ts';
import { countOf, part, partOf, parts, same, text, textMap, texts } from '../../validation/value.ts';
import { SPEC } from '../kinds/kind.ts';

export function checkSelectorAndTemplate(
  errors: FieldErrors,
  object: KubeObject,
  workload: 'deployment' | 'replicaset' | 'statefulset' | 'daemonset',
  options: { readonly moreVolumes?: readonly JsonObject[] } = {},
): void {
  const spec = part(object, 'spec');
  const selector = partOf(spec, 'selector');
  if (selector === undefined) errors.required(SPEC.child('selector'));
  else {
    checkLabelSelector(errors, SPEC.child('selector'), selector);
    if (selectsAll(selector))
      errors.invalid(SPEC.child('selector'), selector, `empty selector is invalid for ${workload}`);
  }
  const template = part(spec, 'template');
  const labels = textMap(part(template, 'metadata'), 'labels');
  if (selector !== undefined && !selectsAll(selector) && !fits(selector, labels)) {
    errors.invalid(
      SPEC.child('template', 'metadata', 'labels'),
      labels,
      '`selector` does not match template `labels`',
    );
  }
  checkPodTemplate(errors, SPEC.child('template'), template, options);
  const pod = part(template, 'spec');
  const policy = text(pod, 'restartPolicy');
  if (policy !== '' && policy !== 'Always') {
    errors.notSupported(SPEC.child('template', 'spec', 'restartPolicy'), policy, ['Always']);
  }
  const seconds = countOf(pod, 'activeDeadlineSeconds');
  if (seconds !== undefined) {
    errors.forbidden(
      SPEC.child('template', 'spec', 'activeDeadlineSeconds'),
      `activeDeadlineSeconds in ${NAMES[workload]} is not Supported`,
    );
  }
}

const NAMES = {
  deployment: 'ReplicaSet',
  replicaset: 'ReplicaSet',
  statefulset: 'StatefulSet',
  daemonset: 'DaemonSet',
};

function fits(selector: JsonObject, labels: Readonly<Record<string, string>>): boolean {
  try {
    return matchesLabels(
      requirementsOf({
        matchLabels: textMap(selector, 'matchLabels'),
        matchExpressions: parts(selector, 'matchExpressions').map((each) => ({
          key: text(each, 'key'),
          operator: text(each, 'operator'),
          values: texts(each, 'values'),
        })),
      }),
      labels,
    );
  } catch (error) {
    // An operator that does not exist was told already.
    if (error instanceof SelectorError) return true;
    throw error;
  }
}

/** apps/v1: a selector stays as it was made. */
export function checkSelectorKept(errors: FieldErrors, object: KubeObject, old: KubeObject): void {
  const selector = part(object, 'spec')['selector'];
  if (!same(selector, part(old, 'spec')['selector'])) {
    errors.invalid(SPEC.child('selector'), selector, 'field is immutable');
  }
}
