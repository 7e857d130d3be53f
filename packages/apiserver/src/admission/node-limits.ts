/**
 * What a node may say of itself: which labels it may carry, that it does not change its taints, its owners or where
 * its configuration comes from, and which objects are named after it.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/noderestriction and kubelet/pkg/apis/well_known_labels.go.
 */

import { has, part, same } from '../validation/value.ts';
import type { AdmissionAttributes } from './admission.ts';
import { refusal } from './refusals.ts';

const RESTRICTION = 'node-restriction.kubernetes.io';

/** Labels of Kubernetes' own domains that a kubelet may set on its node. */
const KUBELET_LABELS: ReadonlySet<string> = new Set([
  'kubernetes.io/hostname',
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'kubernetes.io/os',
  'kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/arch',
]);
const KUBELET_DOMAINS: readonly string[] = ['kubelet.kubernetes.io', 'node.kubernetes.io'];

export function checkNode(attributes: AdmissionAttributes, node: string): void {
  const { operation, name, object, oldObject } = attributes;
  const who = JSON.stringify(node);
  if (name !== node) {
    throw refusal(attributes, `node ${who} is not allowed to modify node ${JSON.stringify(name)}`);
  }
  if (object === undefined) return;
  const spec = part(object, 'spec');
  if (operation === 'CREATE') {
    if (has(spec, 'configSource')) {
      throw refusal(attributes, `node ${who} is not allowed to create pods with a non-nil configSource`);
    }
    const labels = forbidden(object.metadata.labels, {});
    if (labels.length > 0) {
      throw refusal(
        attributes,
        `node ${who} is not allowed to set the following labels: ${labels.join(', ')}`,
      );
    }
    return;
  }
  if (operation !== 'UPDATE' || oldObject === undefined) return;
  const before = part(oldObject, 'spec');
  if (has(spec, 'configSource') && !same(spec['configSource'], before['configSource'])) {
    throw refusal(
      attributes,
      `node ${who} is not allowed to update configSource to a new non-nil configSource`,
    );
  }
  if (!same(spec['taints'], before['taints'])) {
    throw refusal(attributes, `node ${who} is not allowed to modify taints`);
  }
  if (!same(object.metadata.ownerReferences, oldObject.metadata.ownerReferences)) {
    throw refusal(attributes, `node ${who} is not allowed to modify ownerReferences`);
  }
  const labels = forbidden(object.metadata.labels, oldObject.metadata.labels);
  if (labels.length > 0) {
    throw refusal(attributes, `is not allowed to modify labels: ${labels.join(', ')}`);
  }
}

type Labels = Readonly<Record<string, string>> | undefined;

/** Labels that differ and that a node may not touch, sorted. */
function forbidden(now: Labels, before: Labels): string[] {
  const names = new Set([...Object.keys(now ?? {}), ...Object.keys(before ?? {})]);
  return [...names].filter((name) => now?.[name] !== before?.[name] && isForbidden(name)).toSorted();
}

function isForbidden(label: string): boolean {
  const slash = label.indexOf('/');
  const domain = slash < 0 ? '' : label.slice(0, slash);
  if (isWithin(domain, RESTRICTION)) return true;
  const own = isWithin(domain, 'kubernetes.io') || isWithin(domain, 'k8s.io');
  return own && !KUBELET_LABELS.has(label) && !KUBELET_DOMAINS.some((each) => isWithin(domain, each));
}

function isWithin(domain: string, parent: string): boolean {
  return domain === parent || domain.endsWith(`.${parent}`);
}

/** An object that has the node's name. @param what `node lease`, `CSINode` */
export function checkNodeNamed(attributes: AdmissionAttributes, node: string, what: string): void {
  const { operation, name, object } = attributes;
  const own = operation === 'CREATE' ? (object?.metadata.name ?? '') : name;
  if (own !== node) {
    throw refusal(attributes, `can only access ${what} with the same name as the requesting node`);
  }
}
