/** StatefulSet: pods with names and storage of their own. */

import type { JsonObject } from '../../api/json.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { claimSpecWarnings, templateWarnings } from '../../validation/pod-warnings.ts';
import { dnsLabelErrors, forName } from '../../validation/names.ts';
import {
  checkCountOrPercent,
  checkNotMoreThanWhole,
  checkNotNegative,
  countOrPercentValue,
} from '../../validation/scalars.ts';
import { count, countOf, has, part, partOf, parts, same, text, without } from '../../validation/value.ts';
import { defineKind, SPEC, STATUS } from '../kinds/kind.ts';
import { checkAvailable, checkCollisions, checkParts } from '../kinds/replica-status.ts';
import { scaleOf } from '../kinds/scale.ts';
import { checkSelectorAndTemplate, strategyShown } from './selector.ts';

const MUTABLE: readonly string[] = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
];

export const statefulSets = defineKind({
  group: 'apps',
  types: 'apps',
  resource: 'statefulsets',
  kind: 'StatefulSet',
  scope: 'Namespaced',
  shortNames: ['sts'],
  categories: ['all'],
  checks: {
    nameErrors: forName(dnsLabelErrors),
    generation: ['spec'],
    prepareForCreate: (object) => ({ ...object, status: { replicas: 0, availableReplicas: 0 } }),
    check(errors, object) {
      const spec = part(object, 'spec');
      const policy = text(spec, 'podManagementPolicy');
      if (policy !== 'OrderedReady' && policy !== 'Parallel') {
        errors.invalid(SPEC.child('podManagementPolicy'), policy, "must be 'OrderedReady' or 'Parallel'");
      }
      checkUpdateStrategy(errors, part(spec, 'updateStrategy'));
      const retention = part(spec, 'persistentVolumeClaimRetentionPolicy');
      for (const name of ['whenDeleted', 'whenScaled']) {
        const value = text(retention, name);
        if (value !== 'Delete' && value !== 'Retain') {
          errors.notSupported(SPEC.child('persistentVolumeClaimRetentionPolicy', name), value, [
            'Retain',
            'Delete',
          ]);
        }
      }
      checkNotNegative(errors, SPEC.child('replicas'), count(spec, 'replicas'));
      checkNotNegative(errors, SPEC.child('minReadySeconds'), count(spec, 'minReadySeconds'));
      const ordinals = partOf(spec, 'ordinals');
      if (ordinals !== undefined)
        checkNotNegative(errors, SPEC.child('ordinals', 'start'), count(ordinals, 'start'));
      checkSelectorAndTemplate(errors, object, 'statefulset', {
        moreVolumes: parts(spec, 'volumeClaimTemplates').map((claim) => ({
          name: text(part(claim, 'metadata'), 'name'),
          persistentVolumeClaim: {},
        })),
      });
    },
    checkUpdate(errors, object, old) {
      const kept = (of: typeof object): unknown => without(part(of, 'spec'), ...MUTABLE);
      if (!same(kept(object), kept(old))) {
        errors.forbidden(
          SPEC,
          "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        );
      }
    },
    warnings(object, old) {
      const spec = part(object, 'spec');
      if (old !== undefined && old.metadata.generation === object.metadata.generation) return [];
      const warnings = templateWarnings(SPEC.child('template'), object, old);
      for (const [index, claim] of parts(spec, 'volumeClaimTemplates').entries()) {
        const at = SPEC.child('volumeClaimTemplates').index(index).child('spec');
        warnings.push(...claimSpecWarnings(at, part(claim, 'spec')));
      }
      if ((countOf(spec, 'revisionHistoryLimit') ?? 0) < 0) {
        warnings.push(
          'spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended',
        );
      }
      return warnings;
    },
    status: {
      check(errors, object, old) {
        const status = part(object, 'status');
        for (const name of [
          'replicas',
          'readyReplicas',
          'currentReplicas',
          'updatedReplicas',
          'availableReplicas',
          'observedGeneration',
          'collisionCount',
        ]) {
          checkNotNegative(errors, STATUS.child(name), countOf(status, name));
        }
        checkParts(errors, STATUS, status, [
          'readyReplicas',
          'currentReplicas',
          'updatedReplicas',
          'availableReplicas',
        ]);
        checkAvailable(errors, STATUS, status, 'status.readyReplicas');
        checkCollisions(errors, STATUS, status, part(old, 'status'));
      },
    },
  },
  subresources: [scaleOf()],
});

function checkUpdateStrategy(errors: FieldErrors, strategy: JsonObject): void {
  const at = SPEC.child('updateStrategy');
  const rolling = partOf(strategy, 'rollingUpdate');
  switch (text(strategy, 'type')) {
    case 'OnDelete':
      if (rolling !== undefined) {
        const { RollingUpdate: shown } = strategyShown(strategy, ['partition', 'maxUnavailable']);
        errors.invalid(at.child('rollingUpdate'), shown, "only allowed for updateStrategy 'RollingUpdate'");
      }
      break;
    case 'RollingUpdate':
      if (rolling === undefined) break;
      checkNotNegative(errors, at.child('rollingUpdate', 'partition'), count(rolling, 'partition'));
      if (has(rolling, 'maxUnavailable')) {
        const place = at.child('rollingUpdate', 'maxUnavailable');
        checkCountOrPercent(errors, place, rolling['maxUnavailable']);
        if (countOrPercentValue(rolling['maxUnavailable']) === 0) {
          errors.invalid(place, rolling['maxUnavailable'], 'cannot be 0');
        }
        checkNotMoreThanWhole(errors, place, rolling['maxUnavailable']);
      }
      break;
    default:
      errors.invalid(
        at,
        strategyShown(strategy, ['partition', 'maxUnavailable']),
        "must be 'RollingUpdate' or 'OnDelete'",
      );
  }
}
