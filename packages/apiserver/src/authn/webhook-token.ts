/**
 * Users by asking another server about their token (TokenReview). The call itself is made by who is given;
 * here the question is written and the answer is read.
 *
 * Modelled on apiserver's webhook token authenticator.
 */

import { fieldsOf, textOf, textsOf } from '../api/fields.ts';
import type { UserInfo } from '../api/user-info.ts';
import { AuthenticationError, type Authenticated, type TokenAuthenticator } from './authenticator.ts';

/** Sends a TokenReview and returns the answered one; rejects when that fails, retries being its own matter. */
export type PostReview = (review: object) => Promise<unknown>;

export class WebhookTokens implements TokenAuthenticator {
  private readonly post: PostReview;
  private readonly audiences: readonly string[];
  private readonly version: 'v1' | 'v1beta1';

  /** @param audiences of the server, for tokens that are asked about without a wish */
  constructor(post: PostReview, audiences: readonly string[], version: 'v1' | 'v1beta1' = 'v1') {
    this.post = post;
    this.audiences = audiences;
    this.version = version;
  }

  async authenticateToken(token: string, audiences: readonly string[]): Promise<Authenticated | undefined> {
    const wanted = audiences.length === 0 ? this.audiences : audiences;
    const answer = await this.post({
      apiVersion: `authentication.k8s.io/${this.version}`,
      kind: 'TokenReview',
      metadata: { creationTimestamp: null },
      spec: { token, ...(wanted.length === 0 ? {} : { audiences: wanted }) },
      status: { user: {} },
    });
    const status = fieldsOf(fieldsOf(answer).status);
    const error = textOf(status.error);
    if (status.authenticated !== true) {
      if (error !== '') throw new AuthenticationError(error);
      return undefined;
    }
    const told = textsOf(status.audiences);
    // A server that knows no audiences answers for ours.
    const good = told.length === 0 ? this.audiences : told;
    const found = good.filter((one) => wanted.includes(one));
    // Good, and for somebody else: none of ours.
    if (wanted.length > 0 && found.length === 0) return undefined;
    return { user: userOfStatus(status.user), audiences: found };
  }
}

/** A user as reviews carry him. */
function userOfStatus(value: unknown): UserInfo {
  const { username, uid, groups, extra } = fieldsOf(value);
  return {
    name: textOf(username),
    uid: textOf(uid),
    groups: textsOf(groups),
    extra: Object.fromEntries(
      Object.entries(fieldsOf(extra)).map(([key, values]) => [key.toLowerCase(), textsOf(values)]),
    ),
  };
}
