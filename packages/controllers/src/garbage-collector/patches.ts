/**
 * Patches of owner references: by merge key for kinds that have a strategic merge, and as a whole list tied to the
 * version that was read for those that have none. Each names the uid, so that a namesake is not changed. Pure.
 */

import type { KubeObject, OwnerReference } from '@keelson/kube-client';

/** Takes owners away. */
export function ownersStrategicPatch(uid: string, ownerUids: readonly string[]): unknown {
  return {
    metadata: {
      uid,
      ownerReferences: ownerUids.map((owner) => ({ $patch: 'delete', uid: owner })),
    },
  };
}

export function ownersMergePatch({ metadata }: KubeObject, ownerUids: readonly string[]): unknown {
  const { ownerReferences = [], uid, resourceVersion } = metadata;
  return {
    metadata: {
      uid,
      resourceVersion,
      ownerReferences: ownerReferences.filter((reference) => !ownerUids.includes(reference.uid)),
    },
  };
}

/** Lets owners be deleted before this object. */
export function unblockStrategicPatch(uid: string, owners: readonly OwnerReference[]): unknown {
  return {
    metadata: {
      uid,
      ownerReferences: owners
        .filter(({ blockOwnerDeletion }) => blockOwnerDeletion === true)
        .map((owner) => ({ ...owner, blockOwnerDeletion: false })),
    },
  };
}

export function unblockMergePatch({ metadata }: KubeObject): unknown {
  const { ownerReferences = [], uid, resourceVersion } = metadata;
  return {
    metadata: {
      uid,
      resourceVersion,
      ownerReferences: ownerReferences.map((reference) =>
        reference.blockOwnerDeletion === true ? { ...reference, blockOwnerDeletion: false } : reference,
      ),
    },
  };
}
