/**
 * The resources of a scheme as discovery tells of them.
 */

import type { GroupVersionKind } from '../api/meta.ts';
import type { SubresourceDefinition } from '../registry/resource.ts';
import type { Scheme, Served } from '../registry/scheme.ts';
import type { CatalogGroup, CatalogResource, CatalogSubresource, ResourceCatalog } from './catalog.ts';

/** @param priorities of groups that have one of their own (their APIService says so) */
export function resourceCatalog(
  scheme: Scheme,
  priorities: ReadonlyMap<string, number> = new Map(),
): ResourceCatalog {
  return {
    generation: () => scheme.generation(),
    groups: () => groupsOf(scheme, priorities),
  };
}

function groupsOf(scheme: Scheme, priorities: ReadonlyMap<string, number>): CatalogGroup[] {
  const groups = new Map<string, Map<string, CatalogResource[]>>();
  for (const served of scheme.served()) {
    const { group } = served.definition;
    let versions = groups.get(group);
    if (versions === undefined) groups.set(group, (versions = new Map()));
    let resources = versions.get(served.version.version);
    if (resources === undefined) versions.set(served.version.version, (resources = []));
    resources.push(resourceOf(served));
  }
  return [...groups].map(([name, versions]) => {
    const priority = priorities.get(name);
    return {
      name,
      versions: [...versions]
        .toSorted(([a], [b]) => compareVersions(a, b))
        .map(([version, resources]) => ({
          version,
          resources: resources.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
        })),
      ...(priority === undefined ? {} : { priority }),
    };
  });
}

function resourceOf(served: Served): CatalogResource {
  const { definition } = served;
  const { backing } = definition;
  return {
    name: definition.resource,
    singular: definition.singular,
    kind: definition.kind,
    namespaced: definition.scope === 'Namespaced',
    verbs: definition.verbs,
    shortNames: definition.shortNames,
    categories: definition.categories,
    ...(backing.kind === 'stored' ? { storageKind: { ...backing.version, kind: definition.kind } } : {}),
    subresources: definition.subresources
      .filter(({ versions }) => versions === undefined || versions.includes(served.version.version))
      .map((subresource) => subresourceOf(served, subresource)),
  };
}

function subresourceOf(served: Served, { name, kind, verbs }: SubresourceDefinition): CatalogSubresource {
  const own: GroupVersionKind = {
    group: served.definition.group,
    version: served.version.version,
    kind: served.kind,
  };
  return { name, kind: kind ?? own, verbs };
}

/**
 * Preferred first: stable before beta before alpha, then the higher number; what is no Kubernetes version comes last,
 * by its text.
 */
export function compareVersions(a: string, b: string): number {
  const left = versionRank(a);
  const right = versionRank(b);
  if (left === undefined || right === undefined) {
    return left === right ? (a < b ? -1 : a > b ? 1 : 0) : left === undefined ? 1 : -1;
  }
  for (let at = 0; at < left.length; at += 1) if (left[at] !== right[at]) return right[at] - left[at];
  return 0;
}

/** Stage, major, minor; undefined for what is no `v1`, `v2beta3`. */
function versionRank(version: string): readonly number[] | undefined {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (match === null) return undefined;
  const [, major, stage, minor] = match;
  return [stage === 'alpha' ? 0 : stage === 'beta' ? 1 : 2, Number(major), Number(minor ?? 0)];
}
