/**
 * Who asks, and the question whether he may: the words authentication, authorization, admission and audit
 * share (authentication.k8s.io and authorizer.Attributes). Types and the well-known names only.
 */

import type { FieldRequirement, Requirement } from './selectors.ts';

/** Who a request comes from, as authentication found. */
export interface UserInfo {
  readonly name: string;
  readonly uid: string;
  readonly groups: readonly string[];
  /** Keys in lower case. */
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

export const ANONYMOUS = 'system:anonymous';
export const GROUP_AUTHENTICATED = 'system:authenticated';
export const GROUP_UNAUTHENTICATED = 'system:unauthenticated';
/** Members pass every authorization before it is asked. */
export const GROUP_MASTERS = 'system:masters';
export const GROUP_SERVICE_ACCOUNTS = 'system:serviceaccounts';
export const GROUP_NODES = 'system:nodes';

/** `system:serviceaccount:NAMESPACE:NAME`. */
export function serviceAccountUser(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`;
}

/** What a request wants to do, as authorizers are asked. */
export interface AuthorizationAttributes {
  readonly user: UserInfo;
  readonly verb: string;
  /** Whether `group` … `name` describe the request; else only `path` does. */
  readonly isResource: boolean;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly path: string;
  /** Requirements of list, watch and deletecollection; undefined where none were given or they did not parse. */
  readonly labelSelector?: readonly Requirement[];
  readonly fieldSelector?: readonly FieldRequirement[];
}

/** An authorizer's answer; the first that is no `no-opinion` decides, and none at all means no. */
export interface Decision {
  readonly kind: 'allow' | 'deny' | 'no-opinion';
  /** Said to the client behind the refusal, and in the audit event. */
  readonly reason: string;
  /** What could not be evaluated (a role that is not found); does not change the decision. */
  readonly error?: string;
}

export interface Authorizer {
  authorize(attributes: AuthorizationAttributes): Promise<Decision>;
}
