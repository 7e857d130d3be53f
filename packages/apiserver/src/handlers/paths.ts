/**
 * Where a path leads that names no resource: documents, health, version, metrics, and the list of all of them at `/`.
 * Anything else is a plain 404, which client libraries turn into their own words.
 *
 * Modelled on apiserver's server/mux PathRecorderMux and server/routes.
 */

import type { ApiResponse, Handler } from '../api/exchange.ts';
import { plainText } from '../api/plain-text.ts';
import { genericMethodNotAllowed } from '../api/status.ts';
import type { Discovery } from './discovery.ts';
import type { Health } from './health.ts';

export interface PathsOptions {
  readonly discovery: Discovery;
  readonly health: Health;
  /** Exact paths: `/version`, `/metrics`, `/openapi/v2`. */
  readonly exact: ReadonlyMap<string, Handler>;
  /** Paths that begin so, with a slash at the end: `/openapi/v3/`. */
  readonly prefixes?: ReadonlyMap<string, Handler>;
  /** Paths that the list does not name; one with a slash at the end is for all that begin so. */
  readonly unlisted?: ReadonlyMap<string, Handler>;
  /** Requests that name a resource. */
  readonly resources: Handler;
}

/** Everything the server answers. */
export function pathsHandler(options: PathsOptions): Handler {
  const { discovery, health, exact, prefixes, unlisted, resources } = options;
  const hidden = pathTable(unlisted);
  const listed = [...exact.keys(), ...(prefixes?.keys() ?? []), ...health.paths()];
  const index: Handler = () => {
    const paths = [...new Set([...listed, ...discovery.paths()])].toSorted();
    return Promise.resolve({ kind: 'json', code: 200, value: { paths } });
  };
  return (request) => {
    if (request.info.isResource) return resources(request);
    const { path } = request;
    const found =
      exact.get(path === '/version/' ? '/version' : path) ??
      (path === '/' || path === '/index.html' ? index : undefined) ??
      health.handlerOf(path) ??
      discovery.handlerOf(path) ??
      byPrefix(prefixes, path) ??
      hidden(path);
    if (found === undefined) return Promise.resolve(pathNotFound());
    if (request.method !== 'GET' && isForGet(path)) throw genericMethodNotAllowed();
    return found(request);
  };
}

/** Looks up a path: the same, else the longest beginning with a slash at its end. */
export function pathTable(paths?: ReadonlyMap<string, Handler>): (path: string) => Handler | undefined {
  return (path) => paths?.get(path) ?? byPrefix(paths, path);
}

function byPrefix(prefixes: ReadonlyMap<string, Handler> | undefined, path: string): Handler | undefined {
  let best: string | undefined;
  for (const prefix of prefixes?.keys() ?? []) {
    if (!prefix.endsWith('/')) continue;
    if (path.startsWith(prefix) && prefix.length > (best?.length ?? 0)) best = prefix;
  }
  return best === undefined ? undefined : prefixes?.get(best);
}

/** What a path that nobody serves is answered, as net/http says it; also for resources that are not there. */
export function pathNotFound(): ApiResponse {
  return plainText(404, '404 page not found\n');
}

const FOR_GET: ReadonlySet<string> = new Set([
  '/version',
  '/openid/v1/jwks',
  '/.well-known/openid-configuration',
  '/api',
]);

/** The original's routes of these know GET alone, not even HEAD; what answers elsewhere does not look at the method. */
function isForGet(path: string): boolean {
  const bare = path.endsWith('/') ? path.slice(0, -1) : path;
  return FOR_GET.has(bare) || /^\/(?:api|apis\/[^/]+)\/[^/]+$/.test(bare);
}
