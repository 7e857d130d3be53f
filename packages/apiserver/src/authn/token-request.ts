/**
 * Tokens for service accounts on request (`serviceaccounts/NAME/token`): what may be asked for, the claims that
 * follow from it, and the signed token. Also the documents by which others can verify such tokens.
 *
 * Modelled on kubernetes' registry/core/serviceaccount token storage, texts included.
 */

import { createPublicKey, type KeyObject } from 'node:crypto';

import { fieldsOf, textOf, textsOf } from '../api/fields.ts';
import type { KubeObject } from '../api/meta.ts';
import { badRequest, conflict, invalid, notFound, type FieldError } from '../api/status.ts';
import { serviceAccountUser } from '../api/user-info.ts';
import { keyIdOf, publicJwk, signJwt, type VerificationKey } from './jwt.ts';
import { LEGACY_ISSUER, type TokenLookups } from './service-account.ts';
import type { BoundClaims, ClaimRef } from './service-account-claims.ts';

const MIN_SECONDS = 10 * 60;
const MAX_SECONDS = 2 ** 32;
const DEFAULT_SECONDS = 3600;
/** What the ServiceAccount admission plugin writes into pods: a client that does not renew is told, not refused. */
const WARN_SECONDS = 3607;
const EXTENDED_SECONDS = 365 * 24 * 3600;

export interface TokenIssuerOptions {
  readonly issuer: string;
  readonly privateKey: KeyObject;
  /** Of the server: what a request that names none gets. */
  readonly audiences: readonly string[];
  /** `--service-account-max-token-expiration`; absent: no bound but the API's. */
  readonly maxSeconds?: number;
  /** `--service-account-extend-token-expiration`, true unless told otherwise. */
  readonly extend?: boolean;
  readonly lookups: TokenLookups;
  readonly nowMs: () => number;
  /** A new random UUID. */
  readonly uuid: () => string;
}

export class TokenIssuer {
  private readonly options: TokenIssuerOptions;
  private readonly keyId: string;

  constructor(options: TokenIssuerOptions) {
    this.options = options;
    this.keyId = keyIdOf(createPublicKey(options.privateKey));
  }

  /** The key that verifies what is signed here. */
  get verificationKey(): VerificationKey {
    return { id: this.keyId, key: createPublicKey(this.options.privateKey) };
  }

  /**
   * Answers a TokenRequest.
   *
   * @param account the service account as stored
   * @returns the request with its status: the token and when it ends
   * @throws ApiError Invalid for a duration outside of the bounds, BadRequest for an object no token is bound to,
   *   NotFound or Conflict for one that is not (or no longer) there
   */
  async request(account: KubeObject, request: KubeObject): Promise<KubeObject> {
    const { audiences, maxSeconds, extend = true, nowMs, issuer } = this.options;
    const spec = fieldsOf(request.spec);
    const name = account.metadata.name ?? '';
    const namespace = account.metadata.namespace ?? '';
    const { name: toldName, namespace: toldNamespace } = request.metadata;
    if (toldName !== undefined && toldName !== '' && toldName !== name) {
      throw badRequest(
        `name in the token request's metadata (${toldName}) does not match the name of the service account (${name})`,
      );
    }
    if (toldNamespace !== undefined && toldNamespace !== '' && toldNamespace !== namespace) {
      throw badRequest(
        `namespace in the token request's metadata (${toldNamespace}) does not match the namespace of the service account (${namespace})`,
      );
    }
    const asked = typeof spec.expirationSeconds === 'number' ? spec.expirationSeconds : DEFAULT_SECONDS;
    checkDuration(asked);
    const wanted = textsOf(spec.audiences);
    const meant = wanted.length === 0 ? audiences : wanted;
    const bound = await this.boundTo(namespace, name, spec.boundObjectRef);
    const seconds = maxSeconds !== undefined && asked > maxSeconds ? maxSeconds : asked;
    const now = Math.floor(nowMs() / 1000);
    const extended =
      extend &&
      seconds === WARN_SECONDS &&
      bound.pod !== undefined &&
      meant.every((one) => audiences.includes(one));
    const expires = now + (extended ? Math.min(EXTENDED_SECONDS, maxSeconds ?? Infinity) : seconds);
    const own: BoundClaims = {
      namespace,
      ...(bound.node === undefined ? {} : { node: bound.node }),
      ...(bound.pod === undefined ? {} : { pod: bound.pod }),
      ...(bound.secret === undefined ? {} : { secret: bound.secret }),
      serviceaccount: { name, uid: account.metadata.uid ?? '' },
      ...(extended ? { warnafter: now + WARN_SECONDS } : {}),
    };
    const claims = {
      aud: meant,
      exp: expires,
      iat: now,
      iss: issuer,
      jti: this.options.uuid(),
      'kubernetes.io': own,
      nbf: now,
      sub: serviceAccountUser(namespace, name),
    };
    return {
      ...request,
      metadata: { ...request.metadata, name, namespace },
      spec: { ...spec, audiences: meant, expirationSeconds: seconds },
      status: {
        token: signJwt(claims, this.options.privateKey, this.keyId),
        expirationTimestamp: new Date((extended ? now + seconds : expires) * 1000)
          .toISOString()
          .replace(/\.\d{3}Z$/, 'Z'),
      },
    };
  }

  /** The token of a Secret of type kubernetes.io/service-account-token: without an end, good while both exist. */
  legacyToken(account: KubeObject, secretName: string): string {
    const name = account.metadata.name ?? '';
    const namespace = account.metadata.namespace ?? '';
    const prefix = 'kubernetes.io/serviceaccount';
    const claims = {
      iss: LEGACY_ISSUER,
      [`${prefix}/namespace`]: namespace,
      [`${prefix}/secret.name`]: secretName,
      [`${prefix}/service-account.name`]: name,
      [`${prefix}/service-account.uid`]: account.metadata.uid ?? '',
      sub: serviceAccountUser(namespace, name),
    };
    return signJwt(claims, this.options.privateKey, this.keyId);
  }

  private async boundTo(
    namespace: string,
    account: string,
    ref: unknown,
  ): Promise<{ readonly pod?: ClaimRef; readonly secret?: ClaimRef; readonly node?: ClaimRef }> {
    if (ref === undefined || ref === null) return {};
    const { lookups } = this.options;
    const { kind, apiVersion, name, uid } = fieldsOf(ref);
    const wanted = { name: textOf(name), uid: textOf(uid) };
    const type = `${textOf(apiVersion)}/${textOf(kind)}`;
    switch (type) {
      case 'v1/Pod': {
        const pod = here(await lookups.pod(namespace, wanted.name), 'pods', wanted);
        const spec = fieldsOf(pod.spec);
        if (textOf(spec.serviceAccountName) !== account) {
          throw badRequest(
            `cannot bind token for serviceaccount ${JSON.stringify(account)} to pod running with different serviceaccount name.`,
          );
        }
        const nodeName = textOf(spec.nodeName);
        if (nodeName === '') return { pod: refOf(pod) };
        const node = await lookups.node(nodeName);
        return { pod: refOf(pod), node: { name: nodeName, uid: node?.metadata.uid ?? '' } };
      }
      case 'v1/Secret':
        return { secret: refOf(here(await lookups.secret(namespace, wanted.name), 'secrets', wanted)) };
      case 'v1/Node':
        return { node: refOf(here(await lookups.node(wanted.name), 'nodes', wanted)) };
      default:
        throw badRequest(`cannot bind token to object of type ${textOf(apiVersion)}, Kind=${textOf(kind)}`);
    }
  }
}

function refOf({ metadata }: KubeObject): ClaimRef {
  return { name: metadata.name ?? '', uid: metadata.uid ?? '' };
}

function here(object: KubeObject | undefined, resource: string, wanted: ClaimRef): KubeObject {
  if (object === undefined) throw notFound({ group: '', resource }, wanted.name);
  const uid = object.metadata.uid ?? '';
  if (wanted.uid !== '' && wanted.uid !== uid) {
    throw conflict(
      { group: '', resource },
      wanted.name,
      `the UID in the bound object reference (${wanted.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  return object;
}

function checkDuration(seconds: number): void {
  const text =
    seconds < MIN_SECONDS
      ? 'may not specify a duration less than 10 minutes'
      : seconds > MAX_SECONDS
        ? 'may not specify a duration larger than 2^32 seconds'
        : undefined;
  if (text === undefined) return;
  const error: FieldError = {
    type: 'FieldValueInvalid',
    field: 'spec.expirationSeconds',
    body: `Invalid value: ${seconds}: ${text}`,
  };
  throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, '', [error]);
}

/** The body of /.well-known/openid-configuration: where the keys are, and what they sign with. */
export function discoveryDocument(issuer: string, jwksUri: string, keys: readonly KeyObject[]): object {
  const algorithms = new Set(keys.map((key) => textOf(publicJwk(key).alg)));
  return {
    issuer,
    jwks_uri: jwksUri,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [...algorithms].toSorted(),
  };
}

/** The body of /openid/v1/jwks (type application/jwk-set+json). */
export function keySet(keys: readonly KeyObject[]): object {
  return { keys: keys.map((key) => publicJwk(key)) };
}
