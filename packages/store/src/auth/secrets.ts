/**
 * What auth needs of the world and must not do itself: hash, draw, sign. All of it is slow, random or both, and is
 * done before a command is proposed or after it was applied, never in between.
 */
import { StoreError } from '../errors.ts';
import type { Identity } from './identity.ts';
import type { PasswordHash } from './password-gate.ts';
import type { JwtOptions } from './token-options.ts';

export interface Secrets extends PasswordHash {
  /** So many letters, a to z and A to Z, that nobody can guess. */
  letters(count: number): string;
  /**
   * @param nowMs wall time, for when tokens end
   * @throws Error with etcd's text when the keys are missing, cannot be read or do not match
   */
  signedTokens(options: JwtOptions, nowMs: () => number): Promise<SignedTokens>;
}

/** Tokens that say themselves whose they are; JSON web tokens. */
export interface SignedTokens {
  /** @throws StoreError TOKEN_VERIFY_ONLY without a private key */
  issue(username: string, revision: number): Promise<string>;
  /** Undefined for a token that is not ours, has ended or says too little. */
  identify(token: string): Identity | undefined | Promise<Identity | undefined>;
}

/** --auth-token= without a kind: nobody gets one, and every one is wrong. */
export const NO_TOKENS: SignedTokens = {
  issue: () => Promise.reject(new StoreError('NO_TOKEN_KIND')),
  identify: () => undefined,
};
