/**
 * Users by the tokens of service accounts: a token is good while its signature, its times and its audiences
 * are, and every object that it is bound to still is the one it was bound to. Tokens of another issuer are
 * for others.
 *
 * Modelled on kubernetes' pkg/serviceaccount validators, texts included. Objects are looked up by the caller.
 */

import { timingSafeEqual } from 'node:crypto';

import { fieldsOf, listOf, textOf } from '../api/fields.ts';
import type { KubeObject } from '../api/meta.ts';
import { serviceAccountUser } from '../api/user-info.ts';
import { AuthenticationError, type Authenticated, type TokenAuthenticator } from './authenticator.ts';
import { quoteAudiences } from './audiences.ts';
import { parseJwt, verifyJwt, type UnverifiedJwt, type VerificationKey } from './jwt.ts';
import {
  accountUser,
  boundClaims,
  legacyClaims,
  publicClaims,
  type BoundClaims,
  type ClaimRef,
  type PublicClaims,
} from './service-account-claims.ts';

/** Where the objects are that tokens are bound to; undefined: there is none. */
export interface TokenLookups {
  serviceAccount(namespace: string, name: string): Promise<KubeObject | undefined>;
  secret(namespace: string, name: string): Promise<KubeObject | undefined>;
  pod(namespace: string, name: string): Promise<KubeObject | undefined>;
  node(name: string): Promise<KubeObject | undefined>;
}

/** What kind of token was shown, for metrics. */
export type AccountTokenUse =
  'legacy' | 'legacy-auto' | 'legacy-manual' | 'legacy-invalid' | 'stale' | 'valid';

export interface ServiceAccountOptions {
  /** The first one signs now; tokens of the others are still taken. */
  readonly issuers: readonly string[];
  readonly keys: readonly VerificationKey[];
  /** For whom the server itself is: what a token without a wish must be good for. */
  readonly audiences: readonly string[];
  readonly lookups: TokenLookups;
  /** Wall time, ms since the epoch. */
  readonly nowMs: () => number;
  /** Is told of a token that its client should have replaced, for the audit event. */
  readonly stale?: (subject: string, secondsLate: number) => void;
  /** Is told that an old token was used, so that its Secret can be labelled with the day. */
  readonly legacyUsed?: (secret: KubeObject) => void;
  /** Is told of each token that is signed here, by its kind. */
  readonly used?: (use: AccountTokenUse) => void;
}

export const LEGACY_ISSUER = 'kubernetes/serviceaccount';
/** Clocks differ, and what was deleted just now may still be on its way out. */
const LEEWAY_MS = 60_000;
const INVALIDATED = 'service account token has been invalidated';
const INVALID_SINCE = 'kubernetes.io/legacy-token-invalid-since';

export class ServiceAccountTokens implements TokenAuthenticator {
  private readonly options: ServiceAccountOptions;

  constructor(options: ServiceAccountOptions) {
    this.options = options;
  }

  async authenticateToken(token: string, audiences: readonly string[]): Promise<Authenticated | undefined> {
    const jwt = parseJwt(token);
    if (jwt === undefined) return undefined;
    const claims = publicClaims(jwt.claims);
    const legacy = claims.issuer === LEGACY_ISSUER;
    if (!legacy && !this.options.issuers.includes(claims.issuer)) return undefined;
    if (!verifyJwt(jwt, this.options.keys)) {
      throw new AuthenticationError('go-jose/go-jose: error in cryptographic primitive');
    }
    const own = this.options.audiences;
    if (claims.audiences.length === 0) this.options.used?.('legacy');
    // A token that names no audience is an old one: it is good for the server alone.
    const meant = claims.audiences.length === 0 ? own : claims.audiences;
    const wanted = audiences.length === 0 ? own : audiences;
    const good = meant.filter((one) => wanted.includes(one));
    if (good.length === 0 && own.length > 0) {
      throw new AuthenticationError(
        `token audiences ${quoteAudiences(meant)} is invalid for the target audiences ${quoteAudiences(wanted)}`,
      );
    }
    const found =
      legacy && jwt.claims['kubernetes.io'] === undefined
        ? await this.legacyToken(token, jwt, claims)
        : await this.boundToken(jwt, claims);
    return { ...found, audiences: good };
  }

  private async boundToken(jwt: UnverifiedJwt, claims: PublicClaims): Promise<Authenticated> {
    const { lookups } = this.options;
    this.checkTimes(claims);
    const bound = boundClaims(jwt.claims);
    if (bound === undefined) throw new AuthenticationError('service account token claims are incomplete');
    const { namespace, serviceaccount } = bound;
    if (claims.subject !== serviceAccountUser(namespace, serviceaccount.name)) {
      throw new AuthenticationError('service account token claims do not match its subject');
    }
    const account = await lookups.serviceAccount(namespace, serviceaccount.name);
    if (account === undefined) {
      throw new AuthenticationError(`serviceaccounts ${JSON.stringify(serviceaccount.name)} not found`);
    }
    sameUid(account, serviceaccount, 'service account UID (%s) does not match claim (%s)');
    if (this.isDeleted(account)) {
      throw new AuthenticationError(`service account ${namespace}/${serviceaccount.name} has been deleted`);
    }
    await this.checkObjects(bound);
    this.warnWhenStale(bound, claims);
    return {
      user: accountUser(namespace, serviceaccount, {
        ...(bound.pod === undefined ? {} : { pod: bound.pod }),
        ...(bound.node === undefined ? {} : { node: bound.node }),
        tokenId: claims.id,
      }),
    };
  }

  private async checkObjects({ namespace, secret, pod, node }: BoundClaims): Promise<void> {
    const { lookups } = this.options;
    const check = (object: KubeObject | undefined, ref: ClaimRef, text: string): void => {
      if (object === undefined) throw new AuthenticationError(INVALIDATED);
      sameUid(object, ref, text);
      if (this.isDeleted(object)) throw new AuthenticationError(INVALIDATED);
    };
    if (secret !== undefined) {
      const text = 'secret UID (%s) does not match service account secret ref claim (%s)';
      check(await lookups.secret(namespace, secret.name), secret, text);
    }
    if (pod !== undefined) {
      const text = 'pod UID (%s) does not match service account pod ref claim (%s)';
      check(await lookups.pod(namespace, pod.name), pod, text);
    } else if (node !== undefined) {
      // The node of a token bound to a pod is told, not checked: it goes with its pods.
      const text = 'node UID (%s) does not match service account node ref claim (%s)';
      check(await lookups.node(node.name), node, text);
    }
  }

  private async legacyToken(token: string, jwt: UnverifiedJwt, claims: PublicClaims): Promise<Authenticated> {
    const { lookups, legacyUsed } = this.options;
    this.checkTimes(claims);
    const named = legacyClaims(jwt.claims);
    if (named === undefined) throw new AuthenticationError('claims of the token are incomplete');
    const { namespace, account } = named;
    if (claims.subject !== serviceAccountUser(namespace, account.name)) {
      throw new AuthenticationError('sub claim is invalid');
    }
    const secret = await lookups.secret(namespace, named.secret);
    if (secret === undefined || (secret.metadata.deletionTimestamp ?? null) !== null) {
      throw new AuthenticationError(INVALIDATED);
    }
    const stored = Buffer.from(textOf(fieldsOf(secret.data).token), 'base64');
    const shown = Buffer.from(token, 'utf8');
    if (stored.length !== shown.length || !timingSafeEqual(stored, shown)) {
      throw new AuthenticationError("token does not match server's copy");
    }
    const found = await lookups.serviceAccount(namespace, account.name);
    if (found === undefined || (found.metadata.deletionTimestamp ?? null) !== null) {
      throw new AuthenticationError(`service account ${namespace}/${account.name} has been deleted`);
    }
    if (found.metadata.uid !== account.uid) {
      throw new AuthenticationError(
        `service account UID (${found.metadata.uid}) does not match claim (${account.uid})`,
      );
    }
    const { used } = this.options;
    if (Object.hasOwn(secret.metadata.labels ?? {}, INVALID_SINCE)) {
      used?.('legacy-invalid');
      throw new AuthenticationError('token has been marked as invalid');
    }
    const auto = listOf(found['secrets']).some((each) => textOf(fieldsOf(each)['name']) === named.secret);
    used?.(auto ? 'legacy-auto' : 'legacy-manual');
    legacyUsed?.(secret);
    return { user: accountUser(namespace, account) };
  }

  private checkTimes({ expires, notBefore, issuedAt }: PublicClaims): void {
    const nowMs = this.options.nowMs();
    if (expires !== undefined && nowMs - LEEWAY_MS > expires * 1000) {
      throw new AuthenticationError('service account token has expired');
    }
    const early = Math.max(notBefore ?? 0, issuedAt ?? 0);
    if (nowMs + LEEWAY_MS < early * 1000) {
      throw new AuthenticationError(
        'service account token claims could not be validated due to unexpected validation error',
      );
    }
  }

  private isDeleted(object: KubeObject): boolean {
    const at = object.metadata.deletionTimestamp ?? null;
    return at !== null && Date.parse(at) < this.options.nowMs() - LEEWAY_MS;
  }

  private warnWhenStale({ warnafter = 0 }: BoundClaims, { subject }: PublicClaims): void {
    if (warnafter === 0) return;
    const lateMs = this.options.nowMs() - warnafter * 1000;
    this.options.used?.(lateMs > 0 ? 'stale' : 'valid');
    if (lateMs > 0) this.options.stale?.(subject, Math.floor(lateMs / 1000));
  }
}

function sameUid(object: KubeObject, ref: ClaimRef, text: string): void {
  const uid = object.metadata.uid ?? '';
  if (uid !== ref.uid) throw new AuthenticationError(text.replace('%s', uid).replace('%s', ref.uid));
}
