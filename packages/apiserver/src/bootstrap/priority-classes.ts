/**
 * The two priority classes of the system's own pods (scheduling/bootstrap-system-priority-classes). Their values are
 * fixed; an older object is left as it is.
 */

import type { KubeObject } from '../api/meta.ts';
import { ensure, inParallel, storeOf } from './ensure.ts';
import type { PostStartHook } from './post-start-hooks.ts';

const CLASSES: readonly [string, number, string][] = [
  [
    'system-node-critical',
    2_000_001_000,
    'Used for system critical pods that must not be moved from their current node.',
  ],
  [
    'system-cluster-critical',
    2_000_000_000,
    'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  ],
];

export function systemPriorityClasses(): PostStartHook {
  return {
    name: 'scheduling/bootstrap-system-priority-classes',
    async run(stores) {
      const store = storeOf(stores, { group: 'scheduling.k8s.io', resource: 'priorityclasses' });
      await inParallel(CLASSES, CLASSES.length, ([name, value, description]) =>
        ensure(store, priorityClass(name, value, description)),
      );
    },
  };
}

function priorityClass(name: string, value: number, description: string): KubeObject {
  return {
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name },
    value,
    description,
    preemptionPolicy: 'PreemptLowerPriority',
  };
}
