/**
 * The issuers of tokens that --authentication-config names, as the file says now: a change of it counts without a
 * restart. New issuers are asked for their keys before they count. Whether nobody's name is let in is settled at the
 * start: a file that says otherwise later is refused.
 *
 * Modelled on kube-apiserver's reload of the authentication configuration, texts included.
 */

import type { Clock, Logger } from '@keelson/base';

import {
  jwtTokens,
  readAuthenticationConfig,
  type AuthenticationConfig,
} from '../authn/authentication-config.ts';
import {
  firstToken,
  type AnonymousPolicy,
  type Authenticated,
  type TokenAuthenticator,
} from '../authn/authenticator.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import { ConfigReload, NotYet } from './config-reload.ts';
import type { CurrentKeys, KeySource } from './oidc-provider.ts';

export interface AuthenticationFileOptions {
  readonly path: string;
  /** Of the server's service accounts, which nobody else may be. */
  readonly ownIssuers: readonly string[];
  /** Whether --anonymous-auth was given. */
  readonly anonymousGiven: boolean;
  readonly readFile: (path: string) => string;
  readonly issuerKeys: (source: KeySource) => CurrentKeys;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly serverId: string;
  /** Told how long the checks of an issuer's tokens take. */
  readonly measured?: (issuer: string, inner: TokenAuthenticator) => TokenAuthenticator;
}

/** Those of one reading of the file. */
interface Issuers {
  readonly tokens: TokenAuthenticator;
  readonly keys: readonly { readonly url: string; readonly current: CurrentKeys }[];
}

export class AuthenticationFile implements TokenAuthenticator {
  /** Undefined where the file says nothing: the flag counts. */
  readonly anonymous: AnonymousPolicy | undefined;
  /** Follows the file, once it is started. */
  readonly reload: ConfigReload;
  private readonly options: AuthenticationFileOptions;
  private tokens: TokenAuthenticator;

  /** @throws Error naming what is wrong with the file */
  constructor(options: AuthenticationFileOptions) {
    this.options = options;
    const { path, readFile, anonymousGiven } = options;
    const text = readFile(path);
    const config = this.read(text);
    if (config.anonymous !== undefined && anonymousGiven) {
      throw new Error(
        'anonymous: Forbidden: --anonymous-auth flag cannot be set when anonymous field is configured in authentication configuration file',
      );
    }
    this.anonymous = config.anonymous;
    this.tokens = this.issuersOf(config).tokens;
    this.reload = new ConfigReload({
      ...options,
      what: 'authentication',
      text,
      prepare: (changed) => this.prepare(changed),
    });
  }

  authenticateToken(token: string, audiences: readonly string[]): Promise<Authenticated | undefined> {
    return this.tokens.authenticateToken(token, audiences);
  }

  private async prepare(text: string): Promise<() => boolean> {
    const config = this.read(text);
    if (JSON.stringify(config.anonymous) !== JSON.stringify(this.anonymous)) {
      throw new Error('anonymous: Forbidden: changed from initial configuration file');
    }
    const { tokens, keys } = this.issuersOf(config);
    await Promise.all(keys.map(checkIssuer));
    return () => {
      this.tokens = tokens;
      return true;
    };
  }

  private read(text: string): AuthenticationConfig {
    return readAuthenticationConfig(text, this.options.ownIssuers);
  }

  private issuersOf({ jwt }: AuthenticationConfig): Issuers {
    const { issuerKeys, clock, measured = (_url, inner) => inner } = this.options;
    const issuers = jwt.map((issuer) => {
      const { url, discoveryUrl, certificateAuthority: ca } = issuer;
      const current = issuerKeys({ issuer: url, discoveryUrl, ca });
      return {
        url,
        current,
        tokens: measured(
          url,
          jwtTokens(issuer, current, () => clock.nowMs()),
        ),
      };
    });
    return { tokens: firstToken(issuers.map(({ tokens }) => tokens)), keys: issuers };
  }
}

/** @throws NotYet for an issuer whose keys nobody tells: who trusts it only would be locked out */
async function checkIssuer({ url, current }: Issuers['keys'][number]): Promise<void> {
  try {
    await current(false);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new NotYet(`oidc: authenticator for issuer ${JSON.stringify(url)} is not healthy: ${why}`, {
      cause: error,
    });
  }
}
