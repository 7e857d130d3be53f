/**
 * Who wrote the status of a definition: the server itself, under the name that the original has for it. What a definition
 * wants is left out where owners are looked for, since its schemas are long and no status changes them. Pure.
 */

import type { KubeObject } from '../api/meta.ts';
import { asJson, asObject } from '../codec/object-codec.ts';
import { trackUpdate } from '../patch/server-side-apply.ts';
import { withMetadata } from '../registry/generation.ts';
import type { TypeTable } from '../schema/type-table.ts';

const API_VERSION = 'apiextensions.k8s.io/v1';
const MANAGER = 'kube-apiserver';

/** @param next the same object where nothing is to be written @param now RFC 3339 */
export function withStatusOwner(
  live: KubeObject,
  next: KubeObject,
  types: TypeTable,
  now: string,
): KubeObject {
  if (next === live) return live;
  const tracked = trackUpdate(withoutSpec(live), withoutSpec(next), MANAGER, {
    apiVersion: API_VERSION,
    kind: 'CustomResourceDefinition',
    subresource: 'status',
    now,
    versions: {
      typeOf: (version) =>
        version === API_VERSION ? types.struct('apiextensions.v1.CustomResourceDefinition') : undefined,
      convert: (object, version) => (version === API_VERSION ? object : undefined),
      resetFields: () => undefined,
    },
  });
  return withMetadata(next, { managedFields: asObject(tracked).metadata.managedFields });
}

function withoutSpec({ spec: _spec, ...rest }: KubeObject): ReturnType<typeof asJson> {
  return asJson({ ...rest, apiVersion: API_VERSION, kind: 'CustomResourceDefinition' });
}
