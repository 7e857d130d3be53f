/** serviceaccount-controller: every namespace has the service account `default`. */

import type { ControllerParts } from '../controller.ts';
import { NamespacedUpkeep } from '../namespaced-upkeep.ts';
import { SERVICE_ACCOUNTS } from '../resources.ts';

export function defaultServiceAccounts(parts: ControllerParts): NamespacedUpkeep {
  return new NamespacedUpkeep(parts, {
    name: 'serviceaccount',
    resource: SERVICE_ACCOUNTS,
    objectName: 'default',
    request: { metadataOnly: true },
    wanted: (namespace) => ({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace },
    }),
    right: () => true,
    mended: (object) => object,
  });
}
