/**
 * serviceaccounts/NAME/token: a token on request. What may be asked for and what the token says is the issuer's;
 * here the account is found, and a client is told when its wish was cut.
 */

import type { TokenIssuer } from '../../authn/token-request.ts';
import type { KubeObject } from '../../api/meta.ts';
import { badRequest, internalError } from '../../api/status.ts';
import type { ResourceCall, SubresourceDefinition } from '../resource.ts';

/** By what of the audit log a token's uses are found. */
const ISSUED = 'authentication.kubernetes.io/issued-credential-id';

/** @param issuer has the key that signs */
export function serviceAccountToken(issuer: TokenIssuer): SubresourceDefinition {
  return {
    name: 'token',
    kind: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
    typeName: 'authentication.v1.TokenRequest',
    verbs: ['create'],
    backing: {
      kind: 'create',
      async complete(call) {
        const { account, body } = await askedOf(call);
        return issuer.completed(account, body);
      },
      async create(call) {
        const { account, body } = await askedOf(call);
        const { request } = call;
        return await issuer.request(
          account,
          body,
          (text) => request.warn(text),
          (id) => request.context.auditAnnotations.set(ISSUED, id),
        );
      },
    },
  };
}

/** @throws ApiError NotFound for an account that is not there */
async function askedOf({ body, namespace, name, stores }: ResourceCall): Promise<{
  readonly account: KubeObject;
  readonly body: KubeObject;
}> {
  if (body === undefined) throw badRequest('a TokenRequest is required');
  const accounts = stores.of({ group: '', resource: 'serviceaccounts' });
  if (accounts === undefined) throw internalError('service accounts are not served');
  return { account: await accounts.get(namespace, name), body };
}
