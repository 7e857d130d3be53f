/**
 * What an authorizer can tell of all that a user may do, for SelfSubjectRulesReview, and how the answers of
 * several are joined. An authorizer that cannot enumerate says so, and the review is marked incomplete.
 */

import type { UserInfo } from '../api/user-info.ts';
import type { PolicyRule } from './rules.ts';

export interface UserRules {
  readonly resourceRules: readonly PolicyRule[];
  readonly nonResourceRules: readonly PolicyRule[];
  /** Whether there may be more than is listed. */
  readonly incomplete: boolean;
  readonly errors: readonly string[];
}

export interface RuleResolver {
  rulesFor(user: UserInfo, namespace: string): UserRules;
}

/** Nothing, and that for certain. */
export const NO_RULES: UserRules = {
  resourceRules: [],
  nonResourceRules: [],
  incomplete: false,
  errors: [],
};

/** Everything: what AlwaysAllow tells. */
export const EVERYTHING: RuleResolver = {
  rulesFor: () => ({
    resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
    nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
    incomplete: false,
    errors: [],
  }),
};

/** The answers of several authorizers as one. */
export function joinRules(resolvers: readonly RuleResolver[], user: UserInfo, namespace: string): UserRules {
  const all = resolvers.map((resolver) => resolver.rulesFor(user, namespace));
  return {
    resourceRules: all.flatMap((one) => one.resourceRules),
    nonResourceRules: all.flatMap((one) => one.nonResourceRules),
    incomplete: all.some((one) => one.incomplete),
    errors: all.flatMap((one) => one.errors),
  };
}
