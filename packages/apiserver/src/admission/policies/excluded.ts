/** Resources that no policy is asked about: policies themselves, which could not be taken away, and questions of access. */

import { describeResource } from '../../api/meta.ts';
import type { AdmissionAttributes } from '../admission.ts';

const EXCLUDED: ReadonlySet<string> = new Set([
  'validatingadmissionpolicies.admissionregistration.k8s.io',
  'validatingadmissionpolicybindings.admissionregistration.k8s.io',
  'mutatingadmissionpolicies.admissionregistration.k8s.io',
  'mutatingadmissionpolicybindings.admissionregistration.k8s.io',
  'selfsubjectreviews.authentication.k8s.io',
  'tokenreviews.authentication.k8s.io',
  'localsubjectaccessreviews.authorization.k8s.io',
  'selfsubjectaccessreviews.authorization.k8s.io',
  'selfsubjectrulesreviews.authorization.k8s.io',
  'subjectaccessreviews.authorization.k8s.io',
]);

export function isExcluded({ resource }: AdmissionAttributes): boolean {
  return resource.group.endsWith('.k8s.io') && EXCLUDED.has(describeResource(resource));
}
