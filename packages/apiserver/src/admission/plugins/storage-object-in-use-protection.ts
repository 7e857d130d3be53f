/**
 * StorageObjectInUseProtection: volumes, claims and their classes of attributes get the finalizer that keeps them
 * while somebody uses them; controllers take it away.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/storage/storageobjectinuseprotection.
 */

import { describeResource } from '../../api/meta.ts';
import { withFieldAt } from '../../validation/value.ts';
import type { MutatingPlugin } from '../admission.ts';

const FINALIZERS: Readonly<Record<string, string>> = {
  persistentvolumes: 'kubernetes.io/pv-protection',
  persistentvolumeclaims: 'kubernetes.io/pvc-protection',
  'volumeattributesclasses.storage.k8s.io': 'kubernetes.io/vac-protection',
};

export function storageObjectInUseProtection(): MutatingPlugin {
  return {
    name: 'StorageObjectInUseProtection',
    handles: (operation) => operation === 'CREATE',
    admit({ object, resource, subresource }) {
      const name = describeResource(resource);
      if (object === undefined || subresource !== '' || !Object.hasOwn(FINALIZERS, name)) {
        return Promise.resolve(object);
      }
      const finalizers = object.metadata.finalizers ?? [];
      const finalizer = FINALIZERS[name];
      return Promise.resolve(
        finalizers.includes(finalizer)
          ? object
          : withFieldAt(object, ['metadata', 'finalizers'], [...finalizers, finalizer]),
      );
    },
  };
}
