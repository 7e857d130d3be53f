/**
 * CertificateSubjectRestriction: no certificate for clients of the API server is asked for that would put its holder
 * among the masters.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/certificates/subjectrestriction.
 */

import { GROUP_MASTERS } from '../../api/user-info.ts';
import { OID } from '../../pki/certificate.ts';
import { textsOfType } from '../../pki/certificate-reader.ts';
import { part, text } from '../../validation/value.ts';
import type { ValidatingPlugin } from '../admission.ts';
import { requestSubject } from '../certificate-request.ts';
import { refusal, textOf } from '../refusals.ts';
import { isSigningRequests } from '../signers.ts';

const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client';

export function certificateSubjectRestriction(): ValidatingPlugin {
  return {
    name: 'CertificateSubjectRestriction',
    handles: (operation) => operation === 'CREATE',
    validate(attributes) {
      const { object, subresource } = attributes;
      if (object === undefined || !isSigningRequests(attributes) || subresource !== '') {
        return Promise.resolve();
      }
      const spec = part(object, 'spec');
      if (text(spec, 'signerName') !== CLIENT_SIGNER) return Promise.resolve();
      let groups: readonly string[];
      try {
        groups = textsOfType(requestSubject(text(spec, 'request')), OID.organization);
      } catch (error) {
        return Promise.reject(refusal(attributes, `failed to parse CSR: ${textOf(error)}`));
      }
      if (!groups.includes(GROUP_MASTERS)) return Promise.resolve();
      return Promise.reject(
        refusal(attributes, `use of ${CLIENT_SIGNER} signer with ${GROUP_MASTERS} group is not allowed`),
      );
    },
  };
}
