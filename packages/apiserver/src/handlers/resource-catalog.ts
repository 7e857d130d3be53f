/**
 * The resources of a scheme as discovery tells of them.
 */

import type { RemoteVersion } from '../aggregation/remote-catalog.ts';
import { CUSTOM_GROUP_PRIORITY, GROUP_PRIORITIES, versionPriority } from '../api/group-priorities.ts';
import type { GroupVersionKind } from '../api/meta.ts';
import { compareVersions } from '../api/version-order.ts';
import type { SubresourceDefinition } from '../registry/resource.ts';
import type { Scheme, Served } from '../registry/scheme.ts';
import type {
  CatalogGroup,
  CatalogResource,
  CatalogSubresource,
  CatalogVersion,
  ResourceCatalog,
} from './catalog.ts';

/** What other servers serve as part of this one. */
export interface RemoteCatalog {
  /** Another number after each change. */
  generation(): number;
  versions(): readonly RemoteVersion[];
}

/** @param remote comes in place of what this server has of the same group and version */
export function resourceCatalog(scheme: Scheme, remote?: RemoteCatalog): ResourceCatalog {
  if (remote === undefined) {
    return { generation: () => scheme.generation(), groups: () => groupsOf(scheme) };
  }
  return {
    // Both only grow.
    generation: () => scheme.generation() + remote.generation(),
    groups: () => joined(groupsOf(scheme), remote.versions()),
  };
}

function joined(local: readonly CatalogGroup[], remote: readonly RemoteVersion[]): CatalogGroup[] {
  const groups = new Map(local.map((group) => [group.name, group]));
  for (const { group: name, version, groupPriority, versionPriority: priority, words, stale } of remote) {
    const group = groups.get(name);
    const others = group?.versions.filter((each) => each.version !== version) ?? [];
    const known = group && (group.priority ?? GROUP_PRIORITIES.get(name) ?? CUSTOM_GROUP_PRIORITY);
    groups.set(name, {
      name,
      versions: [...others, { version, resources: [], words, stale, priority }].toSorted(
        (a, b) => priorityOf(name, b) - priorityOf(name, a) || compareVersions(a.version, b.version),
      ),
      priority: Math.max(groupPriority, known ?? 0),
    });
  }
  return [...groups.values()];
}

function priorityOf(group: string, { version, priority }: CatalogVersion): number {
  return priority ?? versionPriority({ group, version });
}

function groupsOf(scheme: Scheme): CatalogGroup[] {
  const groups = new Map<string, Map<string, CatalogResource[]>>();
  for (const served of scheme.announced()) {
    const { group } = served.definition;
    let versions = groups.get(group);
    if (versions === undefined) groups.set(group, (versions = new Map()));
    let resources = versions.get(served.version.version);
    if (resources === undefined) versions.set(served.version.version, (resources = []));
    resources.push(resourceOf(served));
  }
  return [...groups].map(([name, versions]) => {
    return {
      name,
      versions: [...versions]
        .toSorted(([a], [b]) => compareVersions(a, b))
        .map(([version, resources]) => ({
          version,
          resources: resources.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
        })),
    };
  });
}

function resourceOf(served: Served): CatalogResource {
  const { definition } = served;
  const { backing } = definition;
  const custom = served.version.read !== undefined;
  return {
    ...(custom && { custom }),
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
