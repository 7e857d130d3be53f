/**
 * Whether a policy or a binding is for a request, and in which form of the resource: by rules, by rules that take away, by
 * the labels of object and namespace. What costs nothing is looked at first; what is wrong with the rest is told only of a
 * request that it would be for.
 *
 * Modelled on apiserver's admission/plugin/policy/matching.
 */

import type { KubeObject } from '../../api/meta.ts';
import { matchesLabels } from '../../api/selectors.ts';
import { internalError, notFound } from '../../api/status.ts';
import type { AdmissionAttributes } from '../admission.ts';
import { getOrLive, type ResourceLookup } from '../resource-lookup.ts';
import { matchesRule } from '../webhooks/match.ts';
import type { Equivalent, ResourceVersions } from '../webhooks/resource-versions.ts';
import type { MatchResources, NamedRule } from './policy.ts';
import type { PolicyObjects } from './policy-objects.ts';
import { waitFor, type Steps } from './steps.ts';

const NAMESPACES = { group: '', resource: 'namespaces' };

export interface MatchParts {
  readonly objects: Pick<PolicyObjects, 'namespace'>;
  readonly lookup: ResourceLookup;
  readonly versions: ResourceVersions;
}

/**
 * The form that was matched; undefined: it is not for the request.
 *
 * @throws ApiError a selector that cannot be read, a namespace that is not there
 */
export function* matchedForm(
  resources: MatchResources,
  attributes: AdmissionAttributes,
  parts: MatchParts,
): Steps<Equivalent | undefined> {
  const { rules, excluded, objectSelector, namespaceSelector } = resources;
  const form =
    rules.length === 0
      ? { resource: attributes.resource, kind: attributes.kind }
      : formByRules(rules, resources, attributes, parts);
  if (form === undefined) return undefined;
  if (excluded.length > 0 && formByRules(excluded, resources, attributes, parts) !== undefined)
    return undefined;
  if (typeof objectSelector !== 'string' && objectSelector.length > 0) {
    const { object, oldObject } = attributes;
    const chosen = [object, oldObject].some(
      (each) => each !== undefined && matchesLabels(objectSelector, each.metadata.labels),
    );
    if (!chosen) return undefined;
  }
  if (typeof namespaceSelector === 'string') throw internalError(namespaceSelector);
  if (namespaceSelector.length > 0) {
    const labels = yield* namespaceLabels(attributes, parts);
    if (labels !== undefined && !matchesLabels(namespaceSelector, labels.of)) return undefined;
  }
  if (typeof objectSelector === 'string') throw internalError(objectSelector);
  return form;
}

function formByRules(
  rules: readonly NamedRule[],
  { matchPolicy }: MatchResources,
  attributes: AdmissionAttributes,
  { versions }: MatchParts,
): Equivalent | undefined {
  const { kind, resource, subresource, name } = attributes;
  const named = ({ resourceNames }: NamedRule): boolean =>
    resourceNames.length === 0 || resourceNames.includes(name);
  for (const rule of rules) {
    if (matchesRule(rule, attributes, resource) && named(rule)) return { resource, kind };
  }
  if (matchPolicy === 'Exact') return undefined;
  // Other forms are looked for only of rules that could be about one.
  const others = rules.some((rule) => couldMatch(rule, attributes))
    ? versions.equivalents(resource, subresource)
    : [];
  for (const rule of rules) {
    for (const other of others) {
      if (matchesRule(rule, attributes, other.resource) && named(rule)) return other;
    }
  }
  return undefined;
}

/** Whether it may be for a request at all, by its rules' words alone: most policies are not for most requests. */
export function mayConcern({ rules }: MatchResources, attributes: AdmissionAttributes): boolean {
  return rules.length === 0 || rules.some((rule) => couldMatch(rule, attributes));
}

/** Whether a rule takes the operation, and a resource of the request's name or another one of the same objects. */
function couldMatch(
  { operations, resources }: NamedRule,
  { operation, resource }: AdmissionAttributes,
): boolean {
  return (
    (operations.includes('*') || operations.includes(operation)) &&
    resources.some((name) => name.startsWith('*') || name.split('/', 1)[0] === resource.resource)
  );
}

interface Labels {
  readonly of: Readonly<Record<string, string>> | undefined;
}

/** Undefined for what no namespace selector leaves out. */
function* namespaceLabels(attributes: AdmissionAttributes, parts: MatchParts): Steps<Labels | undefined> {
  const { namespace, resource, subresource, operation, object } = attributes;
  const isNamespace = resource.group === '' && resource.resource === 'namespaces';
  if (namespace === '' && !isNamespace) return undefined;
  // A namespace that is being written has the labels it is written with.
  if (isNamespace && subresource === '' && (operation === 'CREATE' || operation === 'UPDATE')) {
    return { of: object?.metadata.labels };
  }
  const found = yield* namespaceNamed(isNamespace ? attributes.name : namespace, parts);
  return { of: found.metadata.labels };
}

/** A namespace as it was last told; one that was not is looked for. @throws ApiError NotFound */
export function* namespaceNamed(
  name: string,
  { objects, lookup }: Pick<MatchParts, 'objects' | 'lookup'>,
): Steps<KubeObject> {
  const known = objects.namespace(name);
  if (known !== undefined) return known;
  const found = yield* waitFor(getOrLive(lookup.of(NAMESPACES), '', name));
  if (found === undefined) throw notFound(NAMESPACES, name);
  return found;
}
