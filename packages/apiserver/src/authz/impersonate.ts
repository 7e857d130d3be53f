/**
 * The filter by which a user acts as another one: each thing he wants to be (user or service account, groups,
 * uid, extra values) is a question to the authorizer with the verb `impersonate`, asked of who he is in truth.
 * Behind it the request carries the other user, and the headers that asked for it are gone.
 *
 * Modelled on apiserver's WithImpersonation, texts included.
 */

import { assert, toError } from '@keelson/base';

import type { ApiRequest, ApiResponse, Filter, Handler, Headers } from '../api/exchange.ts';
import { badRequest } from '../api/status.ts';
import {
  ANONYMOUS,
  GROUP_AUTHENTICATED,
  GROUP_SERVICE_ACCOUNTS,
  GROUP_UNAUTHENTICATED,
  type AuthorizationAttributes,
  type Authorizer,
  type UserInfo,
} from '../api/user-info.ts';
import { withHeaders } from '../api/with-headers.ts';
import { resourceAttributes } from './attributes.ts';
import { forbiddenRequest } from './forbidden.ts';

const USER = 'impersonate-user';
const GROUP = 'impersonate-group';
const UID = 'impersonate-uid';
const EXTRA = 'impersonate-extra-';
const AUTHENTICATION_GROUP = 'authentication.k8s.io';

/** Names asked for in one request; a client that sends more asks the authorizer for too much work. */
const ASKED_MAX = 1000;

const NAMESPACE = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Who the headers ask to be. */
interface Asked {
  readonly user: string;
  readonly groups: readonly string[];
  readonly uid: string;
  readonly extra: ReadonlyMap<string, readonly string[]>;
}

/** Namespace and name of a service account's user name; undefined for another user's. */
function splitServiceAccountUser(
  name: string,
): { readonly namespace: string; readonly name: string } | undefined {
  const parts = name.split(':');
  if (parts.length !== 4 || parts[0] !== 'system' || parts[1] !== 'serviceaccount') return undefined;
  const [, , namespace, account] = parts;
  return NAMESPACE.test(namespace) && SUBDOMAIN.test(account) ? { namespace, name: account } : undefined;
}

/**
 * What the headers ask for; undefined when they ask for nothing.
 *
 * @throws ApiError BadRequest for groups, uid or extra values without a user
 */
function impersonationAsked(headers: Headers): Asked | undefined {
  const user = headers.get(USER)?.[0] ?? '';
  const groups = headers.get(GROUP) ?? [];
  const uid = headers.get(UID)?.[0] ?? '';
  const extra = new Map<string, readonly string[]>();
  let asked = groups.length;
  for (const [name, values] of headers) {
    if (!name.startsWith(EXTRA)) continue;
    extra.set(unescapeKey(name.slice(EXTRA.length)).toLowerCase(), values);
    asked += values.length;
  }
  if (asked > ASKED_MAX) throw badRequest(`more than ${ASKED_MAX} groups and extra values to impersonate`);
  if (user !== '') return { user, groups, uid, extra };
  if (groups.length === 0 && uid === '' && extra.size === 0) return undefined;
  const told = [
    ...groups.map((group) => `{Group  ${group}    }`),
    ...[...extra].flatMap(([key, values]) =>
      values.map((value) => `{UserExtra  ${value}  ${AUTHENTICATION_GROUP}/v1  ${key}}`),
    ),
    ...(uid === '' ? [] : [`{UID  ${uid}  ${AUTHENTICATION_GROUP}/v1  }`]),
  ];
  throw badRequest(`requested [${told.join(' ')}] without impersonating a user`);
}

/** Keys may hold what a header name may not, percent-encoded; one that is no encoding is taken as it is. */
function unescapeKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

/** The questions to the authorizer, in the order user, groups, extra values, uid. */
function impersonationQuestions(requestor: UserInfo, asked: Asked): AuthorizationAttributes[] {
  const ask = (named: Parameters<typeof resourceAttributes>[2]): AuthorizationAttributes =>
    resourceAttributes(requestor, 'impersonate', named);
  const account = splitServiceAccountUser(asked.user);
  const questions = [
    account === undefined
      ? ask({ resource: 'users', name: asked.user })
      : ask({ version: 'v1', resource: 'serviceaccounts', ...account }),
  ];
  for (const name of asked.groups) questions.push(ask({ resource: 'groups', name }));
  const other = { group: AUTHENTICATION_GROUP, version: 'v1' };
  for (const [subresource, values] of asked.extra) {
    for (const name of values) questions.push(ask({ ...other, resource: 'userextras', subresource, name }));
  }
  if (asked.uid !== '') questions.push(ask({ ...other, resource: 'uids', name: asked.uid }));
  return questions;
}

/** The user that the request goes on with, once every question was answered with yes. */
export function impersonatedUser(asked: Asked): UserInfo {
  const account = splitServiceAccountUser(asked.user);
  const groups =
    account !== undefined && asked.groups.length === 0
      ? [GROUP_SERVICE_ACCOUNTS, `${GROUP_SERVICE_ACCOUNTS}:${account.namespace}`]
      : [...asked.groups];
  if (asked.user === ANONYMOUS) {
    if (!groups.includes(GROUP_UNAUTHENTICATED)) groups.push(GROUP_UNAUTHENTICATED);
  } else if (!groups.includes(GROUP_AUTHENTICATED) && !groups.includes(GROUP_UNAUTHENTICATED)) {
    groups.push(GROUP_AUTHENTICATED);
  }
  return { name: asked.user, uid: asked.uid, groups, extra: Object.fromEntries(asked.extra) };
}

/** Lets a request act as another user where the authorizer allows every part of it. */
export function impersonate(authorizer: Authorizer): Filter {
  const asAnother = async (request: ApiRequest, asked: Asked, next: Handler): Promise<ApiResponse> => {
    const requestor = request.context.user;
    assert(requestor !== undefined, 'a request reaches impersonation without a user');
    for (const question of impersonationQuestions(requestor, asked)) {
      const { kind, reason } = await authorizer.authorize(question);
      if (kind !== 'allow') throw forbiddenRequest(question, reason);
    }
    request.context.impersonator = requestor;
    request.context.user = impersonatedUser(asked);
    return next(withoutHeaders(request));
  };
  return (request, next) => {
    let asked: Asked | undefined;
    try {
      asked = impersonationAsked(request.headers);
    } catch (error) {
      return Promise.reject(toError(error));
    }
    return asked === undefined ? next(request) : asAnother(request, asked, next);
  };
}

function withoutHeaders(request: ApiRequest): ApiRequest {
  const headers = new Map<string, readonly string[]>();
  for (const [name, values] of request.headers) {
    if (name === USER || name === GROUP || name === UID || name.startsWith(EXTRA)) continue;
    headers.set(name, values);
  }
  return withHeaders(request, headers);
}
