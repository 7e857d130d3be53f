/**
 * A backend with a watch cache before each resource, where one is wanted: what a server is given in place of the
 * backend itself. The caches are filled as they are needed and end with it.
 */

import { describeResource, type GroupResource } from '../api/meta.ts';
import { Cacher, type CacherOptions } from './cacher.ts';
import type { ReadyOptions, Storage, StorageBackend, StorageResource } from './storage.ts';

export interface CachedBackendOptions extends CacherOptions {
  /** Whether a resource has a cache. Default: all but events, which are many, short-lived and seldom read. */
  readonly cached?: (resource: GroupResource) => boolean;
}

export class CachedBackend implements StorageBackend {
  private readonly opened: Cacher[] = [];
  private readonly newest = new Map<string, Cacher>();
  private readonly backend: StorageBackend;
  private readonly options: CachedBackendOptions;

  /** @param backend closed with this one */
  constructor(backend: StorageBackend, options: CachedBackendOptions) {
    this.backend = backend;
    this.options = options;
  }

  storage(resource: StorageResource): Storage {
    const storage = this.backend.storage(resource);
    const { cached = isNoEvent } = this.options;
    if (!cached(resource.resource)) return storage;
    const cacher = new Cacher(storage, {
      ...BOUNDS.get(describeResource(resource.resource)),
      ...this.options,
    });
    this.running().push(cacher);
    this.newest.set(describeResource(resource.resource), cacher);
    return cacher;
  }

  /** The one that was opened last for a resource, if it runs. */
  cacherOf(resource: GroupResource): Cacher | undefined {
    const name = describeResource(resource);
    const cacher = this.newest.get(name);
    if (cacher?.stopped !== true) return cacher;
    this.newest.delete(name);
    return undefined;
  }

  /** Those that run: a custom resource's ends when it is served no more. */
  get cachers(): readonly Cacher[] {
    return this.running();
  }

  ready(options?: ReadyOptions): Promise<void> {
    return this.backend.ready(options);
  }

  close(): void {
    for (const cacher of this.cachers) cacher.stop();
    this.backend.close();
  }

  private running(): Cacher[] {
    for (let at = this.opened.length - 1; at >= 0; at -= 1) {
      if (!this.opened[at].stopped) continue;
      const [{ resource }] = this.opened.splice(at, 1);
      this.cacherOf(resource.resource);
    }
    return this.opened;
  }
}

/**
 * Of what is large and seldom read. Definitions of custom resources take ten times their JSON when they are decoded, and an
 * installer's hundreds, each changed twice, would stay in the history; the original's holds 100 changes at first.
 */
const BOUNDS: ReadonlyMap<string, Partial<CacherOptions>> = new Map([
  ['customresourcedefinitions.apiextensions.k8s.io', { valueBytesMax: 500_000, history: { countMax: 256 } }],
]);

function isNoEvent({ resource }: GroupResource): boolean {
  return resource !== 'events';
}
