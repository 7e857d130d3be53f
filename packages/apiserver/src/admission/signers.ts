/**
 * Who may approve, sign or attest for a signer: permission on the signer's name, or on all names of its domain.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/certificates and pkg/apis/certificates/authorization.
 */

import type { Authorizer, UserInfo } from '../api/user-info.ts';
import type { AdmissionAttributes } from './admission.ts';

const GROUP = 'certificates.k8s.io';

export function isSigningRequests({ resource }: AdmissionAttributes): boolean {
  return resource.group === GROUP && resource.resource === 'certificatesigningrequests';
}

export async function maySign(
  authorizer: Authorizer,
  user: UserInfo | undefined,
  verb: 'approve' | 'sign' | 'attest',
  signer: string,
): Promise<boolean> {
  if (user === undefined) return false;
  const ask = async (name: string): Promise<boolean> => {
    const { kind } = await authorizer.authorize({
      user,
      verb,
      isResource: true,
      group: GROUP,
      version: '*',
      resource: 'signers',
      subresource: '',
      namespace: '',
      name,
      path: '',
    });
    return kind === 'allow';
  };
  if (await ask(signer)) return true;
  return await ask(`${signer.split('/', 1)[0]}/*`);
}
