/** ReplicationController: so many pods of one template. */

import { goMap } from '../../validation/go-values.ts';
import { dnsSubdomainErrors, pathSegmentErrors } from '../../validation/names.ts';
import { checkPodTemplate } from '../../validation/pod-spec.ts';
import { hostnameWarnings, templateWarnings } from '../../validation/pod-warnings.ts';
import { checkNotNegative } from '../../validation/scalars.ts';
import { count, countOf, part, partOf, text, textMap } from '../../validation/value.ts';
import { defineKind, selectableAt, SPEC, STATUS } from '../kinds/kind.ts';
import { scaleOf } from '../kinds/scale.ts';
import { checkReplicaStatus } from '../kinds/replica-status.ts';

export const replicationControllers = defineKind({
  group: '',
  types: 'core',
  resource: 'replicationcontrollers',
  kind: 'ReplicationController',
  scope: 'Namespaced',
  shortNames: ['rc'],
  categories: ['all'],
  keyPrefix: 'controllers',
  checks: {
    generation: ['spec'],
    podSpecAt: ['spec', 'template', 'spec'],
    // What a name begins with may be anything that can stand in a path; the name that comes of it is checked.
    nameErrors: (name, prefix) => (prefix ? pathSegmentErrors(name, true) : dnsSubdomainErrors(name)),
    defaultPropagationPolicy: () => 'Orphan',
    prepareForCreate: (object) => ({ ...object, status: { replicas: 0 } }),
    check(errors, object) {
      const spec = part(object, 'spec');
      checkNotNegative(errors, SPEC.child('minReadySeconds'), count(spec, 'minReadySeconds'));
      const selector = textMap(spec, 'selector');
      if (Object.keys(selector).length === 0) errors.required(SPEC.child('selector'));
      checkNotNegative(errors, SPEC.child('replicas'), count(spec, 'replicas'));
      const template = partOf(spec, 'template');
      if (template === undefined) {
        errors.required(SPEC.child('template'));
        return;
      }
      const labels = textMap(part(template, 'metadata'), 'labels');
      if (Object.entries(selector).some(([key, value]) => labels[key] !== value)) {
        errors.invalid(
          SPEC.child('template', 'metadata', 'labels'),
          goMap(part(template, 'metadata')['labels']),
          '`selector` does not match template `labels`',
        );
      }
      checkPodTemplate(errors, SPEC.child('template'), template);
      const policy = text(part(template, 'spec'), 'restartPolicy');
      if (policy !== 'Always') {
        errors.notSupported(SPEC.child('template', 'spec', 'restartPolicy'), policy, ['Always']);
      }
      const seconds = countOf(part(template, 'spec'), 'activeDeadlineSeconds');
      if (seconds !== undefined) {
        errors.forbidden(
          SPEC.child('template', 'spec', 'activeDeadlineSeconds'),
          'activeDeadlineSeconds in ReplicationController is not Supported',
        );
      }
    },
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
  selectable: selectableAt(['status.replicas'], { 'status.replicas': '0' }),
  subresources: [
    scaleOf((object) =>
      Object.entries(textMap(part(object, 'spec'), 'selector'))
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => `${key}=${value}`)
        .join(','),
    ),
  ],
});
