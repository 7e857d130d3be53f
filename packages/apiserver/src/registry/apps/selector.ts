/** The selector of a workload and the labels of its template: there must be one, and it must fit. */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { checkLabelSelector, selectorFits, selectsAll } from '../../validation/labels.ts';
import { goMap, goValue } from '../../validation/go-values.ts';
import { checkPodTemplate, checkTemplateLabels } from '../../validation/pod-spec.ts';
import { countOf, part, partOf, same, text, textMap } from '../../validation/value.ts';
import { SPEC } from '../kinds/kind.ts';

export function checkSelectorAndTemplate(
  errors: FieldErrors,
  object: KubeObject,
  workload: 'deployment' | 'replicaset' | 'statefulset' | 'daemonset',
  options: {
    /** Of the template's metadata alone. */
    readonly labelsAlone?: boolean;
  } = {},
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
      const shown = goValue('v1.LabelSelector', selector);
      errors.invalid(SPEC.child('selector'), shown, `empty selector is invalid for ${whose}`);
    }
  }
  const scratch = new FieldErrors();
  checkLabelSelector(scratch, SPEC, selector);
  const template = part(spec, 'template');
  if (scratch.size > 0 && workload !== 'daemonset') {
    // Without one that can be read the template is not looked at.
    errors.invalid(
      SPEC.child('selector'),
      goValue('v1.LabelSelector', selector),
      workload === 'statefulset' ? '' : 'invalid label selector',
    );
    if (workload !== 'statefulset') return;
  } else {
    if (scratch.size === 0) checkSelects(errors, selector, template);
    if (options.labelsAlone === true) checkTemplateLabels(errors, SPEC.child('template'), template);
    else checkPodTemplate(errors, SPEC.child('template'), template);
  }
  const pod = part(template, 'spec');
  const policy = text(pod, 'restartPolicy');
  if (policy !== 'Always') {
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

/** That the selector finds the labels of the template. */
export function checkSelects(
  errors: FieldErrors,
  selector: JsonObject | undefined,
  template: JsonObject,
): void {
  const metadata = part(template, 'metadata');
  if (selectorFits(selector, textMap(metadata, 'labels'))) return;
  errors.invalid(
    SPEC.child('template', 'metadata', 'labels'),
    goMap(metadata['labels']),
    '`selector` does not match template `labels`',
  );
}

const NAMES = {
  deployment: 'ReplicaSet',
  replicaset: 'ReplicaSet',
  statefulset: 'StatefulSet',
  daemonset: 'DaemonSet',
};

/** apps/v1: a selector stays as it was made. */
export function checkSelectorKept(errors: FieldErrors, object: KubeObject, old: KubeObject): void {
  const selector = part(object, 'spec')['selector'];
  if (!same(selector, part(old, 'spec')['selector'])) {
    errors.invalid(SPEC.child('selector'), goValue('v1.LabelSelector', selector), 'field is immutable');
  }
}
