/**
 * CertificateSigning: only who may `sign` for a signer puts a certificate or its failure into a request.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/certificates/signing.
 */

import { part, same, text } from '../../validation/value.ts';
import type { ValidatingPlugin } from '../admission.ts';
import type { PluginContext } from '../plugin-context.ts';
import { refusal } from '../refusals.ts';
import { isSigningRequests, maySign } from '../signers.ts';

export function certificateSigning({ authorizer }: PluginContext): ValidatingPlugin {
  return {
    name: 'CertificateSigning',
    handles: (operation) => operation === 'UPDATE',
    async validate(attributes) {
      const { object, oldObject, resource, subresource, user } = attributes;
      if (object === undefined || oldObject === undefined || subresource !== 'status') return;
      const [now, before] = [part(object, 'status'), part(oldObject, 'status')];
      if (isSigningRequests(attributes)) {
        const unchanged =
          now['certificate'] === before['certificate'] && same(now['conditions'], before['conditions']);
        if (unchanged) return;
      } else if (resource.resource !== 'podcertificaterequests' || same(now, before)) {
        return;
      }
      const signer = text(part(oldObject, 'spec'), 'signerName');
      if (await maySign(authorizer, user, 'sign', signer)) return;
      throw refusal(
        attributes,
        `user not permitted to sign requests with signerName ${JSON.stringify(signer)}`,
      );
    },
  };
}
