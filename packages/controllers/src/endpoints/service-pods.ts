/** What the loops of endpoints watch together: Services, and the Pods that they select. */

import { keyOf, type Informer, type KubeObject } from '@keelson/kube-client';

import type { ControllerParts } from '../controller.ts';
import { PODS, SERVICES } from '../resources.ts';
import { fingerprint, leanPod, selectorOf, selects } from './backends.ts';

export class ServicePods {
  readonly services: Informer;
  readonly pods: Informer;

  constructor({ informers }: ControllerParts) {
    const byNamespace = { namespace: ({ metadata }: KubeObject) => [metadata.namespace ?? ''] };
    this.services = informers.informer(SERVICES, { purpose: 'endpoints', indexers: byNamespace });
    this.pods = informers.informer(PODS, {
      purpose: 'endpoints',
      transform: leanPod,
      indexers: byNamespace,
    });
  }

  /** Calls with the key of each Service whose endpoints may be others now. */
  follow(look: (service: string) => void): void {
    const lookAt = (service: KubeObject): void => look(keyOf(service));
    this.services.handle({ added: lookAt, updated: lookAt, deleted: lookAt });
    const lookAround = (pod: KubeObject, old?: KubeObject): void => {
      // Most changes of a Pod say nothing that is kept of it.
      if (old !== undefined && fingerprint(old) === fingerprint(pod)) return;
      for (const service of this.services.byIndex('namespace', pod.metadata.namespace ?? '')) {
        const selector = selectorOf(service);
        if (selects(selector, pod) || (old !== undefined && selects(selector, old))) lookAt(service);
      }
    };
    this.pods.handle({
      added: (pod) => lookAround(pod),
      updated: lookAround,
      deleted: (pod) => lookAround(pod),
    });
  }

  /** The Pods that a Service selects, by name. */
  podsOf(service: KubeObject): readonly KubeObject[] {
    const selector = selectorOf(service);
    return this.pods
      .byIndex('namespace', service.metadata.namespace ?? '')
      .filter((pod) => selects(selector, pod))
      .toSorted((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1));
  }
}
