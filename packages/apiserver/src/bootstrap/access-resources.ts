/**
 * The resources by which clients ask about and change who may do what, joined to the kinds a server has: reviews, the
 * token of a service account, and the check against escalation before roles and bindings.
 */

import type { TokenIssuer } from '../authn/token-request.ts';
import { RBAC_GROUP } from '../authz/rbac-objects.ts';
import { authenticationReviews, type AuthenticationReviews } from '../registry/authentication/reviews.ts';
import { authorizationReviews } from '../registry/authorization/reviews.ts';
import { serviceAccountToken } from '../registry/core/serviceaccount-token.ts';
import { withEscalationCheck } from '../registry/rbac/escalation-hooks.ts';
import type { ResourceDefinition } from '../registry/resource.ts';
import type { Access } from './access.ts';

export interface AccessResourcesOptions extends AuthenticationReviews {
  readonly access: Access;
  /** Undefined on a server that signs no tokens: there is no `serviceaccounts/token` then. */
  readonly issuer?: TokenIssuer | undefined;
}

/** @param definitions the kinds of the server, built-in and others */
export function withAccessResources(
  definitions: readonly ResourceDefinition[],
  options: AccessResourcesOptions,
): ResourceDefinition[] {
  const { access, issuer } = options;
  const joined = definitions.map((definition): ResourceDefinition => {
    if (definition.group === RBAC_GROUP) return withEscalationCheck(definition, access.escalation);
    if (issuer === undefined || definition.group !== '' || definition.resource !== 'serviceaccounts') {
      return definition;
    }
    return { ...definition, subresources: [...definition.subresources, serviceAccountToken(issuer)] };
  });
  return [...joined, ...authenticationReviews(options), ...authorizationReviews(access.authorizer)];
}
