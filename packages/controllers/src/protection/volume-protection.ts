/**
 * persistentvolume-protection-controller: a volume that is being deleted stays, by its finalizer, as long as it is bound
 * to a claim.
 */

import { isDeleting, isRecord, keyOf, type KubeObject, type Outcome } from '@keelson/kube-client';

import type { Controller, ControllerParts } from '../controller.ts';
import { VOLUMES } from '../resources.ts';
import { SimpleLoop } from '../simple-loop.ts';
import { withFinalizer, withoutFinalizer } from './finalizers.ts';

export const VOLUME_FINALIZER = 'kubernetes.io/pv-protection';

export function volumeProtection(parts: ControllerParts): Controller {
  const { client, informers } = parts;
  const volumes = informers.informer(VOLUMES, {
    purpose: 'phase',
    transform: ({ metadata, status }) => ({
      metadata,
      bound: isRecord(status) && status['phase'] === 'Bound',
    }),
  });
  const work = async (key: string, signal: AbortSignal): Promise<Outcome> => {
    const volume = volumes.get(key);
    if (volume === undefined) return 'done';
    const held = volume.metadata.finalizers?.includes(VOLUME_FINALIZER) === true;
    if (isDeleting(volume)) {
      if (held && volume['bound'] !== true) {
        await withoutFinalizer(client, VOLUMES, volume, VOLUME_FINALIZER, signal);
      }
    } else if (!held) {
      await withFinalizer(client, VOLUMES, volume, VOLUME_FINALIZER, signal);
    }
    return 'done';
  };
  const loop = new SimpleLoop(parts, { name: 'pvprotection', informers: [volumes], work });
  const look = (volume: KubeObject): void => {
    const held = volume.metadata.finalizers?.includes(VOLUME_FINALIZER) === true;
    if (held === isDeleting(volume)) loop.queue.add(keyOf(volume));
  };
  volumes.handle({ added: look, updated: look });
  return loop;
}
