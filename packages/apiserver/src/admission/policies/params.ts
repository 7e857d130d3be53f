/**
 * The parameters a binding names: objects of the policy's kind of parameters, by name or by labels, in the namespace that
 * is named or in the request's. A policy is evaluated once for each; without any, as the binding says.
 *
 * Modelled on CollectParams of apiserver's admission/plugin/policy/generic; texts are the original's. Parameters are read
 * from the cache before their resource, and one that is not there from the store.
 */

import type { GroupVersionResource, KubeObject } from '../../api/meta.ts';
import { matchesLabels } from '../../api/selectors.ts';
import { getOrLive, type ResourceLookup } from '../resource-lookup.ts';
import type { ResourceVersions } from '../webhooks/resource-versions.ts';
import type { ParamKind, ParamRef } from './policy.ts';
import { waitFor, type Steps } from './steps.ts';

/** A policy or a binding that cannot be used as it stands; what becomes of it is the failure policy's. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

export interface ParamResource {
  readonly kind: ParamKind;
  readonly resource: GroupVersionResource;
  readonly namespaced: boolean;
}

/** Where objects of the kind lie. @throws ConfigurationError nobody serves it */
export function paramResource(kind: ParamKind, lookup: ResourceLookup): ParamResource {
  for (const resource of lookup.resourcesOf(kind)) {
    const scope = lookup.scopeOf(resource);
    if (scope !== undefined) return { kind, resource, namespaced: scope === 'Namespaced' };
  }
  throw new ConfigurationError(
    `failed to find resource referenced by paramKind: '${kind.group}/${kind.version}, Kind=${kind.kind}'`,
  );
}

/**
 * The parameters; one that is undefined where the policy or the binding uses none.
 *
 * @param namespace of the request
 * @throws ConfigurationError
 */
export function* collectParams(
  of: ParamResource | undefined,
  ref: ParamRef | undefined,
  namespace: string,
  lookup: ResourceLookup,
  versions: ResourceVersions,
): Steps<readonly (KubeObject | undefined)[]> {
  if (of === undefined || ref === undefined) return [undefined];
  if (!of.namespaced && ref.namespace !== '') {
    throw new ConfigurationError('paramRef.namespace must not be provided for a cluster-scoped `paramKind`');
  }
  const where = of.namespaced ? ref.namespace || namespace : '';
  if (of.namespaced && where === '') {
    throw new ConfigurationError(
      'cannot use namespaced paramRef in policy binding that matches cluster-scoped resources',
    );
  }
  const found = yield* waitFor(paramsIn(of, ref, where, lookup));
  if (found.length === 0 && ref.notFound === 'Deny') {
    throw new ConfigurationError('no params found for policy binding with `Deny` parameterNotFoundAction');
  }
  return found.map((object) => versions.show(object, of));
}

async function paramsIn(
  { resource }: ParamResource,
  { name, selector }: ParamRef,
  namespace: string,
  lookup: ResourceLookup,
): Promise<readonly KubeObject[]> {
  const objects = lookup.of(resource);
  if (name !== '') {
    const found = await getOrLive(objects, namespace, name);
    return found === undefined ? [] : [found];
  }
  if (typeof selector === 'string') throw new ConfigurationError(selector);
  if (selector === undefined) throw new ConfigurationError('one of name or selector must be provided');
  const all = (await objects?.list(namespace)) ?? [];
  return all.filter(({ metadata }) => matchesLabels(selector, metadata.labels));
}
