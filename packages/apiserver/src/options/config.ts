/**
 * What a server is asked to be, as one value that the rooms take. It is made from a command line (command-line.ts) or by
 * who embeds a server. Paths stay paths: no file is opened for it.
 */

import type { AuditConfig } from './audit-config.ts';
import type { SpokenVersions } from './emulated-version.ts';

export type AuthorizationMode = 'ABAC' | 'AlwaysAllow' | 'AlwaysDeny' | 'Node' | 'RBAC' | 'Webhook';

export interface EtcdConfig {
  readonly servers: readonly string[];
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly prefix: string;
  /** --encryption-provider-config; empty: values are stored as they are. */
  readonly encryptionFile: string;
  readonly encryptionReload: boolean;
  /** 0: never. */
  readonly compactionIntervalMs: number;
  readonly healthTimeoutMs: number;
  readonly readyTimeoutMs: number;
  /** How long one lease takes further objects, at most. */
  readonly leaseReuseSeconds: number;
  /** Between questions for the size of the database; 0: never. */
  readonly sizeIntervalMs: number;
}

export interface RequestHeaderConfig {
  readonly caFile: string;
  readonly allowedNames: readonly string[];
  readonly usernameHeaders: readonly string[];
  readonly uidHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly extraHeaderPrefixes: readonly string[];
}

export interface OidcConfig {
  readonly issuer: string;
  readonly clientId: string;
  readonly caFile: string;
  readonly usernameClaim: string;
  /** Undefined: as the issuer says. */
  readonly usernamePrefix: string | undefined;
  readonly groupsClaim: string;
  readonly groupsPrefix: string;
  readonly requiredClaims: ReadonlyMap<string, string>;
  readonly algorithms: readonly string[];
}

export interface ServiceAccountConfig {
  /** The first signs; empty: that of a cluster of one's own. */
  readonly issuers: readonly string[];
  readonly audiences: readonly string[];
  readonly keyFiles: readonly string[];
  readonly signingKeyFile: string;
  /** Empty: under the first issuer. */
  readonly jwksUri: string;
  /** 0: no bound. */
  readonly maxSeconds: number;
  readonly extend: boolean;
}

/** A server that is asked about tokens. */
export interface TokenWebhookConfig {
  /** A kubeconfig. */
  readonly file: string;
  readonly version: 'v1' | 'v1beta1';
  readonly ttlMs: number;
}

/** A server that is asked who may do what. */
export interface AuthorizationWebhookConfig {
  /** A kubeconfig; empty: none. */
  readonly file: string;
  readonly version: 'v1' | 'v1beta1';
  readonly authorizedTtlMs: number;
  readonly unauthorizedTtlMs: number;
}

/** How kubelets are reached. */
export interface KubeletConfig {
  /** Empty: any certificate is taken. */
  readonly caFile: string;
  /** Empty: none is shown. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Of nodes that tell none. */
  readonly port: number;
  /** Which of a node's addresses to take, in order. */
  readonly addressTypes: readonly string[];
  /** Until a connection is there. */
  readonly dialMs: number;
  /** Each way of a connection that left HTTP, bytes a second; 0: no bound. */
  readonly bytesPerSecond: number;
}

/** How aggregated servers are reached. */
export interface AggregationConfig {
  /** Empty: no certificate is shown. */
  readonly certFile: string;
  readonly keyFile: string;
  /** By what stands behind their services, in place of the services' addresses. */
  readonly toEndpoints: boolean;
  readonly rejectRedirects: boolean;
}

/** A certificate for some host names. */
export interface SniPair {
  readonly certFile: string;
  readonly keyFile: string;
  /** `*.example.com` or plain names; empty: those of the certificate. */
  readonly names: readonly string[];
}

export interface ServerConfig {
  readonly etcd: EtcdConfig;
  readonly watchCache: boolean;
  /** `resource` or `resource.group` of those without a cache. */
  readonly uncached: ReadonlySet<string>;
  readonly bindAddress: string;
  /** 0: the system chooses. */
  readonly securePort: number;
  /** Empty: the bind address, where it is one. */
  readonly advertiseAddress: string;
  readonly externalHostname: string;
  readonly certDir: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly tlsMinVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Go's names; empty: the runtime's choice. */
  readonly cipherSuites: readonly string[];
  /** Go's names or numbers of curves; empty: the runtime's choice. */
  readonly curves: readonly string[];
  readonly sniPairs: readonly SniPair[];
  readonly http2: boolean;
  /** 0: the listener's own. */
  readonly streamsMax: number;
  /** Share of HTTP/2 requests that are the last of their connections. */
  readonly goawayChance: number;
  /** Other servers may listen on the port. */
  readonly sharesPort: boolean;
  readonly clientCaFile: string;
  readonly anonymous: boolean;
  /** Whether the command line says so. */
  readonly anonymousGiven: boolean;
  /** --authentication-config. */
  readonly authenticationFile: string;
  readonly bootstrapTokens: boolean;
  readonly tokenFile: string;
  readonly requestHeader: RequestHeaderConfig | undefined;
  readonly oidc: OidcConfig | undefined;
  readonly tokenWebhook: TokenWebhookConfig | undefined;
  readonly serviceAccounts: ServiceAccountConfig;
  /** Empty with --authorization-config. */
  readonly authorizationModes: readonly AuthorizationMode[];
  /** --authorization-config. */
  readonly authorizationFile: string;
  /** --authorization-policy-file, of mode ABAC. */
  readonly authorizationPolicyFile: string;
  readonly authorizationWebhook: AuthorizationWebhookConfig;
  readonly enabledPlugins: readonly string[];
  readonly disabledPlugins: readonly string[];
  /** --admission-control; empty where it is not given. */
  readonly onlyPlugins: readonly string[];
  /** --admission-control-config-file. */
  readonly admissionFile: string;
  readonly notReadyTolerationSeconds: number;
  readonly unreachableTolerationSeconds: number;
  readonly runtimeConfig: string;
  /** --feature-gates that say true or false. */
  readonly featureGates: ReadonlyMap<string, boolean>;
  readonly eventTtlSeconds: number;
  readonly storageMediaType: 'protobuf' | 'json';
  /** Whether the endpoints of the service `kubernetes` are kept by this server. */
  readonly keepsEndpoints: boolean;
  /** One network, or two of different families. */
  readonly serviceNetworks: readonly string[];
  readonly nodePorts: { readonly first: number; readonly last: number };
  readonly kubelets: KubeletConfig;
  readonly aggregation: AggregationConfig;
  /** Containers may be privileged. */
  readonly allowPrivileged: boolean;
  readonly audit: AuditConfig;
  /** Priority and fairness; without it the two bounds below count by themselves. */
  readonly fairness: boolean;
  readonly readingMax: number;
  readonly mutatingMax: number;
  readonly requestTimeoutMs: number;
  readonly minRequestSeconds: number;
  readonly shutdownDelayMs: number;
  /** Answers 429 while what is under way is answered, in place of taking no connection. */
  readonly shutdownRetryAfter: boolean;
  readonly watchGraceMs: number;
  readonly corsOrigins: readonly string[];
  readonly strictTransportSecurity: readonly string[];
  /** Names of metrics that are not told. */
  readonly disabledMetrics: readonly string[];
  readonly logFormat: 'text' | 'json';
  /** -v. */
  readonly verbosity: number;
  readonly spoken: SpokenVersions;
  /** Empty: nothing is traced. */
  readonly tracingFile: string;
  readonly livezGraceMs: number;
  /** /debug/pprof and /debug/flags/v. */
  readonly profiling: boolean;
  /** Empty: none. */
  readonly debugSocket: string;
  /** All flags with the texts of their values, as /flagz tells them. */
  readonly flags: ReadonlyMap<string, string>;
}
