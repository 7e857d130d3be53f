/**
 * The signing keys of an OpenID provider: its discovery document is fetched when a token asks for keys first, the keys
 * again when a token names one that is not known, at most once in ten seconds. https only; no redirects.
 */

import type { Clock } from '@keelson/base';

import { AuthenticationError } from './authn/authenticator.ts';
import { keysOfSet, type VerificationKey } from './authn/jwt.ts';
import { fieldsOf, textOf } from './api/fields.ts';
import type { OidcConfig } from './options/config.ts';

/** Fetches a JSON document over https. Rejects when that fails. */
export type FetchJson = (url: string, ca: string | undefined) => Promise<unknown>;

/** Tokens with made-up keys must not make us ask the provider again and again. */
const REFRESH_MS = 10_000;

export class OidcProvider {
  private readonly oidc: OidcConfig;
  private readonly fetchJson: FetchJson;
  private readonly clock: Clock;
  private readonly ca: string | undefined;
  private keys: readonly VerificationKey[] | undefined = undefined;
  private fetchedMs = -Infinity;
  private running: Promise<readonly VerificationKey[]> | undefined = undefined;

  /** @param ca PEM of the authorities of --oidc-ca-file */
  constructor(oidc: OidcConfig, ca: string | undefined, fetchJson: FetchJson, clock: Clock) {
    this.oidc = oidc;
    this.ca = ca;
    this.fetchJson = fetchJson;
    this.clock = clock;
  }

  /** @throws AuthenticationError when the provider does not answer: the token cannot be judged */
  async current(refresh: boolean): Promise<readonly VerificationKey[]> {
    const young = this.clock.monotonicMs() - this.fetchedMs < REFRESH_MS;
    if (this.keys !== undefined && (!refresh || young)) return this.keys;
    this.running ??= this.fetch().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private async fetch(): Promise<readonly VerificationKey[]> {
    const { issuer } = this.oidc;
    this.fetchedMs = this.clock.monotonicMs();
    try {
      const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
      const document = fieldsOf(await this.fetchJson(url, this.ca));
      if (textOf(document['issuer']) !== issuer) {
        throw new Error(
          `oidc: issuer did not match the issuer returned by provider, expected ${JSON.stringify(issuer)} got ${JSON.stringify(document['issuer'])}`,
        );
      }
      this.keys = keysOfSet(await this.fetchJson(textOf(document['jwks_uri']), this.ca));
      return this.keys;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new AuthenticationError(`oidc: authenticator not initialized: ${why}`);
    }
  }
}
