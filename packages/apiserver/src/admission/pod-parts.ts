/**
 * A pod as plugins look at it: its containers, whether it mirrors a static one, which secrets and config maps it
 * names, and copies with something changed. Pure.
 *
 * Modelled on Kubernetes' pkg/api/pod.
 */

import type { Json, JsonObject } from '../api/json.ts';
import type { KubeObject } from '../api/meta.ts';
import { has, part, partOf, parts, text, withField, withFieldAt } from '../validation/value.ts';
import type { AdmissionAttributes } from './admission.ts';

const MIRROR = 'kubernetes.io/config.mirror';

/** The three lists of containers, in the order plugins visit them. */
export const CONTAINER_LISTS = ['initContainers', 'containers', 'ephemeralContainers'] as const;

/** Whether the request writes a pod through this endpoint. */
export function isPod({ resource, subresource, object }: AdmissionAttributes, through = ''): boolean {
  return isPodsResource(resource) && subresource === through && object !== undefined;
}

export function isPodsResource({ group, resource }: AdmissionAttributes['resource']): boolean {
  return group === '' && resource === 'pods';
}

/** A kubelet's image of a pod it runs from a file. */
export function isMirrorPod({ metadata }: KubeObject): boolean {
  return Object.hasOwn(metadata.annotations ?? {}, MIRROR);
}

export const MIRROR_ANNOTATION = MIRROR;

export function specOf(pod: object): JsonObject {
  return part({ ...pod }, 'spec');
}

/** All containers: init ones first, ephemeral ones last. */
export function containersOf(spec: JsonObject): readonly JsonObject[] {
  return CONTAINER_LISTS.flatMap((list) => parts(spec, list));
}

/** The pod with a field of its spec set; undefined takes it away. */
export function withSpec(pod: KubeObject, name: string, value: Json | undefined): KubeObject {
  return withFieldAt(pod, ['spec', name], value);
}

/** The pod with some of its containers changed. */
export function withContainers(
  pod: KubeObject,
  lists: readonly string[],
  change: (container: JsonObject) => JsonObject,
): KubeObject {
  let spec = specOf(pod);
  for (const list of lists) {
    if (!has(spec, list)) continue;
    const before = parts(spec, list);
    const after = before.map(change);
    if (after.some((container, index) => container !== before[index])) spec = withField(spec, list, after);
  }
  return spec === specOf(pod) ? pod : { ...pod, spec };
}

/** Sources of a volume whose secret is a LocalObjectReference or the like, and the field that names it. */
const VOLUME_SECRETS: readonly (readonly [source: string, ...path: string[]])[] = [
  ['azureFile', 'secretName'],
  ['cephfs', 'secretRef', 'name'],
  ['cinder', 'secretRef', 'name'],
  ['flexVolume', 'secretRef', 'name'],
  ['rbd', 'secretRef', 'name'],
  ['secret', 'secretName'],
  ['scaleIO', 'secretRef', 'name'],
  ['iscsi', 'secretRef', 'name'],
  ['storageos', 'secretRef', 'name'],
  ['csi', 'nodePublishSecretRef', 'name'],
];

/** Whether the pod names a secret anywhere: to pull images, in its environment, as a volume. */
export function namesSecrets(pod: KubeObject): boolean {
  const spec = specOf(pod);
  if (parts(spec, 'imagePullSecrets').length > 0) return true;
  if (environmentNames(spec, 'secretRef', 'secretKeyRef')) return true;
  return parts(spec, 'volumes').some(
    (volume) =>
      VOLUME_SECRETS.some(([source, ...path]) => isNamed(volume, [source, ...path])) ||
      projections(volume).some((source) => has(source, 'secret')),
  );
}

/** Whether the pod names a config map anywhere. */
export function namesConfigMaps(pod: KubeObject): boolean {
  const spec = specOf(pod);
  if (environmentNames(spec, 'configMapRef', 'configMapKeyRef')) return true;
  return parts(spec, 'volumes').some(
    (volume) => has(volume, 'configMap') || projections(volume).some((source) => has(source, 'configMap')),
  );
}

/** What a projected volume is made of. */
export function projections(volume: JsonObject): readonly JsonObject[] {
  return parts(part(volume, 'projected'), 'sources');
}

function environmentNames(spec: JsonObject, from: string, key: string): boolean {
  return containersOf(spec).some(
    (container) =>
      parts(container, 'envFrom').some((source) => has(source, from)) ||
      parts(container, 'env').some((variable) => has(part(variable, 'valueFrom'), key)),
  );
}

function isNamed(volume: JsonObject, [source, ...path]: readonly string[]): boolean {
  const found = partOf(volume, source);
  if (found === undefined) return false;
  // A secret volume without a name is one all the same; of the rest the reference must be there.
  return path.length === 1 ? source === 'secret' || text(found, path[0]) !== '' : has(found, path[0]);
}
