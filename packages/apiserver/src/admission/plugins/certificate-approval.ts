/**
 * CertificateApproval: only who may `approve` for a signer approves requests to it.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/certificates/approval.
 */

import { part, text } from '../../validation/value.ts';
import type { ValidatingPlugin } from '../admission.ts';
import type { PluginContext } from '../plugin-context.ts';
import { refusal } from '../refusals.ts';
import { isSigningRequests, maySign } from '../signers.ts';

export function certificateApproval({ authorizer }: PluginContext): ValidatingPlugin {
  return {
    name: 'CertificateApproval',
    handles: (operation) => operation === 'UPDATE',
    async validate(attributes) {
      const { oldObject, subresource, user } = attributes;
      if (!isSigningRequests(attributes) || subresource !== 'approval' || oldObject === undefined) return;
      const signer = text(part(oldObject, 'spec'), 'signerName');
      if (await maySign(authorizer, user, 'approve', signer)) return;
      throw refusal(
        attributes,
        `user not permitted to approve requests with signerName ${JSON.stringify(signer)}`,
      );
    },
  };
}
