/** DaemonSet: one pod on each node. */

import type { JsonObject } from '../../api/json.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import {
  checkCountOrPercent,
  checkNotMoreThanWhole,
  checkNotNegative,
  countOrPercentValue,
} from '../../validation/scalars.ts';
import { count, countOf, part, partOf, same, text, withField } from '../../validation/value.ts';
import { defineKind, SPEC, STATUS } from '../kinds/kind.ts';
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
    prepareForCreate: (object) =>
      withField(
        { ...object, status: ZERO },
        'spec',
        withField(part(object, 'spec'), 'templateGeneration', undefined),
      ),
    check(errors, object) {
      const spec = part(object, 'spec');
      checkSelectorAndTemplate(errors, object, 'daemonset');
      checkNotNegative(errors, SPEC.child('minReadySeconds'), count(spec, 'minReadySeconds'));
      checkNotNegative(errors, SPEC.child('revisionHistoryLimit'), countOf(spec, 'revisionHistoryLimit'));
      checkUpdateStrategy(errors, part(spec, 'updateStrategy'));
    },
    checkUpdate: checkSelectorKept,
    prepareForUpdate(object, old) {
      // The annotation that counts templates goes up with them, as clients of the older groups still read it.
      const changed = !same(part(object, 'spec')['template'], part(old, 'spec')['template']);
      const known = old.metadata.annotations?.['deprecated.daemonset.template.generation'];
      if (!changed || known === undefined) return object;
      const annotations = {
        ...object.metadata.annotations,
        'deprecated.daemonset.template.generation': String(Number(known) + 1),
      };
      return { ...object, metadata: { ...object.metadata, annotations } };
    },
    status: {
      check(errors, object) {
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
      },
    },
  },
});

const ZERO = { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 };

function checkUpdateStrategy(errors: FieldErrors, strategy: JsonObject): void {
  const at = SPEC.child('updateStrategy');
  const type = text(strategy, 'type');
  if (type === 'OnDelete') return;
  if (type !== 'RollingUpdate') {
    errors.notSupported(at.child('type'), type, ['RollingUpdate', 'OnDelete']);
    return;
  }
  const rolling = partOf(strategy, 'rollingUpdate');
  if (rolling === undefined) {
    errors.required(at.child('rollingUpdate'));
    return;
  }
  const unavailable = rolling['maxUnavailable'];
  const surge = rolling['maxSurge'];
  const place = at.child('rollingUpdate');
  for (const [name, value] of [
    ['maxUnavailable', unavailable],
    ['maxSurge', surge],
  ] as const) {
    checkCountOrPercent(errors, place.child(name), value);
    checkNotMoreThanWhole(errors, place.child(name), value);
  }
  const none = countOrPercentValue(unavailable) === 0;
  const noSurge = countOrPercentValue(surge) === 0;
  if (none && noSurge) errors.required(place.child('maxUnavailable'), 'cannot be 0 when maxSurge is 0');
  if (!none && !noSurge)
    errors.invalid(place.child('maxSurge'), surge, 'may not be set when maxUnavailable is non-zero');
}
