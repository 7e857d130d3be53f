/** A request as filters see it that nothing carried: no body, no connection, everybody's address. */

import type { ApiRequest, Peer } from '../src/api/exchange.ts';
import { pathSegments, requestInfo } from '../src/api/request-info.ts';
import type { UserInfo } from '../src/api/user-info.ts';

export interface BareRequest {
  /** GET unless said. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  readonly user?: UserInfo | undefined;
  readonly peer?: Partial<Peer>;
  readonly upgrade?: string;
  readonly signal?: AbortSignal;
  readonly auditId?: string;
  readonly receivedMs?: number;
}

/**
 * @param target path and query, as they are to be seen
 * @returns the request, and the warnings it was given
 */
export function bareRequest(
  target: string,
  {
    method = 'GET',
    headers = {},
    user,
    peer = {},
    upgrade,
    signal,
    auditId = '',
    receivedMs = 0,
  }: BareRequest = {},
): ApiRequest & { readonly warnings: string[] } {
  const [path, search = ''] = target.split('?');
  const query = new URLSearchParams(search);
  const warnings: string[] = [];
  return {
    method,
    path,
    query,
    headers: new Map(Object.entries(headers)),
    peer: { address: '127.0.0.1', certificates: [], secure: true, ...peer },
    info: requestInfo(method, path, pathSegments(path), query),
    signal: signal ?? new AbortController().signal,
    body: () => Promise.resolve(Buffer.alloc(0)),
    pieces: () => {
      throw new Error('nobody hands it on');
    },
    upgrade,
    warn: (text) => warnings.push(text),
    context: { auditId, user, impersonator: undefined, auditAnnotations: new Map(), receivedMs },
    warnings,
  };
}
