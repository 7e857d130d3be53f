/**
 * TokenReview and SelfSubjectReview: sent, answered, never kept. Who a token is from is the authenticators' to say.
 */

import type { TokenAuthenticator } from '../../authn/authenticator.ts';
import { reviewSelf, reviewToken } from '../../authn/reviews.ts';
import { badRequest, internalError } from '../../api/status.ts';
import type { ResourceDefinition } from '../resource.ts';
import { virtualKind } from '../kinds/virtual-kind.ts';

const GROUP = { group: 'authentication.k8s.io', types: 'authentication', scope: 'Cluster' } as const;

export interface AuthenticationReviews {
  /** All ways to know a token. */
  readonly tokens: TokenAuthenticator;
  /** --api-audiences: for whom a token must be good when the review names nobody. */
  readonly audiences: readonly string[];
}

export function authenticationReviews({ tokens, audiences }: AuthenticationReviews): ResourceDefinition[] {
  return [
    virtualKind({
      ...GROUP,
      resource: 'tokenreviews',
      kind: 'TokenReview',
      create: ({ body }) => {
        if (body === undefined) throw badRequest('not a TokenReview: <nil>');
        return reviewToken(body, tokens, audiences);
      },
    }),
    virtualKind({
      ...GROUP,
      resource: 'selfsubjectreviews',
      kind: 'SelfSubjectReview',
      create: ({ body, context }) => {
        if (body === undefined) throw badRequest('not a SelfSubjectReview: <nil>');
        if (context.user === undefined) throw internalError('no user found for the request');
        return Promise.resolve(reviewSelf(body, context.user, context.nowMs));
      },
    }),
  ];
}
