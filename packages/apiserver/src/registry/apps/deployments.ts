/** Deployment: replica sets that follow a template. */

import type { FieldErrors } from '../../validation/field-errors.ts';
import { goValue } from '../../validation/go-values.ts';
import { hostnameWarnings, templateWarnings } from '../../validation/pod-warnings.ts';
import {
  checkCountOrPercent,
  checkNotMoreThanWhole,
  checkNotNegative,
  countOrPercentValue,
} from '../../validation/scalars.ts';
import type { JsonObject } from '../../api/json.ts';
import { count, countOf, has, part, text } from '../../validation/value.ts';
import { defineKind, SPEC, STATUS } from '../kinds/kind.ts';
import { checkAvailable, checkCollisions, checkParts } from '../kinds/replica-status.ts';
import { scaleOf } from '../kinds/scale.ts';
import { checkSelectorAndTemplate, checkSelectorKept } from './selector.ts';

export const deployments = defineKind({
  group: 'apps',
  types: 'apps',
  resource: 'deployments',
  kind: 'Deployment',
  scope: 'Namespaced',
  shortNames: ['deploy'],
  categories: ['all'],
  checks: {
    generation: ['spec'],
    podSpecAt: ['spec', 'template', 'spec'],
    check(errors, object) {
      const spec = part(object, 'spec');
      checkNotNegative(errors, SPEC.child('replicas'), count(spec, 'replicas'));
      checkSelectorAndTemplate(errors, object, 'deployment');
      checkStrategy(errors, part(spec, 'strategy'));
      checkNotNegative(errors, SPEC.child('minReadySeconds'), count(spec, 'minReadySeconds'));
      checkNotNegative(errors, SPEC.child('revisionHistoryLimit'), countOf(spec, 'revisionHistoryLimit'));
      const deadline = countOf(spec, 'progressDeadlineSeconds');
      checkNotNegative(errors, SPEC.child('progressDeadlineSeconds'), deadline);
      if (deadline !== undefined && deadline <= count(spec, 'minReadySeconds')) {
        errors.invalid(
          SPEC.child('progressDeadlineSeconds'),
          deadline,
          'must be greater than minReadySeconds',
        );
      }
    },
    checkUpdate: checkSelectorKept,
    warnings: (object, old) => [
      ...(old === undefined ? hostnameWarnings(object) : []),
      ...templateWarnings(SPEC.child('template'), object, old),
    ],
    status: {
      keepsMetadata: ['labels'],
      check(errors, object, old) {
        const status = part(object, 'status');
        for (const name of [
          'observedGeneration',
          'replicas',
          'updatedReplicas',
          'readyReplicas',
          'availableReplicas',
          'unavailableReplicas',
          'collisionCount',
          'terminatingReplicas',
        ]) {
          checkNotNegative(errors, STATUS.child(name), countOf(status, name));
        }
        checkParts(errors, STATUS, status, ['updatedReplicas', 'readyReplicas', 'availableReplicas']);
        checkAvailable(errors, STATUS, status, 'readyReplicas');
        checkCollisions(errors, STATUS, status, part(old, 'status'));
      },
    },
  },
  subresources: [scaleOf()],
});

function checkStrategy(errors: FieldErrors, strategy: JsonObject): void {
  const at = SPEC.child('strategy');
  const type = text(strategy, 'type');
  if (type === 'Recreate') {
    if (has(strategy, 'rollingUpdate')) {
      errors.forbidden(at.child('rollingUpdate'), "may not be specified when strategy `type` is 'Recreate'");
    }
  } else if (type === 'RollingUpdate') {
    const rolling = part(strategy, 'rollingUpdate');
    const place = at.child('rollingUpdate');
    checkCountOrPercent(errors, place.child('maxUnavailable'), rolling['maxUnavailable']);
    checkCountOrPercent(errors, place.child('maxSurge'), rolling['maxSurge']);
    if (
      countOrPercentValue(rolling['maxUnavailable']) === 0 &&
      countOrPercentValue(rolling['maxSurge']) === 0
    ) {
      errors.invalid(
        place.child('maxUnavailable'),
        rolling['maxUnavailable'],
        'may not be 0 when `maxSurge` is 0',
      );
    }
    checkNotMoreThanWhole(errors, place.child('maxUnavailable'), rolling['maxUnavailable']);
  } else {
    errors.notSupported(at, goValue('apps.DeploymentStrategy', strategy), ['Recreate', 'RollingUpdate']);
  }
}
