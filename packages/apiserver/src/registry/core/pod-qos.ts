/** What a pod asks for decides who is stopped first when a node has too little. */

import { part, parts } from '../../validation/value.ts';
import { quantity } from '../../validation/scalars.ts';

/** Guaranteed where every container's limits are its requests, BestEffort where none asks for anything. */
export function qosClass(spec: object): 'BestEffort' | 'Burstable' | 'Guaranteed' {
  const pod = { ...spec };
  let any = false;
  let guaranteed = true;
  for (const container of [...parts(pod, 'containers'), ...parts(pod, 'initContainers')]) {
    const resources = part(container, 'resources');
    for (const name of ['cpu', 'memory']) {
      const request = quantity(part(resources, 'requests')[name]);
      const limit = quantity(part(resources, 'limits')[name]);
      if (request.nanos > 0n || limit.nanos > 0n) any = true;
      if (limit.nanos === 0n || request.compare(limit) !== 0) guaranteed = false;
    }
  }
  return !any ? 'BestEffort' : guaranteed ? 'Guaranteed' : 'Burstable';
}
