/**
 * Where a path leads that names no resource: documents, health, version, metrics, and the list of all of them at `/`.
 * Anything else is a plain 404, which client libraries turn into their own words.
 *
 * Modelled on apiserver's server/mux PathRecorderMux and server/routes.
 */

import type { ApiRequest, ApiResponse, Handler } from '../api/exchange.ts';
import { plainText } from '../api/plain-text.ts';
import type { Discovery } from './discovery.ts';
import type { Health } from './health.ts';

export interface PathsOptions {
  readonly discovery: Discovery;
  readonly health: Health;
  /** Exact paths: `/version`, `/metrics`, `/openapi/v2`. */
  readonly exact: ReadonlyMap<string, Handler>;
  /** Paths that begin so, with a slash at the end: `/openapi/v3/`. */
  readonly prefixes?: ReadonlyMap<string, Handler>;
  /** Requests that name a resource. */
  readonly resources: Handler;
}

/** Everything the server answers. */
export function pathsHandler({ discovery, health, exact, prefixes, resources }: PathsOptions): Handler {
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
      byPrefix(prefixes, path);
    if (found === undefined) return Promise.resolve(pathNotFound());
    if (request.method !== 'GET' && request.method !== 'HEAD' && exact.get(path) !== found) {
      return Promise.resolve(methodNotAllowed(request));
    }
    return found(request);
  };
}

function byPrefix(prefixes: ReadonlyMap<string, Handler> | undefined, path: string): Handler | undefined {
  let best: string | undefined;
  for (const prefix of prefixes?.keys() ?? []) {
    if (path.startsWith(prefix) && prefix.length > (best?.length ?? 0)) best = prefix;
  }
  return best === undefined ? undefined : prefixes?.get(best);
}

/** What a path that nobody serves is answered, as net/http says it; also for resources that are not there. */
export function pathNotFound(): ApiResponse {
  return plainText(404, '404 page not found\n');
}

function methodNotAllowed({ method }: ApiRequest): ApiResponse {
  return method === 'OPTIONS' ? plainText(405, '') : plainText(405, '405: Method Not Allowed');
}
