/**
 * What discovery tells of: groups, their versions, the resources and subresources served at this moment. The
 * registry and aggregated APIs give it; discovery.ts only puts it into words. Types alone.
 */

import type { JsonObject } from '../api/json.ts';
import type { GroupVersionKind } from '../api/meta.ts';

export interface CatalogSubresource {
  /** `status`, `scale`, `exec`. */
  readonly name: string;
  /** Kind of the object that is sent and answered; of another group or version for scale, eviction, token. */
  readonly kind: GroupVersionKind;
  readonly verbs: readonly string[];
}

export interface CatalogResource {
  /** Plural, as in URLs. */
  readonly name: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** The kind as it is stored, whose hash clients may compare; undefined where nothing is stored. */
  readonly storageKind?: GroupVersionKind;
  /** In the order they are told in where the resource is custom. */
  readonly subresources: readonly CatalogSubresource[];
  /** Told of in the words of whoever serves custom resources: verbs in their order, kinds with group and version. */
  readonly custom?: boolean;
}

export interface CatalogVersion {
  readonly version: string;
  readonly resources: readonly CatalogResource[];
  /** Its APIService's word on the order of versions; without it what Kubernetes says of its own and of custom ones. */
  readonly priority?: number;
  /** The resources in the words of another server's aggregated document, in place of `resources`. */
  readonly words?: readonly JsonObject[];
  /** An aggregated server did not answer: what is told is old. */
  readonly stale?: boolean;
}

export interface CatalogGroup {
  /** Empty for the core group. */
  readonly name: string;
  /** Preferred first; a version without resources is told all the same. */
  readonly versions: readonly CatalogVersion[];
  /** Highest first; without it GROUP_PRIORITIES counts, and 1000 for groups that are not in it. */
  readonly priority?: number;
}

/** What is served now. */
export interface ResourceCatalog {
  /** Another number after each change: documents are kept as long as it stays. */
  generation(): number;
  /** In any order. */
  groups(): readonly CatalogGroup[];
}
