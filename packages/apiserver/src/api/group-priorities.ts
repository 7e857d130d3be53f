/**
 * The order in which clients are told of groups and of versions within a group: what the APIServices of Kubernetes' own
 * groups say. A client takes the first group that knows a resource's name, and that group's first version.
 *
 * Modelled on kube-apiserver's apiVersionPriorities.
 */

import type { GroupVersion } from './meta.ts';

/** The API of APIServices itself comes first and has no APIService. */
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
  ['resource.k8s.io', 16_200],
  ['flowcontrol.apiserver.k8s.io', 16_100],
  ['internal.apiserver.k8s.io', 16_000],
  ['storagemigration.k8s.io', 15_800],
]);

/** Groups that are not in the table: those of custom resources. */
export const CUSTOM_GROUP_PRIORITY = 1_000;

/** Of all versions of a group of custom resources: they are told in the order of their names then. */
export const CUSTOM_VERSION_PRIORITY = 100;

/** Versions that do not stand where their stage puts them. */
const VERSION_PRIORITIES: ReadonlyMap<string, number> = new Map([
  ['/v1', 1],
  ['admissionregistration.k8s.io/v1beta1', 12],
  ['admissionregistration.k8s.io/v1alpha1', 9],
  ['autoscaling/v2', 30],
  ['coordination.k8s.io/v1beta1', 13],
  ['coordination.k8s.io/v1alpha2', 12],
  ['discovery.k8s.io/v1beta1', 12],
  ['events.k8s.io/v1beta1', 5],
  ['flowcontrol.apiserver.k8s.io/v1', 21],
  ['flowcontrol.apiserver.k8s.io/v1beta3', 18],
  ['internal.apiserver.k8s.io/v1alpha1', 9],
  ['resource.k8s.io/v1', 21],
  ['resource.k8s.io/v1beta2', 15],
]);

/** Higher is told first. */
export function versionPriority({ group, version }: GroupVersion): number {
  if (!GROUP_PRIORITIES.has(group)) return CUSTOM_VERSION_PRIORITY;
  const found = VERSION_PRIORITIES.get(`${group}/${version}`);
  if (found !== undefined) return found;
  return version.includes('alpha') ? 1 : version.includes('beta') ? 9 : 15;
}
