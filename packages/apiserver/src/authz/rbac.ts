/**
 * Role-based access control: the decision from the rules that a user's bindings give him, and those rules
 * themselves for reviews and for the check against escalation. Allows or has no opinion, never denies.
 *
 * Modelled on kubernetes' plugin/pkg/auth/authorizer/rbac and its rule resolver, texts included. A binding whose
 * role is missing gives nothing and is told in the reason.
 */

import { notFound, type ApiError } from '../api/status.ts';
import type { AuthorizationAttributes, Authorizer, Decision, UserInfo } from '../api/user-info.ts';
import { RBAC_GROUP, type Bound, type RbacSource, type RoleRef } from './rbac-objects.ts';
import { ruleAllows, type PolicyRule } from './rules.ts';
import type { RuleResolver, UserRules } from './user-rules.ts';

/** Rules with what could not be found out on the way. */
export interface HeldRules {
  readonly rules: readonly PolicyRule[];
  readonly errors: readonly string[];
}

export class RbacAuthorizer implements Authorizer, RuleResolver {
  private readonly source: RbacSource;

  constructor(source: RbacSource) {
    this.source = source;
  }

  authorize(attributes: AuthorizationAttributes): Promise<Decision> {
    return Promise.resolve(this.decide(attributes));
  }

  /** The decision on what is known now. */
  decide(attributes: AuthorizationAttributes): Decision {
    const errors: string[] = [];
    for (const bound of this.boundTo(attributes.user, attributes.namespace)) {
      const rules = this.rulesOf(bound.roleRef, bound.namespace);
      if (typeof rules === 'string') errors.push(rules);
      else {
        for (const rule of rules) {
          if (ruleAllows(rule, attributes)) {
            return { kind: 'allow', reason: `RBAC: allowed by ${bindingText(bound)}` };
          }
        }
      }
    }
    return { kind: 'no-opinion', reason: errors.length === 0 ? '' : `RBAC: ${aggregate(errors)}` };
  }

  /** All rules the user has in a namespace, those for the cluster among them; empty: for the cluster alone. */
  held(user: UserInfo, namespace: string): HeldRules {
    const found: PolicyRule[] = [];
    const errors: string[] = [];
    for (const bound of this.boundTo(user, namespace)) {
      const rules = this.rulesOf(bound.roleRef, bound.namespace);
      if (typeof rules === 'string') errors.push(rules);
      else found.push(...rules);
    }
    return { rules: found, errors };
  }

  /**
   * Rules of the role a binding in `namespace` refers to.
   *
   * @throws ApiError NotFound when there is no such role
   */
  referenced(roleRef: RoleRef, namespace: string): readonly PolicyRule[] {
    const rules = this.rulesOf(roleRef, namespace);
    if (typeof rules === 'string') throw missingRole(roleRef);
    return rules;
  }

  rulesFor(user: UserInfo, namespace: string): UserRules {
    const { rules, errors } = this.held(user, namespace);
    return {
      resourceRules: rules.filter((rule) => (rule.resources ?? []).length > 0),
      nonResourceRules: rules.filter((rule) => (rule.nonResourceURLs ?? []).length > 0),
      incomplete: false,
      errors,
    };
  }

  private *boundTo(user: UserInfo, namespace: string): Generator<Bound> {
    yield* this.source.clusterBindings(user);
    if (namespace !== '') yield* this.source.bindings(namespace, user);
  }

  /** Rules, or why there are none. */
  private rulesOf(roleRef: RoleRef, namespace: string): readonly PolicyRule[] | string {
    let rules: readonly PolicyRule[] | undefined;
    switch (roleRef.kind) {
      case 'Role':
        rules = this.source.roleRules(namespace, roleRef.name);
        break;
      case 'ClusterRole':
        rules = this.source.clusterRoleRules(roleRef.name);
        break;
      default:
        return `unsupported role reference kind: ${JSON.stringify(roleRef.kind)}`;
    }
    return rules ?? missingRole(roleRef).message;
  }
}

function missingRole({ kind, name }: RoleRef): ApiError {
  return notFound({ group: RBAC_GROUP, resource: kind === 'Role' ? 'role' : 'clusterrole' }, name);
}

/** Several errors as Go's aggregate prints them: each text once. */
export function aggregate(errors: readonly string[]): string {
  const distinct = [...new Set(errors)];
  return distinct.length === 1 ? distinct[0] : `[${distinct.join(', ')}]`;
}

/** `RoleBinding "editors/team-a" of ClusterRole "edit" to User "jane"`. */
function bindingText({ kind, name, namespace, roleRef, subject }: Bound): string {
  const binding = namespace === '' ? name : `${name}/${namespace}`;
  const who =
    subject.kind === 'ServiceAccount'
      ? `${subject.name}/${subject.namespace === undefined || subject.namespace === '' ? namespace : subject.namespace}`
      : subject.name;
  return `${kind} ${JSON.stringify(binding)} of ${roleRef.kind} ${JSON.stringify(roleRef.name)} to ${subject.kind} ${JSON.stringify(who)}`;
}
