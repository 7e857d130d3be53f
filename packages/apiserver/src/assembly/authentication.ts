/**
 * The ways of authentication a server was started with, joined in the original's order: front proxy, certificate, then
 * tokens of a file, of service accounts, of joining nodes, of OpenID providers and of a webhook; nobody's name at the end. Also
 * what signs tokens here, and the documents by which others verify them.
 */

import type { Clock, Logger } from '@keelson/base';

import type { ApiRequest, Filter, Handler } from '../api/exchange.ts';
import { GROUP_MASTERS } from '../api/user-info.ts';
import { authenticate } from '../authn/authenticate.ts';
import {
  AuthenticationError,
  firstRequest,
  firstToken,
  forOwnAudiences,
  type Authenticated,
  type RequestAuthenticator,
  type TokenAuthenticator,
} from '../authn/authenticator.ts';
import { BearerToken, WebSocketToken } from '../authn/bearer-token.ts';
import { BootstrapTokens } from '../authn/bootstrap-token.ts';
import { CertificateChain } from '../authn/certificate-chain.ts';
import type { VerificationKey } from '../authn/jwt.ts';
import { OidcTokens } from '../authn/oidc.ts';
import { proxyHeaders, RequestHeaderUsers } from '../authn/request-header.ts';
import { ServiceAccountTokens, type TokenLookups } from '../authn/service-account.ts';
import { TokenCache, type TokenCacheObserver } from '../authn/token-cache.ts';
import { TokenFile } from '../authn/token-file.ts';
import { discoveryDocument, keySet, TokenIssuer } from '../authn/token-request.ts';
import { WebhookTokens } from '../authn/webhook-token.ts';
import { X509Users } from '../authn/x509.ts';
import {
  accountTokenMetrics,
  authenticationMetrics,
  jwtMetrics,
  tokenCacheMetrics,
} from '../authn/authentication-metrics.ts';
import type { ServerCredentials } from '../credentials/credentials.ts';
import { AuthenticationFile, type AuthenticationFileOptions } from './authentication-file.ts';
import type { ConfigReload } from './config-reload.ts';
import type { CurrentKeys, KeySource } from './oidc-provider.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import type { OidcConfig, ServerConfig, TokenWebhookConfig } from '../options/config.ts';
import type { ProgramRunner } from '../outbound/exec-credentials.ts';
import type { HttpsCaller } from '../outbound/https-caller.ts';
import { readKubeconfig, reviewCaller } from './review-caller.ts';

/** The issuer of a cluster that was told none. */
const ISSUER = 'https://kubernetes.default.svc.cluster.local';
/** The original's --authentication-token-webhook has no flag for it. */
const WEBHOOK_TIMEOUT_MS = 30_000;

export interface AuthenticationParts {
  readonly config: ServerConfig;
  readonly credentials: ServerCredentials;
  /** Where the objects are that tokens are bound to. */
  readonly lookups: TokenLookups;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly uuid: () => string;
  /** A secret that only this process knows: whoever shows it is the server itself. */
  readonly loopbackToken: string;
  /** Where others reach the server, `host:port`; undefined where it has no port. */
  readonly address: () => string | undefined;
  readonly readFile: (path: string) => string;
  readonly programs: ProgramRunner;
  readonly issuerKeys: (source: KeySource) => CurrentKeys;
  readonly caller: HttpsCaller;
  /** Ends questions to the webhook. */
  readonly signal: AbortSignal;
  readonly metrics: MetricsRegistry;
  /** Of this server: bootstrap/identity-lease.ts. */
  readonly serverId: string;
}

export interface Authentication {
  readonly filter: Filter;
  /** Tokens alone, for TokenReview. */
  readonly tokens: TokenAuthenticator;
  readonly issuer: TokenIssuer;
  /** Those of the server. */
  readonly audiences: readonly string[];
  /** /.well-known/openid-configuration and /openid/v1/jwks. */
  readonly paths: ReadonlyMap<string, Handler>;
  /** Follows --authentication-config; undefined without. */
  readonly reload: ConfigReload | undefined;
}

/** @throws Error for a file that cannot be used */
export function makeAuthentication(parts: AuthenticationParts): Authentication {
  const { config, credentials, lookups, clock, logger, uuid } = parts;
  const { serviceAccounts } = config;
  const { requestHeader } = credentials;
  const nowMs = (): number => clock.nowMs();
  const issuers = serviceAccounts.issuers.length === 0 ? [ISSUER] : serviceAccounts.issuers;
  const audiences = serviceAccounts.audiences.length === 0 ? issuers : serviceAccounts.audiences;
  const issuer = new TokenIssuer({
    issuer: issuers[0],
    privateKey: credentials.signingKey,
    audiences,
    ...(serviceAccounts.maxSeconds === 0 ? {} : { maxSeconds: serviceAccounts.maxSeconds }),
    extend: serviceAccounts.extend,
    lookups,
    nowMs,
    uuid,
  });
  const measured = jwtMetrics(parts.metrics, () => clock.monotonicMs());
  const cacheObserver = tokenCacheMetrics(parts.metrics);
  const file = configFile({ ...parts, measured }, issuers);
  const own = (inner: TokenAuthenticator): TokenAuthenticator => forOwnAudiences(audiences, inner);
  const observer = authenticationMetrics(parts.metrics);
  const tokens = new TokenCache(
    firstToken([
      loopback(parts.loopbackToken, uuid()),
      ...(config.tokenFile === ''
        ? []
        : [own(new TokenFile(parts.readFile(config.tokenFile), config.tokenFile))]),
      new ServiceAccountTokens({
        issuers,
        keys: credentials.verificationKeys,
        audiences,
        lookups,
        nowMs,
        used: accountTokenMetrics(parts.metrics),
        stale: (subject, secondsLate) =>
          logger.debug('a stale token of a service account is used', { subject, secondsLate }),
      }),
      ...(config.bootstrapTokens
        ? [own(new BootstrapTokens((name) => lookups.secret('kube-system', name), nowMs))]
        : []),
      ...(config.oidc === undefined
        ? []
        : [own(measured(config.oidc.issuer, flaggedTokens(config.oidc, parts)))]),
      ...(file === undefined ? [] : [own(file)]),
      ...(config.tokenWebhook === undefined
        ? []
        : [webhookTokens(config.tokenWebhook, audiences, parts, cacheObserver)]),
    ]),
    () => clock.monotonicMs(),
    undefined,
    cacheObserver,
  );
  const ways: RequestAuthenticator[] = [
    ...(requestHeader === undefined || credentials.requestHeaderCa === undefined
      ? []
      : [new RequestHeaderUsers(requestHeader, new CertificateChain(credentials.requestHeaderCa), nowMs)]),
    new X509Users(new CertificateChain(credentials.clientCa), nowMs, observer.expires),
    new BearerToken(tokens),
    new WebSocketToken(tokens),
  ];
  // As the original: whoever may do everything has to have a name.
  const named = config.authorizationModes.includes('AlwaysAllow');
  return {
    filter: authenticate(firstRequest(ways), {
      anonymous: named ? { enabled: false } : (file?.anonymous ?? { enabled: config.anonymous }),
      ...(requestHeader === undefined ? {} : { proxyHeaders: proxyHeaders(requestHeader) }),
      observer,
      monotonicMs: () => clock.monotonicMs(),
      refused: (request: ApiRequest, error) =>
        logger.info('Unable to authenticate the request', {
          path: request.path,
          auditId: request.context.auditId,
          error: error.message,
        }),
    }),
    tokens,
    issuer,
    audiences,
    paths: issuerPaths(issuers[0], serviceAccounts.jwksUri, credentials.verificationKeys, parts.address),
    reload: file?.reload,
  };
}

/** The server's own name for itself, by the token it made at its start. */
function loopback(secret: string, uid: string): TokenAuthenticator {
  const found: Authenticated = {
    user: { name: 'system:apiserver', uid, groups: [GROUP_MASTERS], extra: {} },
  };
  return { authenticateToken: (token) => Promise.resolve(token === secret ? found : undefined) };
}

/** What --authentication-config names; undefined without it. @throws Error naming what is wrong with it */
function configFile(
  parts: AuthenticationParts & Pick<AuthenticationFileOptions, 'measured'>,
  ownIssuers: readonly string[],
): AuthenticationFile | undefined {
  const { authenticationFile: path, anonymousGiven } = parts.config;
  return path === '' ? undefined : new AuthenticationFile({ ...parts, path, anonymousGiven, ownIssuers });
}

/** The server that --authentication-token-webhook-* flags name; its answers are kept for a while. */
function webhookTokens(
  { file, version, ttlMs }: TokenWebhookConfig,
  audiences: readonly string[],
  { readFile, programs, caller, clock, signal }: AuthenticationParts,
  observer: TokenCacheObserver,
): TokenAuthenticator {
  const server = readKubeconfig(file, { readFile, programs }).current();
  const ask = reviewCaller(server, { caller, clock, signal, timeoutMs: WEBHOOK_TIMEOUT_MS });
  const post = async (review: object): Promise<unknown> => {
    try {
      return await ask(review);
    } catch (error) {
      // A token that nobody could judge is a token that does not count: the others may know it.
      throw new AuthenticationError(error instanceof Error ? error.message : String(error));
    }
  };
  return new TokenCache(
    new WebhookTokens(post, audiences, version),
    () => clock.monotonicMs(),
    ttlMs,
    observer,
  );
}

/** The provider that --oidc-* flags name. */
function flaggedTokens(oidc: OidcConfig, { issuerKeys, readFile, clock }: AuthenticationParts): OidcTokens {
  const ca = oidc.caFile === '' ? undefined : readFile(oidc.caFile);
  const keys = issuerKeys({ issuer: oidc.issuer, discoveryUrl: undefined, ca });
  const { issuer, clientId, usernameClaim, usernamePrefix, groupsClaim, groupsPrefix } = oidc;
  return new OidcTokens({
    issuer,
    audiences: [clientId],
    usernameClaim,
    ...(usernamePrefix === undefined ? {} : { usernamePrefix }),
    ...(groupsClaim === '' ? {} : { groupsClaim }),
    groupsPrefix,
    requiredClaims: Object.fromEntries(oidc.requiredClaims),
    algorithms: oidc.algorithms,
    keys,
    nowMs: () => clock.nowMs(),
  });
}

function issuerPaths(
  issuer: string,
  jwksUri: string,
  keys: readonly VerificationKey[],
  address: () => string | undefined,
): ReadonlyMap<string, Handler> {
  // Documents are for who fetches them from the issuer's address: one that is no https URL has none.
  if (!issuer.startsWith('https://')) return new Map();
  const publicKeys = keys.map(({ key }) => key);
  // Where this server is reached, as in the original; who stands in for it elsewhere says so by the flag.
  const uri = (): string => {
    if (jwksUri !== '') return jwksUri;
    const own = address();
    return `${own === undefined ? issuer.replace(/\/$/, '') : `https://${own}`}/openid/v1/jwks`;
  };
  const headers = new Map([['cache-control', ['public, max-age=3600']]]);
  const document =
    (contentType: string, value: () => object): Handler =>
    () => {
      const body = Buffer.from(JSON.stringify(value()));
      return Promise.resolve({ kind: 'bytes', code: 200, contentType, body, headers });
    };
  return new Map([
    [
      '/.well-known/openid-configuration',
      document('application/json', () => discoveryDocument(issuer, uri(), publicKeys)),
    ],
    ['/openid/v1/jwks', document('application/jwk-set+json', () => keySet(publicKeys))],
  ]);
}
