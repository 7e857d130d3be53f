/**
 * Users by the ID tokens of an OpenID Connect provider: signature, issuer, audience and times checked, then name
 * and groups taken from claims (`--oidc-*` flags; the claim mappings of AuthenticationConfiguration that name
 * claims and prefixes). Fetching the provider's keys is the caller's.
 *
 * Modelled on apiserver's oidc authenticator. Mappings and rules written in CEL are not for here.
 */

import { listOf, textOf } from '../api/fields.ts';
import type { UserInfo } from '../api/user-info.ts';
import { AuthenticationError, type Authenticated, type TokenAuthenticator } from './authenticator.ts';
import { parseJwt, verifyJwt, type VerificationKey } from './jwt.ts';
import { publicClaims } from './service-account-claims.ts';

export interface OidcOptions {
  /** `https://…`, exactly as tokens carry it. */
  readonly issuer: string;
  /** A token must be for one of them. */
  readonly audiences: readonly string[];
  /** `sub` unless told otherwise. */
  readonly usernameClaim?: string;
  /** `-` for none; absent: the issuer and `#`, unless the name is an e-mail address. */
  readonly usernamePrefix?: string;
  readonly groupsClaim?: string;
  readonly groupsPrefix?: string;
  /** None unless told otherwise. */
  readonly uidClaim?: string;
  readonly requiredClaims?: Readonly<Record<string, string>>;
  /** `RS256` unless told otherwise. */
  readonly algorithms?: readonly string[];
  /** The provider's keys, as fetched last. `refresh` asks for them anew: the token names one that is not known. */
  readonly keys: (refresh: boolean) => Promise<readonly VerificationKey[]>;
  readonly nowMs: () => number;
}

const LEEWAY_MS = 0;

export class OidcTokens implements TokenAuthenticator {
  private readonly options: OidcOptions;

  constructor(options: OidcOptions) {
    this.options = options;
  }

  async authenticateToken(token: string): Promise<Authenticated | undefined> {
    const { issuer, audiences, algorithms = ['RS256'], keys, nowMs } = this.options;
    const jwt = parseJwt(token);
    if (jwt === undefined) return undefined;
    const claims = publicClaims(jwt.claims);
    if (claims.issuer !== issuer) return undefined;
    const signed =
      algorithms.includes(textOf(jwt.header.alg)) &&
      (verifyJwt(jwt, await keys(false)) || verifyJwt(jwt, await keys(true)));
    if (!signed) throw new AuthenticationError('oidc: verify token: failed to verify signature');
    if (!claims.audiences.some((one) => audiences.includes(one))) {
      throw new AuthenticationError(
        `oidc: verify token: oidc: expected audience in ${JSON.stringify(audiences)} got ${JSON.stringify(claims.audiences)}`,
      );
    }
    const now = nowMs();
    if (claims.expires === undefined || claims.expires * 1000 + LEEWAY_MS < now) {
      throw new AuthenticationError('oidc: verify token: oidc: token is expired');
    }
    if (claims.notBefore !== undefined && claims.notBefore * 1000 > now + 5 * 60_000) {
      throw new AuthenticationError(
        'oidc: verify token: oidc: current time before the nbf (not before) time',
      );
    }
    return { user: this.userOf(jwt.claims) };
  }

  private uidOf(claims: Readonly<Record<string, unknown>>): string {
    const { uidClaim } = this.options;
    if (uidClaim === undefined) return '';
    const uid = claims[uidClaim];
    if (typeof uid !== 'string') {
      throw new AuthenticationError(
        `oidc: parse uid claim ${JSON.stringify(uidClaim)}: ${uid === undefined ? 'claim not present' : 'not a text'}`,
      );
    }
    return uid;
  }

  private userOf(claims: Readonly<Record<string, unknown>>): UserInfo {
    const { issuer, usernameClaim = 'sub', usernamePrefix, groupsClaim, groupsPrefix = '' } = this.options;
    for (const [name, wanted] of Object.entries(this.options.requiredClaims ?? {})) {
      if (claims[name] === undefined) {
        throw new AuthenticationError(`oidc: required claim ${name} not present in ID token`);
      }
      if (claims[name] !== wanted) {
        throw new AuthenticationError(
          `oidc: required claim ${name} value does not match. Got = ${JSON.stringify(claims[name])}, want = ${wanted}`,
        );
      }
    }
    const name = claims[usernameClaim];
    if (typeof name !== 'string') {
      throw new AuthenticationError(
        `oidc: parse username claims ${JSON.stringify(usernameClaim)}: claim not present`,
      );
    }
    if (usernameClaim === 'email' && claims.email_verified !== undefined && claims.email_verified !== true) {
      throw new AuthenticationError('oidc: email not verified');
    }
    const prefix =
      usernamePrefix === undefined
        ? usernameClaim === 'email'
          ? ''
          : `${issuer}#`
        : usernamePrefix === '-'
          ? ''
          : usernamePrefix;
    const groups = groupsClaim === undefined ? undefined : claims[groupsClaim];
    const found = typeof groups === 'string' ? [groups] : listOf(groups);
    if (!found.every((group) => typeof group === 'string')) {
      throw new AuthenticationError(
        `oidc: parse groups claim ${JSON.stringify(groupsClaim)}: not a list of texts`,
      );
    }
    return {
      name: `${prefix}${name}`,
      uid: this.uidOf(claims),
      groups: found.map((group) => `${groupsPrefix}${group}`),
      extra: {},
    };
  }
}
