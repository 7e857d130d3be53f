/** The scheme as admission sees it: the objects of other resources, and which resources hold a kind. */

import { objectLookup, type ObjectLookup, type ResourceLookup } from '../admission/resource-lookup.ts';
import type { ResourceStore } from './store.ts';
import type { Scheme } from './scheme.ts';
import type { SubresourceStrategy } from './strategy.ts';

/** @param scheme asked at each look-up: resources come and go, and it may be made after the plugins */
export function admissionLookup(scheme: () => Scheme): ResourceLookup {
  return {
    of(resource) {
      const store = scheme().store(resource);
      return store && lookupIn(store);
    },
    resourcesOf({ group, version, kind }) {
      return [...scheme().served()]
        .filter(
          (each) => each.definition.group === group && each.version.version === version && each.kind === kind,
        )
        .map(({ definition }) => ({ group, version, resource: definition.resource }));
    },
  };
}

function lookupIn(store: ResourceStore): ObjectLookup {
  return objectLookup(store, (namespace, name, change) =>
    store.change(namespace, name, change, { dryRun: false, strategy: statusStrategy(store) }),
  );
}

function statusStrategy({ definition }: ResourceStore): SubresourceStrategy {
  const backing = definition.subresources.find(({ name }) => name === 'status')?.backing;
  return backing?.kind === 'update' ? backing.strategy : { validateUpdate: () => [] };
}
