/**
 * The flags of `etcd grpc-proxy start`, and what they say together: etcd's names, defaults and complaints. One is not
 * served and says so: leasing repeats writes whose outcome it does not know. (etcd: etcdmain/grpc_proxy.go.)
 */
import { cipherSuitesProblem, goQuote } from '@keelson/store';
import type { FlagSpec, FlagValues } from '../flags.ts';

const UINT32_MAX = 2 ** 32 - 1;

const text = (name: string, initial: string, usage: string): FlagSpec => ({
  name,
  kind: 'string',
  initial,
  usage,
});
const flag = (name: string, usage: string): FlagSpec => ({ name, kind: 'bool', initial: 'false', usage });
const time = (name: string, initial: string, usage: string): FlagSpec => ({
  name,
  kind: 'duration',
  initial,
  usage,
});

export const GRPC_PROXY_FLAGS: readonly FlagSpec[] = [
  text('listen-addr', '127.0.0.1:23790', 'listen address'),
  text('discovery-srv', '', 'domain name to query for SRV records describing cluster endpoints'),
  text('discovery-srv-name', '', 'service name to query when using DNS discovery'),
  text('metrics-addr', '', 'listen for endpoint /metrics requests on an additional interface'),
  flag('insecure-discovery', 'accept insecure SRV records'),
  {
    name: 'endpoints',
    kind: 'strings',
    initial: '127.0.0.1:2379',
    usage: 'comma separated etcd cluster endpoints',
  },
  time('endpoints-auto-sync-interval', '0s', 'etcd endpoints auto sync interval (disabled by default)'),
  time(
    'dial-keepalive-time',
    '0s',
    'keepalive time for client(grpc-proxy) connections (default 0, disable).',
  ),
  time(
    'dial-keepalive-timeout',
    '20s',
    'keepalive timeout for client(grpc-proxy) connections (default 20s).',
  ),
  flag(
    'permit-without-stream',
    'Enable client(grpc-proxy) to send keepalive pings even with no active RPCs.',
  ),
  text(
    'advertise-client-url',
    '127.0.0.1:23790',
    'advertise address to register (must be reachable by client)',
  ),
  text(
    'resolver-prefix',
    '',
    'prefix to use for registering proxy (must be shared with other grpc-proxy members)',
  ),
  {
    name: 'resolver-ttl',
    kind: 'int',
    initial: '0',
    usage: 'specify TTL, in seconds, when registering proxy endpoints',
  },
  text('namespace', '', 'string to prefix to all keys for namespacing requests'),
  flag(
    'enable-pprof',
    'Enable runtime profiling data via HTTP server. Address is at client URL + "/debug/pprof/"',
  ),
  text('data-dir', 'default.proxy', 'Data directory for persistent data'),
  {
    name: 'max-send-bytes',
    kind: 'int',
    initial: '1572864',
    usage: 'message send limits in bytes (default value is 1.5 MiB)',
  },
  {
    name: 'max-recv-bytes',
    kind: 'int',
    initial: '2147483647',
    usage: 'message receive limits in bytes (default value is math.MaxInt32)',
  },
  time(
    'grpc-keepalive-min-time',
    '5s',
    'Minimum interval duration that a client should wait before pinging proxy.',
  ),
  time(
    'grpc-keepalive-interval',
    '2h0m0s',
    'Frequency duration of server-to-client ping to check if a connection is alive (0 to disable).',
  ),
  time(
    'grpc-keepalive-timeout',
    '20s',
    'Additional duration of wait before closing a non-responsive connection (0 to disable).',
  ),
  text('cert', '', 'identify secure connections with etcd servers using this TLS certificate file'),
  text('key', '', 'identify secure connections with etcd servers using this TLS key file'),
  text('cacert', '', 'verify certificates of TLS-enabled secure etcd servers using this CA bundle'),
  flag(
    'insecure-skip-tls-verify',
    'skip authentication of etcd server TLS certificates (CAUTION: this option should be enabled only for testing purposes)',
  ),
  text('cert-file', '', 'identify secure connections to the proxy using this TLS certificate file'),
  text('key-file', '', 'identify secure connections to the proxy using this TLS key file'),
  text('trusted-ca-file', '', 'verify certificates of TLS-enabled secure proxy using this CA bundle'),
  {
    name: 'listen-cipher-suites',
    kind: 'strings',
    initial: '',
    usage:
      'Comma-separated list of supported TLS cipher suites between client/proxy (empty will be auto-populated by Go).',
  },
  flag('auto-tls', 'proxy TLS using generated certificates'),
  text('client-crl-file', '', 'proxy client certificate revocation list file.'),
  {
    name: 'self-signed-cert-validity',
    kind: 'uint',
    initial: '1',
    usage: 'The validity period of the proxy certificates, unit is year',
  },
  text(
    'tls-min-version',
    'TLS1.2',
    'Minimum TLS version supported by grpc proxy. Possible values: TLS1.2, TLS1.3.',
  ),
  text(
    'tls-max-version',
    '',
    'Maximum TLS version supported by grpc proxy. Possible values: TLS1.2, TLS1.3 (empty defers to Go).',
  ),
  flag(
    'experimental-serializable-ordering',
    'Ensure serializable reads have monotonically increasing store revisions across endpoints.',
  ),
  text('experimental-leasing-prefix', '', 'leasing metadata prefix for disconnected linearized reads.'),
  flag('experimental-enable-grpc-logging', 'logging all grpc requests and responses'),
  flag('debug', 'Enable debug-level logging for grpc-proxy.'),
  {
    name: 'max-concurrent-streams',
    kind: 'uint32',
    initial: String(UINT32_MAX),
    usage: 'Maximum concurrent streams that each client can open at a time.',
  },
];

/** What the proxy is told; durations in ms. */
export interface GrpcProxyConfig {
  readonly listenAddr: string;
  readonly discoverySrv: string;
  readonly discoverySrvName: string;
  readonly insecureDiscovery: boolean;
  readonly metricsAddr: string;
  readonly endpoints: readonly string[];
  /** 0: never. */
  readonly autoSyncIntervalMs: number;
  /** 0: never. */
  readonly dialKeepaliveTimeMs: number;
  readonly dialKeepaliveTimeoutMs: number;
  readonly advertiseClientUrl: string;
  readonly resolverPrefix: string;
  readonly resolverTtlSeconds: number;
  readonly namespace: string;
  readonly enablePprof: boolean;
  readonly dataDir: string;
  readonly sendBytesMax: number;
  readonly receiveBytesMax: number;
  readonly keepaliveMinTimeMs: number;
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly cert: string;
  readonly key: string;
  readonly cacert: string;
  readonly insecureSkipTlsVerify: boolean;
  readonly certFile: string;
  readonly keyFile: string;
  readonly trustedCaFile: string;
  readonly cipherSuites: readonly string[];
  readonly autoTls: boolean;
  readonly clientCrlFile: string;
  readonly certValidityYears: number;
  readonly tlsMinVersion: string;
  readonly tlsMaxVersion: string;
  readonly serializableOrdering: boolean;
  readonly enableGrpcLogging: boolean;
  readonly debug: boolean;
  readonly streamsMax: number;
}

/** @returns the config, or what is wrong with it, as etcd says it */
export function configOf(values: FlagValues): GrpcProxyConfig | string {
  const config: GrpcProxyConfig = {
    listenAddr: values.string('listen-addr'),
    discoverySrv: values.string('discovery-srv'),
    discoverySrvName: values.string('discovery-srv-name'),
    insecureDiscovery: values.bool('insecure-discovery'),
    metricsAddr: values.string('metrics-addr'),
    endpoints: values.strings('endpoints'),
    autoSyncIntervalMs: values.durationMs('endpoints-auto-sync-interval'),
    dialKeepaliveTimeMs: values.durationMs('dial-keepalive-time'),
    dialKeepaliveTimeoutMs: values.durationMs('dial-keepalive-timeout'),
    advertiseClientUrl: values.string('advertise-client-url'),
    resolverPrefix: values.string('resolver-prefix'),
    resolverTtlSeconds: values.int('resolver-ttl'),
    namespace: values.string('namespace'),
    enablePprof: values.bool('enable-pprof'),
    dataDir: values.string('data-dir'),
    sendBytesMax: values.int('max-send-bytes'),
    receiveBytesMax: values.int('max-recv-bytes'),
    keepaliveMinTimeMs: values.durationMs('grpc-keepalive-min-time'),
    keepaliveIntervalMs: values.durationMs('grpc-keepalive-interval'),
    keepaliveTimeoutMs: values.durationMs('grpc-keepalive-timeout'),
    cert: values.string('cert'),
    key: values.string('key'),
    cacert: values.string('cacert'),
    insecureSkipTlsVerify: values.bool('insecure-skip-tls-verify'),
    certFile: values.string('cert-file'),
    keyFile: values.string('key-file'),
    trustedCaFile: values.string('trusted-ca-file'),
    cipherSuites: values.strings('listen-cipher-suites'),
    autoTls: values.bool('auto-tls'),
    clientCrlFile: values.string('client-crl-file'),
    certValidityYears: values.int('self-signed-cert-validity'),
    tlsMinVersion: values.string('tls-min-version'),
    tlsMaxVersion: values.string('tls-max-version'),
    serializableOrdering: values.bool('experimental-serializable-ordering'),
    enableGrpcLogging: values.bool('experimental-enable-grpc-logging'),
    debug: values.bool('debug'),
    streamsMax: values.int('max-concurrent-streams'),
  };
  const problem = problemOf(config, values.string('experimental-leasing-prefix'));
  return problem ?? config;
}

const TLS_VERSIONS: readonly string[] = ['TLS1.2', 'TLS1.3'];

function problemOf(config: GrpcProxyConfig, leasingPrefix: string): string | undefined {
  const { resolverPrefix, resolverTtlSeconds, advertiseClientUrl, tlsMinVersion, tlsMaxVersion } = config;
  if (resolverPrefix !== '' && resolverTtlSeconds < 1) return `invalid resolver-ttl ${resolverTtlSeconds}`;
  if (resolverPrefix === '' && resolverTtlSeconds > 0)
    return `invalid resolver-prefix ${goQuote(resolverPrefix)}`;
  if (resolverPrefix !== '' && resolverTtlSeconds > 0 && advertiseClientUrl === '')
    return `invalid advertise-client-url ${goQuote(advertiseClientUrl)}`;
  if (config.autoTls && config.certValidityYears === 0)
    return 'selfSignedCertValidity is invalid,it should be greater than 0';
  for (const [name, version] of [
    ['tls-min-version', tlsMinVersion],
    ['tls-max-version', tlsMaxVersion],
  ]) {
    if (version !== '' && !TLS_VERSIONS.includes(version))
      return `${name} is invalid: unexpected TLS version ${goQuote(version)} (must be one of: TLS1.2, TLS1.3)`;
  }
  if (tlsMaxVersion !== '' && tlsMinVersion > tlsMaxVersion)
    return `min version (${tlsMinVersion}) is greater than max version (${tlsMaxVersion})`;
  if (tlsMinVersion === 'TLS1.3' && config.cipherSuites.length > 0)
    return 'cipher suites cannot be configured when only TLS1.3 is enabled';
  if (leasingPrefix !== '')
    return 'this build does not serve --experimental-leasing-prefix: start without (leasing repeats writes whose outcome is unknown)';
  return cipherSuitesProblem(config.cipherSuites);
}
