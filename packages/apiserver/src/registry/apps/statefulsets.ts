/** StatefulSet: pods with names and storage of their own. */

import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import { FieldErrors } from '../../validation/field-errors.ts';
import { checkClaimSpec } from '../../validation/volume-claims.ts';
import { enabledFields } from '../../validation/disabled-fields.ts';
import { goValue } from '../../validation/go-values.ts';
import { claimSpecWarnings, templateWarnings } from '../../validation/pod-warnings.ts';
import { dnsLabelErrors, forName } from '../../validation/names.ts';
import {
  checkCountOrPercent,
  checkDnsLabel,
  checkNotMoreThanWhole,
  checkNotNegative,
  countOrPercentValue,
} from '../../validation/scalars.ts';
import {
  count,
  countOf,
  has,
  part,
  partAt,
  partOf,
  parts,
  same,
  text,
  withField,
  withFieldAt,
  without,
} from '../../validation/value.ts';
import { defineKind, SPEC, STATUS } from '../kinds/kind.ts';
import { checkAvailable, checkCollisions, checkParts } from '../kinds/replica-status.ts';
import { scaleOf } from '../kinds/scale.ts';
import { checkSelectorAndTemplate } from './selector.ts';

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
    podSpecAt: ['spec', 'template', 'spec'],
    prepareForCreate: (object) =>
      withoutUnavailable({ ...object, status: { replicas: 0, availableReplicas: 0 } }),
    prepareForUpdate: withoutUnavailable,
    check(errors, object, old) {
      const broken = old !== undefined && isBroken(old);
      checkStatefulSet(errors, object, { update: old !== undefined, labelsAlone: broken });
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
      const warnings = templateWarnings(SPEC.child('template'), object, old);
      for (const [index, claim] of parts(spec, 'volumeClaimTemplates').entries()) {
        const at = SPEC.child('volumeClaimTemplates').index(index);
        warnings.push(...claimSpecWarnings(old === undefined ? at : at.child('Spec'), part(claim, 'spec')));
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

/** Without maxUnavailable, whose feature is off (MaxUnavailableStatefulSet), unless it was there. */
function withoutUnavailable(object: KubeObject, old?: KubeObject): KubeObject {
  const at = ['spec', 'updateStrategy', 'rollingUpdate'];
  const rolling = partAt(object, ...at);
  const kept = enabledFields(rolling, old === undefined ? undefined : partAt(old, ...at), 'maxUnavailable');
  return kept === rolling ? object : withFieldAt(object, at, kept);
}

/** The template as its pods will be: claims are volumes of theirs, and a controller gives them their names. */
function templateOf(spec: JsonObject, claims: readonly JsonObject[]): JsonObject {
  const template = part(spec, 'template');
  const pod = without(part(template, 'spec'), 'hostname', 'subdomain');
  if (claims.length === 0) return { ...template, spec: pod };
  const names = [...new Set(claims.map((claim) => text(part(claim, 'metadata'), 'name')))];
  const volumes = [
    ...names.map((name) => ({ name, persistentVolumeClaim: { claimName: name } })),
    ...parts(pod, 'volumes').filter((volume) => !names.includes(text(volume, 'name'))),
  ];
  return { ...template, spec: { ...pod, volumes } };
}

/** Whether the old one would be refused today: then its template is not looked at. */
function isBroken(old: KubeObject): boolean {
  const errors = new FieldErrors();
  checkStatefulSet(errors, old, { update: true, labelsAlone: false });
  return errors.size > 0;
}

function checkStatefulSet(
  errors: FieldErrors,
  object: KubeObject,
  { update, labelsAlone }: { readonly update: boolean; readonly labelsAlone: boolean },
): void {
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
  const claims = parts(spec, 'volumeClaimTemplates');
  for (const [index, claim] of update ? [] : claims.entries())
    checkClaimSpec(
      errors,
      SPEC.child('volumeClaimTemplates').index(index).child('spec'),
      part(claim, 'spec'),
    );
  checkNotNegative(errors, SPEC.child('replicas'), count(spec, 'replicas'));
  checkNotNegative(errors, SPEC.child('minReadySeconds'), count(spec, 'minReadySeconds'));
  const ordinals = partOf(spec, 'ordinals');
  if (ordinals !== undefined)
    checkNotNegative(errors, SPEC.child('ordinals', 'start'), count(ordinals, 'start'));
  const service = text(spec, 'serviceName');
  if (!update && service !== '') checkDnsLabel(errors, SPEC.child('serviceName'), service);
  checkSelectorAndTemplate(
    errors,
    withField(object, 'spec', { ...spec, template: templateOf(spec, claims) }),
    'statefulset',
    { labelsAlone },
  );
}

function checkUpdateStrategy(errors: FieldErrors, strategy: JsonObject): void {
  const at = SPEC.child('updateStrategy');
  const rolling = partOf(strategy, 'rollingUpdate');
  switch (text(strategy, 'type')) {
    case 'OnDelete':
      if (rolling !== undefined) {
        const shown = goValue('apps.RollingUpdateStatefulSetStrategy', rolling);
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
        goValue('apps.StatefulSetUpdateStrategy', strategy),
        "must be 'RollingUpdate' or 'OnDelete'",
      );
  }
}
