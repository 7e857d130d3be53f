/**
 * endpoints-controller: a Service with a selector has an Endpoints object of its name, with the addresses of the Pods it
 * selects. Old clients read these; EndpointSlices are what counts.
 *
 * Modelled on kubernetes' endpoints controller.
 */

import { hasCause, hasReason, keyOf, splitKey, type KubeObject, type Outcome } from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { ENDPOINTS } from '../resources.ts';
import { SimpleLoop } from '../simple-loop.ts';
import { fingerprint, isHeadless, listOf, selectorOf } from './backends.ts';
import { HEADLESS } from './endpoint-slices.ts';
import { capped, subsetsOf } from './endpoint-subsets.ts';
import { ServicePods } from './service-pods.ts';

/** Whose Endpoints these are; the mirror leaves them alone. */
export const ENDPOINTS_MANAGED_BY = 'endpoints.kubernetes.io/managed-by';
const MANAGER = 'endpoint-controller';
const OVER_CAPACITY = 'endpoints.kubernetes.io/over-capacity';
const LEADER = 'control-plane.alpha.kubernetes.io/leader';

export function serviceEndpoints(parts: ControllerParts): Controller {
  const { client, informers } = parts;
  const watched = new ServicePods(parts);
  const endpoints = informers.informer(ENDPOINTS);

  const work = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const service = watched.services.get(key);
    const current = endpoints.get(key);
    const { namespace, name } = splitKey(key);
    try {
      if (service === undefined) {
        if (current === undefined || current.metadata.annotations?.[LEADER] !== undefined) return 'done';
        const { uid } = current.metadata;
        const only = uid === undefined ? {} : { preconditions: { uid } };
        await client.delete(ENDPOINTS, namespace, name, only, signal);
        return 'done';
      }
      if (selectorOf(service) === undefined) return 'done';
      const wanted = wantedOf(service, current, watched.podsOf(service));
      if (current === undefined) await client.create(ENDPOINTS, namespace, wanted, { signal });
      else if (!isSame(current, wanted)) await client.update(ENDPOINTS, namespace, wanted, { signal });
    } catch (error) {
      if (hasCause(error, 'NamespaceTerminating') || hasReason(error, 'NotFound')) return 'done';
      if (hasReason(error, 'Conflict', 'AlreadyExists')) return 'retry';
      throw error;
    }
    return 'done';
  };
  const loop = new SimpleLoop(parts, {
    name: 'endpoint',
    informers: [watched.services, watched.pods, endpoints],
    work,
  });
  watched.follow((service) => loop.queue.add(service));
  const look = (object: KubeObject): void => loop.queue.add(keyOf(object));
  // What has no Service may be somebody's whose Service comes next: kubectl makes objects in the order of a file.
  const change = (object: KubeObject): void => {
    const isOwn = object.metadata.labels?.[ENDPOINTS_MANAGED_BY] === MANAGER;
    if (isOwn || watched.services.get(keyOf(object)) !== undefined) look(object);
  };
  endpoints.handle({ added: change, updated: change, deleted: look });
  void endpoints.whenSynced().then(() => {
    // At the start, what is there without a Service is left over from a time when nobody looked.
    for (const object of endpoints.list()) look(object);
  });
  return loop;
}

function wantedOf(
  service: KubeObject,
  current: KubeObject | undefined,
  pods: readonly KubeObject[],
): KubeObject {
  const { name = '', namespace = '', labels = {} } = service.metadata;
  const { subsets, over } = capped(subsetsOf(service, pods));
  const annotations: Record<string, string> = { ...current?.metadata.annotations };
  delete annotations[OVER_CAPACITY];
  if (over) annotations[OVER_CAPACITY] = 'truncated';
  const own: Record<string, string> = { ...labels, [ENDPOINTS_MANAGED_BY]: MANAGER };
  delete own[HEADLESS];
  if (isHeadless(service)) own[HEADLESS] = '';
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { ...(current?.metadata ?? { name, namespace }), labels: own, annotations },
    subsets,
  };
}

function isSame(current: KubeObject, wanted: KubeObject): boolean {
  const shown = ({ metadata, subsets }: KubeObject): string =>
    fingerprint([metadata.labels ?? {}, metadata.annotations ?? {}, listOf(subsets)]);
  return shown(current) === shown(wanted);
}
