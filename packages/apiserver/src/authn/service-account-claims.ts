/**
 * What a service account's token says: the public claims (RFC 7519) and those of Kubernetes, for tokens that
 * are bound to objects and for the old ones that live in Secrets; and the user such an account is.
 *
 * Modelled on kubernetes' pkg/serviceaccount claims.
 */

import { fieldsOf, listOf, textOf } from '../api/fields.ts';
import { GROUP_SERVICE_ACCOUNTS, serviceAccountUser, type UserInfo } from '../api/user-info.ts';
import { CREDENTIAL_ID } from './x509.ts';

/** An object a token names. */
export interface ClaimRef {
  readonly name: string;
  readonly uid: string;
}

/** The claim `kubernetes.io` of a bound token. */
export interface BoundClaims {
  readonly namespace: string;
  readonly serviceaccount: ClaimRef;
  readonly pod?: ClaimRef;
  readonly secret?: ClaimRef;
  readonly node?: ClaimRef;
  /** Seconds since the epoch from when on the client should long have a newer token. */
  readonly warnafter?: number;
}

/** Claims that every token may have; times in seconds since the epoch. */
export interface PublicClaims {
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  readonly expires: number | undefined;
  readonly notBefore: number | undefined;
  readonly issuedAt: number | undefined;
  readonly id: string;
}

type Claims = Readonly<Record<string, unknown>>;

export function publicClaims(claims: Claims): PublicClaims {
  return {
    issuer: textOf(claims.iss),
    subject: textOf(claims.sub),
    audiences:
      typeof claims.aud === 'string'
        ? [claims.aud]
        : listOf(claims.aud).filter((one) => typeof one === 'string'),
    expires: seconds(claims.exp),
    notBefore: seconds(claims.nbf),
    issuedAt: seconds(claims.iat),
    id: textOf(claims.jti),
  };
}

/** The claims of a bound token; undefined where they do not name an account. */
export function boundClaims(claims: Claims): BoundClaims | undefined {
  const own = fieldsOf(claims['kubernetes.io']);
  const account = refOf(own.serviceaccount);
  const namespace = textOf(own.namespace);
  if (account === undefined || namespace === '') return undefined;
  const pod = refOf(own.pod);
  const secret = refOf(own.secret);
  const node = refOf(own.node);
  const warnafter = seconds(own.warnafter);
  return {
    namespace,
    serviceaccount: account,
    ...(pod === undefined ? {} : { pod }),
    ...(secret === undefined ? {} : { secret }),
    ...(node === undefined ? {} : { node }),
    ...(warnafter === undefined ? {} : { warnafter }),
  };
}

/** What an old token names; undefined where something is missing. */
export function legacyClaims(
  claims: Claims,
): { readonly namespace: string; readonly secret: string; readonly account: ClaimRef } | undefined {
  const read = (name: string): string => textOf(claims[`kubernetes.io/serviceaccount/${name}`]);
  const namespace = read('namespace');
  const secret = read('secret.name');
  const account = { name: read('service-account.name'), uid: read('service-account.uid') };
  if ([namespace, secret, account.name, account.uid].includes('')) return undefined;
  return { namespace, secret, account };
}

function refOf(value: unknown): ClaimRef | undefined {
  if (value === undefined || value === null) return undefined;
  const { name, uid } = fieldsOf(value);
  return { name: textOf(name), uid: textOf(uid) };
}

function seconds(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** The user a service account is, with what the token knows of pod and node. */
export function accountUser(
  namespace: string,
  account: ClaimRef,
  known: { readonly pod?: ClaimRef; readonly node?: ClaimRef; readonly tokenId?: string } = {},
): UserInfo {
  const { pod, node, tokenId = '' } = known;
  const prefix = 'authentication.kubernetes.io';
  return {
    name: serviceAccountUser(namespace, account.name),
    uid: account.uid,
    groups: [GROUP_SERVICE_ACCOUNTS, `${GROUP_SERVICE_ACCOUNTS}:${namespace}`],
    extra: {
      ...(tokenId === '' ? {} : { [CREDENTIAL_ID]: [`JTI=${tokenId}`] }),
      ...(pod === undefined ? {} : { [`${prefix}/pod-name`]: [pod.name], [`${prefix}/pod-uid`]: [pod.uid] }),
      ...(node === undefined || node.name === '' ? {} : { [`${prefix}/node-name`]: [node.name] }),
      ...(node === undefined || node.uid === '' ? {} : { [`${prefix}/node-uid`]: [node.uid] }),
    },
  };
}
