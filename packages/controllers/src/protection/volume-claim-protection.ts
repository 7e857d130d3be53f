/**
 * persistentvolumeclaim-protection-controller: a claim that is being deleted stays, by its finalizer, as long as a Pod
 * that has been scheduled uses it. Before the finalizer goes, the server is asked for the Pods there are.
 *
 * Modelled on kubernetes' PVC protection controller.
 */

import { isDeleting, isRecord, keyOf, splitKey, type KubeObject, type Outcome } from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { PODS, VOLUME_CLAIMS } from '../resources.ts';
import { SimpleLoop } from '../simple-loop.ts';
import { withFinalizer, withoutFinalizer } from './finalizers.ts';

export const CLAIM_FINALIZER = 'kubernetes.io/pvc-protection';

export function volumeClaimProtection(parts: ControllerParts): Controller {
  const { client, informers } = parts;
  const claims = informers.informer(VOLUME_CLAIMS, { metadataOnly: true });
  const pods = informers.informer(PODS, {
    purpose: 'claims',
    indexers: { claim: (pod) => claimsOf(pod) },
    transform: reduced,
  });
  const work = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const claim = claims.get(key);
    if (claim === undefined) return 'done';
    const { namespace } = splitKey(key);
    const held = claim.metadata.finalizers?.includes(CLAIM_FINALIZER) === true;
    if (!isDeleting(claim)) {
      if (!held) await withFinalizer(client, VOLUME_CLAIMS, claim, CLAIM_FINALIZER, signal);
      return 'done';
    }
    if (!held || pods.byIndex('claim', key).length > 0) return 'done';
    const { items } = await client.list(PODS, namespace, { signal });
    if (items.some((pod) => claimsOf(reduced(pod)).includes(key))) return 'done';
    await withoutFinalizer(client, VOLUME_CLAIMS, claim, CLAIM_FINALIZER, signal);
    return 'done';
  };
  const loop = new SimpleLoop(parts, { name: 'pvcprotection', informers: [claims, pods], work });
  const look = (claim: KubeObject): void => {
    const held = claim.metadata.finalizers?.includes(CLAIM_FINALIZER) === true;
    if (held === isDeleting(claim)) loop.queue.add(keyOf(claim));
  };
  claims.handle({ added: look, updated: look });
  const freed = (pod: KubeObject): void => {
    for (const key of claimsOf({ ...pod, scheduled: true })) loop.queue.add(key);
  };
  pods.handle({ updated: freed, deleted: (pod) => freed(reduced(pod)) });
  return loop;
}

/** What this loop keeps of a Pod. */
function reduced(pod: KubeObject): KubeObject {
  if (Array.isArray(pod['claims'])) return pod;
  const { name = '', namespace = '', uid = '', deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
  const spec = isRecord(pod['spec']) ? pod['spec'] : {};
  const volumes: readonly unknown[] = Array.isArray(spec['volumes']) ? spec['volumes'] : [];
  // Its kubelet is done with it: what was made for it alone is free.
  const ended = (deletionTimestamp ?? null) !== null && deletionGracePeriodSeconds === 0;
  const claims: string[] = [];
  for (const volume of volumes) {
    if (!isRecord(volume)) continue;
    const claim = volume['persistentVolumeClaim'];
    if (isRecord(claim)) claims.push(`${namespace}/${String(claim['claimName'])}`);
    else if (isRecord(volume['ephemeral']) && !ended)
      claims.push(`${namespace}/${name}-${String(volume['name'])}`);
  }
  const scheduled = typeof spec['nodeName'] === 'string' && spec['nodeName'] !== '';
  return { metadata: { name, namespace, uid }, claims, scheduled };
}

/** Keys of the claims that a Pod holds: one that has no node does not start any more once the claim is going. */
function claimsOf(pod: KubeObject): readonly string[] {
  const claims = pod['claims'];
  return pod['scheduled'] === true && Array.isArray(claims)
    ? claims.filter((one) => typeof one === 'string')
    : [];
}
