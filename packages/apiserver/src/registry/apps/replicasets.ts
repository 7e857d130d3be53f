/** ReplicaSet: so many pods of one template. */

import { hostnameWarnings, templateWarnings } from '../../validation/pod-warnings.ts';
import { checkNotNegative } from '../../validation/scalars.ts';
import { count, part } from '../../validation/value.ts';
import { defineKind, selectableAt, SPEC, STATUS } from '../kinds/kind.ts';
import { checkReplicaStatus } from '../kinds/replica-status.ts';
import { scaleOf } from '../kinds/scale.ts';
import { onlyMetadata } from '../selection.ts';
import { checkSelectorAndTemplate, checkSelectorKept } from './selector.ts';

export const replicaSets = defineKind({
  group: 'apps',
  types: 'apps',
  resource: 'replicasets',
  kind: 'ReplicaSet',
  scope: 'Namespaced',
  shortNames: ['rs'],
  categories: ['all'],
  checks: {
    generation: ['spec'],
    podSpecAt: ['spec', 'template', 'spec'],
    prepareForCreate: (object) => ({ ...object, status: { replicas: 0 } }),
    check(errors, object) {
      const spec = part(object, 'spec');
      checkNotNegative(errors, SPEC.child('replicas'), count(spec, 'replicas'));
      checkNotNegative(errors, SPEC.child('minReadySeconds'), count(spec, 'minReadySeconds'));
      checkSelectorAndTemplate(errors, object, 'replicaset');
    },
    checkUpdate: checkSelectorKept,
    warnings: (object, old) => [
      ...(old === undefined ? hostnameWarnings(object) : []),
      ...templateWarnings(SPEC.child('template'), object, old),
    ],
    status: {
      check(errors, object) {
        checkReplicaStatus(errors, STATUS, part(object, 'status'));
      },
    },
  },
  // The documentation of field selectors has it; the text of the refusal is that of kinds without any.
  selectable: {
    ...selectableAt(['status.replicas'], { 'status.replicas': '0' }),
    refusal: onlyMetadata,
  },
  subresources: [scaleOf()],
});
