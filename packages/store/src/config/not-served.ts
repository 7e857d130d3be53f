/**
 * Flags that are understood and cannot be honoured yet. A server that ignores --client-cert-auth is
 * worse than one that does not start, so main asks here and refuses. One row a flag: whoever builds
 * the feature deletes its row, and docs/flags.md follows.
 */
import { FEATURE_GATES, type FeatureGate } from './feature-gates.ts';
import type { FlagName, ServerConfig } from './flag-table.ts';
import type { EtcdUrl } from './urls.ts';
import { parseInitialCluster } from './initial-cluster.ts';

export interface NotYetServed {
  readonly flag: FlagName;
  /** What is missing, for the fatal line and the docs. */
  readonly missing: string;
  /** Whether this configuration asks for it. */
  readonly asked: (config: ServerConfig) => boolean;
  /** How the fatal line names the setting where the flag alone says too little. */
  readonly setting?: string;
}

function beyondHttp(urls: readonly EtcdUrl[]): boolean {
  return urls.some((url) => url.scheme !== 'http');
}

function gateRow(gate: FeatureGate, missing: string): NotYetServed {
  return {
    flag: 'feature-gates',
    missing,
    asked: (config) => config.featureGates.enabled[gate] !== FEATURE_GATES[gate].enabled,
    setting: `--feature-gates=${gate}=${String(!FEATURE_GATES[gate].enabled)}`,
  };
}

const TLS = 'TLS';
const DISCOVERY = 'discovery of the first members';

/**
 * Entries are bounded by the largest record the log and the peer protocol read back (16 MiB); a request
 * beyond that could be acknowledged and then stop every restart.
 */
const REQUEST_BYTES_MAX = 15 * 1024 * 1024;

export const NOT_YET_SERVED: readonly NotYetServed[] = [
  {
    flag: 'listen-client-http-urls',
    missing: 'a listener for HTTP alone',
    asked: (c) => c.listenClientHttpUrls.length > 0,
  },
  {
    flag: 'listen-metrics-urls',
    missing: 'a listener for metrics alone',
    asked: (c) => c.listenMetricsUrls.length > 0,
  },
  {
    flag: 'listen-client-urls',
    missing: 'TLS and unix sockets',
    asked: (c) => beyondHttp(c.listenClientUrls),
    setting: '--listen-client-urls with a scheme other than http',
  },
  {
    flag: 'listen-peer-urls',
    missing: 'TLS and unix sockets',
    asked: (c) => beyondHttp(c.listenPeerUrls),
    setting: '--listen-peer-urls with a scheme other than http',
  },
  {
    flag: 'initial-advertise-peer-urls',
    missing: 'TLS and unix sockets',
    asked: (c) => beyondHttp(c.initialAdvertisePeerUrls),
    setting: '--initial-advertise-peer-urls with a scheme other than http',
  },
  {
    flag: 'initial-cluster',
    missing: 'TLS and unix sockets',
    asked: clusterBeyondHttp,
    setting: '--initial-cluster with a scheme other than http',
  },
  {
    flag: 'max-request-bytes',
    missing: 'requests beyond 15 MiB',
    asked: (c) => c.maxRequestBytes > REQUEST_BYTES_MAX,
    setting: '--max-request-bytes above 15728640',
  },
  { flag: 'discovery-token', missing: DISCOVERY, asked: (c) => c.discoveryToken !== '' },
  { flag: 'discovery-endpoints', missing: DISCOVERY, asked: (c) => c.discoveryEndpoints.length > 0 },
  { flag: 'discovery-dial-timeout', missing: DISCOVERY, asked: (c) => c.discoveryDialTimeoutMs !== 2_000 },
  {
    flag: 'discovery-request-timeout',
    missing: DISCOVERY,
    asked: (c) => c.discoveryRequestTimeoutMs !== 5_000,
  },
  {
    flag: 'discovery-keepalive-time',
    missing: DISCOVERY,
    asked: (c) => c.discoveryKeepaliveTimeMs !== 2_000,
  },
  {
    flag: 'discovery-keepalive-timeout',
    missing: DISCOVERY,
    asked: (c) => c.discoveryKeepaliveTimeoutMs !== 6_000,
  },
  { flag: 'discovery-insecure-transport', missing: DISCOVERY, asked: (c) => !c.discoveryInsecureTransport },
  {
    flag: 'discovery-insecure-skip-tls-verify',
    missing: DISCOVERY,
    asked: (c) => c.discoveryInsecureSkipTlsVerify,
  },
  { flag: 'discovery-cert', missing: DISCOVERY, asked: (c) => c.discoveryCert !== '' },
  { flag: 'discovery-key', missing: DISCOVERY, asked: (c) => c.discoveryKey !== '' },
  { flag: 'discovery-cacert', missing: DISCOVERY, asked: (c) => c.discoveryCacert !== '' },
  { flag: 'discovery-user', missing: DISCOVERY, asked: (c) => c.discoveryUser !== '' },
  { flag: 'discovery-password', missing: DISCOVERY, asked: (c) => c.discoveryPassword !== '' },
  { flag: 'discovery-srv', missing: DISCOVERY, asked: (c) => c.discoverySrv !== '' },
  { flag: 'discovery-srv-name', missing: DISCOVERY, asked: (c) => c.discoverySrvName !== '' },
  { flag: 'cert-file', missing: TLS, asked: (c) => c.certFile !== '' },
  { flag: 'key-file', missing: TLS, asked: (c) => c.keyFile !== '' },
  { flag: 'client-cert-file', missing: TLS, asked: (c) => c.clientCertFile !== '' },
  { flag: 'client-key-file', missing: TLS, asked: (c) => c.clientKeyFile !== '' },
  { flag: 'client-cert-auth', missing: TLS, asked: (c) => c.clientCertAuth },
  { flag: 'client-crl-file', missing: TLS, asked: (c) => c.clientCrlFile !== '' },
  { flag: 'client-cert-allowed-cn', missing: TLS, asked: (c) => c.clientCertAllowedCn.length > 0 },
  {
    flag: 'client-cert-allowed-hostname',
    missing: TLS,
    asked: (c) => c.clientCertAllowedHostname.length > 0,
  },
  { flag: 'trusted-ca-file', missing: TLS, asked: (c) => c.trustedCaFile !== '' },
  { flag: 'auto-tls', missing: TLS, asked: (c) => c.autoTls },
  { flag: 'peer-cert-file', missing: TLS, asked: (c) => c.peerCertFile !== '' },
  { flag: 'peer-key-file', missing: TLS, asked: (c) => c.peerKeyFile !== '' },
  { flag: 'peer-client-cert-file', missing: TLS, asked: (c) => c.peerClientCertFile !== '' },
  { flag: 'peer-client-key-file', missing: TLS, asked: (c) => c.peerClientKeyFile !== '' },
  { flag: 'peer-client-cert-auth', missing: TLS, asked: (c) => c.peerClientCertAuth },
  { flag: 'peer-trusted-ca-file', missing: TLS, asked: (c) => c.peerTrustedCaFile !== '' },
  { flag: 'peer-cert-allowed-cn', missing: TLS, asked: (c) => c.peerCertAllowedCn.length > 0 },
  { flag: 'peer-cert-allowed-hostname', missing: TLS, asked: (c) => c.peerCertAllowedHostname.length > 0 },
  { flag: 'peer-auto-tls', missing: TLS, asked: (c) => c.peerAutoTls },
  { flag: 'peer-crl-file', missing: TLS, asked: (c) => c.peerCrlFile !== '' },
  { flag: 'peer-skip-client-san-verification', missing: TLS, asked: (c) => c.peerSkipClientSanVerification },
  { flag: 'self-signed-cert-validity', missing: TLS, asked: (c) => c.selfSignedCertValidityYears !== 1 },
  { flag: 'cipher-suites', missing: TLS, asked: (c) => c.cipherSuites.length > 0 },
  { flag: 'tls-min-version', missing: TLS, asked: (c) => c.tlsMinVersion !== 'TLS1.2' },
  { flag: 'tls-max-version', missing: TLS, asked: (c) => c.tlsMaxVersion !== '' },
  { flag: 'cors', missing: 'restricting browsers to origins', asked: (c) => c.cors.join(',') !== '*' },
  {
    flag: 'host-whitelist',
    missing: 'restricting requests to host names',
    asked: (c) => c.hostWhitelist.join(',') !== '*',
  },
  {
    flag: 'auth-token',
    missing: 'tokens other than simple ones',
    asked: (c) => c.authToken.split(',')[0] !== 'simple',
  },
  { flag: 'enable-pprof', missing: 'profiles over HTTP', asked: (c) => c.enablePprof },
  {
    flag: 'metrics',
    missing: 'extensive metrics',
    asked: (c) => c.metrics === 'extensive',
    setting: '--metrics=extensive',
  },
  { flag: 'log-format', missing: 'log lines other than JSON', asked: (c) => c.logFormat !== 'json' },
  {
    flag: 'log-outputs',
    missing: "the journal's own protocol",
    asked: (c) => c.logOutputs.includes('systemd/journal'),
    setting: '--log-outputs=systemd/journal',
  },
  { flag: 'enable-log-rotation', missing: 'log rotation', asked: (c) => c.enableLogRotation },
  { flag: 'enable-distributed-tracing', missing: 'tracing', asked: (c) => c.enableDistributedTracing },
  {
    flag: 'memory-mlock',
    missing: 'locking memory, which the runtime has no call for',
    asked: (c) => c.memoryMlock,
  },
  gateRow('LeaseCheckpoint', 'lease checkpoints'),
  gateRow('LeaseCheckpointPersist', 'lease checkpoints'),
  gateRow('PriorityRequest', 'a second apply gap for leases'),
  gateRow('SetMemberLocalAddr', 'choosing the local address of peer connections'),
  gateRow('StopGRPCServiceOnDefrag', 'refusing clients while defragmenting'),
  {
    flag: 'force-new-cluster',
    missing: "making a new cluster of one member's data",
    asked: (c) => c.forceNewCluster,
  },
];

function clusterBeyondHttp(config: ServerConfig): boolean {
  const cluster = parseInitialCluster(config.initialCluster);
  return cluster.ok && [...cluster.value.values()].some(beyondHttp);
}

/**
 * The settings of `config` this build cannot honour, as a user would write them ("--cert-file",
 * "--metrics=extensive"); empty if it may start.
 */
export function unsupported(config: ServerConfig): string[] {
  const names = NOT_YET_SERVED.filter((row) => row.asked(config)).map(
    (row) => row.setting ?? `--${row.flag}`,
  );
  return [...new Set(names)];
}
