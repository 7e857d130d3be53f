/**
 * What a request is about, read from its method, path and query alone: the input of authorization, audit,
 * fairness and routing. Whether the resource exists is not asked here.
 *
 * Modelled on apiserver's endpoints/request RequestInfoFactory, its verbs and special paths included.
 */

import { badRequest, type ApiError } from './status.ts';

export interface RequestInfo {
  readonly isResource: boolean;
  /** The decoded path. */
  readonly path: string;
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `proxy`; else the method in lower case. */
  readonly verb: string;
  /** `api` or `apis`; empty for a path that names no resource. */
  readonly prefix: string;
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly resource: string;
  /** The first segment behind the name; empty without. */
  readonly subresource: string;
  readonly name: string;
  /** All segments from the resource on, for proxies (`pods`, `web`, `proxy`, `index.html`). */
  readonly parts: readonly string[];
  /** As given, for list, watch and deletecollection only. */
  readonly labelSelector: string;
  readonly fieldSelector: string;
}

/** Verbs that a path states itself (deprecated): `/api/v1/watch/pods`, `/api/v1/proxy/nodes/n`. */
const SPECIAL_VERBS: ReadonlySet<string> = new Set(['proxy', 'watch']);
const SPECIAL_VERBS_WITHOUT_SUBRESOURCE: ReadonlySet<string> = new Set(['proxy']);
/** What may follow a namespace's own name; else the segment behind it is a resource in it. */
const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(['status', 'finalize']);

const VERBS: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Whether a query parameter that is a Go bool says yes: present and empty counts, `false` and `0` do not. */
export function isTrue(value: string | null): boolean {
  if (value === null) return false;
  return value.toLowerCase() !== 'false' && value !== '0';
}

/**
 * Reads a request's target.
 *
 * @param segments the path split at slashes, each percent-decoded, without empty ones at either end
 */
export function requestInfo(
  method: string,
  path: string,
  segments: readonly string[],
  query: URLSearchParams,
): RequestInfo {
  const other: RequestInfo = {
    isResource: false,
    path,
    verb: method.toLowerCase(),
    prefix: '',
    group: '',
    version: '',
    namespace: '',
    resource: '',
    subresource: '',
    name: '',
    parts: [],
    labelSelector: '',
    fieldSelector: '',
  };
  const prefix = segments[0];
  if (segments.length < 3 || (prefix !== 'api' && prefix !== 'apis')) return other;
  // The version is the second segment of a group's path: without one behind it this is discovery.
  if (prefix === 'apis' && segments.length < 4) return { ...other, prefix };

  const group = prefix === 'apis' ? segments[1] : '';
  let rest = segments.slice(prefix === 'apis' ? 2 : 1);
  const version = rest[0];
  rest = rest.slice(1);

  let verb = VERBS[method] ?? '';
  if (SPECIAL_VERBS.has(rest[0])) {
    if (rest.length < 2) return { ...other, prefix, group, version };
    verb = rest[0];
    rest = rest.slice(1);
  }

  let namespace = '';
  if (rest[0] === 'namespaces') {
    if (rest.length > 1) {
      namespace = rest[1];
      if (rest.length > 2 && !NAMESPACE_SUBRESOURCES.has(rest[2])) rest = rest.slice(2);
    }
  }

  const resource = rest[0] ?? '';
  let name = rest[1] ?? '';
  const subresource = rest.length > 2 && !SPECIAL_VERBS_WITHOUT_SUBRESOURCE.has(verb) ? rest[2] : '';

  let labelSelector = '';
  let fieldSelector = '';
  if (name === '' && verb === 'get') verb = isTrue(query.get('watch')) ? 'watch' : 'list';
  if (name === '' && verb === 'delete') verb = 'deletecollection';
  if (verb === 'list' || verb === 'watch' || verb === 'deletecollection') {
    labelSelector = query.get('labelSelector') ?? '';
    fieldSelector = query.get('fieldSelector') ?? '';
    // A list of one name is told apart, so that a role for that name allows it.
    if (name === '') name = nameOf(fieldSelector);
  }

  return {
    isResource: true,
    path,
    verb,
    prefix,
    group,
    version,
    namespace,
    resource,
    subresource,
    name,
    parts: rest,
    labelSelector,
    fieldSelector,
  };
}

/** The name a field selector asks for with `metadata.name=`, or nothing. */
function nameOf(fieldSelector: string): string {
  for (const requirement of fieldSelector.split(',')) {
    const match = /^metadata\.name==?(.*)$/.exec(requirement);
    if (match && /^[^=!\\/%]+$/.test(match[1]) && match[1] !== '.' && match[1] !== '..') return match[1];
  }
  return '';
}

/**
 * Splits and decodes a request's path.
 *
 * @throws ApiError BadRequest for a percent sign that begins no escape
 */
export function pathSegments(rawPath: string): string[] {
  let start = 0;
  let end = rawPath.length;
  while (rawPath.charCodeAt(start) === SLASH) start += 1;
  while (end > start && rawPath.charCodeAt(end - 1) === SLASH) end -= 1;
  const segments = rawPath.slice(start, end).split('/');
  if (!rawPath.includes('%')) return segments;
  try {
    return segments.map((segment) => decodeURIComponent(segment));
  } catch {
    throw malformed(rawPath);
  }
}

const SLASH = 0x2f;

function malformed(path: string): ApiError {
  return badRequest(`invalid URL escape in path ${JSON.stringify(path)}`);
}
