/**
 * The signing keys of an OpenID provider: its discovery document is fetched when a token asks for keys first, the keys
 * again when a token names one that is not known, at most once in ten seconds. https only; no redirects.
 */

import type { Clock } from '@keelson/base';

import { AuthenticationError } from '../authn/authenticator.ts';
import { keysOfSet, type VerificationKey } from '../authn/jwt.ts';
import { fieldsOf, textOf } from '../api/fields.ts';

/** An issuer of tokens, and where its keys are told. */
export interface KeySource {
  /** `https://…`, as tokens carry it. */
  readonly issuer: string;
  /** Where its discovery document is, where that is not under the issuer. */
  readonly discoveryUrl: string | undefined;
  /** PEM of whom to trust; the system's authorities without. */
  readonly ca: string | undefined;
}

/** The keys as they are known; `refresh` asks for them anew. */
export type CurrentKeys = (refresh: boolean) => Promise<readonly VerificationKey[]>;

/** Fetches a JSON document over https. Rejects when that fails. */
export type FetchJson = (url: string, ca: string | undefined) => Promise<unknown>;

/** Tokens with made-up keys must not make us ask the provider again and again. */
const REFRESH_MS = 10_000;

export class OidcProvider {
  private readonly source: KeySource;
  private readonly fetchJson: FetchJson;
  private readonly clock: Clock;
  private keys: readonly VerificationKey[] | undefined = undefined;
  private fetchedMs = -Infinity;
  /** Why there are no keys, as long as that is believed. */
  private failure: AuthenticationError | undefined = undefined;
  private running: Promise<readonly VerificationKey[]> | undefined = undefined;

  constructor(source: KeySource, fetchJson: FetchJson, clock: Clock) {
    this.source = source;
    this.fetchJson = fetchJson;
    this.clock = clock;
  }

  /** @throws AuthenticationError when the provider does not answer: the token cannot be judged */
  async current(refresh: boolean): Promise<readonly VerificationKey[]> {
    const young = this.clock.monotonicMs() - this.fetchedMs < REFRESH_MS;
    if (this.keys !== undefined && (!refresh || young)) return this.keys;
    if (this.failure !== undefined && young) throw this.failure;
    this.running ??= this.fetch().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private async fetch(): Promise<readonly VerificationKey[]> {
    const { issuer, discoveryUrl, ca } = this.source;
    this.fetchedMs = this.clock.monotonicMs();
    try {
      const url = discoveryUrl ?? `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
      const document = fieldsOf(await this.fetchJson(url, ca));
      if (textOf(document['issuer']) !== issuer) {
        throw new Error(
          `oidc: issuer did not match the issuer returned by provider, expected ${JSON.stringify(issuer)} got ${JSON.stringify(document['issuer'])}`,
        );
      }
      this.keys = keysOfSet(await this.fetchJson(textOf(document['jwks_uri']), ca));
      this.failure = undefined;
      return this.keys;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.failure = new AuthenticationError(`oidc: authenticator not initialized: ${why}`);
      throw this.failure;
    }
  }
}
