/**
 * A request as authorizers are asked about it: from its RequestInfo and user, selectors read where it has some.
 * A selector that does not parse is left out; the handler refuses it with its own text.
 */

import type { RequestInfo } from '../api/request-info.ts';
import { parseFieldSelector, parseLabelSelector, SelectorError } from '../api/selectors.ts';
import type { AuthorizationAttributes, UserInfo } from '../api/user-info.ts';

/** The attributes of a request that has come in. */
export function attributesOf(user: UserInfo, info: RequestInfo): AuthorizationAttributes {
  const { isResource, verb, group, version, resource, subresource, namespace, name, path } = info;
  const fieldSelector = info.fieldSelector === '' ? [] : parsed(parseFieldSelector, info.fieldSelector);
  const labelSelector = info.labelSelector === '' ? [] : parsed(parseLabelSelector, info.labelSelector);
  return {
    user,
    verb,
    isResource,
    group,
    version,
    resource,
    subresource,
    namespace,
    name,
    path,
    ...(fieldSelector.length === 0 ? {} : { fieldSelector }),
    ...(labelSelector.length === 0 ? {} : { labelSelector }),
  };
}

function parsed<T>(parse: (text: string) => T[], text: string): T[] {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof SelectorError) return [];
    throw error;
  }
}

/** The question whether a user may do something to a resource, with what is not named left empty. */
export function resourceAttributes(
  user: UserInfo,
  verb: string,
  named: Partial<Omit<AuthorizationAttributes, 'user' | 'verb' | 'isResource'>>,
): AuthorizationAttributes {
  return {
    user,
    verb,
    isResource: true,
    group: '',
    version: '',
    resource: '',
    subresource: '',
    namespace: '',
    name: '',
    path: '',
    ...named,
  };
}
