/**
 * Whether rules that somebody holds cover rules he wants to hand on, and how the missing ones are told. Each
 * wanted rule is broken into its smallest parts (one group, resource, verb and name), since one such part is
 * covered by a single held rule or by none.
 *
 * Modelled on component-helpers' RBAC Covers, CompactRules and CompactString.
 */

import { ALL, pathCovers, type PolicyRule } from './rules.ts';

/** Parts of the wanted rules that no held rule covers; empty when all are held. */
export function missingRules(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  const missing: PolicyRule[] = [];
  for (const rule of wanted) {
    for (const part of parts(rule)) {
      if (!held.some((owner) => covers(owner, part))) missing.push(part);
    }
  }
  return missing;
}

/** A rule's smallest parts, in the order of its groups, resources, verbs and names, then of its paths. */
export function parts(rule: PolicyRule): PolicyRule[] {
  const found: PolicyRule[] = [];
  for (const group of rule.apiGroups ?? []) {
    for (const resource of rule.resources ?? []) {
      for (const verb of rule.verbs) {
        const part = { apiGroups: [group], resources: [resource], verbs: [verb] };
        const names = rule.resourceNames ?? [];
        if (names.length === 0) found.push(part);
        for (const name of names) found.push({ ...part, resourceNames: [name] });
      }
    }
  }
  for (const path of rule.nonResourceURLs ?? []) {
    for (const verb of rule.verbs) found.push({ nonResourceURLs: [path], verbs: [verb] });
  }
  return found;
}

function covers(owner: PolicyRule, part: PolicyRule): boolean {
  const names = owner.resourceNames ?? [];
  const partNames = part.resourceNames ?? [];
  return (
    hasAll(owner.verbs, part.verbs) &&
    hasAll(owner.apiGroups, part.apiGroups) &&
    (part.resources ?? []).every((resource) => coversResource(owner.resources ?? [], resource)) &&
    (part.nonResourceURLs ?? []).every((path) =>
      (owner.nonResourceURLs ?? []).some((rulePath) => pathCovers(rulePath, path)),
    ) &&
    (names.length === 0 || (partNames.length > 0 && partNames.every((name) => names.includes(name))))
  );
}

function hasAll(held: readonly string[] = [], wanted: readonly string[] = []): boolean {
  return held.includes(ALL) || wanted.every((one) => held.includes(one));
}

function coversResource(held: readonly string[], wanted: string): boolean {
  if (held.includes(ALL) || held.includes(wanted)) return true;
  const slash = wanted.indexOf('/');
  return slash >= 0 && held.includes(`*${wanted.slice(slash)}`);
}

/**
 * Joins rules of one group and one resource (and at most one name) that differ in their verbs only. What is no
 * such rule stands first, as it came.
 */
export function compactRules(rules: readonly PolicyRule[]): PolicyRule[] {
  const others: PolicyRule[] = [];
  const simple = new Map<string, PolicyRule>();
  for (const rule of rules) {
    const names = rule.resourceNames ?? [];
    const isSimple =
      rule.apiGroups?.length === 1 &&
      rule.resources?.length === 1 &&
      names.length <= 1 &&
      (rule.nonResourceURLs ?? []).length === 0;
    if (!isSimple) {
      others.push(rule);
      continue;
    }
    const key = JSON.stringify([rule.apiGroups, rule.resources, names]);
    const known = simple.get(key);
    simple.set(
      key,
      known === undefined ? rule : { ...known, verbs: [...new Set([...known.verbs, ...rule.verbs])] },
    );
  }
  return [...others, ...simple.values()];
}

/** Texts in Go's `%q` of a slice: `["a" "b"]`. */
export function quoteAll(texts: readonly string[]): string {
  return `[${texts.map((text) => JSON.stringify(text)).join(' ')}]`;
}

/** `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}`: a rule as refusals tell it. */
export function ruleText(rule: PolicyRule): string {
  const fields: [string, readonly string[] | undefined][] = [
    ['APIGroups', rule.apiGroups],
    ['Resources', rule.resources],
    ['NonResourceURLs', rule.nonResourceURLs],
    ['ResourceNames', rule.resourceNames],
    ['Verbs', rule.verbs],
  ];
  const told = fields.flatMap(([name, values]) =>
    values === undefined || values.length === 0 ? [] : [`${name}:${quoteAll(values)}`],
  );
  return `{${told.join(', ')}}`;
}
