/**
 * Objects the server itself looks after: made where they are missing, put right where they differ. Writes go past
 * authentication, authorization and admission, as those of the original's loopback client in effect do, but not
 * past the kind's own checks.
 */

import { assert } from '@keelson/base';

import { describeResource, type GroupResource, type KubeObject } from '../api/meta.ts';
import { hasReason } from '../api/status.ts';
import type { ObjectStore, Stores } from '../registry/resource.ts';

const WRITE = { dryRun: false };
/** An object that comes and goes between two looks more often than that is somebody's game. */
const TRIES = 5;

/** The store of a resource the server cannot be without. */
export function storeOf(stores: Stores, resource: GroupResource): ObjectStore {
  const store = stores.of(resource);
  assert(store !== undefined, `${describeResource(resource)} is served`);
  return store;
}

/** The object, or undefined where there is none. */
export async function lookUp(
  store: ObjectStore,
  namespace: string,
  name: string,
): Promise<KubeObject | undefined> {
  try {
    return await store.get(namespace, name);
  } catch (error) {
    if (hasReason(error, 'NotFound')) return undefined;
    throw error;
  }
}

/**
 * Makes an object, or changes the one that is there.
 *
 * @param standard as it is made
 * @param adjust gives what the stored one should be, the same object when it is right; without it any will do
 */
export async function ensure(
  store: ObjectStore,
  standard: KubeObject,
  adjust: (stored: KubeObject) => KubeObject = (stored) => stored,
): Promise<void> {
  const { namespace = '', name = '' } = standard.metadata;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const stored = await lookUp(store, namespace, name);
      if (stored === undefined) await store.create(namespace, standard, WRITE);
      else if (adjust(stored) !== stored) await store.change(namespace, name, adjust, WRITE);
      return;
    } catch (error) {
      const raced = hasReason(error, 'AlreadyExists') || hasReason(error, 'NotFound');
      if (!raced || attempt === TRIES) throw error;
    }
  }
}

/** Deletes the object as it was read; one that is gone, or that somebody has changed since, is left. */
export async function deleteUnlessChanged(store: ObjectStore, { metadata }: KubeObject): Promise<void> {
  const { namespace = '', name = '', uid, resourceVersion } = metadata;
  try {
    await store.delete(namespace, name, {
      ...WRITE,
      preconditions: {
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      },
    });
  } catch (error) {
    if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
  }
}

/** Tasks with at most so many under way at once; the first failure is thrown when all have ended. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  act: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const item = items[next];
      next += 1;
      try {
        await act(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
}
