/**
 * Every flag of the server, once: name, field of ServerConfig, kind, default, section and one line of
 * help. Parsing, the configuration file, the help text and docs/flags.md all read this table, so none
 * of them can drift from another. Names and defaults are etcd 3.7's; the help is ours.
 */
import { type FeatureGates, defaultFeatureGates } from './feature-gates.ts';
import type { EtcdUrl } from './urls.ts';

/** In the order the help prints them. */
export const SECTIONS = [
  'Member',
  'Clustering',
  'Security',
  'Auth',
  'Profiling and Monitoring',
  'Logging',
  'Distributed tracing',
  'Maintenance',
  'Unsafe',
  'Beyond etcd',
  'Keelson',
] as const;
export type Section = (typeof SECTIONS)[number];

/** What a flag's text becomes. Durations are milliseconds; integers beyond 2^53-1 saturate. */
export interface KindValues {
  string: string;
  bool: boolean;
  /** strconv's 64-bit integers; `uint32` is the only one whose errors name strconv. */
  uint: number;
  uint32: number;
  int: number;
  duration: number;
  urls: readonly EtcdUrl[];
  /** URLs, or "*". */
  origins: readonly string[];
  strings: readonly string[];
  /** Sorted, without repetitions. */
  'string-set': readonly string[];
  /** One of `choices`. */
  choice: string;
  'feature-gates': FeatureGates;
}
export type Kind = keyof KindValues;

interface FlagSpec<K extends Kind = Kind> {
  readonly name: string;
  readonly field: string;
  readonly kind: K;
  readonly default: KindValues[K];
  readonly section: Section;
  readonly help: string;
  readonly choices?: readonly string[];
  /** How help and docs show the default where the value itself would mislead. */
  readonly shown?: string;
  /** The key path in a configuration file where it is not the flag's name; 'none' where files cannot set it. */
  readonly file?: string;
  /** True where etcd has the setting only in configuration files, not as a flag. */
  readonly fileOnly?: true;
  /** Why the flag is accepted and changes nothing here. */
  readonly inert?: string;
}
export type AnyFlagSpec = { [K in Kind]: FlagSpec<K> }[Kind];

const LOCAL_PEER: EtcdUrl = localUrl(2380);
const LOCAL_CLIENT: EtcdUrl = localUrl(2379);

function localUrl(port: number): EtcdUrl {
  const host = `localhost:${port}`;
  return { scheme: 'http', host, hostname: 'localhost', port, socketPath: '', text: `http://${host}` };
}

/** lumberjack's settings as etcd spells them. */
const LOG_ROTATION = '{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}';

const NO_BBOLT = 'the backend is not bbolt; it has no freelist';
const NO_SELF_CLIENT = 'the gateway calls the member inside its process; the pair is only checked';
const NO_SAMPLING = 'no log line is ever sampled away';

// prettier-ignore
export const FLAGS = [
  { name: 'name', field: 'name', kind: 'string', default: 'default', section: 'Member', help: 'Name of this member, unique in its cluster.' },
  { name: 'data-dir', field: 'dataDir', kind: 'string', default: '', shown: '${name}.etcd', section: 'Member', help: 'Directory of all data of this member.' },
  { name: 'wal-dir', field: 'walDir', kind: 'string', default: '', section: 'Member', help: 'Directory of the write-ahead log, if not inside the data directory.' },
  { name: 'snapshot-count', field: 'snapshotCount', kind: 'uint', default: 10_000, section: 'Member', help: 'Applied entries between two snapshots on disk.' },
  { name: 'snapshot-catchup-entries', field: 'snapshotCatchupEntries', kind: 'uint', default: 5_000, section: 'Member', help: 'Entries kept behind a snapshot for followers that lag.' },
  { name: 'heartbeat-interval', field: 'heartbeatIntervalMs', kind: 'uint', default: 100, section: 'Member', help: 'Milliseconds between two heartbeats of a leader.' },
  { name: 'election-timeout', field: 'electionTimeoutMs', kind: 'uint', default: 1_000, section: 'Member', help: 'Milliseconds without a leader until an election; at least 5 heartbeats, at most 50000.' },
  { name: 'initial-election-tick-advance', field: 'initialElectionTickAdvance', kind: 'bool', default: true, section: 'Member', help: 'Shorten the first election wait after a start.' },
  { name: 'listen-peer-urls', field: 'listenPeerUrls', kind: 'urls', default: [LOCAL_PEER], section: 'Member', help: 'URLs to accept other members on.' },
  { name: 'listen-client-urls', field: 'listenClientUrls', kind: 'urls', default: [LOCAL_CLIENT], section: 'Member', help: 'URLs to accept clients on; needs --advertise-client-urls.' },
  { name: 'listen-client-http-urls', field: 'listenClientHttpUrls', kind: 'urls', default: [], section: 'Member', help: 'URLs for HTTP clients only; the client URLs then speak gRPC only.' },
  { name: 'max-snapshots', field: 'maxSnapshots', kind: 'uint', default: 5, section: 'Member', help: 'Snapshot files to keep (0: all). Deprecated.' },
  { name: 'max-wals', field: 'maxWals', kind: 'uint', default: 5, section: 'Member', help: 'Write-ahead log files to keep (0: all).' },
  { name: 'quota-backend-bytes', field: 'quotaBackendBytes', kind: 'int', default: 0, section: 'Member', help: 'Backend size that raises the NOSPACE alarm (0: 2 GiB; negative: no quota).' },
  { name: 'backend-batch-interval', field: 'backendBatchIntervalMs', kind: 'duration', default: 0, shown: '100ms', section: 'Member', help: 'Longest time until a backend batch is written.' },
  { name: 'backend-batch-limit', field: 'backendBatchLimit', kind: 'int', default: 0, shown: '10000', section: 'Member', help: 'Most operations in a backend batch.' },
  { name: 'backend-bbolt-freelist-type', field: 'backendBboltFreelistType', kind: 'string', default: '', shown: 'map', section: 'Member', help: 'Freelist of the bbolt backend: map or array.', inert: NO_BBOLT },
  { name: 'max-txn-ops', field: 'maxTxnOps', kind: 'uint', default: 128, section: 'Member', help: 'Most operations in one transaction.' },
  { name: 'max-request-bytes', field: 'maxRequestBytes', kind: 'uint', default: 1_572_864, section: 'Member', help: 'Largest client request in bytes.' },
  { name: 'max-concurrent-streams', field: 'maxConcurrentStreams', kind: 'uint32', default: 4_294_967_295, section: 'Member', help: 'Most streams a client may have open on one connection.' },
  { name: 'enable-grpc-gateway', field: 'enableGrpcGateway', kind: 'bool', default: true, section: 'Member', help: 'Serve the JSON form of the API.' },
  { name: 'grpc-keepalive-min-time', field: 'grpcKeepaliveMinTimeMs', kind: 'duration', default: 5_000, section: 'Member', help: 'Shortest interval between the pings of a client.' },
  { name: 'grpc-keepalive-interval', field: 'grpcKeepaliveIntervalMs', kind: 'duration', default: 7_200_000, section: 'Member', help: 'Interval of the server\'s pings to an idle client (0: none).' },
  { name: 'grpc-keepalive-timeout', field: 'grpcKeepaliveTimeoutMs', kind: 'duration', default: 20_000, section: 'Member', help: 'Wait for the answer to such a ping before closing (0: never close).' },
  { name: 'socket-reuse-port', field: 'socketReusePort', kind: 'bool', default: false, file: 'socket-options.reuse-port', section: 'Member', help: 'Set SO_REUSEPORT on listeners.' },
  { name: 'socket-reuse-address', field: 'socketReuseAddress', kind: 'bool', default: false, file: 'socket-options.reuse-address', section: 'Member', help: 'Set SO_REUSEADDR on listeners.' },
  { name: 'raft-read-timeout', field: 'raftReadTimeoutMs', kind: 'duration', default: 5_000, file: 'none', section: 'Member', help: 'Read timeout of a peer connection; 5s at least.' },
  { name: 'raft-write-timeout', field: 'raftWriteTimeoutMs', kind: 'duration', default: 5_000, file: 'none', section: 'Member', help: 'Write timeout of a peer connection; 5s at least.' },

  { name: 'initial-advertise-peer-urls', field: 'initialAdvertisePeerUrls', kind: 'urls', default: [LOCAL_PEER], section: 'Clustering', help: 'Peer URLs under which the other members find this one.' },
  { name: 'initial-cluster', field: 'initialCluster', kind: 'string', default: 'default=http://localhost:2380', section: 'Clustering', help: 'Members of the cluster at its first start: name=url,name=url.' },
  { name: 'initial-cluster-state', field: 'initialClusterState', kind: 'choice', choices: ['new', 'existing'], default: 'new', section: 'Clustering', help: 'Found a cluster (new) or join one that was told of this member (existing).' },
  { name: 'initial-cluster-token', field: 'initialClusterToken', kind: 'string', default: 'etcd-cluster', section: 'Clustering', help: 'Keeps clusters apart that were founded with equal URLs.' },
  { name: 'advertise-client-urls', field: 'advertiseClientUrls', kind: 'urls', default: [LOCAL_CLIENT], section: 'Clustering', help: 'Client URLs of this member as clients reach it.' },
  { name: 'discovery-token', field: 'discoveryToken', kind: 'string', default: '', file: 'discovery-config.token', section: 'Clustering', help: 'Token of the cluster at the discovery service.' },
  { name: 'discovery-endpoints', field: 'discoveryEndpoints', kind: 'string-set', default: [], file: 'discovery-config.endpoints', section: 'Clustering', help: 'gRPC endpoints of the discovery service.' },
  { name: 'discovery-dial-timeout', field: 'discoveryDialTimeoutMs', kind: 'duration', default: 2_000, file: 'none', section: 'Clustering', help: 'Time to connect to the discovery service.' },
  { name: 'discovery-request-timeout', field: 'discoveryRequestTimeoutMs', kind: 'duration', default: 5_000, file: 'none', section: 'Clustering', help: 'Time for a request to the discovery service.' },
  { name: 'discovery-keepalive-time', field: 'discoveryKeepaliveTimeMs', kind: 'duration', default: 2_000, file: 'none', section: 'Clustering', help: 'Interval of pings to the discovery service.' },
  { name: 'discovery-keepalive-timeout', field: 'discoveryKeepaliveTimeoutMs', kind: 'duration', default: 6_000, file: 'none', section: 'Clustering', help: 'Wait for the answer to such a ping.' },
  { name: 'discovery-insecure-transport', field: 'discoveryInsecureTransport', kind: 'bool', default: true, file: 'none', section: 'Clustering', help: 'Reach the discovery service without TLS.' },
  { name: 'discovery-insecure-skip-tls-verify', field: 'discoveryInsecureSkipTlsVerify', kind: 'bool', default: false, file: 'none', section: 'Clustering', help: 'Do not verify the discovery service\'s certificate.' },
  { name: 'discovery-cert', field: 'discoveryCert', kind: 'string', default: '', file: 'none', section: 'Clustering', help: 'Client certificate for the discovery service.' },
  { name: 'discovery-key', field: 'discoveryKey', kind: 'string', default: '', file: 'none', section: 'Clustering', help: 'Key of that certificate.' },
  { name: 'discovery-cacert', field: 'discoveryCacert', kind: 'string', default: '', file: 'none', section: 'Clustering', help: 'CA that signed the discovery service\'s certificate.' },
  { name: 'discovery-user', field: 'discoveryUser', kind: 'string', default: '', file: 'none', section: 'Clustering', help: 'User at the discovery service, or user:password.' },
  { name: 'discovery-password', field: 'discoveryPassword', kind: 'string', default: '', file: 'none', section: 'Clustering', help: 'Password of that user.' },
  { name: 'discovery-srv', field: 'discoverySrv', kind: 'string', default: '', section: 'Clustering', help: 'DNS domain whose SRV records name the first members.' },
  { name: 'discovery-srv-name', field: 'discoverySrvName', kind: 'string', default: '', section: 'Clustering', help: 'Suffix of the SRV service name.' },
  { name: 'discovery-fallback', field: 'discoveryFallback', kind: 'choice', choices: ['exit', 'proxy'], default: 'exit', file: 'none', section: 'Clustering', help: 'What to do when discovery fails; only exit is left.' },
  { name: 'strict-reconfig-check', field: 'strictReconfigCheck', kind: 'bool', default: true, section: 'Clustering', help: 'Refuse membership changes that would cost the quorum.' },
  { name: 'pre-vote', field: 'preVote', kind: 'bool', default: true, section: 'Clustering', help: 'Ask for votes before raising the term.' },
  { name: 'max-learners', field: 'maxLearners', kind: 'int', default: 1, section: 'Clustering', help: 'Most learners in the cluster.' },
  { name: 'auto-compaction-mode', field: 'autoCompactionMode', kind: 'string', default: 'periodic', section: 'Clustering', help: 'How to read the retention: periodic or revision.' },
  { name: 'auto-compaction-retention', field: 'autoCompactionRetention', kind: 'string', default: '0', section: 'Clustering', help: 'History to keep: hours or a duration, or revisions (0: no automatic compaction).' },
  { name: 'v2-deprecation', field: 'v2Deprecation', kind: 'choice', choices: ['write-only', 'write-only-skip-check', 'write-only-drop-data', 'gone'], default: 'write-only', section: 'Clustering', help: 'Stage of leaving the v2 store.', inert: 'the value is ignored by etcd 3.7 too; there is no v2 store' },
  { name: 'downgrade-check-time', field: 'downgradeCheckTimeMs', kind: 'duration', default: 5_000, section: 'Clustering', help: 'Interval of looking whether a downgrade is complete.' },

  { name: 'cert-file', field: 'certFile', kind: 'string', default: '', file: 'client-transport-security.cert-file', section: 'Security', help: 'Certificate shown to clients.' },
  { name: 'key-file', field: 'keyFile', kind: 'string', default: '', file: 'client-transport-security.key-file', section: 'Security', help: 'Key of that certificate.' },
  { name: 'client-cert-file', field: 'clientCertFile', kind: 'string', default: '', file: 'client-transport-security.client-cert-file', section: 'Security', help: 'Certificate for connections to itself as a client.', inert: NO_SELF_CLIENT },
  { name: 'client-key-file', field: 'clientKeyFile', kind: 'string', default: '', file: 'client-transport-security.client-key-file', section: 'Security', help: 'Key of that certificate.', inert: NO_SELF_CLIENT },
  { name: 'client-cert-auth', field: 'clientCertAuth', kind: 'bool', default: false, file: 'client-transport-security.client-cert-auth', section: 'Security', help: 'Require a certificate from clients.' },
  { name: 'client-crl-file', field: 'clientCrlFile', kind: 'string', default: '', file: 'none', section: 'Security', help: 'Revoked client certificates.' },
  { name: 'client-cert-allowed-cn', field: 'clientCertAllowedCn', kind: 'strings', default: [], file: 'client-transport-security.allowed-cn', fileOnly: true, section: 'Security', help: 'Common names allowed in client certificates.' },
  { name: 'client-cert-allowed-hostname', field: 'clientCertAllowedHostname', kind: 'strings', default: [], file: 'client-transport-security.allowed-hostname', section: 'Security', help: 'Host names allowed in client certificates.' },
  { name: 'trusted-ca-file', field: 'trustedCaFile', kind: 'string', default: '', file: 'client-transport-security.trusted-ca-file', section: 'Security', help: 'CA that signs client certificates.' },
  { name: 'auto-tls', field: 'autoTls', kind: 'bool', default: false, file: 'client-transport-security.auto-tls', section: 'Security', help: 'Serve clients with a certificate made at start.' },
  { name: 'peer-cert-file', field: 'peerCertFile', kind: 'string', default: '', file: 'peer-transport-security.cert-file', section: 'Security', help: 'Certificate shown to other members.' },
  { name: 'peer-key-file', field: 'peerKeyFile', kind: 'string', default: '', file: 'peer-transport-security.key-file', section: 'Security', help: 'Key of that certificate.' },
  { name: 'peer-client-cert-file', field: 'peerClientCertFile', kind: 'string', default: '', file: 'peer-transport-security.client-cert-file', section: 'Security', help: 'Certificate for connections to other members.' },
  { name: 'peer-client-key-file', field: 'peerClientKeyFile', kind: 'string', default: '', file: 'peer-transport-security.client-key-file', section: 'Security', help: 'Key of that certificate.' },
  { name: 'peer-client-cert-auth', field: 'peerClientCertAuth', kind: 'bool', default: false, file: 'peer-transport-security.client-cert-auth', section: 'Security', help: 'Require a certificate from other members.' },
  { name: 'peer-trusted-ca-file', field: 'peerTrustedCaFile', kind: 'string', default: '', file: 'peer-transport-security.trusted-ca-file', section: 'Security', help: 'CA that signs members\' certificates.' },
  { name: 'peer-cert-allowed-cn', field: 'peerCertAllowedCn', kind: 'strings', default: [], file: 'peer-transport-security.allowed-cn', section: 'Security', help: 'Common names allowed in members\' certificates.' },
  { name: 'peer-cert-allowed-hostname', field: 'peerCertAllowedHostname', kind: 'strings', default: [], file: 'peer-transport-security.allowed-hostname', section: 'Security', help: 'Host names allowed in members\' certificates.' },
  { name: 'peer-auto-tls', field: 'peerAutoTls', kind: 'bool', default: false, file: 'peer-transport-security.auto-tls', section: 'Security', help: 'Talk to members with a certificate made at start.' },
  { name: 'peer-crl-file', field: 'peerCrlFile', kind: 'string', default: '', file: 'none', section: 'Security', help: 'Revoked member certificates.' },
  { name: 'peer-skip-client-san-verification', field: 'peerSkipClientSanVerification', kind: 'bool', default: false, file: 'peer-transport-security.skip-client-san-verification', section: 'Security', help: 'Do not check the names in members\' certificates.' },
  { name: 'self-signed-cert-validity', field: 'selfSignedCertValidityYears', kind: 'uint', default: 1, section: 'Security', help: 'Years for which certificates made at start are valid.' },
  { name: 'cipher-suites', field: 'cipherSuites', kind: 'strings', default: [], section: 'Security', help: 'TLS cipher suites, by name (empty: the runtime\'s choice).' },
  { name: 'tls-min-version', field: 'tlsMinVersion', kind: 'string', default: 'TLS1.2', section: 'Security', help: 'Lowest TLS version: TLS1.2 or TLS1.3.' },
  { name: 'tls-max-version', field: 'tlsMaxVersion', kind: 'string', default: '', section: 'Security', help: 'Highest TLS version: TLS1.2 or TLS1.3 (empty: the highest there is).' },
  { name: 'cors', field: 'cors', kind: 'origins', default: ['*'], section: 'Security', help: 'Origins browsers may call from (*: all).' },
  { name: 'host-whitelist', field: 'hostWhitelist', kind: 'string-set', default: ['*'], section: 'Security', help: 'Host names accepted in HTTP requests without TLS (*: all).' },

  { name: 'auth-token', field: 'authToken', kind: 'string', default: 'simple', section: 'Auth', help: 'Kind of the tokens and its options: simple, or jwt,sign-method=…' },
  { name: 'auth-token-ttl', field: 'authTokenTtlSeconds', kind: 'uint', default: 300, section: 'Auth', help: 'Seconds an unused simple token lives.' },
  { name: 'bcrypt-cost', field: 'bcryptCost', kind: 'uint', default: 10, section: 'Auth', help: 'Cost of hashing passwords, 4 to 31.' },

  { name: 'enable-pprof', field: 'enablePprof', kind: 'bool', default: false, section: 'Profiling and Monitoring', help: 'Serve profiles under /debug/pprof/.' },
  { name: 'metrics', field: 'metrics', kind: 'string', default: 'basic', section: 'Profiling and Monitoring', help: 'Which metrics: basic, or extensive with latency histograms of every call.' },
  { name: 'listen-metrics-urls', field: 'listenMetricsUrls', kind: 'urls', default: [], section: 'Profiling and Monitoring', help: 'Further URLs for metrics and health.' },
  { name: 'warning-apply-duration', field: 'warningApplyDurationMs', kind: 'duration', default: 100, section: 'Profiling and Monitoring', help: 'Log an apply that takes longer.' },
  { name: 'warning-unary-request-duration', field: 'warningUnaryRequestDurationMs', kind: 'duration', default: 300, section: 'Profiling and Monitoring', help: 'Log a unary call that takes longer.' },
  { name: 'watch-progress-notify-interval', field: 'watchProgressNotifyIntervalMs', kind: 'duration', default: 0, shown: '10m0s', section: 'Profiling and Monitoring', help: 'Interval of progress notes to idle watchers that asked for them.' },

  { name: 'logger', field: 'logger', kind: 'string', default: 'zap', section: 'Logging', help: 'Form of the log; only zap is left.' },
  { name: 'log-outputs', field: 'logOutputs', kind: 'string-set', default: ['default'], section: 'Logging', help: 'Where the log goes: default (stderr), stderr, stdout, systemd/journal or file paths.' },
  { name: 'log-level', field: 'logLevel', kind: 'string', default: 'info', section: 'Logging', help: 'Least level that is logged: debug, info, warn, error, panic or fatal.' },
  { name: 'log-format', field: 'logFormat', kind: 'string', default: 'json', section: 'Logging', help: 'json or console.' },
  { name: 'disable-log-sampling', field: 'disableLogSampling', kind: 'bool', default: false, section: 'Logging', help: 'Do not drop repeated log lines.', inert: NO_SAMPLING },
  { name: 'enable-log-rotation', field: 'enableLogRotation', kind: 'bool', default: false, section: 'Logging', help: 'Rotate the one log file.' },
  { name: 'log-rotation-config-json', field: 'logRotationConfigJson', kind: 'string', default: LOG_ROTATION, section: 'Logging', help: 'When to rotate, as JSON; only read with --enable-log-rotation.' },

  { name: 'enable-distributed-tracing', field: 'enableDistributedTracing', kind: 'bool', default: false, section: 'Distributed tracing', help: 'Send OpenTelemetry traces by OTLP over gRPC.' },
  { name: 'distributed-tracing-address', field: 'distributedTracingAddress', kind: 'string', default: 'localhost:4317', section: 'Distributed tracing', help: 'Address of the collector.' },
  { name: 'distributed-tracing-service-name', field: 'distributedTracingServiceName', kind: 'string', default: 'etcd', section: 'Distributed tracing', help: 'Service name in the traces.' },
  { name: 'distributed-tracing-instance-id', field: 'distributedTracingInstanceId', kind: 'string', default: '', section: 'Distributed tracing', help: 'Id of this member in the traces.' },
  { name: 'distributed-tracing-sampling-rate', field: 'distributedTracingSamplingRate', kind: 'int', default: 0, section: 'Distributed tracing', help: 'Calls traced of a million, beside those whose caller is traced.' },

  { name: 'compaction-batch-limit', field: 'compactionBatchLimit', kind: 'int', default: 0, shown: '1000', section: 'Maintenance', help: 'Revisions a compaction looks at before it pauses.' },
  { name: 'compaction-sleep-interval', field: 'compactionSleepIntervalMs', kind: 'duration', default: 0, shown: '10ms', section: 'Maintenance', help: 'Length of that pause.' },
  { name: 'corrupt-check-time', field: 'corruptCheckTimeMs', kind: 'duration', default: 0, section: 'Maintenance', help: 'Interval of comparing the members\' data (0: never).' },
  { name: 'compact-hash-check-time', field: 'compactHashCheckTimeMs', kind: 'duration', default: 60_000, section: 'Maintenance', help: 'Interval of comparing the hashes of compactions; only read with --feature-gates=CompactHashCheck=true.' },
  { name: 'bootstrap-defrag-threshold-megabytes', field: 'bootstrapDefragThresholdMegabytes', kind: 'uint', default: 0, section: 'Maintenance', help: 'Defragment at start when that frees as much (0: never).' },
  { name: 'memory-mlock', field: 'memoryMlock', kind: 'bool', default: false, section: 'Maintenance', help: 'Keep the process in memory; starts only where it cannot be swapped out: no swap, or memory.swap.max=0.' },
  { name: 'feature-gates', field: 'featureGates', kind: 'feature-gates', default: defaultFeatureGates(), shown: '', section: 'Maintenance', help: 'Features to switch: Name=true,Other=false.' },

  { name: 'force-new-cluster', field: 'forceNewCluster', kind: 'bool', default: false, section: 'Unsafe', help: 'Make a cluster of this member alone out of its data.' },
  { name: 'unsafe-no-fsync', field: 'unsafeNoFsync', kind: 'bool', default: false, section: 'Unsafe', help: 'Never sync to disk; a power cut loses data.' },

  { name: 'audit-log', field: 'auditLog', kind: 'string', default: '', section: 'Beyond etcd', help: 'Where one line of JSON goes for each write a client asked this member for: a file, stdout or stderr.' },
  { name: 'audit-log-mode', field: 'auditLogMode', kind: 'choice', choices: ['blocking', 'dropping'], default: 'blocking', section: 'Beyond etcd', help: 'When that cannot be written: make clients wait and refuse writes (blocking), or leave lines out (dropping).' },
  { name: 'audit-log-rotation-config-json', field: 'auditLogRotationConfigJson', kind: 'string', default: '', section: 'Beyond etcd', help: 'When to rotate the file, in the form of --log-rotation-config-json (empty: never).' },
  { name: 'prefix-limits', field: 'prefixLimits', kind: 'string', default: '', section: 'Beyond etcd', help: 'Limits of the keys below prefixes: prefix=/a/,keys=1000,bytes=64MiB,writes-per-second=50,burst=100;prefix=/b/,…' },
  { name: 'prefix-limits-file', field: 'prefixLimitsFile', kind: 'string', default: '', section: 'Beyond etcd', help: 'The same as a YAML or JSON list in a file, read again when it changes and on SIGHUP.' },
  { name: 'promote-learner-when-ready', field: 'promoteLearnerWhenReady', kind: 'bool', default: false, section: 'Beyond etcd', help: 'As a learner, ask the leader for promotion once all that was committed is applied here.' },

  { name: 'rpc-transport', field: 'rpcTransport', kind: 'choice', choices: ['native', 'grpc-js'], default: 'native', section: 'Keelson', help: 'What carries gRPC: our own HTTP/2 (native), or the grpc-js library.' },
] as const satisfies readonly AnyFlagSpec[];

type Specs = (typeof FLAGS)[number];

/** The literal choices where there are some, else the kind's value. */
type ValueOf<S extends Specs> = S extends { readonly choices: readonly (infer C)[] }
  ? C
  : KindValues[S['kind']];

/**
 * The settings of one server, a field for each row of the table; a field's unit stands in its name.
 * Built and checked by parseServerConfig, which also puts the effective value where a flag's 0 means
 * "the default", so that no reader has to know.
 */
export type ServerConfig = { readonly [S in Specs as S['field']]: ValueOf<S> };

export type FlagName = Specs['name'];
export type ConfigField = keyof ServerConfig;

/** Flags of releases long gone: accepted with or without =value, and a warning says so. */
export const IGNORED_FLAGS: readonly string[] = [
  'cluster-active-size',
  'cluster-remove-delay',
  'cluster-sync-interval',
  'config',
  'force',
  'max-result-buffer',
  'max-retry-attempts',
  'peer-heartbeat-interval',
  'peer-election-timeout',
  'retry-interval',
  'snapshot',
  'v',
  'vv',
  'test.coverprofile',
  'test.outputdir',
];

/** The row of a flag; undefined for names unknown to the command line. */
export function findFlag(name: string): AnyFlagSpec | undefined {
  const rows: readonly AnyFlagSpec[] = FLAGS;
  return rows.find((flag) => flag.name === name && flag.fileOnly !== true);
}

/** Every default of the table as it stands there: what no flag has touched. */
export function tableDefaults(): ServerConfig {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the type is made from the same rows
  return Object.fromEntries(FLAGS.map((flag) => [flag.field, flag.default])) as unknown as ServerConfig;
}
