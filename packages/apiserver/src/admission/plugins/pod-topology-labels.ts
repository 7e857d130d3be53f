/**
 * PodTopologyLabels: a pod that is bound to a node learns the node's zone and region, as labels.
 *
 * Modelled on Kubernetes' plugin/pkg/admission/podtopologylabels.
 */

import type { KubeObject } from '../../api/meta.ts';
import { part, text, withFieldAt } from '../../validation/value.ts';
import type { MutatingPlugin } from '../admission.ts';
import { isPodsResource, specOf } from '../pod-parts.ts';
import type { PluginContext } from '../plugin-context.ts';

const NODES = { group: '', resource: 'nodes' };
const LABELS: readonly string[] = ['topology.kubernetes.io/zone', 'topology.kubernetes.io/region'];

export function podTopologyLabels({ lookup }: PluginContext): MutatingPlugin {
  return {
    name: 'PodTopologyLabels',
    handles: (operation) => operation === 'CREATE',
    async admit({ object, resource, subresource }) {
      if (object === undefined || !isPodsResource(resource)) return object;
      const node = nodeNameOf(object, subresource);
      if (node === '') return object;
      const labels = (await lookup.of(NODES)?.get('', node))?.metadata.labels ?? {};
      const copied = Object.fromEntries(
        LABELS.filter((label) => Object.hasOwn(labels, label)).map((label) => [label, labels[label]]),
      );
      if (Object.keys(copied).length === 0) return object;
      // What the pod says itself stays.
      return withFieldAt(object, ['metadata', 'labels'], { ...copied, ...object.metadata.labels });
    },
  };
}

/** The node a pod is made for, or a Binding binds it to. */
function nodeNameOf(object: KubeObject, subresource: string): string {
  if (subresource === '') return text(specOf(object), 'nodeName');
  if (subresource !== 'binding') return '';
  const target = part(object, 'target');
  return text(target, 'kind') === 'Node' ? text(target, 'name') : '';
}
