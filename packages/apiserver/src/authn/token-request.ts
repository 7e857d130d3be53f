/**
 * Tokens for service accounts on request (`serviceaccounts/NAME/token`): what may be asked for, the claims that
 * follow from it, and the signed token. Also the documents by which others can verify such tokens.
 *
 * Modelled on kubernetes' registry/core/serviceaccount token storage, texts included.
 */

import { createPublicKey, type KeyObject } from 'node:crypto';

import { fieldsOf, textOf, textsOf } from '../api/fields.ts';
import { parseApiVersion, type KubeObject, type ObjectMeta } from '../api/meta.ts';
import { badRequest, conflict, invalid, notFound, type FieldError } from '../api/status.ts';
import { serviceAccountUser } from '../api/user-info.ts';
import { keyIdOf, publicJwk, signJwt, type VerificationKey } from './jwt.ts';
import { LEGACY_ISSUER, type TokenLookups } from './service-account.ts';
import type { BoundClaims, ClaimRef } from './service-account-claims.ts';

const KIND = { group: 'authentication.k8s.io', kind: 'TokenRequest' };
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

/** What a request asks for. */
interface Wish {
  /** Of the account, beside what the request says of itself. */
  readonly metadata: ObjectMeta & { readonly name: string; readonly namespace: string };
  readonly spec: ReturnType<typeof fieldsOf>;
  readonly meant: readonly string[];
  /** Seconds. */
  readonly asked: number;
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
   * @param warn is told when the token ends sooner than was asked
   * @param issued is told by which id the token's uses will be known
   * @returns the request with its status: the token and when it ends
   * @throws ApiError Invalid for a duration outside of the bounds and for metadata of another account, Conflict for an
   *   account made anew, BadRequest for an object no token is bound to, NotFound or Conflict for one that is not (or
   *   no longer) there
   */
  async request(
    account: KubeObject,
    request: KubeObject,
    warn: (text: string) => void = () => undefined,
    issued: (credentialId: string) => void = () => undefined,
  ): Promise<KubeObject> {
    const { audiences, maxSeconds, extend = true, nowMs, issuer } = this.options;
    const { metadata, spec, meant, asked } = this.wishOf(account, request);
    const { name, namespace } = metadata;
    const bound = await this.boundTo(namespace, name, spec.boundObjectRef);
    const seconds = maxSeconds !== undefined && asked > maxSeconds ? maxSeconds : asked;
    if (seconds < asked) warn(`requested expiration of ${asked} seconds shortened to ${seconds} seconds`);
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
    const id = this.options.uuid();
    issued(`JTI=${id}`);
    const claims = {
      aud: meant,
      exp: expires,
      iat: now,
      iss: issuer,
      jti: id,
      'kubernetes.io': own,
      nbf: now,
      sub: serviceAccountUser(namespace, name),
    };
    return {
      ...request,
      metadata: { ...metadata, creationTimestamp: textOfTime(now) },
      spec: { ...spec, audiences: meant, expirationSeconds: seconds },
      status: {
        token: signJwt(claims, this.options.privateKey, this.keyId),
        expirationTimestamp: textOfTime(now + seconds),
      },
    };
  }

  /**
   * A TokenRequest as it is judged before it is answered: whose it is, for whom and for how long where it does not say.
   *
   * @throws ApiError as request() for metadata and durations
   */
  completed(account: KubeObject, request: KubeObject): KubeObject {
    const { metadata, spec, meant, asked } = this.wishOf(account, request);
    const creationTimestamp = textOfTime(Math.floor(this.options.nowMs() / 1000));
    return {
      ...request,
      metadata: { ...metadata, creationTimestamp },
      spec: { ...spec, audiences: meant, expirationSeconds: asked },
      // What a client says of the answer is no part of what it asks for.
      status: { token: '', expirationTimestamp: null },
    };
  }

  private wishOf(account: KubeObject, request: KubeObject): Wish {
    const { name = '', namespace = '', uid } = account.metadata;
    checkMetadata(request.metadata, { name, namespace, uid: uid ?? '' });
    const spec = fieldsOf(request.spec);
    const asked = typeof spec.expirationSeconds === 'number' ? spec.expirationSeconds : DEFAULT_SECONDS;
    checkDuration(asked);
    const wanted = textsOf(spec.audiences);
    return {
      metadata: { ...request.metadata, name, namespace, ...(uid === undefined ? {} : { uid }) },
      spec,
      meant: wanted.length === 0 ? this.options.audiences : wanted,
      asked,
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
    const { group, version } = parseApiVersion(textOf(apiVersion)) ?? { group: '', version: '' };
    switch (group === '' ? textOf(kind) : '') {
      case 'Pod': {
        nameGiven(wanted);
        const pod = there(await lookups.pod(namespace, wanted.name), 'pods', wanted);
        const spec = fieldsOf(pod.spec);
        if (textOf(spec.serviceAccountName) !== account) {
          throw badRequest(
            `cannot bind token for serviceaccount ${JSON.stringify(account)} to pod running with different serviceaccount name.`,
          );
        }
        const nodeName = textOf(spec.nodeName);
        if (nodeName === '') return { pod: refOf(pod, 'Pod', wanted) };
        const node = await lookups.node(nodeName);
        return { pod: refOf(pod, 'Pod', wanted), node: { name: nodeName, uid: node?.metadata.uid ?? '' } };
      }
      case 'Secret': {
        nameGiven(wanted);
        const secret = there(await lookups.secret(namespace, wanted.name), 'secrets', wanted);
        return { secret: refOf(secret, 'Secret', wanted) };
      }
      case 'Node':
        nameGiven(wanted);
        return { node: refOf(there(await lookups.node(wanted.name), 'nodes', wanted), 'Node', wanted) };
      default:
        throw badRequest(`cannot bind token to object of type ${group}/${version}, Kind=${textOf(kind)}`);
    }
  }
}

/** What of the object is written into the token. @throws ApiError Conflict when it is not the one that was meant */
function refOf({ metadata }: KubeObject, kind: string, wanted: ClaimRef): ClaimRef {
  const { name = '', uid = '' } = metadata;
  if (wanted.uid !== '' && wanted.uid !== uid) {
    throw conflict(
      { group: '', resource: kind },
      wanted.name,
      `the UID in the bound object reference (${wanted.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  return { name, uid };
}

function nameGiven({ name }: ClaimRef): void {
  if (name === '') throw badRequest('Name parameter required.');
}

function there(object: KubeObject | undefined, resource: string, { name }: ClaimRef): KubeObject {
  if (object === undefined) throw notFound({ group: '', resource }, name);
  return object;
}

/** The account that a request names must be the one it is sent to. */
function checkMetadata(
  told: ObjectMeta,
  account: { readonly name: string; readonly namespace: string; readonly uid: string },
): void {
  for (const field of ['name', 'namespace'] as const) {
    const value = told[field] ?? '';
    if (value === '' || value === account[field]) continue;
    throw invalid(KIND, account.name, [
      {
        type: 'FieldValueInvalid',
        field: `metadata.${field}`,
        body: `Invalid value: ${JSON.stringify(value)}: must match the service account ${field} if specified`,
      },
    ]);
  }
  const { uid = '' } = told;
  if (uid === '' || uid === account.uid) return;
  throw conflict(
    { group: KIND.group, resource: KIND.kind },
    account.name,
    `the UID in the token request (${uid}) does not match the UID of the service account (${account.uid})`,
  );
}

/** @param seconds since the epoch */
function textOfTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.\d{3}Z$/, 'Z');
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
  throw invalid(KIND, '', [error]);
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
