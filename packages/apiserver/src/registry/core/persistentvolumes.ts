/** PersistentVolume: storage of the cluster, whose source stays once it is said. */

import { checkNodeSelector } from '../../validation/pod-placement.ts';
import type { JsonObject } from '../../api/json.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { FieldErrors } from '../../validation/field-errors.ts';
import { FieldPath } from '../../validation/field-path.ts';
import { nodeLabelWarning, VOLUME_WARNINGS } from '../../validation/pod-warnings.ts';
import { checkDriverName, checkNoBacksteps, checkSharedSource } from '../../validation/pod-volumes.ts';
import { ACCESS_MODES, VOLUME_MODES } from '../../validation/volume-claims.ts';
import { checkDnsLabel, checkDnsSubdomain, quantity } from '../../validation/scalars.ts';
import { has, part, partOf, parts, same, text, texts, withField, without } from '../../validation/value.ts';
import { defineKind, SPEC } from '../kinds/kind.ts';

const SOURCES: readonly string[] = [
  'hostPath gcePersistentDisk awsElasticBlockStore glusterfs flocker nfs rbd cephfs iscsi cinder fc flexVolume',
  'azureFile vsphereVolume quobyte photonPersistentDisk azureDisk portworxVolume scaleIO local storageos csi',
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
      for (const mode of modes) {
        if (!ACCESS_MODES.includes(mode)) errors.notSupported(SPEC.child('accessModes'), mode, ACCESS_MODES);
      }
      if (modes.includes('ReadWriteOncePod') && modes.length > 1) {
        errors.forbidden(SPEC.child('accessModes'), 'may not use ReadWriteOncePod with other access modes');
      }
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
        if (sources > 1)
          errors.forbidden(
            SPEC.child(name === 'cephfs' ? 'cephFS' : name),
            'may not specify more than 1 volume type',
          );
        else checkVolumeSource(errors, name, source, has(spec, 'nodeAffinity'));
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
      const mode = text(spec, 'volumeMode');
      if (mode !== '' && !VOLUME_MODES.includes(mode))
        errors.notSupported(SPEC.child('volumeMode'), mode, VOLUME_MODES);
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
          'spec.persistentvolumesource is immutable after creation',
        );
      }
      if (!same(spec['volumeMode'], before['volumeMode']))
        errors.invalid(FieldPath.of('volumeMode'), spec['volumeMode'], 'field is immutable');
      if (has(before, 'nodeAffinity') && !same(spec['nodeAffinity'], before['nodeAffinity'])) {
        errors.invalid(FieldPath.of('nodeAffinity'), spec['nodeAffinity'], 'field is immutable');
      }
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

function checkVolumeSource(errors: FieldErrors, name: string, source: JsonObject, placed: boolean): void {
  const at = SPEC.child(name);
  const need = (...fields: readonly string[]): void => {
    for (const field of fields) {
      const value = source[field];
      if (Array.isArray(value) ? value.length === 0 : text(source, field) === '')
        errors.required(at.child(field));
    }
  };
  switch (name) {
    case 'csi':
      checkDriverName(errors, at.child('driver'), text(source, 'driver'));
      need('volumeHandle');
      for (const field of [
        'controllerPublishSecretRef',
        'nodePublishSecretRef',
        'nodeStageSecretRef',
        EXPAND,
        'nodeExpandSecretRef',
      ])
        checkSecret(errors, at.child(field), partOf(source, field));
      break;
    case 'local':
      need('path');
      if (text(source, 'path') !== '') checkNoBacksteps(errors, at.child('path'), text(source, 'path'));
      if (!placed) errors.required(SPEC.child('nodeAffinity'), 'Local volume requires node affinity');
      break;
    case 'azureFile':
      need('secretName', 'shareName');
      if (has(source, 'secretNamespace')) need('secretNamespace');
      break;
    case 'flexVolume':
      need('driver');
      break;
    case 'cephfs':
      need('monitors');
      break;
    case 'rbd':
      need('monitors', 'image');
      break;
    case 'scaleIO':
      need('gateway', 'system', 'volumeName');
      break;
    case 'storageos':
      need('volumeName');
      break;
    default:
      checkSharedSource(errors, at, name, source);
  }
}

/** A secret by name and namespace. */
function checkSecret(errors: FieldErrors, path: FieldPath, secret: JsonObject | undefined): void {
  if (secret === undefined) return;
  const name = text(secret, 'name');
  const namespace = text(secret, 'namespace');
  if (name === '') errors.required(path.child('name'));
  else checkDnsSubdomain(errors, path.child('name'), name);
  if (namespace === '') errors.required(path.child('namespace'));
  else checkDnsLabel(errors, path.child('namespace'), namespace);
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
