/**
 * Whether one rule of RBAC allows one request: verbs, groups, resources with their subresources, names, and
 * paths outside of resources. Knows nothing of who asks and where the rule comes from.
 *
 * Modelled on component-helpers' RBAC RuleAllows and its matchers.
 */

import type { AuthorizationAttributes } from '../api/user-info.ts';

/** rbac.authorization.k8s.io/v1 PolicyRule: a resource rule has apiGroups and resources, another nonResourceURLs. */
export interface PolicyRule {
  readonly verbs: readonly string[];
  /** The core group is the empty text. */
  readonly apiGroups?: readonly string[];
  /** `pods`, `pods/log`, `*` (all with their subresources), `*` + `/scale` (that subresource of all). */
  readonly resources?: readonly string[];
  /** Empty or absent: every name, and requests without one. */
  readonly resourceNames?: readonly string[];
  /** `/metrics`, `/healthz/*` (what begins so), `*`. */
  readonly nonResourceURLs?: readonly string[];
}

export const ALL = '*';

/** What a rule calls the resource of a request: `pods`, `pods/log`. */
export function combinedResource({
  resource,
  subresource,
}: Pick<AuthorizationAttributes, 'resource' | 'subresource'>): string {
  return subresource === '' ? resource : `${resource}/${subresource}`;
}

/** Whether the rule allows the request. */
export function ruleAllows(rule: PolicyRule, attributes: AuthorizationAttributes): boolean {
  if (!hasOrAll(rule.verbs, attributes.verb)) return false;
  if (!attributes.isResource) return pathAllowed(rule, attributes.path);
  return (
    hasOrAll(rule.apiGroups, attributes.group) &&
    resourceAllowed(rule, combinedResource(attributes), attributes.subresource) &&
    nameAllowed(rule, attributes.name)
  );
}

/** Whether any of the rules allows the request. */
export function rulesAllow(rules: readonly PolicyRule[], attributes: AuthorizationAttributes): boolean {
  for (const rule of rules) if (ruleAllows(rule, attributes)) return true;
  return false;
}

/** Whether a rule's path covers another one: the same, or a prefix before trailing stars. */
export function pathCovers(rulePath: string, path: string): boolean {
  if (rulePath === path) return true;
  return rulePath.endsWith(ALL) && path.startsWith(rulePath.replace(/\*+$/, ''));
}

function hasOrAll(allowed: readonly string[] | undefined, wanted: string): boolean {
  return allowed !== undefined && (allowed.includes(ALL) || allowed.includes(wanted));
}

function resourceAllowed(rule: PolicyRule, combined: string, subresource: string): boolean {
  for (const resource of rule.resources ?? []) {
    if (resource === ALL || resource === combined) return true;
    if (subresource !== '' && resource === `*/${subresource}`) return true;
  }
  return false;
}

function nameAllowed(rule: PolicyRule, name: string): boolean {
  const names = rule.resourceNames ?? [];
  return names.length === 0 || names.includes(name);
}

function pathAllowed(rule: PolicyRule, path: string): boolean {
  for (const rulePath of rule.nonResourceURLs ?? []) if (pathCovers(rulePath, path)) return true;
  return false;
}
