/**
 * The namespaces a cluster has from its start, made again within a minute when somebody took one away
 * (start-system-namespaces-controller).
 */

import { ensure, inParallel, storeOf } from './ensure.ts';
import type { PostStartHook } from './post-start-hooks.ts';

export const SYSTEM_NAMESPACES: readonly string[] = [
  'kube-system',
  'kube-public',
  'kube-node-lease',
  'default',
];

const EVERY_MS = 60_000;

export function systemNamespaces(): PostStartHook {
  return {
    name: 'start-system-namespaces-controller',
    everyMs: EVERY_MS,
    async run(stores) {
      const store = storeOf(stores, { group: '', resource: 'namespaces' });
      await inParallel(SYSTEM_NAMESPACES, SYSTEM_NAMESPACES.length, (name) =>
        ensure(store, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }),
      );
    },
  };
}
