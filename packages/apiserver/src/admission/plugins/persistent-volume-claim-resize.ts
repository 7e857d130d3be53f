/**
 * PersistentVolumeClaimResize: a claim may only grow when it is bound and its class lets volumes grow.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/storage/persistentvolume/resize.
 */

import type { KubeObject } from '../../api/meta.ts';
import type { Quantity } from '../../api/quantity.ts';
import { quantity } from '../../validation/scalars.ts';
import { part, partAt, text } from '../../validation/value.ts';
import type { ValidatingPlugin } from '../admission.ts';
import type { PluginContext } from '../plugin-context.ts';
import { storageClassOf } from '../pod-amounts.ts';
import { refusal } from '../refusals.ts';
import { getOrLive } from '../resource-lookup.ts';

const STORAGE_CLASSES = { group: 'storage.k8s.io', resource: 'storageclasses' };

export function persistentVolumeClaimResize({ lookup }: PluginContext): ValidatingPlugin {
  const mayGrow = async (claim: KubeObject, old: KubeObject): Promise<boolean> => {
    const name = storageClassOf(claim) ?? '';
    if (name === '' || name !== (storageClassOf(old) ?? '')) return false;
    const found = await getOrLive(lookup.of(STORAGE_CLASSES), '', name);
    return found?.['allowVolumeExpansion'] === true;
  };
  return {
    name: 'PersistentVolumeClaimResize',
    handles: (operation) => operation === 'UPDATE',
    async validate(attributes) {
      const { object: claim, oldObject: old, resource, subresource } = attributes;
      const isClaim = resource.group === '' && resource.resource === 'persistentvolumeclaims';
      if (claim === undefined || old === undefined || !isClaim || subresource !== '') return;
      if (sizeOf(claim).compare(sizeOf(old)) <= 0) return;
      if (text(part(old, 'status'), 'phase') !== 'Bound') {
        throw refusal(attributes, 'Only bound persistent volume claims can be expanded');
      }
      if (!(await mayGrow(claim, old))) {
        throw refusal(
          attributes,
          'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
        );
      }
    },
  };
}

function sizeOf(claim: KubeObject): Quantity {
  return quantity(partAt(claim, 'spec', 'resources', 'requests')['storage']);
}
