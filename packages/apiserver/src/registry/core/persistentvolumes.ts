/** PersistentVolume: storage of the cluster, whose source stays once it is said. */

import { checkNodeSelector } from '../../validation/pod-placement.ts';
import { checkDriverName, checkNoBacksteps, checkSharedSource } from '../../validation/pod-volumes.ts';
import { checkResourceAmount, checkResourceName } from '../../validation/pod-resources.ts';
import { ACCESS_MODES, VOLUME_MODES } from '../../validation/volume-claims.ts';
import { checkDnsSubdomain, quantity } from '../../validation/scalars.ts';
import { has, part, partOf, same, text, texts } from '../../validation/value.ts';
import { defineKind, SPEC } from '../kinds/kind.ts';

const SOURCES: readonly string[] = [
  'hostPath gcePersistentDisk awsElasticBlockStore glusterfs flocker nfs rbd cephfs iscsi cinder fc flexVolume',
  'azureFile vsphereVolume quobyte photonPersistentDisk azureDisk portworxVolume scaleIO local storageos csi',
].flatMap((names) => names.split(' '));
/** Those that may name objects of other namespaces, and so are checked here alone. */
const OWN: ReadonlySet<string> = new Set([
  'csi',
  'local',
  'flexVolume',
  'azureFile',
  'scaleIO',
  'storageos',
  'cephfs',
  'rbd',
]);
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
        checkResourceName(errors, at, name);
        checkResourceAmount(errors, at, name, value);
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
        const at = SPEC.child(name);
        if (sources > 1) errors.forbidden(at, 'may not specify more than 1 volume type');
        else if (name === 'csi') {
          checkDriverName(errors, at.child('driver'), text(source, 'driver'));
          if (text(source, 'volumeHandle') === '') errors.required(at.child('volumeHandle'));
        } else if (name === 'local') {
          if (text(source, 'path') === '') errors.required(at.child('path'));
          else checkNoBacksteps(errors, at.child('path'), text(source, 'path'));
          if (affinity === undefined)
            errors.required(SPEC.child('nodeAffinity'), 'Local volume requires node affinity');
        } else if (!OWN.has(name)) checkSharedSource(errors, at, name, source);
      }
      if (sources === 0) errors.required(SPEC, 'must specify a volume type');
      if (text(part(spec, 'hostPath'), 'path') === '/' && policy === 'Recycle') {
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
    },
    checkUpdate(errors, object, old) {
      const spec = part(object, 'spec');
      const before = part(old, 'spec');
      if (SOURCES.some((name) => !same(spec[name], before[name]))) {
        errors.forbidden(
          SPEC.child('persistentvolumesource'),
          'spec.persistentvolumesource is immutable after creation',
        );
      }
      if (!same(spec['volumeMode'], before['volumeMode']))
        errors.invalid(SPEC.child('volumeMode'), spec['volumeMode'], 'field is immutable');
      if (has(before, 'nodeAffinity') && !same(spec['nodeAffinity'], before['nodeAffinity'])) {
        errors.invalid(SPEC.child('nodeAffinity'), spec['nodeAffinity'], 'field is immutable');
      }
    },
    status: {},
  },
  returnsDeletedObject: true,
});
