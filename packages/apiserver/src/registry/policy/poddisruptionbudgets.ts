/** PodDisruptionBudget: how many pods must stay when others are moved. */

import { checkConditions } from '../../validation/conditions.ts';
import { goValue } from '../../validation/go-values.ts';
import { pathSegmentErrors } from '../../validation/names.ts';
import { checkLabelSelector } from '../../validation/labels.ts';
import { checkCountOrPercent, checkNotMoreThanWhole, checkNotNegative } from '../../validation/scalars.ts';
import { countOf, has, part, partOf, parts } from '../../validation/value.ts';
import { defineKind, SPEC, STATUS } from '../kinds/kind.ts';

export const podDisruptionBudgets = defineKind({
  group: 'policy',
  types: 'policy',
  resource: 'poddisruptionbudgets',
  kind: 'PodDisruptionBudget',
  scope: 'Namespaced',
  shortNames: ['pdb'],
  checks: {
    allowUnconditionalUpdate: false,
    generation: ['spec'],
    nameErrors: pathSegmentErrors,
    metadataLast: true,
    prepareForCreate: (object) => ({
      ...object,
      status: { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 },
    }),
    check(errors, object) {
      const spec = part(object, 'spec');
      if (has(spec, 'minAvailable') && has(spec, 'maxUnavailable')) {
        errors.invalid(
          SPEC,
          goValue('policy.PodDisruptionBudgetSpec', spec),
          'minAvailable and maxUnavailable cannot be both set',
        );
      }
      for (const name of ['minAvailable', 'maxUnavailable']) {
        if (!has(spec, name)) continue;
        checkCountOrPercent(errors, SPEC.child(name), spec[name]);
        checkNotMoreThanWhole(errors, SPEC.child(name), spec[name]);
      }
      checkLabelSelector(errors, SPEC.child('selector'), partOf(spec, 'selector'));
      const policy = spec['unhealthyPodEvictionPolicy'];
      if (typeof policy === 'string' && policy !== 'IfHealthyBudget' && policy !== 'AlwaysAllow') {
        errors.notSupported(SPEC.child('unhealthyPodEvictionPolicy'), policy, [
          'AlwaysAllow',
          'IfHealthyBudget',
        ]);
      }
    },
    status: {
      check(errors, object) {
        checkConditions(errors, STATUS.child('conditions'), parts(part(object, 'status'), 'conditions'));
        for (const name of ['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods']) {
          checkNotNegative(errors, STATUS.child(name), countOf(part(object, 'status'), name));
        }
      },
    },
  },
});
