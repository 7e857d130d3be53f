/**
 * endpointslice-mirroring-controller: Endpoints that somebody keeps by hand for a Service without a selector are shown as
 * EndpointSlices too.
 *
 * Modelled on kubernetes' pkg/controller/endpointslicemirroring.
 */

import { isIP } from 'node:net';

import { isDeleting, keyOf, type KubeObject, type Outcome } from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { ENDPOINT_SLICES, ENDPOINTS, SERVICES } from '../resources.ts';
import { SimpleLoop } from '../simple-loop.ts';
import { fieldsOf, listOf, textOf } from './backends.ts';
import { MANAGED_BY, SERVICE_NAME } from './endpoint-slices.ts';
import { planSlices, type EndpointGroup, type GrowingGroup, type SliceFrame } from './slice-plan.ts';
import { LAG_MS, SliceWrites } from './slice-writes.ts';

const MANAGER = 'endpointslicemirroring-controller.k8s.io';
const SKIP = 'endpointslice.kubernetes.io/skip-mirror';
const LEADER = 'control-plane.alpha.kubernetes.io/leader';
const NOT_COPIED: readonly string[] = [
  'endpoints.kubernetes.io/last-change-trigger-time',
  'kubectl.kubernetes.io/last-applied-configuration',
];
/** --mirroring-max-endpoints-per-subset */
const ENDPOINTS_MAX = 1_000;

export function sliceMirroring(parts: ControllerParts): Controller {
  const { client, informers, recorder } = parts;
  const endpoints = informers.informer(ENDPOINTS);
  const services = informers.informer(SERVICES, {
    purpose: 'mirror',
    transform: ({ metadata, spec }) => ({
      metadata: { name: metadata.name ?? '', namespace: metadata.namespace ?? '', uid: metadata.uid ?? '' },
      spec: { selector: fieldsOf(spec)['selector'] },
    }),
  });
  const slices = informers.informer(ENDPOINT_SLICES, {
    labelSelector: `${MANAGED_BY}=${MANAGER}`,
    indexers: { service: (slice) => [serviceOf(slice)] },
  });
  const writes = new SliceWrites(client, slices, serviceOf);

  const work = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    if (writes.lags(key)) return { afterMs: LAG_MS };
    const object = endpoints.get(key);
    const service = services.get(key);
    const existing = slices
      .byIndex('service', key)
      .filter((slice) => !isDeleting(slice))
      .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    const mirrored = object !== undefined && service !== undefined && isMirrored(object, service);
    if (!mirrored) {
      const plan = { create: [], update: [], delete: existing };
      return (await writes.carryOut(key, plan, signal)) ? 'done' : 'retry';
    }
    const { groups, skipped } = mirrorOf(object);
    if (skipped > 0) {
      recorder.event(
        { ...object, apiVersion: 'v1', kind: 'Endpoints' },
        'Warning',
        'TooManyAddressesToMirror',
        `A max of ${ENDPOINTS_MAX} addresses can be mirrored to EndpointSlices per Endpoints subset. ${skipped} addresses were skipped`,
      );
    }
    const plan = planSlices(existing, groups, frameOf(object), ['IPv4', 'IPv6'], ENDPOINTS_MAX, false);
    return (await writes.carryOut(key, plan, signal)) ? 'done' : 'retry';
  };
  const loop = new SimpleLoop(parts, {
    name: 'endpoint_slice_mirroring',
    informers: [endpoints, services, slices],
    work,
  });
  const look = (object: KubeObject): void => loop.queue.add(keyOf(object));
  const lookAtService = (slice: KubeObject): void => loop.queue.add(serviceOf(slice));
  endpoints.handle({ added: look, updated: look, deleted: look });
  services.handle({ added: look, updated: look, deleted: look });
  slices.handle({ added: lookAtService, updated: lookAtService, deleted: lookAtService });
  return loop;
}

function serviceOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.labels?.[SERVICE_NAME] ?? ''}`;
}

function isMirrored({ metadata }: KubeObject, service: KubeObject): boolean {
  const { labels = {}, annotations = {} } = metadata;
  const { selector } = fieldsOf(service['spec']);
  return labels[SKIP] !== 'true' && annotations[LEADER] === undefined && selector === undefined;
}

/** What slices show of an Endpoints object; subsets with the same ports lie together. */
function mirrorOf(object: KubeObject): { readonly groups: EndpointGroup[]; readonly skipped: number } {
  const groups = new Map<string, GrowingGroup>();
  let skipped = 0;
  for (const { addresses, notReadyAddresses, ports } of listOf(object['subsets'])) {
    const shown = listOf(ports).map(({ name, port, protocol, appProtocol }) => ({
      name: textOf(name),
      port,
      protocol: textOf(protocol) || 'TCP',
      ...(appProtocol === undefined ? {} : { appProtocol }),
    }));
    const all = [
      ...listOf(addresses).map((address) => ({ address, ready: true })),
      ...listOf(notReadyAddresses).map((address) => ({ address, ready: false })),
    ];
    skipped += Math.max(0, all.length - ENDPOINTS_MAX);
    for (const { address, ready } of all.slice(0, ENDPOINTS_MAX)) {
      const { ip, nodeName, hostname, targetRef } = address;
      const family = isIP(textOf(ip)) === 6 ? 'IPv6' : 'IPv4';
      const key = JSON.stringify([family, shown]);
      const group: GrowingGroup = groups.get(key) ?? { family, ports: shown, endpoints: [] };
      groups.set(key, group);
      group.endpoints.push({
        addresses: [textOf(ip)],
        conditions: { ready },
        ...(textOf(hostname) === '' ? {} : { hostname }),
        ...(targetRef === undefined ? {} : { targetRef }),
        ...(nodeName === undefined ? {} : { nodeName }),
      });
    }
  }
  return { groups: [...groups.values()], skipped };
}

function frameOf({ metadata }: KubeObject): SliceFrame {
  const { name = '', namespace = '', uid = '', labels = {}, annotations = {} } = metadata;
  return {
    namespace,
    generateName: `${name}-`,
    labels: { ...labels, [SERVICE_NAME]: name, [MANAGED_BY]: MANAGER },
    annotations: Object.fromEntries(Object.entries(annotations).filter(([key]) => !NOT_COPIED.includes(key))),
    owner: { apiVersion: 'v1', kind: 'Endpoints', name, uid, controller: true, blockOwnerDeletion: true },
  };
}
