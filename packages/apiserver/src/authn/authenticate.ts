/**
 * The filter that finds out who asks. Without an answer, or with a wrong credential, the request ends here with
 * 401; behind it, it carries the user and no longer the credential.
 *
 * Modelled on apiserver's WithAuthentication.
 */

import type { ApiRequest, Filter } from '../api/exchange.ts';
import { unauthorized } from '../api/status.ts';
import { withHeaders } from '../api/with-headers.ts';
import {
  anonymous,
  AuthenticationError,
  withAuthenticatedGroup,
  type AnonymousPolicy,
  type Authenticated,
  type RequestAuthenticator,
} from './authenticator.ts';
import { WEBSOCKET_PROTOCOL, withoutTokenProtocol } from './bearer-token.ts';

/** What the filter needs beside the ways of authentication. */
export interface AuthenticateOptions {
  readonly anonymous: AnonymousPolicy;
  /** Headers of a front proxy, in lower case, that nobody behind shall see: names, and prefixes that end in `-`. */
  readonly proxyHeaders?: readonly string[];
  /** Is told why a credential was refused, for the log; the client is not. */
  readonly refused?: (request: ApiRequest, error: AuthenticationError) => void;
  readonly observer?: AuthenticationObserver;
  /** Wanted with an observer. */
  readonly monotonicMs?: () => number;
}

/** Told what is counted. */
export interface AuthenticationObserver {
  /** `failure`: nobody was known and nobody is let in; `error`: a credential that is wrong. */
  attempt(result: 'success' | 'failure' | 'error', seconds: number): void;
  user(name: string): void;
}

export function authenticate(authenticator: RequestAuthenticator, options: AuthenticateOptions): Filter {
  const { observer, monotonicMs = () => 0 } = options;
  return async (request, next) => {
    const startMs = monotonicMs();
    const attempt = (result: 'success' | 'failure' | 'error'): void =>
      observer?.attempt(result, (monotonicMs() - startMs) / 1_000);
    let found: Authenticated | undefined;
    try {
      found = await authenticator.authenticate(request);
    } catch (error) {
      if (!(error instanceof AuthenticationError)) throw error;
      options.refused?.(request, error);
      attempt('error');
      throw unauthorized();
    }
    const who =
      found === undefined ? anonymous(options.anonymous, request.info.path) : withAuthenticatedGroup(found);
    if (who === undefined) {
      attempt('failure');
      throw unauthorized();
    }
    attempt('success');
    observer?.user(who.user.name);
    request.context.user = who.user;
    return next(withoutCredentials(request, options.proxyHeaders ?? []));
  };
}

function withoutCredentials(request: ApiRequest, proxyHeaders: readonly string[]): ApiRequest {
  const isProxy = (name: string): boolean =>
    proxyHeaders.some((header) => name === header || (header.endsWith('-') && name.startsWith(header)));
  const hides = (name: string): boolean =>
    name === 'authorization' || name === WEBSOCKET_PROTOCOL || isProxy(name);
  // Who showed a certificate and nothing else brought nothing that has to be hidden.
  let hidden = false;
  for (const name of request.headers.keys()) hidden ||= hides(name);
  if (!hidden) return request;
  const headers = new Map<string, readonly string[]>();
  for (const [name, values] of request.headers) {
    if (name === 'authorization' || isProxy(name)) continue;
    headers.set(name, name === WEBSOCKET_PROTOCOL ? withoutTokenProtocol(values) : values);
  }
  return withHeaders(request, headers);
}
