/**
 * Users by the ID tokens of an OpenID Connect provider: signature, issuer, audience and times checked, then name
 * and groups taken from claims (`--oidc-*` flags; the claim mappings of AuthenticationConfiguration that name
 * claims and prefixes, or expressions over them: claim-expressions.ts). Fetching the provider's keys is the caller's.
 *
 * Modelled on apiserver's oidc authenticator, texts included.
 */

import { listOf, textOf } from '../api/fields.ts';
import type { UserInfo } from '../api/user-info.ts';
import { formatTime } from '../codec/times.ts';
import { quoteAudiences } from './audiences.ts';
import { AuthenticationError, type Authenticated, type TokenAuthenticator } from './authenticator.ts';
import { ClaimValues, checkUser, type ClaimExpressions } from './claim-expressions.ts';
import { parseJwt, verifyJwt, type VerificationKey } from './jwt.ts';
import { publicClaims } from './service-account-claims.ts';
import { CREDENTIAL_ID } from './x509.ts';

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
  /** Mappings and rules in CEL; they count before the claims that are named here. */
  readonly expressions?: ClaimExpressions;
  /** `RS256` unless told otherwise. */
  readonly algorithms?: readonly string[];
  /** The provider's keys, as fetched last. `refresh` asks for them anew: the token names one that is not known. */
  readonly keys: (refresh: boolean) => Promise<readonly VerificationKey[]>;
  readonly nowMs: () => number;
}

type Claims = Readonly<Record<string, unknown>>;

const LEEWAY_MS = 0;
/** Go's zero time, seconds: how a token without an end is told. */
const YEAR_ONE = -62_135_596_800;
const NO_EXPRESSIONS: ClaimExpressions = { extra: [], claimRules: [], userRules: [] };

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
      (verifyJwt(jwt, await keys(false), true) || verifyJwt(jwt, await keys(true), true));
    if (!signed) {
      throw new AuthenticationError(
        'oidc: verify token: failed to verify signature: failed to verify id token signature',
      );
    }
    if (!claims.audiences.some((one) => audiences.includes(one))) {
      throw new AuthenticationError(
        `oidc: verify token: oidc: expected audience in ${quoteAudiences(audiences)} got ${quoteAudiences(claims.audiences)}`,
      );
    }
    const now = nowMs();
    if (claims.expires === undefined || claims.expires * 1000 + LEEWAY_MS < now) {
      const expiry = `${formatTime(claims.expires ?? YEAR_ONE)
        .replace('T', ' ')
        .replace('Z', '')} +0000 UTC`;
      throw new AuthenticationError(`oidc: verify token: oidc: token is expired (Token Expiry: ${expiry})`);
    }
    if (claims.notBefore !== undefined && claims.notBefore * 1000 > now + 5 * 60_000) {
      throw new AuthenticationError(
        'oidc: verify token: oidc: current time before the nbf (not before) time',
      );
    }
    return { user: this.userOf(jwt.claims) };
  }

  private userOf(claims: Claims): UserInfo {
    const { expressions = NO_EXPRESSIONS } = this.options;
    const values = new ClaimValues(claims);
    const { username, groups, uid } = expressions;
    const user: UserInfo = {
      name: username === undefined ? this.nameOf(claims) : values.username(username),
      groups: groups === undefined ? this.groupsOf(claims) : values.groups(groups),
      uid: uid === undefined ? this.uidOf(claims) : values.uid(uid),
      extra: {
        ...(typeof claims.jti === 'string' && claims.jti !== ''
          ? { [CREDENTIAL_ID]: [`JTI=${claims.jti}`] }
          : {}),
        ...values.extra(expressions.extra),
      },
    };
    this.checkRequired(claims);
    values.check(expressions.claimRules);
    checkUser(expressions.userRules, user);
    return user;
  }

  private nameOf(claims: Claims): string {
    const { issuer, usernameClaim = 'sub', usernamePrefix } = this.options;
    const name = claims[usernameClaim];
    if (typeof name !== 'string') {
      throw new AuthenticationError(
        `oidc: parse username claims ${JSON.stringify(usernameClaim)}: claim not present`,
      );
    }
    if (usernameClaim === 'email' && claims.email_verified !== undefined && claims.email_verified !== true) {
      throw new AuthenticationError('oidc: email not verified');
    }
    if (usernamePrefix === '-') return name;
    return `${usernamePrefix ?? (usernameClaim === 'email' ? '' : `${issuer}#`)}${name}`;
  }

  private groupsOf(claims: Claims): readonly string[] {
    const { groupsClaim, groupsPrefix = '' } = this.options;
    const groups = groupsClaim === undefined ? undefined : claims[groupsClaim];
    const found = typeof groups === 'string' ? [groups] : listOf(groups);
    if (!found.every((group) => typeof group === 'string')) {
      throw new AuthenticationError(
        `oidc: parse groups claim ${JSON.stringify(groupsClaim)}: not a list of texts`,
      );
    }
    return found.map((group) => `${groupsPrefix}${group}`);
  }

  private uidOf(claims: Claims): string {
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

  private checkRequired(claims: Claims): void {
    for (const [name, wanted] of Object.entries(this.options.requiredClaims ?? {})) {
      if (claims[name] === undefined) {
        throw new AuthenticationError(`oidc: required claim ${name} not present in ID token`);
      }
      const value = claims[name];
      if (typeof value !== 'string') {
        throw new AuthenticationError(`oidc: parse claim ${name}: not a text`);
      }
      if (value !== wanted) {
        throw new AuthenticationError(
          `oidc: required claim ${name} value does not match. Got = ${value}, want = ${wanted}`,
        );
      }
    }
  }
}
