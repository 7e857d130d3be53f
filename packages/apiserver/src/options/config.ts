/**
 * What a command line asks of the server, as one value: flags read, checked against each other, and made what the
 * rooms take. It opens no file; paths stay paths. Texts of refusals are kube-apiserver's where it has the check.
 */

import { assert } from '@keelson/base';

import { KIND_GATES } from '../api/feature-gates.ts';
import { auditConfigOf, auditContradictions, type AuditConfig } from './audit-config.ts';
import { FLAG_GROUPS } from './flag-table-more.ts';
import { spokenVersions, type SpokenVersions } from './emulated-version.ts';
import { cipherSuitesProblem, curveOf } from './tls-names.ts';
import { FlagError, groupHelp, parseBool, parseFlags, type FlagSpec, type FlagValues } from './flags.ts';

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

/** What a command line comes to. */
export type Parsed =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' }
  /** A command line that cannot be read; the usage belongs before it. */
  | { readonly kind: 'usage-error'; readonly message: string }
  /** Flags that were read and cannot be. */
  | { readonly kind: 'invalid'; readonly message: string }
  | { readonly kind: 'config'; readonly config: ServerConfig; readonly warnings: readonly string[] };

const SERVICE_NETWORK = '10.0.0.0/24';
const MODES: readonly AuthorizationMode[] = ['ABAC', 'AlwaysAllow', 'AlwaysDeny', 'Node', 'RBAC', 'Webhook'];
const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const MEDIA_TYPES: readonly string[] = ['application/json', 'application/yaml', PROTOBUF];
const RECONCILERS: readonly string[] = ['lease', 'master-count', 'none'];

/** @param program how the help calls it, `kube-apiserver` or `keelson apiserver` */
export function parseConfig(argv: readonly string[], program: string): Parsed {
  const specs = FLAG_GROUPS.flatMap(({ flags }) => flags);
  let values: FlagValues;
  let args: readonly string[];
  try {
    ({ values, args } = parseFlags(specs, argv));
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    return { kind: 'usage-error', message: error.message };
  }
  if (values.bool('help')) return { kind: 'help', text: usage(program) };
  if (values.bool('version')) return { kind: 'version' };
  if (args.length > 0) {
    const told = args.map((word) => JSON.stringify(word)).join(' ');
    return {
      kind: 'usage-error',
      message: `${JSON.stringify(program)} does not take any arguments, got [${told}]`,
    };
  }
  const given = values.given();
  const problems = [...refusals(given, values), ...contradictions(values)];
  if (problems.length > 0) {
    return { kind: 'invalid', message: problems.length === 1 ? problems[0] : `[${problems.join(', ')}]` };
  }
  return { kind: 'config', config: configOf(values), warnings: warningsOf(given, values) };
}

export function usage(program: string): string {
  return `The Kubernetes API server: validates and keeps the objects of a cluster in etcd, and is the one place through which
all its parts see them and each other.

Usage:
  ${program} [flags]
${FLAG_GROUPS.map(groupHelp).join('')}`;
}

function refusals(given: readonly FlagSpec[], values: FlagValues): string[] {
  return given
    .filter(({ effect, kind, name }) => effect === 'refused' && (kind !== 'bool' || values.bool(name)))
    .map(({ name }) => `--${name} is not supported by this build: start without`);
}

function warningsOf(given: readonly FlagSpec[], values: FlagValues): string[] {
  const idle = given
    .filter(({ effect }) => effect === 'no effect')
    .map(({ name }) => `--${name} has no effect in this build`);
  const gates = [...gatesOf(values).keys()].filter((name) => !KIND_GATES.includes(name));
  if (gates.length === 0) return idle;
  return [...idle, `--feature-gates has no effect in this build on ${gates.join(', ')}`];
}

/** --feature-gates by name, `Name=true` or `kube:Name=true`; undefined for what is neither true nor false. */
function gatesOf(values: FlagValues): Map<string, boolean | undefined> {
  const given = [...values.map('feature-gates')].filter(([name]) => name !== '');
  return new Map(given.map(([name, value]) => [name.replace(/^kube:/, ''), parseBool(value)]));
}

function contradictions(values: FlagValues): string[] {
  const found: string[] = auditContradictions(values);
  const text = (name: string): string => values.string(name);
  const needs = (good: boolean, message: string): void => {
    if (!good) found.push(message);
  };
  needs(values.strings('etcd-servers').length > 0, '--etcd-servers must be specified');
  const backend = values.string('storage-backend');
  needs(
    backend === '' || backend === 'etcd3',
    `--storage-backend invalid, allowed values: etcd3. If not specified, it will default to 'etcd3'`,
  );
  const port = values.int('secure-port');
  needs(port >= 0 && port <= 65_535, `--secure-port ${port} must be between 0 and 65535, inclusive`);
  const pair = (cert: string, key: string, message: string): void =>
    needs((text(cert) === '') === (text(key) === ''), message);
  pair('tls-cert-file', 'tls-private-key-file', 'missing TLS cert file or key file');
  pair(
    'proxy-client-cert-file',
    'proxy-client-key-file',
    '--proxy-client-cert-file and --proxy-client-key-file must be specified together',
  );
  pair('etcd-certfile', 'etcd-keyfile', '--etcd-certfile and --etcd-keyfile must be specified together');
  const spoken = spokenOf(values);
  if (!('emulated' in spoken)) found.push(...spoken);
  needs(
    !values.bool('emulation-forward-compatible') || !('emulated' in spoken) || spoken.emulated < 36,
    'ServerRunOptions.EmulationForwardCompatible cannot be set to true if the emulation version is the same as the binary version',
  );
  for (const [name, value] of values.map('feature-gates')) {
    needs(
      name === '' || parseBool(value) !== undefined,
      value === ''
        ? `missing bool value for ${name}`
        : `invalid value of ${name}=${value}, err: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`,
    );
  }
  needs(values.durationMs('livez-grace-period') >= 0, '--livez-grace-period can not be a negative value');
  const minimum = values.string('tls-min-version');
  needs(
    ['', 'VersionTLS12', 'VersionTLS13'].includes(minimum),
    `unknown tls version ${JSON.stringify(minimum)}`,
  );
  for (const mode of values.strings('authorization-mode')) {
    if (!MODES.some((known) => known === mode)) {
      found.push(`authorization-mode ${JSON.stringify(mode)} is not a valid mode`);
    }
  }
  const modes = values.strings('authorization-mode');
  found.push(...authorizationProblems(values, modes));
  needs(
    new Set(modes).size === modes.length,
    `authorization-mode [${modes.map((mode) => JSON.stringify(mode)).join(' ')}] has mode specified more than once`,
  );
  for (const issuer of values.strings('service-account-issuer')) {
    needs(
      !issuer.includes(':') || URL.canParse(issuer),
      `service-account-issuer ${JSON.stringify(issuer)} contained a ':' but was not a valid URL`,
    );
  }
  const media = text('storage-media-type');
  needs(
    MEDIA_TYPES.includes(media),
    `--storage-media-type ${JSON.stringify(media)} invalid, allowed values: ${MEDIA_TYPES.join(', ')}`,
  );
  const reconciler = text('endpoint-reconciler-type');
  needs(
    RECONCILERS.includes(reconciler),
    `--endpoint-reconciler-type invalid, allowed values: ${RECONCILERS.join(', ')}`,
  );
  const suites = cipherSuitesProblem(values.strings('tls-cipher-suites'));
  needs(suites === undefined, suites ?? '');
  const curve = values.strings('tls-curve-preferences').find((name) => curveOf(name) === undefined);
  needs(curve === undefined, `unsupported curve ID ${JSON.stringify(curve)} in --tls-curve-preferences`);
  for (const item of values.all('tls-sni-cert-key')) {
    needs(
      item === '' || sniPair(item) !== undefined,
      `invalid argument ${JSON.stringify(item)} for "--tls-sni-cert-key" flag: expected comma separated certificate and key file paths`,
    );
  }
  for (const name of ['authentication-token-webhook-version', 'authorization-webhook-version']) {
    needs(
      text(name) === 'v1' || text(name) === 'v1beta1',
      `--${name} ${JSON.stringify(text(name))} is not a version of the review: v1 or v1beta1`,
    );
  }
  const max = values.durationMs('service-account-max-token-expiration');
  needs(
    max === 0 || (max >= 3_600_000 && max <= 2 ** 32 * 1000),
    'the service-account-max-token-expiration must be between 1 hour and 2^32 seconds',
  );
  needs(
    (values.string('oidc-issuer-url') === '') === (values.string('oidc-client-id') === ''),
    'oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set',
  );
  needs(
    text('authentication-config') === '' || !values.given().some(({ name }) => name.startsWith('oidc-')),
    'authentication-config file and oidc-* flags are mutually exclusive',
  );
  needs(
    !values.bool('encryption-provider-config-automatic-reload') || text('encryption-provider-config') !== '',
    '--encryption-provider-config-automatic-reload must be set with --encryption-provider-config',
  );
  const ranges = values.strings('service-cluster-ip-range');
  needs(ranges.length <= 2, '--service-cluster-ip-range must not contain more than two entries');
  for (const range of ranges) {
    needs(/^[0-9a-fA-F.:]+\/\d{1,3}$/.test(range), `invalid CIDR address: ${range}`);
  }
  needs(
    nodePortsOf(values) !== undefined,
    `invalid argument ${JSON.stringify(values.string('service-node-port-range'))} for "--service-node-port-range" flag: unable to parse port range`,
  );
  const format = values.string('logging-format');
  needs(
    format === 'text' || format === 'json',
    `logging-format: Invalid value: ${JSON.stringify(format)}: Unsupported log format`,
  );
  for (const name of ['min-request-timeout', 'max-requests-inflight', 'max-mutating-requests-inflight']) {
    needs(values.int(name) >= 0, `--${name} can not be negative value`);
  }
  const [reading, mutating] = [
    values.int('max-requests-inflight'),
    values.int('max-mutating-requests-inflight'),
  ];
  needs(
    !values.bool('enable-priority-and-fairness') || reading + mutating > 0,
    `invalid configuration: MaxRequestsInFlight=${reading} and MaxMutatingRequestsInFlight=${mutating}; they must add up to something positive`,
  );
  const chance = values.float('goaway-chance');
  needs(chance >= 0 && chance <= 0.02, '--goaway-chance can not be less than 0 or greater than 0.02');
  needs(values.durationMs('request-timeout') > 0, '--request-timeout can not be negative value');
  return found;
}

function authorizationProblems(values: FlagValues, modes: readonly string[]): string[] {
  const given = values.given().map(({ name }) => name);
  const file = values.string('authorization-webhook-config-file');
  if (values.string('authorization-config') !== '') {
    return given.some((name) => name === 'authorization-mode' || name.startsWith('authorization-webhook-'))
      ? [
          '--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined',
        ]
      : [];
  }
  const problems: string[] = [];
  const abac = modes.includes('ABAC');
  const policies = values.string('authorization-policy-file');
  if (abac && policies === '')
    problems.push("authorization-mode ABAC's authorization policy file not passed");
  if (!abac && policies !== '') problems.push('cannot specify --authorization-policy-file without mode ABAC');
  const webhook = modes.includes('Webhook');
  if (webhook && file === '')
    problems.push("authorization-mode Webhook's authorization config file not passed");
  if (!webhook && file !== '') {
    problems.push('cannot specify --authorization-webhook-config-file without mode Webhook');
  }
  return problems;
}

/** `cert,key` or `cert,key:name,name`. */
function sniPair(item: string): SniPair | undefined {
  const colon = item.indexOf(':');
  const files = (colon < 0 ? item : item.slice(0, colon)).split(',');
  if (files.length !== 2 || files.includes('')) return undefined;
  const names = colon < 0 ? [] : item.slice(colon + 1).split(',');
  return { certFile: files[0], keyFile: files[1], names: names.filter((name) => name !== '') };
}

/** `30000-32767`, or `30000+100`. */
function nodePortsOf(values: FlagValues): { first: number; last: number } | undefined {
  const match = /^(\d{1,5})(?:([-+])(\d{1,5}))?$/.exec(values.string('service-node-port-range').trim());
  if (match === null) return undefined;
  const first = Number(match[1]);
  const second = Number(match[3] ?? first);
  const last = match[2] === '+' ? first + second : second;
  return first <= last && last <= 65_535 ? { first, last } : undefined;
}

function configOf(values: FlagValues): ServerConfig {
  const text = (name: string): string => values.string(name);
  const list = (name: string): string[] => values.strings(name);
  const modes = list('authorization-mode').flatMap((mode) => MODES.filter((known) => known === mode));
  const networks = list('service-cluster-ip-range');
  const uncached = list('watch-cache-sizes').flatMap((item) => {
    const [resource, size] = item.split('#');
    return size === '0' ? [resource] : [];
  });
  return {
    etcd: {
      servers: list('etcd-servers'),
      caFile: text('etcd-cafile'),
      certFile: text('etcd-certfile'),
      keyFile: text('etcd-keyfile'),
      prefix: text('etcd-prefix'),
      encryptionFile: text('encryption-provider-config'),
      encryptionReload: values.bool('encryption-provider-config-automatic-reload'),
      compactionIntervalMs: values.durationMs('etcd-compaction-interval'),
      healthTimeoutMs: values.durationMs('etcd-healthcheck-timeout'),
      readyTimeoutMs: values.durationMs('etcd-readycheck-timeout'),
      leaseReuseSeconds: values.int('lease-reuse-duration-seconds'),
      sizeIntervalMs: values.durationMs('etcd-db-metric-poll-interval'),
    },
    watchCache: values.bool('watch-cache'),
    uncached: new Set(uncached),
    bindAddress: text('bind-address'),
    securePort: values.int('secure-port'),
    advertiseAddress: text('advertise-address'),
    externalHostname: text('external-hostname'),
    certDir: text('cert-dir'),
    certFile: text('tls-cert-file'),
    keyFile: text('tls-private-key-file'),
    tlsMinVersion: text('tls-min-version') === 'VersionTLS13' ? 'TLSv1.3' : 'TLSv1.2',
    cipherSuites: list('tls-cipher-suites'),
    curves: list('tls-curve-preferences'),
    sniPairs: values.all('tls-sni-cert-key').flatMap((item) => sniPair(item) ?? []),
    http2: !values.bool('disable-http2-serving'),
    streamsMax: values.int('http2-max-streams-per-connection'),
    goawayChance: values.float('goaway-chance'),
    sharesPort: values.bool('permit-port-sharing'),
    clientCaFile: text('client-ca-file'),
    anonymous: values.bool('anonymous-auth'),
    anonymousGiven: values.changed('anonymous-auth'),
    authenticationFile: text('authentication-config'),
    bootstrapTokens: values.bool('enable-bootstrap-token-auth'),
    tokenFile: text('token-auth-file'),
    requestHeader:
      text('requestheader-client-ca-file') === ''
        ? undefined
        : {
            caFile: text('requestheader-client-ca-file'),
            allowedNames: list('requestheader-allowed-names'),
            usernameHeaders: list('requestheader-username-headers'),
            uidHeaders: list('requestheader-uid-headers'),
            groupHeaders: list('requestheader-group-headers'),
            extraHeaderPrefixes: list('requestheader-extra-headers-prefix'),
          },
    oidc:
      text('oidc-issuer-url') === ''
        ? undefined
        : {
            issuer: text('oidc-issuer-url'),
            clientId: text('oidc-client-id'),
            caFile: text('oidc-ca-file'),
            usernameClaim: text('oidc-username-claim'),
            usernamePrefix: values.changed('oidc-username-prefix') ? text('oidc-username-prefix') : undefined,
            groupsClaim: text('oidc-groups-claim'),
            groupsPrefix: text('oidc-groups-prefix'),
            requiredClaims: values.map('oidc-required-claim'),
            algorithms: list('oidc-signing-algs'),
          },
    tokenWebhook:
      text('authentication-token-webhook-config-file') === ''
        ? undefined
        : {
            file: text('authentication-token-webhook-config-file'),
            version: versionOf(text('authentication-token-webhook-version')),
            ttlMs: values.durationMs('authentication-token-webhook-cache-ttl'),
          },
    serviceAccounts: {
      issuers: list('service-account-issuer'),
      audiences: list('api-audiences'),
      keyFiles: list('service-account-key-file'),
      signingKeyFile: text('service-account-signing-key-file'),
      jwksUri: text('service-account-jwks-uri'),
      maxSeconds: values.durationMs('service-account-max-token-expiration') / 1000,
      extend: values.bool('service-account-extend-token-expiration'),
    },
    authorizationModes: modes.length > 0 || text('authorization-config') !== '' ? modes : ['AlwaysAllow'],
    authorizationFile: text('authorization-config'),
    authorizationPolicyFile: text('authorization-policy-file'),
    authorizationWebhook: {
      file: text('authorization-webhook-config-file'),
      version: versionOf(text('authorization-webhook-version')),
      authorizedTtlMs: values.durationMs('authorization-webhook-cache-authorized-ttl'),
      unauthorizedTtlMs: values.durationMs('authorization-webhook-cache-unauthorized-ttl'),
    },
    enabledPlugins: list('enable-admission-plugins'),
    disabledPlugins: list('disable-admission-plugins'),
    onlyPlugins: list('admission-control'),
    admissionFile: text('admission-control-config-file'),
    notReadyTolerationSeconds: values.int('default-not-ready-toleration-seconds'),
    unreachableTolerationSeconds: values.int('default-unreachable-toleration-seconds'),
    runtimeConfig: list('runtime-config').join(','),
    featureGates: new Map([...gatesOf(values)].map(([name, value]) => [name, value ?? false])),
    eventTtlSeconds: Math.floor(values.durationMs('event-ttl') / 1000),
    // YAML is kept as JSON, which it is, too.
    storageMediaType: text('storage-media-type') === PROTOBUF ? 'protobuf' : 'json',
    keepsEndpoints: text('endpoint-reconciler-type') !== 'none',
    serviceNetworks: networks.length === 0 ? [SERVICE_NETWORK] : networks,
    nodePorts: nodePortsOf(values) ?? { first: 30_000, last: 32_767 },
    allowPrivileged: values.bool('allow-privileged'),
    kubelets: {
      caFile: text('kubelet-certificate-authority'),
      certFile: text('kubelet-client-certificate'),
      keyFile: text('kubelet-client-key'),
      port: values.int('kubelet-port'),
      addressTypes: list('kubelet-preferred-address-types'),
      dialMs: values.durationMs('kubelet-timeout'),
      bytesPerSecond: Math.max(0, values.int('max-connection-bytes-per-sec')),
    },
    aggregation: {
      certFile: text('proxy-client-cert-file'),
      keyFile: text('proxy-client-key-file'),
      toEndpoints: values.bool('enable-aggregator-routing'),
      rejectRedirects:
        values.bool('aggregator-reject-forwarding-redirect') &&
        values.bool('aggregator-reject-forwarding-redirects'),
    },
    audit: auditConfigOf(values),
    fairness: values.bool('enable-priority-and-fairness'),
    readingMax: values.int('max-requests-inflight'),
    mutatingMax: values.int('max-mutating-requests-inflight'),
    requestTimeoutMs: values.durationMs('request-timeout'),
    minRequestSeconds: values.int('min-request-timeout'),
    shutdownDelayMs: values.durationMs('shutdown-delay-duration'),
    shutdownRetryAfter: values.bool('shutdown-send-retry-after'),
    watchGraceMs: values.durationMs('shutdown-watch-termination-grace-period'),
    corsOrigins: list('cors-allowed-origins'),
    strictTransportSecurity: list('strict-transport-security-directives'),
    disabledMetrics: list('disabled-metrics'),
    logFormat: text('logging-format') === 'json' ? 'json' : 'text',
    verbosity: values.int('v'),
    spoken: spokenVersionsOf(values),
    tracingFile: text('tracing-config-file'),
    livezGraceMs: values.durationMs('livez-grace-period'),
    profiling: values.bool('profiling'),
    debugSocket: text('debug-socket-path'),
    flags: values.printed(),
  };
}

function spokenOf(values: FlagValues): SpokenVersions | readonly string[] {
  return spokenVersions(values.strings('emulated-version'), values.strings('min-compatibility-version'));
}

/** Of flags that were found good. */
function spokenVersionsOf(values: FlagValues): SpokenVersions {
  const spoken = spokenOf(values);
  assert('emulated' in spoken, 'versions are looked at before they are used');
  return spoken;
}

function versionOf(text: string): 'v1' | 'v1beta1' {
  return text === 'v1' ? 'v1' : 'v1beta1';
}
