/** PersistentVolume: storage of the cluster, whose source stays once it is said. */

import { formatTime } from '../../codec/times.ts';
import { valueDiff } from '../../validation/line-diff.ts';
import { goValue } from '../../validation/go-values.ts';
import { checkVolumeSpec, VOLUME_SOURCES } from './volume-spec.ts';
import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { StrategyContext } from '../strategy.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { nodeLabelWarning, VOLUME_WARNINGS } from '../../validation/pod-warnings.ts';
import { shownVolumeAffinity } from '../../validation/go-shape.ts';
import { has, part, partOf, parts, same, text, withField, without } from '../../validation/value.ts';
import { defineKind, SPEC } from '../kinds/kind.ts';

const TRANSITION = 'lastPhaseTransitionTime';
const EXPAND = 'controllerExpandSecretRef';

export const persistentVolumes = defineKind({
  group: '',
  types: 'core',
  resource: 'persistentvolumes',
  kind: 'PersistentVolume',
  scope: 'Cluster',
  shortNames: ['pv'],
  checks: {
    prepareForCreate: (object, { nowMs }) => ({
      ...object,
      status: { phase: 'Pending', lastPhaseTransitionTime: timeOf(nowMs) },
    }),
    check(errors, object) {
      checkVolumeSpec(errors, SPEC, part(object, 'spec'), object.metadata.name ?? '');
    },
    checkUpdate(errors, object, old) {
      const spec = part(object, 'spec');
      const before = part(old, 'spec');
      // A secret for growing may be named later.
      const named = has(part(spec, 'csi'), EXPAND) && !has(part(before, 'csi'), EXPAND);
      const now = named ? withField(spec, 'csi', without(part(spec, 'csi'), EXPAND)) : spec;
      if (VOLUME_SOURCES.some((name) => !same(now[name], before[name]))) {
        const shown = (of: JsonObject): unknown => goValue('core.PersistentVolumeSource', of);
        errors.forbidden(
          SPEC.child('persistentvolumesource'),
          `spec.persistentvolumesource is immutable after creation\n${valueDiff(shown(before), shown(now))}`,
        );
      }
      if (!same(spec['volumeMode'], before['volumeMode']))
        errors.invalid(FieldPath.of('volumeMode'), spec['volumeMode'], 'field is immutable');
      checkAffinityKept(errors, partOf(spec, 'nodeAffinity'), partOf(before, 'nodeAffinity'));
      if (has(before, 'volumeAttributesClassName') && !has(spec, 'volumeAttributesClassName'))
        errors.forbidden(
          SPEC.child('volumeAttributesClassName'),
          'update from non-nil value to nil is forbidden',
        );
    },
    warnings: volumeWarnings,
    status: { prepare: withTransition },
  },
  returnsDeletedObject: true,
});

/** Labels that have new names, by their old ones. */
const NEW_LABELS: Readonly<Record<string, string>> = {
  'failure-domain.beta.kubernetes.io/zone': 'topology.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region': 'topology.kubernetes.io/region',
  'beta.kubernetes.io/os': 'kubernetes.io/os',
  'beta.kubernetes.io/arch': 'kubernetes.io/arch',
  'beta.kubernetes.io/instance-type': 'node.kubernetes.io/instance-type',
};

/** The nodes a volume is on stay; only labels of old may get their new names. */
function checkAffinityKept(
  errors: FieldErrors,
  affinity: JsonObject | undefined,
  old: JsonObject | undefined,
): void {
  if (old === undefined || same(affinity, old)) return;
  const now = parts(part(affinity ?? {}, 'required'), 'nodeSelectorTerms');
  const renamed = parts(part(old, 'required'), 'nodeSelectorTerms').map((term, index) => {
    const kept: Record<string, unknown> = { ...term };
    for (const list of ['matchExpressions', 'matchFields']) {
      const others = parts(now[index] ?? {}, list);
      kept[list] = parts(term, list).map((each, number) => {
        const key = text(others[number] ?? {}, 'key');
        return key !== '' && NEW_LABELS[text(each, 'key')] === key ? { ...each, key } : each;
      });
    }
    return kept;
  });
  if (affinity !== undefined && same(now, renamed)) return;
  errors.invalid(
    FieldPath.of('nodeAffinity'),
    affinity === undefined ? undefined : shownVolumeAffinity(affinity),
    'field is immutable, except for updating from beta label to GA',
  );
}

function timeOf(nowMs: number): string {
  return formatTime(Math.floor(nowMs / 1000));
}

/** The time the phase changed, where it changed and nobody said. */
function withTransition(object: KubeObject, old: KubeObject, { nowMs }: StrategyContext): KubeObject {
  const status = part(object, 'status');
  const before = part(old, 'status');
  const said = status[TRANSITION];
  if (text(status, 'phase') === text(before, 'phase'))
    return has(before, TRANSITION)
      ? withField(object, 'status', { ...status, [TRANSITION]: said ?? before[TRANSITION] })
      : object;
  if (has(status, TRANSITION) && said !== before[TRANSITION]) return object;
  return withField(object, 'status', { ...status, [TRANSITION]: timeOf(nowMs) });
}

function volumeWarnings(object: KubeObject): string[] {
  const warnings: string[] = [];
  const spec = part(object, 'spec');
  const annotations = object.metadata.annotations ?? {};
  for (const [key, said] of [
    [
      'volume.beta.kubernetes.io/storage-class',
      'deprecated since v1.8; use "storageClassName" attribute instead',
    ],
    [
      'volume.beta.kubernetes.io/mount-options',
      'deprecated since v1.31; use "mountOptions" attribute instead',
    ],
  ] as const) {
    if (annotations[key] !== undefined) warnings.push(`metadata.annotations[${key}]: ${said}`);
  }
  if (text(spec, 'persistentVolumeReclaimPolicy') === 'Recycle') {
    warnings.push(
      'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
    );
  }
  const terms = parts(part(part(spec, 'nodeAffinity'), 'required'), 'nodeSelectorTerms');
  for (const [index, term] of terms.entries()) {
    for (const [number, expression] of parts(term, 'matchExpressions').entries()) {
      const key = text(expression, 'key');
      const said = nodeLabelWarning(key);
      if (said === undefined) continue;
      const at = SPEC.child('nodeAffinity', 'required', 'nodeSelectorTerms').index(index);
      warnings.push(
        `${at.child('matchExpressions').index(number).child('key').toString()}: ${key} is ${said}`,
      );
    }
  }
  for (const [name, said] of VOLUME_WARNINGS) {
    if (has(spec, name)) warnings.push(`${SPEC.child(name).toString()}: ${said}`);
  }
  return warnings;
}
