/**
 * The documents of discovery as objects, from the catalog alone: the older ones (one a group, one a version) and
 * the aggregated one that says everything at once. Pure; discovery.ts serves them.
 *
 * Modelled on apiserver's endpoints/discovery and discovery/aggregated.
 */

import { createHash } from 'node:crypto';

import { CUSTOM_GROUP_PRIORITY, GROUP_PRIORITIES } from '../api/group-priorities.ts';
import type { Json, JsonObject } from '../api/json.ts';
import { apiVersionOf, type GroupVersion, type GroupVersionKind } from '../api/meta.ts';
import type { CatalogGroup, CatalogResource, CatalogSubresource, CatalogVersion } from './catalog.ts';

/** Groups as discovery names them: by priority, then by name. */
export function inOrder(groups: readonly CatalogGroup[]): CatalogGroup[] {
  return groups
    .filter(({ versions }) => versions.length > 0)
    .toSorted((a, b) => priorityOf(b) - priorityOf(a) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function priorityOf({ name, priority }: CatalogGroup): number {
  return priority ?? GROUP_PRIORITIES.get(name) ?? CUSTOM_GROUP_PRIORITY;
}

/** `/api`. */
export function coreVersions(core: CatalogGroup | undefined, serverAddress: string): JsonObject {
  return {
    kind: 'APIVersions',
    versions: (core?.versions ?? []).map(({ version }) => version),
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  };
}

/** `/apis`: all groups but the core one. */
export function groupList(groups: readonly CatalogGroup[]): JsonObject {
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: inOrder(groups)
      .filter(({ name }) => name !== '')
      .map(groupWords),
  };
}

/** `/apis/G`. */
export function groupDocument(group: CatalogGroup): JsonObject {
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupWords(group) };
}

function groupWords({ name, versions }: CatalogGroup): JsonObject {
  const words = versions.map(({ version }) => ({
    groupVersion: apiVersionOf({ group: name, version }),
    version,
  }));
  return { name, versions: words, preferredVersion: words[0] };
}

/** `/api/v1`, `/apis/G/V`: resources and subresources side by side, in the order of their paths. */
export function resourceList(group: string, { version, resources }: CatalogVersion): JsonObject {
  const own = { group, version };
  const entries = resources
    .toSorted((a, b) => byText(a.name, b.name))
    .flatMap((resource) => {
      const subresources = resource.subresources.map((entry) => subresourceWords(own, resource, entry));
      const told = [resourceWords(resource), ...subresources];
      return resource.custom === true ? told : told.toSorted((a, b) => byText(a.name, b.name));
    });
  return {
    kind: 'APIResourceList',
    // Discovery of the core group is as old as the API: its documents do not say their own version.
    ...(group === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: apiVersionOf(own),
    resources: entries,
  };
}

type NamedWords = JsonObject & { readonly name: string };

function resourceWords(resource: CatalogResource): NamedWords {
  return {
    name: resource.name,
    singularName: resource.singular,
    namespaced: resource.namespaced,
    kind: resource.kind,
    verbs: verbsOf(resource),
    ...(resource.shortNames.length > 0 && { shortNames: resource.shortNames }),
    ...(resource.categories.length > 0 && { categories: resource.categories }),
    ...(resource.storageKind && { storageVersionHash: storageVersionHash(resource.storageKind) }),
  };
}

function subresourceWords(
  own: GroupVersion,
  resource: CatalogResource,
  { name, kind, verbs }: CatalogSubresource,
): NamedWords {
  const foreign = kind.group !== own.group || kind.version !== own.version;
  return {
    name: `${resource.name}/${name}`,
    singularName: '',
    namespaced: resource.namespaced,
    ...(foreign && kind.group !== '' && { group: kind.group }),
    ...(foreign && { version: kind.version }),
    kind: kind.kind,
    verbs: verbs.toSorted(),
  };
}

/** Tells whether two servers store a resource alike: eight bytes of a hash over how it is stored. */
export function storageVersionHash({ group, version, kind }: GroupVersionKind): string {
  return createHash('sha256')
    .update(`${group}/${version}/${kind}`)
    .digest()
    .subarray(0, 8)
    .toString('base64');
}

/**
 * The aggregated document.
 *
 * @param version of apidiscovery.k8s.io, `v2` or `v2beta1`: they say the same
 * @param groups those the endpoint tells of, in any order
 */
export function groupDiscoveryList(version: string, groups: readonly CatalogGroup[]): JsonObject {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: inOrder(groups).map((group) => ({
      metadata: group.name === '' ? {} : { name: group.name },
      versions: group.versions.map((item) => versionWords(group.name, item)),
    })),
  };
}

function versionWords(group: string, found: CatalogVersion): JsonObject {
  const { version, stale } = found;
  const words = found.words ?? resourcesInWords(group, found);
  return {
    version,
    ...(words.length > 0 && { resources: words }),
    freshness: stale === true ? 'Stale' : 'Current',
  };
}

function resourcesInWords(group: string, { version, resources }: CatalogVersion): JsonObject[] {
  return resources
    .toSorted((a, b) => byText(a.name, b.name))
    .map((resource): JsonObject => {
      const own = { group, version };
      const custom = resource.custom === true;
      const inOrder = custom
        ? resource.subresources
        : resource.subresources.toSorted((a, b) => byText(a.name, b.name));
      const subresources = inOrder.map((entry): Json => aggregatedSubresource(own, entry, custom));
      return {
        resource: resource.name,
        responseKind: { ...(custom ? own : { group: '', version: '' }), kind: resource.kind },
        scope: resource.namespaced ? 'Namespaced' : 'Cluster',
        singularResource: resource.singular,
        verbs: verbsOf(resource),
        ...(resource.shortNames.length > 0 && { shortNames: resource.shortNames }),
        ...(resource.categories.length > 0 && { categories: resource.categories }),
        ...(subresources.length > 0 && { subresources }),
      };
    });
}

/** Of custom resources in the order in which their server counts them. */
function verbsOf({ verbs, custom }: CatalogResource): readonly string[] {
  return custom === true ? CUSTOM_VERBS.filter((verb) => verbs.includes(verb)) : verbs.toSorted();
}

const CUSTOM_VERBS: readonly string[] = [
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'create',
  'update',
  'watch',
];

function aggregatedSubresource(
  own: GroupVersion,
  { name, kind, verbs }: CatalogSubresource,
  custom: boolean,
): JsonObject {
  const same = !custom && kind.group === own.group && kind.version === own.version;
  return {
    subresource: name,
    responseKind: same ? { group: '', version: '', kind: kind.kind } : { ...kindWords(kind) },
    verbs: verbs.toSorted(),
  };
}

function kindWords({ group, version, kind }: GroupVersionKind): JsonObject {
  return { group, version, kind };
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
