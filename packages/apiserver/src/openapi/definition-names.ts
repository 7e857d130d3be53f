/**
 * How OpenAPI calls a type: `io.k8s.api.core.v1.Pod` for the fact table's `core.v1.Pod`, the group turned around for a
 * custom resource. Names only.
 *
 * The names are those of Go's packages, since clients compare them with what they know (kubectl's patch metadata).
 */

import type { GroupVersionKind } from '../api/meta.ts';

const APIMACHINERY = 'io.k8s.apimachinery.pkg.';

/** Types of OpenAPI that the fact table does not have as types: scalars and free forms with a name of their own. */
export const NAMED = {
  quantity: `${APIMACHINERY}api.resource.Quantity`,
  intOrString: `${APIMACHINERY}util.intstr.IntOrString`,
  rawExtension: `${APIMACHINERY}runtime.RawExtension`,
  time: `${APIMACHINERY}apis.meta.v1.Time`,
  microTime: `${APIMACHINERY}apis.meta.v1.MicroTime`,
  duration: `${APIMACHINERY}apis.meta.v1.Duration`,
  fieldsV1: `${APIMACHINERY}apis.meta.v1.FieldsV1`,
  patch: `${APIMACHINERY}apis.meta.v1.Patch`,
  version: `${APIMACHINERY}version.Info`,
} as const;

const PREFIXES: ReadonlyMap<string, string> = new Map([
  ['meta', `${APIMACHINERY}apis.`],
  ['apiextensions', 'io.k8s.apiextensions-apiserver.pkg.apis.'],
  ['apiregistration', 'io.k8s.kube-aggregator.pkg.apis.'],
]);

/** The name of a type of the fact table. */
export function definitionName(type: string): string {
  return (PREFIXES.get(type.slice(0, type.indexOf('.'))) ?? 'io.k8s.api.') + type;
}

/** `com.example.stable.v1.CronTab` for CronTab of stable.example.com/v1. */
export function customName({ group, version, kind }: GroupVersionKind): string {
  return [...group.split('.').toReversed(), version, kind].join('.');
}

/** Groups by the fact table's word for them, where it is not the group's name without `.k8s.io`. */
const GROUPS: ReadonlyMap<string, string> = new Map([
  ['core', ''],
  ['meta', ''],
  ['apps', 'apps'],
  ['autoscaling', 'autoscaling'],
  ['batch', 'batch'],
  ['extensions', 'extensions'],
  ['policy', 'policy'],
  ['apiserverinternal', 'internal.apiserver.k8s.io'],
  ['flowcontrol', 'flowcontrol.apiserver.k8s.io'],
  ['rbac', 'rbac.authorization.k8s.io'],
]);

/** Group, version and kind of a type of the fact table. */
export function kindOfType(type: string): GroupVersionKind {
  const [word, version, kind] = type.split('.');
  return { group: GROUPS.get(word) ?? `${word}.k8s.io`, version, kind };
}
