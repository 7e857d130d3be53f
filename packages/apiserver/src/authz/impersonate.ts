/**
 * The filter by which a user acts as another one, as headers of the request ask for. Whether he may is the modes' to say
 * (impersonation-modes.ts). Behind it the request carries the other user, and the headers that asked for it are gone.
 *
 * Modelled on apiserver's WithConstrainedImpersonation, texts included.
 */

import { assert, goQuote, toError } from '@keelson/base';

import type { ApiRequest, ApiResponse, Filter, Handler, Headers } from '../api/exchange.ts';
import { badRequest } from '../api/status.ts';
import type { Authorizer } from '../api/user-info.ts';
import { withHeaders } from '../api/with-headers.ts';
import { attributesOf } from './attributes.ts';
import { ImpersonationModes, type Wanted } from './impersonation-modes.ts';

const USER = 'impersonate-user';
const GROUP = 'impersonate-group';
const UID = 'impersonate-uid';
const EXTRA = 'impersonate-extra-';

/** Names asked for in one request; a client that sends more asks the authorizer for too much work. */
const ASKED_MAX = 1000;

/**
 * What the headers ask for; undefined when they ask for nothing.
 *
 * @throws ApiError BadRequest for groups, uid or extra values without a user
 */
function impersonationAsked(headers: Headers): Wanted | undefined {
  const name = headers.get(USER)?.[0] ?? '';
  const groups = headers.get(GROUP) ?? [];
  const uid = headers.get(UID)?.[0] ?? '';
  const extra = new Map<string, readonly string[]>();
  let asked = groups.length;
  for (const [header, values] of headers) {
    if (!header.startsWith(EXTRA)) continue;
    const key = unescapeKey(header.slice(EXTRA.length).toLowerCase());
    extra.set(key, [...(extra.get(key) ?? []), ...values]);
    asked += values.length;
  }
  if (asked > ASKED_MAX) throw badRequest(`more than ${ASKED_MAX} groups and extra values to impersonate`);
  if (name !== '') return { name, groups, uid, extra };
  if (groups.length === 0 && uid === '' && extra.size === 0) return undefined;
  throw badRequest(`requested ${goUser(uid, groups, extra)} without impersonating a user name`);
}

/** As Go's `%#v` shows a user without a name. */
function goUser(
  uid: string,
  groups: readonly string[],
  extra: ReadonlyMap<string, readonly string[]>,
): string {
  const strings = (values: readonly string[]): string =>
    `[]string{${values.map((value) => goQuote(value)).join(', ')}}`;
  const keys = [...extra.keys()].toSorted();
  const values = keys.map((key) => `${goQuote(key)}:${strings(extra.get(key) ?? [])}`);
  const shownGroups = groups.length === 0 ? '[]string(nil)' : strings(groups);
  const shownExtra =
    keys.length === 0 ? 'map[string][]string(nil)' : `map[string][]string{${values.join(', ')}}`;
  return `&user.DefaultInfo{Name:"", UID:${goQuote(uid)}, Groups:${shownGroups}, Extra:${shownExtra}}`;
}

/** Keys may hold what a header name may not, percent-encoded; one that is no encoding is taken as it is. */
function unescapeKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

/** Lets a request act as another user where the authorizer allows it. */
export function impersonate(authorizer: Authorizer): Filter {
  const modes = new ImpersonationModes(authorizer);
  const asAnother = async (request: ApiRequest, wanted: Wanted, next: Handler): Promise<ApiResponse> => {
    const { context } = request;
    const requestor = context.user;
    assert(requestor !== undefined, 'a request reaches impersonation without a user');
    const { user, constraint } = await modes.impersonated(wanted, attributesOf(requestor, request.info));
    context.impersonator = requestor;
    context.user = user;
    if (constraint !== '') context.impersonationConstraint = constraint;
    return next(withoutHeaders(request));
  };
  return (request, next) => {
    let wanted: Wanted | undefined;
    try {
      wanted = impersonationAsked(request.headers);
    } catch (error) {
      return Promise.reject(toError(error));
    }
    return wanted === undefined ? next(request) : asAnother(request, wanted, next);
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
