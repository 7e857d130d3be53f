/** CSIDriver, CSINode, CSIStorageCapacity and VolumeAttachment: what storage drivers and the cluster tell each other. */

import { FieldPath } from '../../validation/field-path.ts';
import { checkLabelSelector } from '../../validation/labels.ts';
import { checkDriverName } from '../../validation/pod-volumes.ts';
import {
  checkDnsSubdomain,
  checkImmutable,
  checkNotNegative,
  checkQualifiedName,
  checkQuantityNotNegative,
} from '../../validation/scalars.ts';
import { count, countOf, has, part, partOf, parts, same, text, texts } from '../../validation/value.ts';
import { defineKind, METADATA, SPEC } from '../kinds/kind.ts';

const GROUP = { group: 'storage.k8s.io', types: 'storage' } as const;
const NODE_ID_BYTES_MAX = 192;

export const csiDrivers = defineKind({
  ...GROUP,
  resource: 'csidrivers',
  kind: 'CSIDriver',
  scope: 'Cluster',
  returnsDeletedObject: true,
  checks: {
    generation: ['spec'],
    check(errors, object) {
      checkDriverName(errors, METADATA.child('name'), object.metadata.name ?? '');
      const spec = part(object, 'spec');
      for (const name of ['attachRequired', 'podInfoOnMount', 'storageCapacity', 'requiresRepublish']) {
        if (name !== 'requiresRepublish' && !has(spec, name)) errors.required(SPEC.child(name));
      }
      const policy = text(spec, 'fsGroupPolicy');
      const policies = ['File', 'None', 'ReadWriteOnceWithFSType'];
      if (policy === '') errors.required(SPEC.child('fsGroupPolicy'));
      else if (!policies.includes(policy)) errors.notSupported(SPEC.child('fsGroupPolicy'), policy, policies);
      for (const mode of texts(spec, 'volumeLifecycleModes')) {
        if (mode !== 'Persistent' && mode !== 'Ephemeral')
          errors.notSupported(SPEC.child('volumeLifecycleModes'), mode, ['Ephemeral', 'Persistent']);
      }
      const audiences = new Set<string>();
      for (const [index, request] of parts(spec, 'tokenRequests').entries()) {
        const at = SPEC.child('tokenRequests').index(index);
        const audience = text(request, 'audience');
        if (audiences.has(audience)) errors.duplicate(at.child('audience'), audience);
        audiences.add(audience);
        const seconds = countOf(request, 'expirationSeconds');
        if (seconds !== undefined && seconds < 600)
          errors.invalid(
            at.child('expirationSeconds'),
            seconds,
            'may not specify a duration less than 10 minutes',
          );
        if (seconds !== undefined && seconds > 2 ** 32)
          errors.invalid(
            at.child('expirationSeconds'),
            seconds,
            'may not specify a duration larger than 2^32 seconds',
          );
      }
    },
    checkUpdate(errors, object, old) {
      for (const name of ['attachRequired', 'volumeLifecycleModes']) {
        checkImmutable(errors, SPEC.child(name), part(object, 'spec')[name], part(old, 'spec')[name]);
      }
    },
  },
});

export const csiNodes = defineKind({
  ...GROUP,
  resource: 'csinodes',
  kind: 'CSINode',
  scope: 'Cluster',
  returnsDeletedObject: true,
  checks: {
    check(errors, object) {
      const names = new Set<string>();
      for (const [index, driver] of parts(part(object, 'spec'), 'drivers').entries()) {
        const at = SPEC.child('drivers').index(index);
        const name = text(driver, 'name');
        checkDriverName(errors, at.child('name'), name);
        if (names.has(name)) errors.duplicate(at.child('name'), name);
        names.add(name);
        const node = text(driver, 'nodeID');
        if (node === '') errors.required(at.child('nodeID'));
        if (node.length > NODE_ID_BYTES_MAX)
          errors.invalid(at.child('nodeID'), node, `must be ${NODE_ID_BYTES_MAX} characters or less`);
        checkNotNegative(
          errors,
          at.child('allocatable', 'count'),
          countOf(part(driver, 'allocatable'), 'count'),
        );
        const keys = new Set<string>();
        for (const key of texts(driver, 'topologyKeys')) {
          if (key === '') errors.required(at);
          if (keys.has(key)) errors.duplicate(at.child('topologyKeys'), key);
          keys.add(key);
          checkQualifiedName(errors, at.child('topologyKeys'), key);
        }
      }
    },
    checkUpdate(errors, object, old) {
      const now = parts(part(object, 'spec'), 'drivers');
      for (const before of parts(part(old, 'spec'), 'drivers')) {
        const kept = now.find((driver) => text(driver, 'name') === text(before, 'name'));
        const changed = (name: string): boolean => kept !== undefined && !same(kept[name], before[name]);
        if (changed('nodeID') || changed('topologyKeys'))
          errors.invalid(SPEC.child('drivers'), kept, 'field is immutable');
      }
    },
  },
});

export const csiStorageCapacities = defineKind({
  ...GROUP,
  resource: 'csistoragecapacities',
  kind: 'CSIStorageCapacity',
  scope: 'Namespaced',
  checks: {
    check(errors, object) {
      const name = text(object, 'storageClassName');
      if (name === '') errors.required(FieldPath.of('storageClassName'));
      else checkDnsSubdomain(errors, FieldPath.of('storageClassName'), name);
      checkLabelSelector(errors, FieldPath.of('nodeTopology'), partOf(object, 'nodeTopology'));
      for (const field of ['capacity', 'maximumVolumeSize']) {
        if (has(object, field)) checkQuantityNotNegative(errors, FieldPath.of(field), object[field]);
      }
    },
    checkUpdate(errors, object, old) {
      for (const name of ['nodeTopology', 'storageClassName']) {
        checkImmutable(errors, FieldPath.of(name), object[name], old[name]);
      }
    },
  },
});

export const volumeAttachments = defineKind({
  ...GROUP,
  resource: 'volumeattachments',
  kind: 'VolumeAttachment',
  scope: 'Cluster',
  returnsDeletedObject: true,
  checks: {
    check(errors, object) {
      const spec = part(object, 'spec');
      checkDriverName(errors, SPEC.child('attacher'), text(spec, 'attacher'));
      const source = part(spec, 'source');
      const name = text(source, 'persistentVolumeName');
      const inline = has(source, 'inlineVolumeSpec');
      if (!inline && !has(source, 'persistentVolumeName'))
        errors.required(
          SPEC.child('source'),
          'must specify exactly one of inlineVolumeSpec and persistentVolumeName',
        );
      if (inline && has(source, 'persistentVolumeName'))
        errors.forbidden(
          SPEC.child('source'),
          'must specify exactly one of inlineVolumeSpec and persistentVolumeName',
        );
      if (!inline && has(source, 'persistentVolumeName') && name === '')
        errors.required(
          SPEC.child('source', 'persistentVolumeName'),
          'must specify non empty persistentVolumeName',
        );
      const node = text(spec, 'nodeName');
      if (node === '') errors.required(SPEC.child('nodeName'));
      else checkDnsSubdomain(errors, SPEC.child('nodeName'), node);
    },
    checkUpdate(errors, object, old) {
      if (!same(object['spec'], old['spec'])) errors.invalid(SPEC, object['spec'], 'field is immutable');
    },
    status: {
      check(errors, object) {
        const code = count(part(part(object, 'status'), 'attachError'), 'errorCode');
        checkNotNegative(errors, FieldPath.of('status', 'attachError', 'errorCode'), code);
      },
    },
  },
});
