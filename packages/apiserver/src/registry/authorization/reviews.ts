/**
 * SubjectAccessReview in its forms and SelfSubjectRulesReview: sent, answered by the authorizers that decide the
 * requests themselves, never kept.
 */

import { badRequest } from '../../api/status.ts';
import type { Authorizer, UserInfo } from '../../api/user-info.ts';
import {
  reviewLocalSubjectAccess,
  reviewSelfAccess,
  reviewSelfRules,
  reviewSubjectAccess,
} from '../../authz/reviews.ts';
import type { RuleResolver } from '../../authz/user-rules.ts';
import type { KubeObject } from '../../api/meta.ts';
import { virtualKind } from '../kinds/virtual-kind.ts';
import type { ResourceCall, ResourceDefinition } from '../resource.ts';

const GROUP = { group: 'authorization.k8s.io', types: 'authorization' } as const;

/** @param authorizer all modes of the server */
export function authorizationReviews(authorizer: Authorizer & RuleResolver): ResourceDefinition[] {
  return [
    virtualKind({
      ...GROUP,
      resource: 'subjectaccessreviews',
      kind: 'SubjectAccessReview',
      scope: 'Cluster',
      create: (call) => reviewSubjectAccess(bodyOf(call, 'SubjectAccessReview'), authorizer),
    }),
    virtualKind({
      ...GROUP,
      resource: 'localsubjectaccessreviews',
      kind: 'LocalSubjectAccessReview',
      scope: 'Namespaced',
      create: (call) => reviewLocalSubjectAccess(bodyOf(call, 'LocalSubjectAccessReview'), authorizer),
    }),
    virtualKind({
      ...GROUP,
      resource: 'selfsubjectaccessreviews',
      kind: 'SelfSubjectAccessReview',
      scope: 'Cluster',
      create: (call) => reviewSelfAccess(bodyOf(call, 'SelfSubjectAccessReview'), userOf(call), authorizer),
    }),
    virtualKind({
      ...GROUP,
      resource: 'selfsubjectrulesreviews',
      kind: 'SelfSubjectRulesReview',
      scope: 'Cluster',
      create: (call) =>
        Promise.resolve(reviewSelfRules(bodyOf(call, 'SelfSubjectRulesReview'), userOf(call), authorizer)),
    }),
  ];
}

function bodyOf({ body }: ResourceCall, kind: string): KubeObject {
  if (body === undefined) throw badRequest(`not a ${kind}: <nil>`);
  return body;
}

function userOf({ context }: ResourceCall): UserInfo {
  if (context.user === undefined) throw badRequest('no user present on request');
  return context.user;
}
