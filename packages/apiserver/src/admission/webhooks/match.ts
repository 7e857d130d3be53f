/**
 * Whether a webhook is to be asked about a request, and in which form it is told: by its rules on the resource as the
 * request names it, or on another form of the same objects; by the labels of the namespace and of the object.
 *
 * Modelled on apiserver's admission/plugin/webhook generic and predicates.
 */

import type { GroupVersionKind, GroupVersionResource } from '../../api/meta.ts';
import { matchesLabels } from '../../api/selectors.ts';
import { internalError, notFound } from '../../api/status.ts';
import type { AdmissionAttributes } from '../admission.ts';
import { getOrLive, type ResourceLookup } from '../resource-lookup.ts';
import type { ResourceVersions } from './resource-versions.ts';
import type { Rule, Webhook } from './webhook.ts';

/** A webhook that is to be asked, and the form of resource and kind it is told. */
export interface Invocation {
  readonly webhook: Webhook;
  readonly resource: GroupVersionResource;
  readonly kind: GroupVersionKind;
}

const NAMESPACES = { group: '', resource: 'namespaces' };
const GROUP = 'admissionregistration.k8s.io';

/** Nobody is asked about those who are asked: a broken one could never be taken away. */
export function isExempt({ kind }: AdmissionAttributes): boolean {
  return kind.group === GROUP && /^(Mutating|Validating)(Webhook|AdmissionPolicy)/.test(kind.kind);
}

/**
 * Undefined: it is not asked.
 *
 * @throws ApiError the namespace is not there, a selector cannot be read, but only where a rule matches
 */
export async function invocationOf(
  webhook: Webhook,
  attributes: AdmissionAttributes,
  lookup: ResourceLookup,
  versions: ResourceVersions,
): Promise<Invocation | undefined> {
  if (!matchesObject(webhook, attributes)) return undefined;
  const invocation = byRules(webhook, attributes, versions);
  if (invocation === undefined) return undefined;
  for (const selector of [webhook.namespaceSelector, webhook.objectSelector]) {
    if (typeof selector === 'string') throw internalError(selector);
  }
  return (await matchesNamespace(webhook, attributes, lookup)) ? invocation : undefined;
}

function byRules(
  webhook: Webhook,
  attributes: AdmissionAttributes,
  versions: ResourceVersions,
): Invocation | undefined {
  const { kind, resource, subresource } = attributes;
  if (webhook.rules.some((rule) => matchesRule(rule, attributes, resource))) {
    return { webhook, resource, kind };
  }
  if (webhook.matchPolicy === 'Exact') return undefined;
  const others = versions.equivalents(resource, subresource);
  for (const rule of webhook.rules) {
    for (const other of others) {
      if (matchesRule(rule, attributes, other.resource)) {
        return { webhook, resource: other.resource, kind: other.kind };
      }
    }
  }
  return undefined;
}

export function matchesRule(
  rule: Rule,
  { operation, namespace, subresource }: AdmissionAttributes,
  resource: GroupVersionResource,
): boolean {
  const isNamespace = resource.group === '' && resource.resource === 'namespaces';
  const lies = namespace !== '' && !isNamespace ? 'Namespaced' : 'Cluster';
  return (
    (rule.scope === '*' || rule.scope === lies) &&
    has(rule.operations, operation) &&
    has(rule.apiGroups, resource.group) &&
    has(rule.apiVersions, resource.version) &&
    rule.resources.some((name) => {
      const slash = name.indexOf('/');
      const own = slash < 0 ? name : name.slice(0, slash);
      const below = slash < 0 ? '' : name.slice(slash + 1);
      return (own === '*' || own === resource.resource) && (below === '*' || below === subresource);
    })
  );
}

function has(items: readonly string[], wanted: string): boolean {
  return items.includes('*') || items.includes(wanted);
}

/** The object as it is or as it was. */
function matchesObject({ objectSelector }: Webhook, { object, oldObject }: AdmissionAttributes): boolean {
  if (typeof objectSelector === 'string' || objectSelector.length === 0) return true;
  return [object, oldObject].some(
    (each) => each !== undefined && matchesLabels(objectSelector, each.metadata.labels),
  );
}

async function matchesNamespace(
  { namespaceSelector }: Webhook,
  attributes: AdmissionAttributes,
  lookup: ResourceLookup,
): Promise<boolean> {
  const { namespace, resource, subresource, operation, object } = attributes;
  const isNamespace = resource.group === '' && resource.resource === 'namespaces';
  if (typeof namespaceSelector === 'string' || namespaceSelector.length === 0) return true;
  // What lies in no namespace is never left out by one.
  if (namespace === '' && !isNamespace) return true;
  // A namespace that is being written has the labels it is written with.
  if (isNamespace && subresource === '' && (operation === 'CREATE' || operation === 'UPDATE')) {
    return matchesLabels(namespaceSelector, object?.metadata.labels);
  }
  const found = await getOrLive(lookup.of(NAMESPACES), '', namespace);
  if (found === undefined) throw notFound(NAMESPACES, namespace);
  return matchesLabels(namespaceSelector, found.metadata.labels);
}
