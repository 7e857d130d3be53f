/**
 * An APIService for each group and version this server answers for itself: those of built-in kinds made or put right
 * once at a start, those of custom resources kept as long as they are served. Whoever serves another group by an
 * APIService of his own stands among them; what carries no mark of ours is left alone.
 *
 * Modelled on kube-aggregator's autoregister controller and kube-apiserver's crdregistration controller.
 */

import {
  CUSTOM_GROUP_PRIORITY,
  CUSTOM_VERSION_PRIORITY,
  GROUP_PRIORITIES,
  versionPriority,
} from '../api/group-priorities.ts';
import type { GroupVersion, KubeObject } from '../api/meta.ts';
import { hasReason } from '../api/status.ts';
import type { ObjectStore } from '../registry/resource.ts';
import type { Scheme } from '../registry/scheme.ts';
import { same } from '../validation/value.ts';
import { inParallel, storeOf } from './ensure.ts';
import type { PostStartHook } from './post-start-hooks.ts';

const RESOURCE = { group: 'apiregistration.k8s.io', resource: 'apiservices' };
const MARK = 'kube-aggregator.kubernetes.io/automanaged';
/** How soon a custom resource's group is there, or one that somebody changed is put right, ms. */
const EVERY_MS = 1_000;
const WIDTH = 8;
const WRITE = { dryRun: false };

export interface RegistrationSources {
  /** Whether the definitions that were there at the start are served: before that nothing is removed. */
  readonly settled: () => boolean;
  /** Another number after each change of an APIService. */
  readonly changes: () => number;
}

/** @param world what is served, once the server has started */
export function apiServices(world: () => Scheme, sources: RegistrationSources): PostStartHook {
  const registration = new Registration(world, sources);
  return { name: 'kube-apiserver-autoregistration', everyMs: EVERY_MS, run: () => registration.run() };
}

class Registration {
  private readonly world: () => Scheme;
  private readonly sources: RegistrationSources;
  /** What is seen to once was seen to. */
  private begun = false;
  /** When all was as it should be. */
  private seen = '';

  constructor(world: () => Scheme, sources: RegistrationSources) {
    this.world = world;
    this.sources = sources;
  }

  async run(): Promise<void> {
    const scheme = this.world();
    const { settled, changes } = this.sources;
    const all = settled();
    const seen = `${scheme.generation()} ${changes()}`;
    if (this.begun && seen === this.seen) return;
    const store = storeOf(scheme, RESOURCE);
    const wanted = wantedOf(scheme);
    const stored = new Map((await store.list('')).map((object) => [object.metadata.name ?? '', object]));
    await inParallel([...wanted.values()], WIDTH, (object) => this.keep(store, object, stored));
    if (!all) return;
    const spurious = [...stored.values()].filter(
      (object) => !wanted.has(object.metadata.name ?? '') && this.isOurs(object),
    );
    await inParallel(spurious, WIDTH, (object) => remove(store, object));
    this.begun = true;
    this.seen = seen;
  }

  private async keep(
    store: ObjectStore,
    wanted: KubeObject,
    stored: ReadonlyMap<string, KubeObject>,
  ): Promise<void> {
    const name = wanted.metadata.name ?? '';
    const there = stored.get(name);
    const once = markOf(wanted) === 'onstart';
    if (once && this.begun) return;
    if (there === undefined) {
      try {
        await store.create('', wanted, WRITE);
      } catch (error) {
        // Another server of the cluster was first.
        if (!hasReason(error, 'AlreadyExists')) throw error;
      }
      return;
    }
    if (!this.isOurs(there) || same(there['spec'], wanted['spec'])) return;
    await store.change(
      '',
      name,
      (live) => (markOf(live) === '' ? live : { ...live, spec: wanted['spec'] }),
      WRITE,
    );
  }

  /** Marked, and not one that somebody marked as of a start while this server ran. */
  private isOurs(object: KubeObject): boolean {
    const mark = markOf(object);
    return mark === 'true' || (mark === 'onstart' && !this.begun);
  }
}

function wantedOf(scheme: Scheme): Map<string, KubeObject> {
  const wanted = new Map<string, KubeObject>();
  for (const { definition, version } of scheme.served()) {
    // The API of APIServices has none of its own.
    if (definition.group === RESOURCE.group) continue;
    const object = apiService({ group: definition.group, version: version.version });
    wanted.set(object.metadata.name ?? '', object);
  }
  return wanted;
}

function apiService({ group, version }: GroupVersion): KubeObject {
  const priority = GROUP_PRIORITIES.get(group);
  return {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: {
      name: `${version}.${group}`,
      labels: { [MARK]: priority === undefined ? 'true' : 'onstart' },
    },
    spec: {
      ...(group === '' ? {} : { group }),
      version,
      groupPriorityMinimum: priority ?? CUSTOM_GROUP_PRIORITY,
      versionPriority: priority === undefined ? CUSTOM_VERSION_PRIORITY : versionPriority({ group, version }),
    },
  };
}

async function remove(store: ObjectStore, { metadata }: KubeObject): Promise<void> {
  const { name = '', uid } = metadata;
  try {
    await store.delete('', name, { ...WRITE, ...(uid === undefined ? {} : { preconditions: { uid } }) });
  } catch (error) {
    if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
  }
}

function markOf({ metadata }: KubeObject): string {
  return metadata.labels?.[MARK] ?? '';
}
