/**
 * Lets pages of other origins call the API where --cors-allowed-origins allows them: answers their preflights and marks
 * answers. Without a match nothing is added, and the browser refuses.
 *
 * Modelled on apiserver's filters/cors.go; headers and methods are its.
 */

import type { ApiResponse, Filter, Headers } from '../api/exchange.ts';

const METHODS = 'POST, GET, OPTIONS, PUT, DELETE, PATCH';
const HEADERS =
  'Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization, X-Requested-With, If-Modified-Since';
const EXPOSED = 'Date';
/** Scheme, host and port are shorter; patterns are not tried on anything else. */
const ORIGIN_CHARS_MAX = 512;

/** @param patterns regular expressions of origins, the operator's own. @throws SyntaxError for one that is none */
export function cors(patterns: readonly string[]): Filter {
  const allowed = patterns.map((pattern) => new RegExp(pattern));
  return async (request, next) => {
    const origin = request.headers.get('origin')?.[0] ?? '';
    const usual = origin !== '' && origin.length <= ORIGIN_CHARS_MAX;
    if (!usual || !allowed.some((pattern) => pattern.test(origin))) return next(request);
    const marks: Headers = new Map([
      ['access-control-allow-origin', [origin]],
      ['access-control-allow-methods', [METHODS]],
      ['access-control-allow-headers', [HEADERS]],
      ['access-control-expose-headers', [EXPOSED]],
      ['access-control-allow-credentials', ['true']],
    ]);
    const response: ApiResponse =
      request.method === 'OPTIONS'
        ? { kind: 'bytes', code: 204, contentType: 'text/plain; charset=utf-8', body: Buffer.alloc(0) }
        : await next(request);
    return { ...response, headers: new Map([...(response.headers ?? []), ...marks]) };
  };
}
