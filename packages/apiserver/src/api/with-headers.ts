/** What filters hand on in place of the request that came: the same one under other headers. */

import type { ApiRequest, Headers } from './exchange.ts';

/** The same request with other headers; its body, signal and context stay the one there is. */
export function withHeaders(request: ApiRequest, headers: Headers): ApiRequest {
  const { method, path, query, peer, info, signal, context, upgrade } = request;
  return {
    method,
    path,
    query,
    headers,
    peer,
    info,
    signal,
    context,
    upgrade,
    body: (limitBytes) => request.body(limitBytes),
    pieces: () => request.pieces(),
    warn: (text) => request.warn(text),
  };
}
