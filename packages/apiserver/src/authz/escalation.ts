/**
 * Nobody hands on more than he holds: what is asked before a role or a binding is written. A role needs every
 * rule of it held already, or the verb `escalate`; a binding every rule of the role it names, or the verb `bind`;
 * an aggregation rule, which can gather anything, all there is. Members of system:masters are not asked.
 *
 * Modelled on kubernetes' registry/rbac policybased storage and ConfirmNoEscalation, texts included.
 */

import { goQuote } from '@keelson/base';

import type { KubeObject } from '../api/meta.ts';
import { forbidden, hasReason, notFound } from '../api/status.ts';
import { GROUP_MASTERS, type Authorizer, type UserInfo } from '../api/user-info.ts';
import { aggregationSelectors } from './aggregation.ts';
import { resourceAttributes } from './attributes.ts';
import { compactRules, missingRules, quoteAll, ruleText } from './covers.ts';
import { RBAC_GROUP, roleRefOf, rulesOf } from './rbac-objects.ts';
import type { RbacAuthorizer } from './rbac.ts';
import type { PolicyRule } from './rules.ts';

const EVERYTHING: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

/** What the checks need of a write: who writes, and where. */
export interface RbacWrite {
  readonly user: UserInfo;
  /** Empty for what belongs to the cluster. */
  readonly namespace: string;
  /** The name in the request; empty for a create. */
  readonly name: string;
}

export class EscalationCheck {
  private readonly rbac: RbacAuthorizer;
  private readonly authorizer: Authorizer;

  /**
   * @param rbac knows which rules are held
   * @param authorizer the whole chain: answers the verbs escalate and bind
   */
  constructor(rbac: RbacAuthorizer, authorizer: Authorizer) {
    this.rbac = rbac;
    this.authorizer = authorizer;
  }

  /**
   * Before a Role or ClusterRole is created or updated.
   *
   * @param before the role as it is; undefined for a create. A write that leaves rules and aggregation as they
   *   are (labels, finalizers) is not asked.
   * @throws ApiError Forbidden naming the rules that are not held
   */
  async role(write: RbacWrite, role: KubeObject, before: KubeObject | undefined): Promise<void> {
    if (write.user.groups.includes(GROUP_MASTERS)) return;
    if (before !== undefined && onlyCollectable(before, role)) return;
    const resource = role.kind === 'Role' ? 'roles' : 'clusterroles';
    const { namespace, name } = write;
    const named = { group: RBAC_GROUP, version: '*', resource, namespace, name };
    const { kind } = await this.authorizer.authorize(resourceAttributes(write.user, 'escalate', named));
    if (kind === 'allow') return;
    this.confirm(write, resource, role, rulesOf(role));
    if (aggregates(role) || (before !== undefined && aggregates(before))) {
      if (this.missing(write, EVERYTHING) !== undefined) {
        throw forbidden(
          { group: RBAC_GROUP, resource },
          role.metadata.name ?? '',
          'must have cluster-admin privileges to use the aggregationRule',
        );
      }
    }
  }

  /**
   * Before a RoleBinding or ClusterRoleBinding is created or updated.
   *
   * @throws ApiError Forbidden naming the rules that are not held; NotFound for a role that does not exist
   */
  async binding(write: RbacWrite, binding: KubeObject, before: KubeObject | undefined): Promise<void> {
    if (write.user.groups.includes(GROUP_MASTERS)) return;
    if (before !== undefined && onlyCollectable(before, binding)) return;
    const resource = binding.kind === 'RoleBinding' ? 'rolebindings' : 'clusterrolebindings';
    const roleRef = roleRefOf(binding);
    const { kind } = await this.authorizer.authorize(
      resourceAttributes(write.user, 'bind', {
        group: RBAC_GROUP,
        version: '*',
        resource: roleRef.kind === 'Role' ? 'roles' : 'clusterroles',
        namespace: write.namespace,
        name: roleRef.name,
      }),
    );
    if (kind === 'allow') return;
    let rules: readonly PolicyRule[];
    try {
      rules = this.rbac.referenced(roleRef, write.namespace);
    } catch (error) {
      // As the original says it: under the name of what is written.
      if (hasReason(error, 'NotFound')) throw notFound({ group: RBAC_GROUP, resource }, roleRef.name);
      throw error;
    }
    this.confirm(write, resource, binding, rules);
  }

  private confirm(
    write: RbacWrite,
    resource: string,
    object: KubeObject,
    rules: readonly PolicyRule[],
  ): void {
    const missing = this.missing(write, rules);
    if (missing === undefined) return;
    throw forbidden({ group: RBAC_GROUP, resource }, object.metadata.name ?? '', missing);
  }

  /** The text that names the rules which are not held; undefined when all are. */
  private missing({ user, namespace }: RbacWrite, rules: readonly PolicyRule[]): string | undefined {
    const held = this.rbac.held(user, namespace);
    const missing = compactRules(missingRules(held.rules, rules));
    if (missing.length === 0) return undefined;
    const lines = [...new Set(missing.map((rule) => ruleText(rule)))].toSorted();
    const text = `user ${goQuote(user.name)} (groups=${quoteAll(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${lines.join('\n')}`;
    return held.errors.length === 0 ? text : `${text}; resolution errors: [${held.errors.join(' ')}]`;
  }
}

function aggregates(role: KubeObject): boolean {
  return (aggregationSelectors(role) ?? []).length > 0;
}

/** Whether only what the garbage collector writes (owners, finalizers) differs, and what the server keeps. */
function onlyCollectable(before: KubeObject, after: KubeObject): boolean {
  return comparable(before) === comparable(after);
}

function comparable(object: KubeObject): string {
  const { ownerReferences, finalizers, managedFields, resourceVersion, generation, ...rest } =
    object.metadata;
  const kept = { ...object, metadata: rest };
  void [ownerReferences, finalizers, managedFields, resourceVersion, generation];
  return JSON.stringify(sorted(kept));
}

function sorted(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, one]) => [name, sorted(one)]),
  );
}
