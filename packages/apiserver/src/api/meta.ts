/**
 * The words every object and every resource is described with: kinds, resources, and the metadata all objects
 * carry (meta.k8s.io/v1). Types and their text forms only.
 */

import type { JsonObject } from './json.ts';

/** Names a resource: what stands in a URL. `group` is empty for the core group. */
export interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

export interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

export interface GroupVersionResource extends GroupVersion, GroupResource {}

/** Names a kind: what stands in an object. */
export interface GroupVersionKind extends GroupVersion {
  readonly kind: string;
}

/** `v1` for the core group, else `apps/v1`: the form of an object's apiVersion. */
export function apiVersionOf({ group, version }: GroupVersion): string {
  return group === '' ? version : `${group}/${version}`;
}

/** The inverse of apiVersionOf; undefined for what is no apiVersion (more than one slash, or empty). */
export function parseApiVersion(text: string): GroupVersion | undefined {
  const slash = text.indexOf('/');
  if (text === '' || slash !== text.lastIndexOf('/')) return undefined;
  return slash < 0
    ? { group: '', version: text }
    : { group: text.slice(0, slash), version: text.slice(slash + 1) };
}

/** `pods`, `deployments.apps`: how messages and columns name a resource. */
export function describeResource({ group, resource }: GroupResource): string {
  return group === '' ? resource : `${resource}.${group}`;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ManagedFieldsEntry {
  readonly manager?: string;
  readonly operation?: 'Apply' | 'Update';
  readonly apiVersion?: string;
  readonly time?: string;
  readonly fieldsType?: 'FieldsV1';
  readonly fieldsV1?: JsonObject;
  readonly subresource?: string;
}

/** metadata of an object, times in RFC 3339 at second precision. */
export interface ObjectMeta {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string | null;
  readonly deletionTimestamp?: string | null;
  readonly deletionGracePeriodSeconds?: number | null;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
  readonly managedFields?: readonly ManagedFieldsEntry[];
}

/**
 * An object of any kind: a frozen JSON-shaped value whose type and metadata are known. What lies under the
 * other names is JSON (api/json.ts); schema/ says what it may be.
 */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

/** metadata of a list. */
export interface ListMeta {
  readonly resourceVersion?: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}
