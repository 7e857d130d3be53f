/** PersistentVolume: storage of the cluster, whose source stays once it is said. */

import { checkNodeSelector } from '../../validation/pod-placement.ts';
import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { nodeLabelWarning, VOLUME_WARNINGS } from '../../validation/pod-warnings.ts';
import { shownVolumeAffinity } from '../../validation/go-shape.ts';
import { checkAccessModes, VOLUME_MODES } from '../../validation/volume-claims.ts';
import { checkDnsSubdomain, checkOptionalEnum, quantity } from '../../validation/scalars.ts';
import { SHARED_SOURCES } from '../../validation/volume-sources.ts';
import {
  has,
  part,
  partOf,
  parts,
  same,
  text,
  textOf,
  texts,
  withField,
  without,
} from '../../validation/value.ts';
import { defineKind, SPEC } from '../kinds/kind.ts';

const SOURCES: readonly string[] = [
  'hostPath gcePersistentDisk awsElasticBlockStore glusterfs flocker nfs rbd quobyte cephfs iscsi cinder fc',
  'flexVolume azureFile vsphereVolume photonPersistentDisk portworxVolume azureDisk scaleIO local storageos csi',
].flatMap((names) => names.split(' '));
const EXPAND = 'controllerExpandSecretRef';
const POLICIES: readonly string[] = ['Delete', 'Recycle', 'Retain'];

export const persistentVolumes = defineKind({
  group: '',
  types: 'core',
  resource: 'persistentvolumes',
  kind: 'PersistentVolume',
  scope: 'Cluster',
  shortNames: ['pv'],
  checks: {
    prepareForCreate: (object) => ({ ...object, status: { phase: 'Pending' } }),
    check(errors, object) {
      const spec = part(object, 'spec');
      const modes = texts(spec, 'accessModes');
      if (modes.length === 0) errors.required(SPEC.child('accessModes'));
      checkAccessModes(errors, SPEC.child('accessModes'), modes);
      const capacity = part(spec, 'capacity');
      if (Object.keys(capacity).length === 0) errors.required(SPEC.child('capacity'));
      if (capacity['storage'] === undefined || Object.keys(capacity).length > 1) {
        errors.notSupported(SPEC.child('capacity'), capacity, ['storage']);
      }
      for (const [name, value] of Object.entries(capacity)) {
        const at = SPEC.child('capacity').key(name);
        const whole = quantity(value).nanos / 1_000_000_000n;
        if (whole < 0n) errors.invalid(at, whole, 'must be a valid resource quantity');
        if (quantity(value).nanos <= 0n) errors.invalid(at, value, 'must be greater than zero');
      }
      const policy = text(spec, 'persistentVolumeReclaimPolicy');
      if (policy !== '' && !POLICIES.includes(policy)) {
        errors.notSupported(SPEC.child('persistentVolumeReclaimPolicy'), policy, POLICIES);
      }
      const affinity = partOf(part(spec, 'nodeAffinity'), 'required');
      if (has(spec, 'nodeAffinity') && affinity === undefined)
        errors.required(SPEC.child('nodeAffinity', 'required'), 'must specify required node constraints');
      if (affinity !== undefined) checkNodeSelector(errors, SPEC.child('nodeAffinity', 'required'), affinity);
      let sources = 0;
      for (const name of SOURCES) {
        const source = partOf(spec, name);
        if (source === undefined) continue;
        sources += 1;
        if (sources > 1 && name !== 'flexVolume')
          errors.forbidden(
            SPEC.child(name === 'cephfs' ? 'cephFS' : name),
            'may not specify more than 1 volume type',
          );
        else {
          const at = SPEC.child(name === 'gcePersistentDisk' ? 'persistentDisk' : name);
          SHARED_SOURCES[name]?.(errors, at, source, true);
        }
        if (name === 'iscsi' && has(source, 'initiatorName')) checkTarget(errors, object, source);
        if (name === 'local' && sources === 1 && !has(spec, 'nodeAffinity'))
          errors.required(SPEC.child('nodeAffinity'), 'Local volume requires node affinity');
      }
      if (sources === 0) errors.required(SPEC, 'must specify a volume type');
      if (/^\/+(\.?\/*)*$/.test(text(part(spec, 'hostPath'), 'path')) && policy === 'Recycle') {
        errors.forbidden(
          SPEC.child('persistentVolumeReclaimPolicy'),
          "may not be 'recycle' for a hostPath mount of '/'",
        );
      }
      const storageClass = text(spec, 'storageClassName');
      if (storageClass !== '') checkDnsSubdomain(errors, SPEC.child('storageClassName'), storageClass);
      checkOptionalEnum(errors, SPEC.child('volumeMode'), textOf(spec, 'volumeMode'), VOLUME_MODES);
      if (has(spec, 'volumeAttributesClassName')) {
        const attributes = text(spec, 'volumeAttributesClassName');
        const at = SPEC.child('volumeAttributesClassName');
        if (attributes === '') errors.required(at, 'an empty string is disallowed');
        else checkDnsSubdomain(errors, at, attributes);
        if (!has(spec, 'csi'))
          errors.required(SPEC.child('csi'), 'has to be specified when using volumeAttributesClassName');
      }
    },
    checkUpdate(errors, object, old) {
      const spec = part(object, 'spec');
      const before = part(old, 'spec');
      // A secret for growing may be named later.
      const named = has(part(spec, 'csi'), EXPAND) && !has(part(before, 'csi'), EXPAND);
      const now = named ? withField(spec, 'csi', without(part(spec, 'csi'), EXPAND)) : spec;
      if (SOURCES.some((name) => !same(now[name], before[name]))) {
        errors.forbidden(
          SPEC.child('persistentvolumesource'),
          'spec.persistentvolumesource is immutable after creation\n',
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
    status: {},
  },
  returnsDeletedObject: true,
});

/** A volume's and its portal's names together go into one of a device. */
function checkTarget(errors: FieldErrors, object: KubeObject, source: JsonObject): void {
  const portal = text(source, 'targetPortal');
  if (`${object.metadata.name ?? ''}:${portal}`.length <= 64) return;
  errors.invalid(
    SPEC.child('iscsi', 'targetportal'),
    portal,
    'Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.',
  );
}

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
