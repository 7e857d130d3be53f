/**
 * endpointslice-controller: a Service with a selector has EndpointSlices with the Pods that it selects, one kind of slice
 * for each family of addresses and each set of ports, at most a hundred endpoints in each.
 *
 * Modelled on k8s.io/endpointslice; hints for zones, and the time of the change that caused an update, are not written.
 */

import { isDeleting, keyOf, type KubeObject, type Outcome } from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { ENDPOINT_SLICES, NODES } from '../resources.ts';
import { SimpleLoop } from '../simple-loop.ts';
import {
  addressesOf,
  familiesOf,
  fieldsOf,
  fingerprint,
  hasPart,
  hostnameIn,
  isHeadless,
  isReady,
  nodeNameOf,
  portsAt,
  referenceTo,
  selectorOf,
  type Family,
} from './backends.ts';
import { ServicePods } from './service-pods.ts';
import {
  planSlices,
  type Endpoint,
  type EndpointGroup,
  type GrowingGroup,
  type SliceFrame,
} from './slice-plan.ts';
import { LAG_MS, SliceWrites } from './slice-writes.ts';

export const SERVICE_NAME = 'kubernetes.io/service-name';
export const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
export const HEADLESS = 'service.kubernetes.io/headless';
const MANAGER = 'endpointslice-controller.k8s.io';
const ZONE = 'topology.kubernetes.io/zone';
/** --max-endpoints-per-slice */
const ENDPOINTS_MAX = 100;

export function endpointSlices(parts: ControllerParts): Controller {
  const { client, informers } = parts;
  const watched = new ServicePods(parts);
  const nodes = informers.informer(NODES, { metadataOnly: true });
  const slices = informers.informer(ENDPOINT_SLICES, {
    labelSelector: `${MANAGED_BY}=${MANAGER}`,
    indexers: { service: (slice) => [serviceOf(slice)] },
  });
  const writes = new SliceWrites(client, slices, serviceOf);
  const zoneOf = (pod: KubeObject): string | undefined =>
    nodes.get(nodeNameOf(pod) ?? '')?.metadata.labels?.[ZONE];

  const work = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const service = watched.services.get(key);
    if (service === undefined || isDeleting(service)) {
      writes.forget(key);
      return 'done';
    }
    if (selectorOf(service) === undefined) return 'done';
    if (writes.lags(key)) return { afterMs: LAG_MS };
    const families = familiesOf(service);
    const groups = groupsOf(service, watched.podsOf(service), families, zoneOf);
    const existing = slices
      .byIndex('service', key)
      .filter((slice) => !isDeleting(slice))
      .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    const plan = planSlices(existing, groups, frameOf(service), families, ENDPOINTS_MAX, true);
    return (await writes.carryOut(key, plan, signal)) ? 'done' : 'retry';
  };
  const loop = new SimpleLoop(parts, {
    name: 'endpoint_slice',
    informers: [watched.services, watched.pods, nodes, slices],
    work,
  });
  const look = (key: string): void => loop.queue.add(key);
  watched.follow(look);
  const lookAtService = (slice: KubeObject): void => look(serviceOf(slice));
  slices.handle({ added: lookAtService, updated: lookAtService, deleted: lookAtService });
  nodes.handle({
    added: (node) => lookAtNode(node),
    updated: (node, old) => {
      if (node.metadata.labels?.[ZONE] !== old.metadata.labels?.[ZONE]) lookAtNode(node);
    },
  });
  function lookAtNode(node: KubeObject): void {
    if (node.metadata.labels?.[ZONE] === undefined) return;
    for (const service of watched.services.list()) {
      const name = node.metadata.name ?? '';
      if (watched.podsOf(service).some((pod) => nodeNameOf(pod) === name)) look(keyOf(service));
    }
  }
  return loop;
}

function serviceOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.labels?.[SERVICE_NAME] ?? ''}`;
}

/** The endpoints of a Service, by what may lie in one slice. */
export function groupsOf(
  service: KubeObject,
  pods: readonly KubeObject[],
  families: readonly Family[],
  zoneOf: (pod: KubeObject) => string | undefined,
): EndpointGroup[] {
  const groups = new Map<string, GrowingGroup>();
  for (const pod of pods) {
    if (!hasPart(pod, true)) continue;
    const ports = portsAt(service, pod).map((port) => ({ ...port }));
    for (const family of families) {
      const addresses = addressesOf(pod, family);
      if (addresses.length === 0) continue;
      const key = fingerprint([family, ports]);
      const group: GrowingGroup = groups.get(key) ?? { family, ports, endpoints: [] };
      groups.set(key, group);
      group.endpoints.push(endpointOf(service, pod, addresses, zoneOf(pod)));
    }
  }
  return [...groups.values()];
}

function endpointOf(
  service: KubeObject,
  pod: KubeObject,
  addresses: readonly string[],
  zone: string | undefined,
): Endpoint {
  const serving = isReady(pod);
  const terminating = isDeleting(pod);
  const anyway = fieldsOf(service['spec'])['publishNotReadyAddresses'] === true;
  const hostname = hostnameIn(service, pod);
  const nodeName = nodeNameOf(pod);
  return {
    addresses,
    conditions: { ready: anyway || (serving && !terminating), serving, terminating },
    ...(hostname === undefined ? {} : { hostname }),
    targetRef: referenceTo(pod),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(zone === undefined || zone === '' ? {} : { zone }),
  };
}

function frameOf(service: KubeObject): SliceFrame {
  const { name = '', namespace = '', uid = '', labels = {} } = service.metadata;
  const own: Record<string, string> = {};
  for (const [label, value] of Object.entries(labels)) {
    if (label !== SERVICE_NAME && label !== MANAGED_BY && label !== HEADLESS) own[label] = value;
  }
  return {
    namespace,
    generateName: `${name}-`,
    labels: {
      ...own,
      ...(isHeadless(service) ? { [HEADLESS]: '' } : {}),
      [SERVICE_NAME]: name,
      [MANAGED_BY]: MANAGER,
    },
    owner: { apiVersion: 'v1', kind: 'Service', name, uid, controller: true, blockOwnerDeletion: true },
  };
}
