/** The selector of a workload and the labels of its template: there must be one, and it must fit. */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { checkLabelSelector, selectorFits, selectsAll } from '../../validation/labels.ts';
import { checkPodTemplate } from '../../validation/pod-spec.ts';
import { countOf, part, partOf, same, text, textMap } from '../../validation/value.ts';
import { SPEC } from '../kinds/kind.ts';

export function checkSelectorAndTemplate(
  errors: FieldErrors,
  object: KubeObject,
  workload: 'deployment' | 'replicaset' | 'statefulset' | 'daemonset',
  options: { readonly moreVolumes?: readonly JsonObject[] } = {},
): void {
  const spec = part(object, 'spec');
  const selector = partOf(spec, 'selector');
  if (selector === undefined) {
    // A daemon set's is missed by its labels alone.
    if (workload !== 'daemonset') errors.required(SPEC.child('selector'));
  } else {
    checkLabelSelector(errors, SPEC.child('selector'), selector);
    if (selectsAll(selector)) {
      // Upstream's text for replica sets speaks of deployments as well.
      const whose = workload === 'replicaset' ? 'deployment' : workload;
      errors.invalid(SPEC.child('selector'), selector, `empty selector is invalid for ${whose}`);
    }
  }
  const scratch = new FieldErrors();
  checkLabelSelector(scratch, SPEC, selector);
  if (scratch.size > 0 && workload !== 'daemonset') {
    // Without one that can be read the template is not looked at.
    errors.invalid(
      SPEC.child('selector'),
      selector,
      workload === 'statefulset' ? '' : 'invalid label selector',
    );
    return;
  }
  const template = part(spec, 'template');
  const labels = textMap(part(template, 'metadata'), 'labels');
  if (scratch.size === 0 && !selectorFits(selector, labels)) {
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

/** An update strategy as messages show it: under the names it has inside of upstream's server. */
export function strategyShown(strategy: JsonObject, members: readonly string[]): JsonObject {
  const rolling = partOf(strategy, 'rollingUpdate');
  const shown = members.map((name) => [`${name[0].toUpperCase()}${name.slice(1)}`, rolling?.[name] ?? null]);
  return {
    Type: text(strategy, 'type'),
    RollingUpdate: rolling === undefined ? null : Object.fromEntries(shown),
  };
}

/** apps/v1: a selector stays as it was made. */
export function checkSelectorKept(errors: FieldErrors, object: KubeObject, old: KubeObject): void {
  const selector = part(object, 'spec')['selector'];
  if (!same(selector, part(old, 'spec')['selector'])) {
    errors.invalid(SPEC.child('selector'), selector, 'field is immutable');
  }
}
