/**
 * A command line as a configuration: flags read, checked, and made what the rooms take; or what it comes to instead, help
 * or a refusal. It opens no file. Texts of refusals are kube-apiserver's where it has the check.
 */

import { assert } from '@keelson/base';

import { KIND_GATES } from '../api/feature-gates.ts';
import { auditConfigOf } from './audit-config.ts';
import type { ServerConfig } from './config.ts';
import { contradictions } from './contradictions.ts';
import type { SpokenVersions } from './emulated-version.ts';
import { FLAG_GROUPS } from './flag-table-more.ts';
import { gatesOf, nodePortsOf, sniPair, spokenOf, AUTHORIZATION_MODES, PROTOBUF } from './flag-forms.ts';
import { FlagError, groupHelp, parseFlags, type FlagSpec, type FlagValues } from './flags.ts';

/** What a command line comes to. */
export type Parsed =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' }
  /** A command line that cannot be read, or flags that cannot be. */
  | { readonly kind: 'invalid'; readonly message: string }
  | { readonly kind: 'config'; readonly config: ServerConfig; readonly warnings: readonly string[] };

const SERVICE_NETWORK = '10.0.0.0/24';

/** @param program how the help calls it, `kube-apiserver` or `keelson apiserver` */
export function parseConfig(argv: readonly string[], program: string): Parsed {
  const specs = FLAG_GROUPS.flatMap(({ flags }) => flags);
  let values: FlagValues;
  let args: readonly string[];
  try {
    ({ values, args } = parseFlags(specs, argv));
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    return { kind: 'invalid', message: error.message };
  }
  if (values.bool('help')) return { kind: 'help', text: usage(program) };
  if (values.bool('version')) return { kind: 'version' };
  if (args.length > 0) {
    const told = args.map((word) => JSON.stringify(word)).join(' ');
    return {
      kind: 'invalid',
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

function usage(program: string): string {
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

function configOf(values: FlagValues): ServerConfig {
  const text = (name: string): string => values.string(name);
  const list = (name: string): string[] => values.strings(name);
  const modes = list('authorization-mode').flatMap((mode) =>
    AUTHORIZATION_MODES.filter((known) => known === mode),
  );
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

/** Of flags that were found good. */
function spokenVersionsOf(values: FlagValues): SpokenVersions {
  const spoken = spokenOf(values);
  assert('emulated' in spoken, 'versions are looked at before they are used');
  return spoken;
}

function versionOf(text: string): 'v1' | 'v1beta1' {
  return text === 'v1' ? 'v1' : 'v1beta1';
}
