/**
 * The scheme's resources as routes.ts wants them, by group version, each group version with a signature: whoever keeps
 * what was made of one knows by it whether it still holds.
 */

import type { GroupVersion, GroupVersionKind } from '../api/meta.ts';
import { typeName } from '../codec/object-codec.ts';
import type { SubresourceDefinition } from '../registry/resource.ts';
import type { Served } from '../registry/scheme.ts';
import { customName } from './definition-names.ts';
import type { CustomDefinitions } from './definitions.ts';
import type { ResourceSource, SubresourceSource } from './routes.ts';

/** The resources of a group version, sorted by name. */
export interface VersionSource extends GroupVersion {
  readonly resources: readonly ResourceSource[];
  /** Another text whenever something that documents tell of it is another. */
  readonly signature: string;
}

/** Their deletions answer the object, and the original's documents say Status all the same. */
const UNTOLD: ReadonlySet<string> = new Set(['namespaces']);

/** By group, then by version. */
export function versionSources(served: Iterable<Served>, custom?: CustomDefinitions): VersionSource[] {
  const found = new Map<string, { group: string; version: string; resources: ResourceSource[] }>();
  for (const one of served) {
    const { group } = one.definition;
    const { version } = one.version;
    const key = `${group}/${version}`;
    let source = found.get(key);
    if (source === undefined) found.set(key, (source = { group, version, resources: [] }));
    source.resources.push(resourceSource(one));
  }
  return [...found]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { group, version, resources }]) => {
      const sorted = resources.toSorted((a, b) => (a.resource < b.resource ? -1 : 1));
      const revisions = sorted.map((source) =>
        source.custom ? (custom?.revision(source.content) ?? '') : '',
      );
      return { group, version, resources: sorted, signature: JSON.stringify([sorted, revisions]) };
    });
}

function resourceSource(served: Served): ResourceSource {
  const { definition, version, kind, listKind } = served;
  const { group, resource } = definition;
  const own = { group, version: version.version, kind };
  const custom = version.schema !== undefined;
  const content = custom ? customName(own) : version.typeName;
  const word = content.slice(0, content.lastIndexOf('.') + 1);
  return {
    ...own,
    resource,
    namespaced: definition.scope === 'Namespaced',
    verbs: definition.verbs,
    content,
    listContent: word + listKind,
    returnsDeletedObject: (definition.returnsDeletedObject ?? false) && !UNTOLD.has(resource),
    subresources: definition.subresources
      .filter(({ versions }) => versions === undefined || versions.includes(version.version))
      .map((subresource) => subresourceSource(own, content, subresource)),
    custom,
  };
}

function subresourceSource(
  own: GroupVersionKind,
  content: string,
  { name, kind, typeName: type, verbs }: SubresourceDefinition,
): SubresourceSource {
  const { group, version } = own;
  return {
    name,
    verbs,
    kind: kind ?? { group, version, kind: own.kind },
    content: type ?? (kind === undefined ? content : typeName(kind)),
  };
}
