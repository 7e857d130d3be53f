/**
 * What a pod asks for and what it may use, over all its containers: ordinary ones together, init ones one after the
 * other, sidecars beside both, or what the pod says as a whole. Pure.
 *
 * Modelled on component-helpers' resource.PodRequests and PodLimits.
 */

import type { JsonObject } from '../api/json.ts';
import { fieldsOf } from '../api/fields.ts';
import { has, part, parts, text } from '../validation/value.ts';
import { amountsOf, largest, NOTHING, only, sum, type Amounts } from './amounts.ts';

type Which = 'requests' | 'limits';

interface PodAmountsOptions {
  /** Leaves the runtime's own need out. */
  readonly overhead?: boolean;
  /** Leaves out what the pod says as a whole. */
  readonly podLevel?: boolean;
}

/** @param pod a Pod, its status included where it is being resized */
export function podRequests(pod: object, options: PodAmountsOptions = {}): Amounts {
  const { overhead = true, podLevel = true } = options;
  const spec = part({ ...pod }, 'spec');
  const running = new Map(
    parts(part({ ...pod }, 'status'), 'containerStatuses').map((status) => [text(status, 'name'), status]),
  );
  const infeasible = parts(part({ ...pod }, 'status'), 'conditions').some(
    (condition) =>
      text(condition, 'type') === 'PodResizePending' && text(condition, 'reason') === 'Infeasible',
  );
  let total = together(spec, 'requests', (container) => {
    const asked = amountsOf(part(part(container, 'resources'), 'requests'));
    const status = running.get(text(container, 'name'));
    if (status === undefined) return asked;
    const actual = largest(
      amountsOf(part(part(status, 'resources'), 'requests')),
      amountsOf(part(status, 'allocatedResources')),
    );
    return infeasible ? actual : largest(asked, actual);
  });
  if (podLevel) total = withPodLevel(total, spec, 'requests');
  return overhead ? sum(total, amountsOf(part(spec, 'overhead'))) : total;
}

export function podLimits(pod: object, options: PodAmountsOptions = {}): Amounts {
  const { overhead = true, podLevel = true } = options;
  const spec = part({ ...pod }, 'spec');
  let total = together(spec, 'limits', (container) =>
    amountsOf(part(part(container, 'resources'), 'limits')),
  );
  if (podLevel) total = withPodLevel(total, spec, 'limits');
  // What has no limit gets none by the overhead.
  return overhead ? sum(total, only(amountsOf(part(spec, 'overhead')), total.keys())) : total;
}

function together(spec: JsonObject, which: Which, amounts: (container: JsonObject) => Amounts): Amounts {
  let total = NOTHING;
  for (const container of parts(spec, 'containers')) total = sum(total, amounts(container));
  let sidecars = NOTHING;
  let starting = NOTHING;
  for (const container of parts(spec, 'initContainers')) {
    const own = amountsOf(part(part(container, 'resources'), which));
    if (text(container, 'restartPolicy') === 'Always') {
      total = sum(total, own);
      sidecars = sum(sidecars, own);
      starting = largest(starting, sidecars);
    } else {
      starting = largest(starting, sum(own, sidecars));
    }
  }
  return largest(total, starting);
}

/** What a pod as a whole may say: these amounts stand in place of its containers'. */
function isPodLevelResource(name: string): boolean {
  return name === 'cpu' || name === 'memory' || name.startsWith('hugepages-');
}

function withPodLevel(total: Amounts, spec: JsonObject, which: Which): Amounts {
  const said = amountsOf(part(part(spec, 'resources'), which));
  if (said.size === 0) return total;
  const merged = new Map(total);
  for (const [name, amount] of said) if (isPodLevelResource(name)) merged.set(name, amount);
  return merged;
}

/** How a pod is treated when its node has too little, by what it asks for. */
export function isBestEffort(pod: object): boolean {
  const spec = part({ ...pod }, 'spec');
  const holders = [...parts(spec, 'containers'), ...parts(spec, 'initContainers')];
  if (has(spec, 'resources')) holders.push(spec);
  return holders.every((holder) => {
    const resources = part(holder, 'resources');
    return (['requests', 'limits'] as const).every((which) =>
      [...amountsOf(part(resources, which))].every(
        ([name, amount]) => (name !== 'cpu' && name !== 'memory') || amount.nanos === 0n,
      ),
    );
  });
}

/** Whether a name is one of Kubernetes' own resources. */
export function isNativeResource(name: string): boolean {
  return !name.includes('/') || name.includes('kubernetes.io/');
}

/** Whether a name is a resource that a device plugin or another extension brought. */
export function isExtendedResource(name: string): boolean {
  return !isNativeResource(name) && !name.startsWith('requests.');
}

/** The parts of a PersistentVolumeClaim's class: the older annotation counts before the field. */
export function storageClassOf(claim: object): string | undefined {
  const { metadata, spec } = fieldsOf(claim);
  const annotation = fieldsOf(fieldsOf(metadata).annotations)['volume.beta.kubernetes.io/storage-class'];
  if (typeof annotation === 'string') return annotation;
  const { storageClassName } = fieldsOf(spec);
  return typeof storageClassName === 'string' ? storageClassName : undefined;
}
