/**
 * What every way of authentication is: a question to a request or to a token, answered with a user, with
 * nothing (not my kind of credential) or with an error (mine, and wrong), and how several are asked in turn.
 *
 * Modelled on apiserver's authenticator interfaces and its union.
 */

import type { ApiRequest } from '../api/exchange.ts';
import { ANONYMOUS, GROUP_AUTHENTICATED, GROUP_UNAUTHENTICATED, type UserInfo } from '../api/user-info.ts';

/** A user that was found, and for whom his token was meant. */
export interface Authenticated {
  readonly user: UserInfo;
  /** The audiences the token is good for among those asked for; absent where the method knows none. */
  readonly audiences?: readonly string[];
}

/** A credential that was shown and is wrong. The text is for logs and reviews, never for the client's 401. */
export class AuthenticationError extends Error {
  override readonly name = 'AuthenticationError';
  /** What each of the ways that were asked said; one text of one. */
  readonly texts: readonly string[];

  constructor(...texts: readonly string[]) {
    const distinct = [...new Set(texts)];
    super(distinct.length === 1 ? distinct[0] : `[${distinct.join(', ')}]`);
    this.texts = distinct;
  }
}

export interface RequestAuthenticator {
  /** @throws AuthenticationError for a wrong credential; undefined where the request shows none of this kind */
  authenticate(request: ApiRequest): Promise<Authenticated | undefined>;
}

export interface TokenAuthenticator {
  /**
   * @param audiences for whom the token must be good; empty: for whom the server itself is
   * @throws AuthenticationError for a wrong token; undefined for one of another kind
   */
  authenticateToken(token: string, audiences: readonly string[]): Promise<Authenticated | undefined>;
}

/** Asks one after the other; the first that knows the user wins, errors count only when none does. */
export function firstRequest(authenticators: readonly RequestAuthenticator[]): RequestAuthenticator {
  return {
    authenticate: (request) => first(authenticators, (one) => one.authenticate(request)),
  };
}

/** As firstRequest, of tokens. */
export function firstToken(authenticators: readonly TokenAuthenticator[]): TokenAuthenticator {
  return {
    authenticateToken: (token, audiences) =>
      first(authenticators, (one) => one.authenticateToken(token, audiences)),
  };
}

/**
 * Tokens of a kind that knows no audiences: they are good for the server alone, whoever else is asked for.
 *
 * @param own the server's audiences
 */
export function forOwnAudiences(own: readonly string[], inner: TokenAuthenticator): TokenAuthenticator {
  return {
    authenticateToken: async (token, audiences) => {
      const good = audiences.length === 0 ? own : own.filter((one) => audiences.includes(one));
      if (good.length === 0) return undefined;
      const found = await inner.authenticateToken(token, audiences);
      return found === undefined ? undefined : { ...found, audiences: good };
    },
  };
}

async function first<T>(
  authenticators: readonly T[],
  ask: (one: T) => Promise<Authenticated | undefined>,
): Promise<Authenticated | undefined> {
  const texts: string[] = [];
  for (const one of authenticators) {
    try {
      const found = await ask(one);
      if (found !== undefined) return found;
    } catch (error) {
      if (!(error instanceof AuthenticationError)) throw error;
      texts.push(...error.texts);
    }
  }
  if (texts.length === 0) return undefined;
  throw new AuthenticationError(...texts);
}

/** Adds the group of all who are known, unless the user is in it, or is nobody. */
export function withAuthenticatedGroup(found: Authenticated): Authenticated {
  const { user } = found;
  const { groups } = user;
  if (
    user.name === ANONYMOUS ||
    groups.includes(GROUP_AUTHENTICATED) ||
    groups.includes(GROUP_UNAUTHENTICATED)
  ) {
    return found;
  }
  return { ...found, user: { ...user, groups: [...groups, GROUP_AUTHENTICATED] } };
}

/**
 * The user of a request that shows nothing, where the server lets nobody in by that name: everywhere, or on
 * these paths only. A wrong credential is never anonymous.
 */
export interface AnonymousPolicy {
  readonly enabled: boolean;
  /** Exact paths; absent or empty: all. */
  readonly paths?: readonly string[];
}

/** The anonymous user, where the policy allows him. */
export function anonymous(policy: AnonymousPolicy, path: string): Authenticated | undefined {
  const { enabled, paths = [] } = policy;
  if (!enabled || (paths.length > 0 && !paths.includes(path))) return undefined;
  return { user: { name: ANONYMOUS, uid: '', groups: [GROUP_UNAUTHENTICATED], extra: {} } };
}
