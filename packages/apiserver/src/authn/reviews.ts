/**
 * TokenReview and SelfSubjectReview: objects in, objects out. Nothing of them is stored. Texts as the original's.
 */

import { fieldsOf, textOf, textsOf } from '../api/fields.ts';
import type { KubeObject } from '../api/meta.ts';
import { formatTime } from '../codec/times.ts';
import { badRequest } from '../api/status.ts';
import type { UserInfo } from '../api/user-info.ts';
import { INVALID_TOKEN } from './bearer-token.ts';
import { AuthenticationError, withAuthenticatedGroup, type TokenAuthenticator } from './authenticator.ts';

/** A user as the authentication API writes him, empty parts left out. */
export function userObject({ name, uid, groups, extra }: UserInfo): Record<string, unknown> {
  return {
    ...(name === '' ? {} : { username: name }),
    ...(uid === '' ? {} : { uid }),
    ...(groups.length === 0 ? {} : { groups }),
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

/**
 * Answers a TokenReview.
 *
 * @param ownAudiences those of the server, for a review that names none
 * @throws ApiError BadRequest for a review without a token
 */
export async function reviewToken(
  review: KubeObject,
  tokens: TokenAuthenticator,
  ownAudiences: readonly string[],
): Promise<KubeObject> {
  const spec = fieldsOf(review.spec);
  const token = textOf(spec.token);
  if (token === '') throw badRequest('token is required for TokenReview in authentication');
  const told = textsOf(spec.audiences);
  const audiences = told.length === 0 ? ownAudiences : told;
  const answer = (status: Record<string, unknown>): KubeObject => ({ ...review, status });
  try {
    const found = await tokens.authenticateToken(token, audiences);
    if (found === undefined) return answer({ user: {}, error: INVALID_TOKEN });
    const good = found.audiences;
    if (good !== undefined && told.length > 0 && good.length === 0) {
      return answer({ user: {}, error: 'internal error' });
    }
    const { user } = withAuthenticatedGroup(found);
    return answer({
      authenticated: true,
      user: userObject(user),
      ...(good === undefined || good.length === 0 ? {} : { audiences: good }),
    });
  } catch (error) {
    if (!(error instanceof AuthenticationError)) throw error;
    // The server's own token is asked about first, and is another one.
    return answer({ user: {}, error: new AuthenticationError(INVALID_TOKEN, ...error.texts).message });
  }
}

/** Answers a SelfSubjectReview: who the request comes from. Nothing of what was sent is in the answer. @param nowMs wall time */
export function reviewSelf({ apiVersion, kind }: KubeObject, user: UserInfo, nowMs: number): KubeObject {
  const creationTimestamp = formatTime(Math.floor(nowMs / 1_000));
  return { apiVersion, kind, metadata: { creationTimestamp }, status: { userInfo: userObject(user) } };
}
