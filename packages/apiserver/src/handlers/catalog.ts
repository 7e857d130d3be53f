/**
 * What discovery tells of: groups, their versions, the resources and subresources served at this moment. The
 * registry (and later custom resources and aggregated APIs) gives it; discovery.ts only puts it into words. Types,
 * and the order of the groups that Kubernetes brings along.
 */

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
  readonly subresources: readonly CatalogSubresource[];
}

export interface CatalogVersion {
  readonly version: string;
  readonly resources: readonly CatalogResource[];
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

/** Priorities of the groups' APIServices: the order of /apis. The API of APIServices itself comes first. */
export const GROUP_PRIORITIES: ReadonlyMap<string, number> = new Map([
  ['apiregistration.k8s.io', 20_000],
  ['', 18_000],
  ['extensions', 17_900],
  ['apps', 17_800],
  ['events.k8s.io', 17_750],
  ['authentication.k8s.io', 17_700],
  ['authorization.k8s.io', 17_600],
  ['autoscaling', 17_500],
  ['batch', 17_400],
  ['certificates.k8s.io', 17_300],
  ['networking.k8s.io', 17_200],
  ['policy', 17_100],
  ['rbac.authorization.k8s.io', 17_000],
  ['storage.k8s.io', 16_800],
  ['apiextensions.k8s.io', 16_700],
  ['admissionregistration.k8s.io', 16_700],
  ['scheduling.k8s.io', 16_600],
  ['coordination.k8s.io', 16_500],
  ['node.k8s.io', 16_300],
  ['discovery.k8s.io', 16_200],
  ['flowcontrol.apiserver.k8s.io', 16_100],
  ['internal.apiserver.k8s.io', 16_000],
  ['resource.k8s.io', 15_900],
  ['storagemigration.k8s.io', 15_800],
]);
