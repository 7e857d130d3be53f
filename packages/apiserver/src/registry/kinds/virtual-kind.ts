/** A kind that is sent and answered and never kept, from its row in the table of resources. */

import type { ResourceDefinition, VirtualBacking } from '../resource.ts';

export interface VirtualKindFile {
  readonly group: string;
  /** Where the fact table has its types. */
  readonly types: string;
  readonly resource: string;
  readonly kind: string;
  readonly scope: 'Namespaced' | 'Cluster';
  readonly create: NonNullable<VirtualBacking['create']>;
}

export function virtualKind(file: VirtualKindFile): ResourceDefinition {
  const { group, types, resource, kind, scope, create } = file;
  return {
    group,
    resource,
    singular: kind.toLowerCase(),
    kind,
    shortNames: [],
    categories: [],
    scope,
    versions: [{ version: 'v1', typeName: `${types}.v1.${kind}` }],
    verbs: ['create'],
    backing: { kind: 'virtual', create },
    strategy: { validate: () => [], validateUpdate: () => [] },
    subresources: [],
  };
}
