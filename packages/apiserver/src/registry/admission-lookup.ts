/**
 * The scheme as admission sees it: the objects of other resources, which resources hold a kind, and in which other
 * forms the objects of a resource are served.
 */

import { objectLookup, type ObjectLookup, type ResourceLookup } from '../admission/resource-lookup.ts';
import type { Equivalent, ResourceVersions } from '../admission/webhooks/resource-versions.ts';
import { apiVersionOf } from '../api/meta.ts';
import { asObject, typeName } from '../codec/object-codec.ts';
import { conform } from '../codec/typed.ts';
import type { ResourceDefinition } from './resource.ts';
import type { ResourceStore } from './store.ts';
import type { Scheme, Served } from './scheme.ts';
import type { SubresourceStrategy } from './strategy.ts';

/** @param scheme asked at each look-up: resources come and go, and it may be made after the plugins */
export function admissionLookup(scheme: () => Scheme): ResourceLookup {
  const lookups = new WeakMap<ResourceStore, ObjectLookup>();
  return {
    of(resource) {
      const store = scheme().store(resource);
      if (store === undefined) return undefined;
      let lookup = lookups.get(store);
      if (lookup === undefined) {
        lookup = lookupIn(store);
        lookups.set(store, lookup);
      }
      return lookup;
    },
    scopeOf(resource) {
      return scheme().store(resource)?.definition.scope;
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

/** @param scheme as admissionLookup's */
export function resourceVersions(scheme: () => Scheme): ResourceVersions {
  // Until something else is served: a handful of requests for each resource there is.
  let known: { readonly generation: number; readonly lists: Map<string, readonly Equivalent[]> } = {
    generation: -1,
    lists: new Map(),
  };
  const servedAs = ({ resource }: Equivalent): Served | undefined =>
    scheme().find(resource.group, resource.version, resource.resource);
  return {
    equivalents(resource, subresource) {
      const own = scheme().find(resource.group, resource.version, resource.resource);
      if (own === undefined) return [];
      const generation = scheme().generation();
      if (generation !== known.generation) known = { generation, lists: new Map() };
      const key = `${resource.group}/${resource.version}/${resource.resource}/${subresource}`;
      let list = known.lists.get(key);
      if (list === undefined) {
        list = equivalentsOf(scheme(), own, subresource);
        known.lists.set(key, list);
      }
      return list;
    },
    show(object, form) {
      const served = servedAs(form);
      if (served === undefined || !isOwnKind(served, form)) return object;
      return object.kind === served.kind ? scheme().toServed(served, object) : object;
    },
    schema(form) {
      const served = servedAs(form);
      if (served !== undefined && isOwnKind(served, form)) return served.schema;
      const { types } = scheme();
      const name = typeName(form.kind);
      return types.has(name) ? types.struct(name) : undefined;
    },
    take(value, form, unknown) {
      const served = servedAs(form);
      if (served !== undefined && isOwnKind(served, form)) {
        return scheme().toStored(served.definition, scheme().toObject(served, value, unknown));
      }
      const struct = scheme().types.struct(typeName(form.kind));
      const typed = conform(struct, value, {
        schemaProps: scheme().schemaProps(),
        ...(unknown === undefined ? {} : { unknown }),
      });
      return asObject({ ...typed, apiVersion: apiVersionOf(form.kind), kind: form.kind.kind });
    },
  };
}

function equivalentsOf(scheme: Scheme, own: Served, subresource: string): Equivalent[] {
  return [...scheme.served()].flatMap((other) => {
    const kind = other === own ? undefined : kindUnder(other, subresource);
    if (kind === undefined || !sameObjects(own.definition, other.definition)) return [];
    const { group, resource: name } = other.definition;
    return [{ resource: { group, version: other.version.version, resource: name }, kind }];
  });
}

/** Whether two resources are two names of what lies at one place. */
function sameObjects(a: ResourceDefinition, b: ResourceDefinition): boolean {
  if (a === b) return true;
  return (
    a.backing.kind === 'stored' && b.backing.kind === 'stored' && a.backing.keyPrefix === b.backing.keyPrefix
  );
}

/** What is sent to the resource, or to what lies under it; undefined where it has no such endpoint. */
function kindUnder(
  { definition, version, kind }: Served,
  subresource: string,
): Equivalent['kind'] | undefined {
  const own = { group: definition.group, version: version.version, kind };
  if (subresource === '') return own;
  const found = definition.subresources.find(
    ({ name, versions }) =>
      name === subresource && (versions === undefined || versions.includes(version.version)),
  );
  return found && (found.kind ?? own);
}

function isOwnKind({ definition, kind }: Served, form: Equivalent): boolean {
  return form.kind.kind === kind && form.kind.group === definition.group;
}
