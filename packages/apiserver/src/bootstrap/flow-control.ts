/**
 * Keeps the default priority levels and flow schemas stored (priority-and-fairness-config-producer): mandatory ones
 * always as they must be, suggested ones until an administrator takes them over, and those that an older server
 * suggested and this one does not are taken away. Which they are is in flow-control-objects.
 *
 * Modelled on kubernetes' registry/flowcontrol/rest and apiserver's util/flowcontrol ensurer. An object belongs to
 * the server while its annotation says `true`; where it has none, while its spec was never changed.
 */

import type { KubeObject } from '../api/meta.ts';
import { withMetadata } from '../registry/generation.ts';
import type { ObjectStore } from '../registry/resource.ts';
import { same } from '../validation/value.ts';
import { deleteUnlessChanged, ensure, inParallel, storeOf } from './ensure.ts';
import { AUTOUPDATE, mandatoryObjects, suggestedObjects } from './flow-control-objects.ts';
import type { PostStartHook } from './post-start-hooks.ts';

const GROUP = 'flowcontrol.apiserver.k8s.io';
/** As often as the original looks at most. */
const EVERY_MS = 5 * 60_000;
const WIDTH = 16;

export function flowControlObjects(): PostStartHook {
  return {
    name: 'priority-and-fairness-config-producer',
    everyMs: EVERY_MS,
    async run(stores) {
      const levels = storeOf(stores, { group: GROUP, resource: 'prioritylevelconfigurations' });
      const schemas = storeOf(stores, { group: GROUP, resource: 'flowschemas' });
      const mandatory = mandatoryObjects();
      const suggested = suggestedObjects();
      await inParallel(suggested.priorityLevels, WIDTH, (object) => ensure(levels, object, suggests(object)));
      await inParallel(suggested.flowSchemas, WIDTH, (object) => ensure(schemas, object, suggests(object)));
      await inParallel(mandatory.priorityLevels, WIDTH, (object) => ensure(levels, object, demands(object)));
      await inParallel(mandatory.flowSchemas, WIDTH, (object) => ensure(schemas, object, demands(object)));
      await removeOthers(levels, [...mandatory.priorityLevels, ...suggested.priorityLevels]);
      await removeOthers(schemas, [...mandatory.flowSchemas, ...suggested.flowSchemas]);
    },
  };
}

/** What a mandatory object must be. */
function demands(standard: KubeObject): (stored: KubeObject) => KubeObject {
  return (stored) => brought(stored, standard, 'true');
}

/** What a suggested object should be: the standard one, or left alone and marked so. */
function suggests(standard: KubeObject): (stored: KubeObject) => KubeObject {
  return (stored) => {
    const mark = stored.metadata.annotations?.[AUTOUPDATE];
    if (mark === 'true') return brought(stored, standard, 'true');
    if (mark === 'false') return stored;
    return (stored.metadata.generation ?? 0) <= 1
      ? brought(stored, standard, 'true')
      : brought(stored, stored, 'false');
  };
}

function brought(stored: KubeObject, standard: KubeObject, mark: string): KubeObject {
  const marked = stored.metadata.annotations?.[AUTOUPDATE] === mark;
  const right = stored === standard || same(stored['spec'], standard['spec']);
  if (marked && right) return stored;
  const annotations = { ...stored.metadata.annotations, [AUTOUPDATE]: mark };
  return { ...withMetadata(stored, { annotations }), ...(right ? {} : { spec: standard['spec'] }) };
}

/** Deletes what the server once made, still is its own, and is no default any more. */
async function removeOthers(store: ObjectStore, standards: readonly KubeObject[]): Promise<void> {
  const names = new Set(standards.map(({ metadata }) => metadata.name));
  for (const object of await store.list('')) {
    const { name, annotations } = object.metadata;
    if (names.has(name) || annotations?.[AUTOUPDATE] !== 'true') continue;
    // Somebody may be faster, or may just have taken it over.
    await deleteUnlessChanged(store, object);
  }
}
