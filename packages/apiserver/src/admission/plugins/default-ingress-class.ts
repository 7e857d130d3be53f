/**
 * DefaultIngressClass: an ingress that names no class, not by the older annotation either, gets the one that is
 * marked as the default.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/network/defaultingressclass.
 */

import { has, part, withFieldAt } from '../../validation/value.ts';
import type { MutatingPlugin } from '../admission.ts';
import { newestMarked } from '../default-class.ts';
import type { PluginContext } from '../plugin-context.ts';

const INGRESS_CLASSES = { group: 'networking.k8s.io', resource: 'ingressclasses' };
const MARKS: readonly string[] = ['ingressclass.kubernetes.io/is-default-class'];
const OLDER_ANNOTATION = 'kubernetes.io/ingress.class';

export function defaultIngressClass({ lookup }: PluginContext): MutatingPlugin {
  return {
    name: 'DefaultIngressClass',
    handles: (operation) => operation === 'CREATE',
    async admit({ object: ingress, resource, subresource }) {
      const isIngress = resource.group === INGRESS_CLASSES.group && resource.resource === 'ingresses';
      if (ingress === undefined || !isIngress || subresource !== '') return ingress;
      if (has(part(ingress, 'spec'), 'ingressClassName')) return ingress;
      if (Object.hasOwn(ingress.metadata.annotations ?? {}, OLDER_ANNOTATION)) return ingress;
      const found = newestMarked((await lookup.of(INGRESS_CLASSES)?.list('')) ?? [], MARKS);
      return found === undefined
        ? ingress
        : withFieldAt(ingress, ['spec', 'ingressClassName'], found.metadata.name);
    },
  };
}
