/** What a pod asks for decides who is stopped first when a node has too little. */

import type { JsonObject } from '../../api/json.ts';
import type { Quantity } from '../../api/quantity.ts';
import { has, part, partOf, parts } from '../../validation/value.ts';
import { quantity } from '../../validation/scalars.ts';

const SIZES = ['cpu', 'memory'] as const;

/**
 * Guaranteed where every container's limits are its requests, BestEffort where none asks for anything. Resources of
 * the pod as a whole count instead of its containers'.
 */
export function qosClass(spec: object): 'BestEffort' | 'Burstable' | 'Guaranteed' {
  const pod = { ...spec };
  const whole = partOf(pod, 'resources');
  const all =
    whole === undefined
      ? [...parts(pod, 'containers'), ...parts(pod, 'initContainers')].map((each) => part(each, 'resources'))
      : [whole];
  const requests = new Map<string, Quantity>();
  const limits = new Map<string, Quantity>();
  let limited = true;
  for (const resources of all) {
    add(requests, part(resources, 'requests'));
    const found = add(limits, part(resources, 'limits'));
    // A pod that says requests alone is told by those that follow.
    const counts = whole === undefined || has(resources, 'limits');
    if (counts && found < SIZES.length) limited = false;
  }
  if (requests.size === 0 && limits.size === 0) return 'BestEffort';
  const equal = [...requests].every(([name, value]) => limits.get(name)?.compare(value) === 0);
  return limited && equal && requests.size === limits.size ? 'Guaranteed' : 'Burstable';
}

/** Adds what is above zero. @returns how many there were */
function add(sums: Map<string, Quantity>, list: JsonObject): number {
  let found = 0;
  for (const name of SIZES) {
    const value = quantity(list[name]);
    if (value.nanos <= 0n) continue;
    found += 1;
    sums.set(name, sums.get(name)?.add(value) ?? value);
  }
  return found;
}
