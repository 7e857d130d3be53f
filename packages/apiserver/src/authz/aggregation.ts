/**
 * The rules of a ClusterRole that gathers those of others: all rules of the roles its selectors choose, each
 * once, in the order of the roles' names. One function; who writes the result is a controller's business.
 *
 * Modelled on kubernetes' clusterrole-aggregation controller.
 */

import { fieldsOf, listOf, textOf, textsOf } from '../api/fields.ts';
import type { KubeObject } from '../api/meta.ts';
import { matchesLabels, requirementsOf, type LabelSelector } from '../api/selectors.ts';
import { rulesOf } from './rbac-objects.ts';
import type { PolicyRule } from './rules.ts';

/** The selectors of a role; undefined for one that does not aggregate. */
export function aggregationSelectors(role: KubeObject): readonly LabelSelector[] | undefined {
  const { aggregationRule } = role;
  if (aggregationRule === undefined || aggregationRule === null) return undefined;
  return listOf(fieldsOf(aggregationRule).clusterRoleSelectors).map((value) => selectorOf(value));
}

function selectorOf(value: unknown): LabelSelector {
  const { matchLabels, matchExpressions } = fieldsOf(value);
  return {
    matchLabels: Object.fromEntries(
      Object.entries(fieldsOf(matchLabels)).map(([key, one]) => [key, textOf(one)]),
    ),
    matchExpressions: listOf(matchExpressions).map((one) => {
      const { key, operator, values } = fieldsOf(one);
      return { key: textOf(key), operator: textOf(operator), values: textsOf(values) };
    }),
  };
}

/**
 * The rules a role should have; undefined for one that does not aggregate. The role itself is never among the
 * chosen.
 *
 * @throws SelectorError for a selector with an operator that does not exist
 */
export function aggregatedRules(role: KubeObject, all: readonly KubeObject[]): PolicyRule[] | undefined {
  const selectors = aggregationSelectors(role);
  if (selectors === undefined) return undefined;
  const chosen = new Map<string, KubeObject>();
  for (const selector of selectors) {
    const requirements = requirementsOf(selector);
    for (const other of all) {
      const name = other.metadata.name ?? '';
      if (name !== role.metadata.name && matchesLabels(requirements, other.metadata.labels)) {
        chosen.set(name, other);
      }
    }
  }
  const rules = new Map<string, PolicyRule>();
  for (const name of [...chosen.keys()].toSorted()) {
    const other = chosen.get(name);
    if (other === undefined) continue;
    for (const rule of rulesOf(other)) {
      const key = ruleKey(rule);
      if (!rules.has(key)) rules.set(key, rule);
    }
  }
  return [...rules.values()];
}

/** Whether a role's rules are the ones it should have, in that order. */
export function sameRules(a: readonly PolicyRule[], b: readonly PolicyRule[]): boolean {
  return a.length === b.length && a.every((rule, index) => ruleKey(rule) === ruleKey(b[index]));
}

/** Two rules with the same key say the same in the same words; absent and empty are one. */
function ruleKey(rule: PolicyRule): string {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  return JSON.stringify([verbs, apiGroups, resources, resourceNames, nonResourceURLs]);
}
