/**
 * ClusterTrustBundleAttest: only who may `attest` for a signer says which roots it is trusted by.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/certificates/ctbattest.
 */

import { part, same, text, without } from '../../validation/value.ts';
import type { KubeObject } from '../../api/meta.ts';
import type { ValidatingPlugin } from '../admission.ts';
import type { PluginContext } from '../plugin-context.ts';
import { refusal } from '../refusals.ts';
import { maySign } from '../signers.ts';

export function clusterTrustBundleAttest({ authorizer }: PluginContext): ValidatingPlugin {
  return {
    name: 'ClusterTrustBundleAttest',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async validate(attributes) {
      const { object, oldObject, operation, resource, subresource, user } = attributes;
      const isBundle =
        resource.group === 'certificates.k8s.io' && resource.resource === 'clustertrustbundles';
      if (object === undefined || !isBundle || subresource !== '') return;
      // Garbage collection touches metadata only.
      if (
        operation === 'UPDATE' &&
        oldObject !== undefined &&
        same(substance(object), substance(oldObject))
      ) {
        return;
      }
      // A bundle's signer cannot change, so the new one's is right.
      const signer = text(part(object, 'spec'), 'signerName');
      if (signer === '' || (await maySign(authorizer, user, 'attest', signer))) return;
      throw refusal(attributes, `user not permitted to attest for signerName ${JSON.stringify(signer)}`);
    },
  };
}

function substance(bundle: KubeObject): unknown {
  return without({ ...bundle }, 'metadata');
}
