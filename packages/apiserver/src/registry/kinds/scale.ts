/** The subresource scale of workloads that have spec.replicas, status.replicas and a label selector. */

import type { KubeObject } from '../../api/meta.ts';
import { labelSelectorText, requirementsOf } from '../../api/selectors.ts';
import { readSelector } from '../../validation/labels.ts';
import { part, partOf } from '../../validation/value.ts';
import { UPDATE_VERBS, type SubresourceDefinition } from '../resource.ts';

export function scaleOf(selector: (object: KubeObject) => string = selectorText): SubresourceDefinition {
  return {
    name: 'scale',
    kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
    typeName: 'autoscaling.v1.Scale',
    verbs: UPDATE_VERBS,
    backing: {
      kind: 'scale',
      fields: { specReplicas: ['spec', 'replicas'], statusReplicas: ['status', 'replicas'], selector },
    },
  };
}

/** spec.selector, a metav1.LabelSelector, as text. */
function selectorText(object: KubeObject): string {
  const selector = partOf(part(object, 'spec'), 'selector');
  return selector === undefined ? '' : labelSelectorText(requirementsOf(readSelector(selector)));
}
