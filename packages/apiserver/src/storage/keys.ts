/**
 * Keys of the store: which resource lies where. Pure text; the layout is kube-apiserver's own, so that either can
 * take over the other's store.
 *
 * A storage's callers use keys below the prefix, `/pods/default/web-0`; only what talks to the store adds `/registry`.
 */

import type { GroupResource } from '../api/meta.ts';
import { badRequest } from '../api/status.ts';

/** Default of --etcd-prefix. */
export const DEFAULT_PREFIX = '/registry';

/** Read by the health probe; nothing is ever written there. */
export const HEALTH_KEY = '/health';

/** Leased records of the API servers that run, by address. */
export const MASTER_LEASES_PREFIX = '/masterleases';

/** Which numbers of a range are taken; a RangeAllocation each. */
export const RANGES_PREFIX = '/ranges';

/** Where API servers agree on when to compact. It stands outside the prefix. */
export const COMPACT_REVISION_KEY = 'compact_rev_key';

/** What is not called as the resource is. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  nodes: 'minions',
  services: 'services/specs',
  endpoints: 'services/endpoints',
  replicationcontrollers: 'controllers',
  'ingresses.networking.k8s.io': 'ingress',
  'ingresses.extensions': 'ingress',
};

/** Groups whose API server puts its group into its keys, as custom resources do. */
const QUALIFIED: ReadonlySet<string> = new Set(['apiextensions.k8s.io', 'apiregistration.k8s.io']);

/** Prefix of a built-in resource: `/pods`, `/services/specs`, `/apiregistration.k8s.io/apiservices`. */
export function builtInPrefix({ group, resource }: GroupResource): string {
  const exception = EXCEPTIONS[group === '' ? resource : `${resource}.${group}`];
  if (exception !== undefined) return `/${exception}`;
  return QUALIFIED.has(group) ? `/${group}/${resource}` : `/${resource}`;
}

/** Prefix of a custom resource: `/stable.example.com/crontabs`. */
export function customPrefix({ group, resource }: GroupResource): string {
  return `/${group}/${resource}`;
}

/**
 * Key of one object.
 *
 * @param namespace empty for resources that have none
 * @throws ApiError 400 for a name that cannot be part of a path
 */
export function objectKey(prefix: string, namespace: string, name: string): string {
  if (name === '') throw badRequest('Name parameter required.');
  const problem = pathSegmentProblem(name);
  if (problem !== undefined) {
    throw badRequest(`Name parameter invalid: ${JSON.stringify(name)}: ${problem}`);
  }
  return `${listKey(prefix, namespace)}/${name}`;
}

/** Key that a list of a namespace, or of all of them when it is empty, begins with. */
export function listKey(prefix: string, namespace: string): string {
  if (namespace === '') return prefix;
  const problem = pathSegmentProblem(namespace);
  if (problem !== undefined) {
    throw badRequest(`Namespace parameter invalid: ${JSON.stringify(namespace)}: ${problem}`);
  }
  return `${prefix}/${namespace}`;
}

/** Why a text cannot be one segment of a path; undefined when it can. */
function pathSegmentProblem(text: string): string | undefined {
  if (text === '.' || text === '..') return `may not be '${text}'`;
  const problems = ['/', '%']
    .filter((char) => text.includes(char))
    .map((char) => `may not contain '${char}'`);
  return problems.length === 0 ? undefined : problems.join(';');
}

/**
 * The key as the store has it.
 *
 * @param prefix of the store, without a slash at its end
 * @param recursive the key is a prefix: it ends in a slash then, so that `/pods/a` does not take in `/pods/ab`
 * @throws Error for a key that is empty or climbs
 */
export function fullKey(prefix: string, key: string, recursive: boolean): string {
  for (const segment of key.split('/')) {
    if (segment === '.' || segment === '..') throw new Error(`invalid key: ${JSON.stringify(key)}`);
  }
  if (key === '' || key === '/') throw new Error(`empty key: ${JSON.stringify(key)}`);
  const absolute = key.startsWith('/') ? `${prefix}${key}` : `${prefix}/${key}`;
  return recursive && !absolute.endsWith('/') ? `${absolute}/` : absolute;
}
