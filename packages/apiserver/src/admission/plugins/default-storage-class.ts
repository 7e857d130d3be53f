/**
 * DefaultStorageClass: a claim that names no class gets the one that is marked as the default, the newest of several.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/storage/storageclass/setdefault.
 */

import { withFieldAt } from '../../validation/value.ts';
import type { MutatingPlugin } from '../admission.ts';
import { newestMarked } from '../default-class.ts';
import type { PluginContext } from '../plugin-context.ts';
import { storageClassOf } from '../pod-amounts.ts';

const STORAGE_CLASSES = { group: 'storage.k8s.io', resource: 'storageclasses' };
const MARKS: readonly string[] = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

export function defaultStorageClass({ lookup }: PluginContext): MutatingPlugin {
  return {
    name: 'DefaultStorageClass',
    handles: (operation) => operation === 'CREATE',
    async admit({ object: claim, resource, subresource }) {
      const isClaim = resource.group === '' && resource.resource === 'persistentvolumeclaims';
      if (claim === undefined || !isClaim || subresource !== '' || storageClassOf(claim) !== undefined) {
        return claim;
      }
      const found = newestMarked((await lookup.of(STORAGE_CLASSES)?.list('')) ?? [], MARKS);
      return found === undefined
        ? claim
        : withFieldAt(claim, ['spec', 'storageClassName'], found.metadata.name);
    },
  };
}
