/** Binding: sent, never kept; the pod that it names gets its node. */

import type { ResourceDefinition } from '../resource.ts';
import { bind } from './pod-actions.ts';

export const bindings: ResourceDefinition = {
  group: '',
  resource: 'bindings',
  singular: 'binding',
  kind: 'Binding',
  shortNames: [],
  categories: [],
  scope: 'Namespaced',
  versions: [{ version: 'v1', typeName: 'core.v1.Binding' }],
  verbs: ['create'],
  backing: { kind: 'virtual', create: bind },
  strategy: { validate: () => [], validateUpdate: () => [] },
  subresources: [],
};
