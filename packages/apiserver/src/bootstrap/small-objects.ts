/**
 * Two objects a fresh server leaves behind: the range that services get their addresses from, and the day from which
 * on the use of old service-account tokens is tracked.
 */

import { part, parts, text, textMap } from '../validation/value.ts';
import { ensure, storeOf } from './ensure.ts';
import type { PostStartHook } from './post-start-hooks.ts';

/** ServiceCIDR `kubernetes`, said to be ready. @param ranges one, or one of each family */
export function defaultServiceCidr(ranges: readonly string[], nowMs: () => number): PostStartHook {
  return {
    name: 'start-kubernetes-service-cidr-controller',
    async run(stores) {
      const store = storeOf(stores, { group: 'networking.k8s.io', resource: 'servicecidrs' });
      const name = 'kubernetes';
      await ensure(store, {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'ServiceCIDR',
        metadata: { name },
        spec: { cidrs: [...ranges] },
      });
      const conditions = [
        {
          type: 'Ready',
          status: 'True',
          lastTransitionTime: new Date(nowMs()).toISOString().replace(/\.\d+Z$/, 'Z'),
          reason: '',
          message: 'Kubernetes default Service CIDR is ready',
        },
      ];
      await store.change(
        '',
        name,
        (stored) => {
          const ready = parts(part(stored, 'status'), 'conditions').some(
            (one) => text(one, 'type') === 'Ready' && text(one, 'status') === 'True',
          );
          return ready ? stored : { ...stored, status: { conditions } };
        },
        { dryRun: false, strategy: { validateUpdate: () => [] } },
      );
    },
  };
}

/** kube-system/kube-apiserver-legacy-service-account-token-tracking. */
export function legacyTokenTracking(nowMs: () => number): PostStartHook {
  return {
    name: 'start-legacy-token-tracking-controller',
    async run(stores) {
      const since = new Date(nowMs()).toISOString().slice(0, 10);
      await ensure(
        storeOf(stores, { group: '', resource: 'configmaps' }),
        {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: {
            name: 'kube-apiserver-legacy-service-account-token-tracking',
            namespace: 'kube-system',
          },
          data: { since },
        },
        (stored) =>
          /^\d{4}-\d\d-\d\d$/.test(textMap(stored, 'data')['since'] ?? '')
            ? stored
            : { ...stored, data: { ...textMap(stored, 'data'), since } },
      );
    },
  };
}
