/**
 * The rules settings must keep together, in etcd's order and words, and the values that follow from
 * others: what an advertised default becomes, what a 0 stands for, what the compaction flags mean.
 * Pure: the initial cluster is checked elsewhere, because only a member without data needs it.
 */
import { cipherSuitesProblem } from './cipher-suites.ts';
import { goQuote, parseGoDecimal, parseGoDuration, type Parsed, parsed, refused } from './go-values.ts';
import type { ServerConfig } from './flag-table.ts';
import type { Settings } from './flags.ts';
import { parsePrefixLimits } from './prefix-rules.ts';
import { formatGoDuration } from './go-values.ts';
import { type EtcdUrl, bindProblem, hostlessProblem, urlTexts } from './urls.ts';
import * as limits from '../limits.ts';

type Values = Settings['values'];

export interface ConfigProblem {
  readonly message: string;
  /** 1 as for every setting that fails its rule; 2 where etcd panics. */
  readonly exitCode: number;
}

const LOG_LEVELS: readonly string[] = ['debug', 'info', 'warn', 'error', 'dpanic', 'panic', 'fatal', ''];

function loggingProblem(config: ServerConfig): ConfigProblem | undefined {
  const problem = (message: string, exitCode = 1): ConfigProblem => ({ message, exitCode });
  if (config.logger === 'capnslog') return problem('--logger=capnslog is removed in v3.5');
  if (config.logger !== 'zap') return problem(`unknown logger option ${goQuote(config.logger)}`);
  if (config.logOutputs.length > 1 && config.logOutputs.includes('default')) {
    return problem('multi logoutput for "default" is not supported yet');
  }
  if (config.enableLogRotation) {
    const files = config.logOutputs.filter((output) => !['default', 'stderr', 'stdout'].includes(output));
    if (files.length !== 1) {
      return problem('--log-outputs requires a single file path when --log-rotate-config-json is defined');
    }
  }
  const level = config.logLevel;
  if (!LOG_LEVELS.includes(level) && !LOG_LEVELS.includes(level.toLowerCase())) {
    return problem(`unrecognized level: ${goQuote(level)}`, 2);
  }
  if (config.logFormat !== 'json' && config.logFormat !== 'console') {
    return problem(`unknown log format: ${config.logFormat}, supported values json, console`);
  }
  return undefined;
}

function urlProblem(config: ServerConfig): string | undefined {
  const bind =
    bindProblem(config.listenPeerUrls) ??
    bindProblem(config.listenClientUrls) ??
    bindProblem(config.listenClientHttpUrls) ??
    bindProblem(config.listenMetricsUrls);
  if (bind !== undefined) return bind;
  const peer = hostlessProblem(config.initialAdvertisePeerUrls);
  if (peer !== undefined) {
    const given = goQuote(urlTexts(config.initialAdvertisePeerUrls).join(','));
    return `--initial-advertise-peer-urls ${given} must be "host:port" (${peer})`;
  }
  const client = hostlessProblem(config.advertiseClientUrls);
  if (client === undefined) return undefined;
  const given = goQuote(urlTexts(config.advertiseClientUrls).join(','));
  return `--advertise-client-urls ${given} must be in the format "host:port", "unix:/path/to/socket" or "unixs:/path/to/socket" (${client})`;
}

function bootstrapFlagsProblem(config: ServerConfig): string | undefined {
  const ways = [
    config.initialCluster !== '',
    config.discoverySrv !== '',
    config.discoveryEndpoints.length > 0,
  ];
  if (ways.filter(Boolean).length > 1) {
    return 'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery-endpoints" or "discovery-srv"';
  }
  if ((config.discoveryToken !== '') !== config.discoveryEndpoints.length > 0) {
    return 'both --discovery-token and --discovery-endpoints must be set';
  }
  if (config.discoveryEndpoints.some((endpoint) => endpoint.trim() === '')) {
    return '--discovery-endpoints must not contain empty endpoints';
  }
  return undefined;
}

function timingProblem(config: ServerConfig): string | undefined {
  const { heartbeatIntervalMs: heartbeat, electionTimeoutMs: election } = config;
  if (heartbeat === 0) return `--heartbeat-interval must be >0 (set to ${heartbeat}ms)`;
  if (election === 0) return `--election-timeout must be >0 (set to ${election}ms)`;
  if (limits.ELECTION_HEARTBEATS_MIN * heartbeat > election) {
    return `--election-timeout[${election}ms] should be at least as 5 times as --heartbeat-interval[${heartbeat}ms]`;
  }
  if (election > limits.ELECTION_TIMEOUT_MS_MAX) {
    return `--election-timeout[${election}ms] is too long, and should be set less than ${limits.ELECTION_TIMEOUT_MS_MAX}ms`;
  }
  return undefined;
}

function tlsVersionProblem(config: ServerConfig): string | undefined {
  const [min, max] = [config.tlsMinVersion, config.tlsMaxVersion];
  for (const version of [min, max]) {
    if (!['', 'TLS1.2', 'TLS1.3'].includes(version)) {
      return `unexpected TLS version ${goQuote(version)} (must be one of: TLS1.2, TLS1.3)`;
    }
  }
  if (max !== '' && min > max) return `min version (${min}) is greater than max version (${max})`;
  if (min === 'TLS1.3' && config.cipherSuites.length > 0) {
    return 'cipher suites cannot be configured when only TLS1.3 is enabled';
  }
  return cipherSuitesProblem(config.cipherSuites);
}

/** Of the flags etcd has not. */
function beyondEtcdProblem(config: ServerConfig): string | undefined {
  if (config.auditLogRotationConfigJson !== '' && ['', 'stdout', 'stderr'].includes(config.auditLog))
    return '--audit-log-rotation-config-json requires a file as --audit-log';
  if (config.prefixLimits === '') return undefined;
  if (config.prefixLimitsFile !== '')
    return 'only one of --prefix-limits and --prefix-limits-file can be set';
  const rules = parsePrefixLimits(config.prefixLimits);
  return rules.ok ? undefined : `invalid --prefix-limits: ${rules.error}`;
}

/** Largest sampling rate: all of a million. */
const SAMPLING_RATE_MAX = 1_000_000;

function tracingProblem(config: ServerConfig): string | undefined {
  if (!config.enableDistributedTracing) return undefined;
  const rate = config.distributedTracingSamplingRate;
  const invalid = 'distributed tracing configurition is not valid';
  if (rate < 0) return `${invalid}: (tracing sampling rate must be positive)`;
  if (rate > SAMPLING_RATE_MAX) {
    return `${invalid}: (tracing sampling rate must be less than ${SAMPLING_RATE_MAX})`;
  }
  return undefined;
}

/** When old revisions are compacted without anybody asking. */
export type AutoCompaction =
  | { readonly mode: 'off' }
  | { readonly mode: 'periodic'; readonly retentionMs: number }
  | { readonly mode: 'revision'; readonly revisions: number };

/**
 * What the two auto-compaction flags say. A bare number is hours or revisions; anything else is a
 * duration, which in revision mode counts its nanoseconds, as odd as that is in etcd.
 */
export function autoCompaction(
  config: Pick<ServerConfig, 'autoCompactionMode' | 'autoCompactionRetention'>,
): Parsed<AutoCompaction> {
  const { autoCompactionMode: mode, autoCompactionRetention: retention } = config;
  if (mode === '') return refused('undefined auto-compaction-mode');
  if (mode !== 'periodic' && mode !== 'revision') {
    return refused(`unknown auto-compaction-mode ${goQuote(mode)}`);
  }
  const number = parseGoDecimal(retention);
  let amount: number;
  if (number.ok && number.value >= 0) {
    amount = mode === 'periodic' ? number.value * 3_600_000 : number.value;
  } else {
    const duration = parseGoDuration(retention);
    if (!duration.ok) return refused(`error parsing CompactionRetention: ${duration.error}`);
    amount = mode === 'periodic' ? duration.value : Math.round(duration.value * 1e6);
  }
  if (amount <= 0) return parsed({ mode: 'off' });
  return parsed(mode === 'periodic' ? { mode, retentionMs: amount } : { mode, revisions: amount });
}

/** "simple", "" (no tokens at all) or "jwt" with distinct key=value options. */
function authTokenProblem(authToken: string): string | undefined {
  const [kind, ...options] = authToken.split(',');
  const keys = options.map((option) => option.split('=')[0]);
  const wellFormed = options.every((option) => option.split('=').length === 2);
  const distinct = new Set(keys).size === keys.length;
  const known = kind === 'simple' || kind === 'jwt' || kind === '';
  return known && wellFormed && distinct ? undefined : 'auth: invalid auth options';
}

function httpsWithoutCertificate(config: ServerConfig): string | undefined {
  const secure = (url: EtcdUrl): boolean => url.scheme === 'https' || url.scheme === 'unixs';
  const peer = config.listenPeerUrls.find(secure);
  if (peer !== undefined && config.peerCertFile === '' && config.peerKeyFile === '' && !config.peerAutoTls) {
    return `cannot listen on TLS for ${peer.host}: KeyFile and CertFile are not presented`;
  }
  const client = [...config.listenClientUrls, ...config.listenClientHttpUrls].find(secure);
  if (client !== undefined && config.certFile === '' && config.keyFile === '' && !config.autoTls) {
    return `TLS key/cert (--cert-file, --key-file) must be provided for client url ${client.text} with HTTPS scheme`;
  }
  return undefined;
}

/** The first rule the settings break, in etcd's order; undefined if none. */
export function configProblem(config: ServerConfig): ConfigProblem | undefined {
  const logging = loggingProblem(config);
  if (logging !== undefined) return logging;
  const gates = config.featureGates.enabled;
  const compaction = autoCompaction(config);
  const unadvertised = config.listenClientUrls.length > 0 && config.advertiseClientUrls.length === 0;
  const message =
    urlProblem(config) ??
    bootstrapFlagsProblem(config) ??
    timingProblem(config) ??
    (unadvertised
      ? '--advertise-client-urls is required when --listen-client-urls is set explicitly'
      : undefined) ??
    (compaction.ok ? undefined : compaction.error) ??
    tracingProblem(config) ??
    (gates.LeaseCheckpointPersist && !gates.LeaseCheckpoint
      ? 'enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint'
      : undefined) ??
    (config.compactHashCheckTimeMs <= 0
      ? `--compact-hash-check-time must be >0 (set to ${formatGoDuration(config.compactHashCheckTimeMs)})`
      : undefined) ??
    tlsVersionProblem(config) ??
    (config.discoveryFallback === 'proxy'
      ? `v2 proxy is deprecated, and --discovery-fallback can't be configured as "proxy"`
      : undefined) ??
    httpsWithoutCertificate(config) ??
    authTokenProblem(config.authToken) ??
    beyondEtcdProblem(config);
  return message === undefined ? undefined : { message, exitCode: 1 };
}

/** Seconds-long reads of an index are the price of a large backend; etcd warns there, and at large requests. */
function boundWarnings(values: Values): string[] {
  const warnings: string[] = [];
  if (values.quotaBackendBytes > limits.QUOTA_BACKEND_BYTES_RECOMMENDED_MAX) {
    warnings.push(
      `backend quota of ${values.quotaBackendBytes} bytes exceeds the recommended maximum of ${limits.QUOTA_BACKEND_BYTES_RECOMMENDED_MAX}`,
    );
  }
  if (values.maxRequestBytes > limits.REQUEST_BYTES_RECOMMENDED_MAX) {
    warnings.push(
      `exceeded recommended request limit: max-request-bytes ${values.maxRequestBytes}, recommended ${limits.REQUEST_BYTES_RECOMMENDED_MAX}`,
    );
  }
  return warnings;
}

/** Puts the effective value where a 0, or a value out of bounds, stands for another. */
function resolveZeros(values: Values, warnings: string[]): void {
  values.quotaBackendBytes ||= limits.QUOTA_BACKEND_BYTES_DEFAULT;
  values.backendBatchIntervalMs ||= limits.BACKEND_BATCH_INTERVAL_MS_DEFAULT;
  values.backendBatchLimit ||= limits.BACKEND_BATCH_OPERATIONS_DEFAULT;
  values.compactionBatchLimit ||= limits.COMPACTION_BATCH_REVISIONS_DEFAULT;
  values.compactionSleepIntervalMs ||= limits.COMPACTION_PAUSE_MS_DEFAULT;
  values.snapshotCount ||= limits.SNAPSHOT_ENTRIES_DEFAULT;
  values.warningUnaryRequestDurationMs ||= 300;
  values.authTokenTtlSeconds ||= limits.AUTH_TOKEN_TTL_SECONDS_DEFAULT;
  values.selfSignedCertValidityYears ||= 1;
  values.logLevel = (values.logLevel || 'info').toLowerCase();
  if (values.logOutputs.length === 0) values.logOutputs = ['default'];
  values.watchProgressNotifyIntervalMs = Math.max(
    values.watchProgressNotifyIntervalMs || limits.WATCH_PROGRESS_INTERVAL_MS_DEFAULT,
    limits.WATCH_PROGRESS_INTERVAL_MS_MIN,
  );
  if (values.raftReadTimeoutMs < limits.PEER_IO_TIMEOUT_MS_MIN) {
    warnings.push('raft-read-timeout increased to minimum value: 5s');
    values.raftReadTimeoutMs = limits.PEER_IO_TIMEOUT_MS_MIN;
  }
  if (values.raftWriteTimeoutMs < limits.PEER_IO_TIMEOUT_MS_MIN) {
    warnings.push('raft-write-timeout increased to minimum value: 5s');
    values.raftWriteTimeoutMs = limits.PEER_IO_TIMEOUT_MS_MIN;
  }
  if (values.bcryptCost < limits.BCRYPT_COST_MIN || values.bcryptCost > limits.BCRYPT_COST_MAX) {
    warnings.push(`use default bcrypt cost instead of the invalid given cost ${values.bcryptCost}`);
    values.bcryptCost = limits.BCRYPT_COST_DEFAULT;
  }
}

/** The initial cluster of one member that etcd assumes: its name at each URL it advertises. */
export function initialClusterFromName(name: string, urls: readonly EtcdUrl[]): string {
  return urls.map((url) => `${name === '' ? 'default' : name}=${url.text}`).join(',');
}

function onHost(url: EtcdUrl, hostname: string, port: number): EtcdUrl {
  const host = `${hostname}:${port}`;
  return { ...url, host, hostname, port, text: `${url.scheme}://${host}` };
}

/**
 * Fills in what follows from other settings, after they passed configProblem: with a known host of this
 * machine, default advertised URLs of a member that listens on 0.0.0.0; a default initial cluster for
 * a name of one's own; the data directory; effective values for zeros.
 *
 * @param defaultHost this machine's address on its default route, if known
 */
export function completeSettings(
  values: Values,
  untouched: ServerConfig,
  defaultHost: string | undefined,
  warnings: string[],
): void {
  warnings.push(...boundWarnings(values));
  const gates = values.featureGates.enabled;
  if (gates.LeaseCheckpoint && !gates.LeaseCheckpointPersist) {
    warnings.push(
      'Detected that checkpointing is enabled without persistence. Consider enabling feature gate LeaseCheckpointPersist',
    );
  }
  if (values.name === untouched.name) {
    warnings.push(
      "it isn't recommended to use default name, please set a value for --name. Note that etcd might run into issue when multiple members have the same default name",
    );
  }
  const isDefault = (urls: readonly EtcdUrl[], defaults: readonly EtcdUrl[]): boolean =>
    urls.length === 1 && urls[0].text === defaults[0].text;
  const peer = values.listenPeerUrls[0];
  if (
    defaultHost !== undefined &&
    peer?.hostname === '0.0.0.0' &&
    isDefault(values.initialAdvertisePeerUrls, untouched.initialAdvertisePeerUrls)
  ) {
    values.initialAdvertisePeerUrls = [onHost(values.initialAdvertisePeerUrls[0], defaultHost, peer.port)];
  }
  if (values.name !== untouched.name && values.initialCluster === untouched.initialCluster) {
    values.initialCluster = initialClusterFromName(values.name, values.initialAdvertisePeerUrls);
  }
  const client = values.listenClientUrls[0];
  if (
    defaultHost !== undefined &&
    client?.hostname === '0.0.0.0' &&
    isDefault(values.advertiseClientUrls, untouched.advertiseClientUrls)
  ) {
    values.advertiseClientUrls = [onHost(values.advertiseClientUrls[0], defaultHost, client.port)];
  }
  if (values.dataDir === '') {
    values.dataDir = `${values.name}.etcd`;
    warnings.push(`'data-dir' was empty; using default ${values.dataDir}`);
  }
  resolveZeros(values, warnings);
}
