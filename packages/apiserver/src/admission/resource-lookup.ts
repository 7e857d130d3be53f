/**
 * Other objects, as plugins read them: quickly, out of a cache that may lag a little behind, or from the store
 * itself. Types, and one reader over whatever answers the two questions; it keeps nothing of its own, for the watch
 * cache before each resource is the cache. A resource that is not served has no objects.
 *
 * Modelled on the listers and the client that apiserver's admission initializers hand to plugins.
 */

import type { GroupResource, GroupVersionKind, GroupVersionResource, KubeObject } from '../api/meta.ts';
import { hasReason } from '../api/status.ts';

export interface ResourceLookup {
  /** Undefined: the resource is not served. */
  of(resource: GroupResource): ObjectLookup | undefined;
  /** The resources that hold a kind, for who knows the kind only. */
  resourcesOf(kind: GroupVersionKind): readonly GroupVersionResource[];
  /** Undefined: the resource is not served, or keeps no objects. */
  scopeOf(resource: GroupResource): 'Namespaced' | 'Cluster' | undefined;
}

export interface ObjectLookup {
  /** As the cache has it; undefined when it has none. */
  get(namespace: string, name: string): Promise<KubeObject | undefined>;
  /** As the store has it now. */
  live(namespace: string, name: string): Promise<KubeObject | undefined>;
  /** All of a namespace, or of the cluster with '', as the cache has them. */
  list(namespace: string): Promise<readonly KubeObject[]>;
  liveList(namespace: string): Promise<readonly KubeObject[]>;
  /** @throws ApiError AlreadyExists and whatever else stands in the way */
  create(namespace: string, object: KubeObject): Promise<KubeObject>;
  /**
   * Writes the status of an object: reads, asks, writes, and asks again when somebody else wrote meanwhile.
   *
   * @param change gives the object to write, the same one to write nothing; throws to stop
   */
  changeStatus(
    namespace: string,
    name: string,
    change: (object: KubeObject) => KubeObject,
  ): Promise<KubeObject>;
}

/** What answers: a store of the registry. '' asks for the newest, '0' takes what a cache has. */
export interface ObjectSource {
  read(
    namespace: string,
    name: string,
    options: { readonly resourceVersion: string },
  ): Promise<{ readonly value: KubeObject }>;
  page(
    namespace: string,
    options: { readonly resourceVersion: string },
  ): Promise<{ readonly objects: readonly { readonly value: KubeObject }[] }>;
  /** What a cache has now, without a wait; undefined where it cannot say. */
  peek?(namespace: string, name: string): KubeObject | undefined;
  peekList?(namespace: string): readonly KubeObject[] | undefined;
  create(namespace: string, object: KubeObject, options: { readonly dryRun: boolean }): Promise<KubeObject>;
}

const CACHED = { resourceVersion: '0' };
const NEWEST = { resourceVersion: '' };

/** @param changeStatus see ObjectLookup */
export function objectLookup(source: ObjectSource, changeStatus: ObjectLookup['changeStatus']): ObjectLookup {
  const read = async (
    namespace: string,
    name: string,
    options: { readonly resourceVersion: string },
  ): Promise<KubeObject | undefined> => {
    try {
      return (await source.read(namespace, name, options)).value;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  };
  const list = async (
    namespace: string,
    options: { readonly resourceVersion: string },
  ): Promise<readonly KubeObject[]> =>
    (await source.page(namespace, options)).objects.map((object) => object.value);
  return {
    get: (namespace, name) => {
      const known = source.peek?.(namespace, name);
      return known === undefined ? read(namespace, name, CACHED) : Promise.resolve(known);
    },
    live: (namespace, name) => read(namespace, name, NEWEST),
    list: (namespace) => {
      const known = source.peekList?.(namespace);
      return known === undefined ? list(namespace, CACHED) : Promise.resolve(known);
    },
    liveList: (namespace) => list(namespace, NEWEST),
    create: (namespace, object) => source.create(namespace, object, { dryRun: false }),
    changeStatus,
  };
}

/** The object out of the cache, and where that has none out of the store: a cache may lag. */
export async function getOrLive(
  lookup: ObjectLookup | undefined,
  namespace: string,
  name: string,
): Promise<KubeObject | undefined> {
  if (lookup === undefined) return undefined;
  return (await lookup.get(namespace, name)) ?? (await lookup.live(namespace, name));
}
