/** DaemonSet: one pod on each node. */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { goValue } from '../../validation/go-values.ts';
import { hostnameWarnings, templateWarnings } from '../../validation/pod-warnings.ts';
import {
  checkCountOrPercent,
  checkNotMoreThanWhole,
  checkNotNegative,
  countOrPercentValue,
} from '../../validation/scalars.ts';
import { count, countOf, part, same, text } from '../../validation/value.ts';
import { defineKind, SPEC, STATUS } from '../kinds/kind.ts';
import { checkCollisions } from '../kinds/replica-status.ts';
import { checkSelectorAndTemplate, checkSelectorKept } from './selector.ts';

export const daemonSets = defineKind({
  group: 'apps',
  types: 'apps',
  resource: 'daemonsets',
  kind: 'DaemonSet',
  scope: 'Namespaced',
  shortNames: ['ds'],
  categories: ['all'],
  checks: {
    generation: ['spec'],
    podSpecAt: ['spec', 'template', 'spec'],
    prepareForCreate: (object) => counted({ ...object, status: ZERO }, Math.max(templateCount(object), 1)),
    check(errors, object) {
      const spec = part(object, 'spec');
      checkSelectorAndTemplate(errors, object, 'daemonset');
      checkNotNegative(errors, SPEC.child('minReadySeconds'), count(spec, 'minReadySeconds'));
      checkUpdateStrategy(errors, part(spec, 'updateStrategy'));
      checkNotNegative(errors, SPEC.child('revisionHistoryLimit'), countOf(spec, 'revisionHistoryLimit'));
    },
    checkKept: checkSelectorKept,
    warnings: (object, old) => [
      ...(old === undefined ? hostnameWarnings(object) : []),
      ...templateWarnings(SPEC.child('template'), object, old),
    ],
    prepareForUpdate(object, old) {
      const changed = !same(part(object, 'spec')['template'], part(old, 'spec')['template']);
      return counted(object, templateCount(old) + (changed ? 1 : 0));
    },
    status: {
      prepare: (object, old) => counted(object, templateCount(old)),
      check(errors, object, old) {
        const status = part(object, 'status');
        for (const name of [
          'currentNumberScheduled',
          'numberMisscheduled',
          'desiredNumberScheduled',
          'numberReady',
          'observedGeneration',
          'updatedNumberScheduled',
          'numberAvailable',
          'numberUnavailable',
          'collisionCount',
        ]) {
          checkNotNegative(errors, STATUS.child(name), countOf(status, name));
        }
        checkCollisions(errors, STATUS, status, part(old, 'status'));
      },
    },
  },
});

/** Counts templates, where clients of the older groups still look for it; the server's alone. */
const TEMPLATES = 'deprecated.daemonset.template.generation';

function templateCount({ metadata }: KubeObject): number {
  const known = Number(metadata.annotations?.[TEMPLATES] ?? 0);
  return Number.isSafeInteger(known) ? known : 0;
}

function counted(object: KubeObject, templates: number): KubeObject {
  const annotations = { ...object.metadata.annotations, [TEMPLATES]: String(templates) };
  return { ...object, metadata: { ...object.metadata, annotations } };
}

const ZERO = { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 };

function checkUpdateStrategy(errors: FieldErrors, strategy: JsonObject): void {
  const at = SPEC.child('updateStrategy');
  const type = text(strategy, 'type');
  if (type === 'OnDelete') return;
  if (type !== 'RollingUpdate') {
    errors.notSupported(at, goValue('apps.DaemonSetUpdateStrategy', strategy), ['RollingUpdate', 'OnDelete']);
    return;
  }
  const rolling = part(strategy, 'rollingUpdate');
  const unavailable = rolling['maxUnavailable'];
  const surge = rolling['maxSurge'];
  const place = at.child('rollingUpdate');
  checkCountOrPercent(errors, place.child('maxUnavailable'), unavailable);
  checkCountOrPercent(errors, place.child('maxSurge'), surge);
  checkNotMoreThanWhole(errors, place.child('maxUnavailable'), unavailable);
  checkNotMoreThanWhole(errors, place.child('maxSurge'), surge);
  const none = countOrPercentValue(unavailable) === 0;
  const noSurge = countOrPercentValue(surge) === 0;
  if (none && noSurge) errors.required(place.child('maxUnavailable'), 'cannot be 0 when maxSurge is 0');
  if (!none && !noSurge)
    errors.invalid(place.child('maxSurge'), surge, 'may not be set when maxUnavailable is non-zero');
}
