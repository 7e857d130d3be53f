/**
 * DenyServiceExternalIPs: no service may take addresses that somebody else may own; those it has it may keep.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/network/denyserviceexternalips.
 */

import { part, texts } from '../../validation/value.ts';
import type { ValidatingPlugin } from '../admission.ts';
import { refusal } from '../refusals.ts';

export function denyServiceExternalIPs(): ValidatingPlugin {
  return {
    name: 'DenyServiceExternalIPs',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    validate(attributes) {
      const { object, oldObject, resource, subresource } = attributes;
      const isService = resource.group === '' && resource.resource === 'services';
      if (object === undefined || !isService || subresource !== '') return Promise.resolve();
      const before = oldObject === undefined ? [] : texts(part(oldObject, 'spec'), 'externalIPs');
      const added = texts(part(object, 'spec'), 'externalIPs').filter((address) => !before.includes(address));
      return added.length === 0
        ? Promise.resolve()
        : Promise.reject(refusal(attributes, 'Use of external IPs is denied by admission control.'));
    },
  };
}
