/** Puts a finalizer on an object and takes it off, on the newest state; an object that is gone needs neither. */

import { hasReason, isDeleting, type KubeObject, type Resource, type RestClient } from '@keelson/kube-client';

export function withFinalizer(
  client: RestClient,
  resource: Resource,
  object: KubeObject,
  finalizer: string,
  signal: AbortSignal,
): Promise<void> {
  return change(client, resource, object, signal, (latest, finalizers) =>
    isDeleting(latest) || finalizers.includes(finalizer) ? undefined : [...finalizers, finalizer],
  );
}

export function withoutFinalizer(
  client: RestClient,
  resource: Resource,
  object: KubeObject,
  finalizer: string,
  signal: AbortSignal,
): Promise<void> {
  return change(client, resource, object, signal, (_latest, finalizers) =>
    finalizers.includes(finalizer) ? finalizers.filter((one) => one !== finalizer) : undefined,
  );
}

async function change(
  client: RestClient,
  resource: Resource,
  { metadata }: KubeObject,
  signal: AbortSignal,
  changed: (latest: KubeObject, finalizers: readonly string[]) => readonly string[] | undefined,
): Promise<void> {
  const { name = '', namespace = '', uid } = metadata;
  for (;;) {
    try {
      const latest = await client.get(resource, namespace, name, { metadataOnly: true, signal });
      if (latest.metadata.uid !== uid) return;
      const finalizers = changed(latest, latest.metadata.finalizers ?? []);
      if (finalizers === undefined) return;
      const { resourceVersion } = latest.metadata;
      const patch = { metadata: { resourceVersion, finalizers } };
      await client.patch(resource, namespace, name, 'merge', patch, { metadataOnly: true, signal });
      return;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return;
      if (!hasReason(error, 'Conflict')) throw error;
    }
  }
}
