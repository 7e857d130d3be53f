/** Defaults of the core group beside pods: services, storage, namespaces, nodes, limits. */

import type { Json, JsonObject } from '../api/json.ts';
import {
  count,
  has,
  items,
  part,
  partOf,
  parts,
  text,
  textMap,
  texts,
  withField,
} from '../validation/value.ts';
import { oneAndAll, withAbsent, withNil } from './absent.ts';
import type { DefaultRules } from './defaulter.ts';
import { withStringData } from './secret-data.ts';

const AFFINITY_SECONDS = 10_800;

export const CORE_DEFAULTS: DefaultRules = {
  'core.v1.Secret': (secret) => withAbsent(withStringData(secret), { type: 'Opaque' }),
  'core.v1.Namespace': (namespace) => {
    const metadata = part(namespace, 'metadata');
    const name = text(metadata, 'name');
    if (name === '') return namespace;
    const labels = textMap(metadata, 'labels');
    if (labels['kubernetes.io/metadata.name'] === name) return namespace;
    const named = { ...labels, 'kubernetes.io/metadata.name': name };
    return withField(namespace, 'metadata', withField(metadata, 'labels', named));
  },
  'core.v1.NamespaceStatus': (status) => withAbsent(status, { phase: 'Active' }),
  'core.v1.NodeSpec': (spec) =>
    oneAndAll(spec, 'podCIDR', 'podCIDRs', (range) => range, texts(spec, 'podCIDRs')),
  'core.v1.NodeStatus': (status) =>
    has(status, 'allocatable') || !has(status, 'capacity')
      ? status
      : { ...status, allocatable: status['capacity'] },
  // Of the spec of a volume alone: one that stands in an attachment has none.
  'core.v1.PersistentVolume': (volume) => {
    const kept = withAbsent(part(volume, 'spec'), { persistentVolumeReclaimPolicy: 'Retain' });
    const spec = withNil(kept, { volumeMode: 'Filesystem' });
    const status = withAbsent(part(volume, 'status'), { phase: 'Pending' });
    return withField(withField(volume, 'spec', spec), 'status', status);
  },
  'core.v1.Service': (service) => withField(service, 'spec', serviceSpec(part(service, 'spec'))),
  'core.v1.LoadBalancerIngress': (ingress) =>
    text(ingress, 'ip') === '' ? ingress : withNil(ingress, { ipMode: 'VIP' }),
  'core.v1.EndpointPort': (port) => withAbsent(port, { protocol: 'TCP' }),
  'core.v1.LimitRangeItem': limitRangeItem,
  'core.v1.ReplicationController': (controller) => {
    const spec = part(controller, 'spec');
    const labels = partOf(part(part(spec, 'template'), 'metadata'), 'labels');
    let filled = withField(controller, 'spec', withAbsent(spec, { replicas: 1 }));
    if (labels !== undefined) {
      if (Object.keys(textMap(spec, 'selector')).length === 0) {
        filled = withField(filled, 'spec', { ...part(filled, 'spec'), selector: labels });
      }
      const metadata = part(filled, 'metadata');
      if (Object.keys(textMap(metadata, 'labels')).length === 0) {
        filled = withField(filled, 'metadata', { ...metadata, labels });
      }
    }
    return filled;
  },
};

function serviceSpec(spec: JsonObject): JsonObject {
  let filled = withAbsent(spec, { sessionAffinity: 'None', type: 'ClusterIP' });
  const affinity = text(filled, 'sessionAffinity');
  if (affinity === 'None') filled = withField(filled, 'sessionAffinityConfig', undefined);
  if (affinity === 'ClientIP') {
    const clientIP = part(part(filled, 'sessionAffinityConfig'), 'clientIP');
    if (!has(clientIP, 'timeoutSeconds')) {
      filled = { ...filled, sessionAffinityConfig: { clientIP: { timeoutSeconds: AFFINITY_SECONDS } } };
    }
  }
  if (has(filled, 'ports')) {
    filled = {
      ...filled,
      ports: parts(filled, 'ports').map((port) => {
        const target = port['targetPort'];
        const named = withAbsent(port, { protocol: 'TCP' });
        const given = target !== undefined && target !== null && target !== 0 && target !== '';
        return given ? named : { ...named, targetPort: count(port, 'port') };
      }),
    };
  }
  const type = text(filled, 'type');
  const external = type === 'NodePort' || type === 'LoadBalancer';
  const reached = external || (type === 'ClusterIP' && items(filled, 'externalIPs').length > 0);
  if (reached) filled = withAbsent(filled, { externalTrafficPolicy: 'Cluster' });
  if (external || type === 'ClusterIP') filled = withNil(filled, { internalTrafficPolicy: 'Cluster' });
  if (type === 'LoadBalancer') filled = withNil(filled, { allocateLoadBalancerNodePorts: true });
  return filled;
}

/** For containers: the default limit is the maximum, the default request the default limit, else the minimum. */
function limitRangeItem(item: JsonObject): JsonObject {
  if (text(item, 'type') !== 'Container') return item;
  const limits = merged(part(item, 'default'), part(item, 'max'));
  const requests = merged(merged(part(item, 'defaultRequest'), limits), part(item, 'min'));
  let filled = item;
  if (Object.keys(limits).length > 0) filled = withField(filled, 'default', limits);
  if (Object.keys(requests).length > 0) filled = withField(filled, 'defaultRequest', requests);
  return filled;
}

function merged(first: JsonObject, second: JsonObject): JsonObject {
  const all: Record<string, Json> = { ...second, ...first };
  return Object.fromEntries(Object.entries(all).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
