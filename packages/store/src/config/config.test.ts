import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { defaultServerConfig, parseServerConfig, type ParseResult } from './config.ts';
import { type AnyFlagSpec, FLAGS, IGNORED_FLAGS, type ServerConfig } from './flag-table.ts';
import type { Environment } from './flags.ts';
import { urlTexts } from './urls.ts';
import { shownDefault } from './usage.ts';
import { autoCompaction } from './validate.ts';

function noFile(path: string): string {
  throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
}

function parse(argv: readonly string[], env: Environment = {}): ParseResult {
  return parseServerConfig(argv, env, noFile);
}

function config(argv: readonly string[], env: Environment = {}): ServerConfig {
  const result = parse(argv, env);
  if (result.kind !== 'config') throw new Error(JSON.stringify(result));
  return result.config;
}

function warnings(argv: readonly string[], env: Environment = {}): readonly string[] {
  const result = parse(argv, env);
  if (result.kind !== 'config') throw new Error(JSON.stringify(result));
  return result.warnings;
}

describe('the command line', () => {
  test.each<[string, string[], Partial<ServerConfig>]>([
    ['one dash', ['-name', 'a'], { name: 'a' }],
    ['two dashes', ['--name', 'a'], { name: 'a' }],
    ['equals', ['--name=a'], { name: 'a' }],
    ['equals in the value', ['-name=a=b'], { name: 'a=b' }],
    ['empty value', ['--wal-dir='], { walDir: '' }],
    ['a value that looks like a flag', ['--name', '--pre-vote'], { name: '--pre-vote' }],
    ['a bare boolean', ['--unsafe-no-fsync'], { unsafeNoFsync: true }],
    ['a boolean with a value', ['--pre-vote=F'], { preVote: false }],
    ['the last of repeated flags', ['--name=a', '--name=b'], { name: 'b' }],
    ['a hexadecimal integer', ['--snapshot-count=0x10'], { snapshotCount: 16 }],
    ['a duration', ['--warning-apply-duration=1m30s'], { warningApplyDurationMs: 90_000 }],
    ['a negative quota', ['--quota-backend-bytes=-1'], { quotaBackendBytes: -1 }],
    [
      'a list',
      ['--cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_AES_128_GCM_SHA256'],
      { cipherSuites: ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'TLS_AES_128_GCM_SHA256'] },
    ],
    ['a set', ['--log-outputs=stdout,stderr,stdout'], { logOutputs: ['stderr', 'stdout'] }],
    ['a choice', ['--initial-cluster-state', 'existing'], { initialClusterState: 'existing' }],
    ['the end of flags', ['--name=a', '--'], { name: 'a' }],
    ['a flag of long ago', ['--force', '--v=3', '--name=a'], { name: 'a' }],
  ])('%s', (_name, argv, want) => {
    expect(config(argv)).toMatchObject(want);
  });

  test.each<[string[], string]>([
    [['--nonsense'], 'flag provided but not defined: -nonsense'],
    [['--nonsense=1', '--version'], 'flag provided but not defined: -nonsense'],
    [['--version', '--nonsense'], 'flag provided but not defined: -nonsense'],
    [
      ['--experimental-initial-corrupt-check'],
      'flag provided but not defined: -experimental-initial-corrupt-check',
    ],
    [['--enable-v2'], 'flag provided but not defined: -enable-v2'],
    [['--client-cert-allowed-cn=x'], 'flag provided but not defined: -client-cert-allowed-cn'],
    [['--name'], 'flag needs an argument: -name'],
    [['---x'], 'bad flag syntax: ---x'],
    [['--=x'], 'bad flag syntax: --=x'],
    [['-=x'], 'bad flag syntax: -=x'],
    [['--pre-vote=maybe'], 'invalid boolean value "maybe" for -pre-vote: parse error'],
    [['--pre-vote='], 'invalid boolean value "" for -pre-vote: parse error'],
    [['--version=x'], 'invalid boolean value "x" for -version: parse error'],
    [['--heartbeat-interval=abc'], 'invalid value "abc" for flag -heartbeat-interval: parse error'],
    [['--snapshot-count=-1'], 'invalid value "-1" for flag -snapshot-count: parse error'],
    [
      ['--snapshot-count=18446744073709551616'],
      'invalid value "18446744073709551616" for flag -snapshot-count: value out of range',
    ],
    [['--quota-backend-bytes', ''], 'invalid value "" for flag -quota-backend-bytes: parse error'],
    [
      ['--max-concurrent-streams=4294967296'],
      'invalid value "4294967296" for flag -max-concurrent-streams: strconv.ParseUint: parsing "4294967296": value out of range',
    ],
    [
      ['--max-concurrent-streams=x'],
      'invalid value "x" for flag -max-concurrent-streams: strconv.ParseUint: parsing "x": invalid syntax',
    ],
    [['--backend-batch-interval=5'], 'invalid value "5" for flag -backend-batch-interval: parse error'],
    [['--initial-cluster-state=foo'], 'invalid value "foo" for flag -initial-cluster-state: invalid value'],
    [['--v2-deprecation=not-yet'], 'invalid value "not-yet" for flag -v2-deprecation: invalid value'],
    [['--rpc-transport=http3'], 'invalid value "http3" for flag -rpc-transport: invalid value'],
    [
      ['--listen-peer-urls=foo'],
      'invalid value "foo" for flag -listen-peer-urls: URL scheme must be http, https, unix, or unixs: foo',
    ],
    [
      ['--cors=foo'],
      'invalid value "foo" for flag -cors: URL scheme must be http, https, unix, or unixs: foo',
    ],
    [
      ['--feature-gates=Foo=true'],
      'invalid value "Foo=true" for flag -feature-gates: unrecognized feature gate: Foo',
    ],
    [['--feature-gates=Foo'], 'invalid value "Foo" for flag -feature-gates: missing bool value for Foo'],
    [
      ['--feature-gates=LeaseCheckpoint=x'],
      'invalid value "LeaseCheckpoint=x" for flag -feature-gates: invalid value of LeaseCheckpoint=x, err: strconv.ParseBool: parsing "x": invalid syntax',
    ],
  ])('%j is a usage error', (argv, message) => {
    expect(parse(argv)).toEqual({ kind: 'usage-error', message, exitCode: 2 });
  });

  test.each<[string[], string]>([
    [['bareword'], '"bareword" is not a valid flag'],
    [['--name=a', 'x', '--nonsense'], '"x" is not a valid flag'],
    [['--', 'foo'], '"foo" is not a valid flag'],
    [['-'], '"-" is not a valid flag'],
    [[''], '"" is not a valid flag'],
    [['--pre-vote', 'false'], '"false" is not a valid flag'],
    [['--version', 'x'], '"x" is not a valid flag'],
    [['gateway', 'start'], 'the gateway command is not part of this build'],
    [['grpc-proxy'], 'the grpc-proxy command is not part of this build'],
    [
      ['--audit-log=stdout', '--audit-log-rotation-config-json={}'],
      '--audit-log-rotation-config-json requires a file as --audit-log',
    ],
    [
      ['--prefix-limits=prefix=/a/'],
      'invalid --prefix-limits: a prefix without keys, bytes or writes-per-second has no limit',
    ],
    [
      ['--prefix-limits=prefix=/a/,keys=1', '--prefix-limits-file=f'],
      'only one of --prefix-limits and --prefix-limits-file can be set',
    ],
  ])('%j is fatal', (argv, message) => {
    expect(parse(argv)).toEqual({ kind: 'fatal', message, exitCode: 1 });
  });

  test.each<[string[], ParseResult['kind']]>([
    [['--version'], 'version'],
    [['-version=true'], 'version'],
    [['--heartbeat-interval=0', '--version'], 'version'],
    [['-h'], 'help'],
    [['--help'], 'help'],
    [['--help=x'], 'help'],
    [['--name', 'a', '-h', '--nonsense'], 'help'],
  ])('%j asks for %s', (argv, kind) => {
    expect(parse(argv).kind).toBe(kind);
  });

  test('feature gates accumulate, and a name beats the switches', () => {
    const gates = config([
      '--feature-gates=AllAlpha=true,LeaseCheckpoint=true',
      '--feature-gates=PriorityRequest=false',
    ]);
    expect(gates.featureGates.enabled).toMatchObject({
      CompactHashCheck: true,
      LeaseCheckpointPersist: true,
      PriorityRequest: false,
      FastLeaseKeepAlive: true,
    });
  });

  test('no argument list makes it throw', () => {
    const word = fc.oneof(
      fc.string(),
      fc.constantFrom(...FLAGS.map((flag) => `--${flag.name}`)),
      fc
        .tuple(fc.constantFrom(...FLAGS.map((flag) => flag.name)), fc.string())
        .map(([n, v]) => `--${n}=${v}`),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
        expect(['config', 'version', 'help', 'usage-error', 'fatal']).toContain(parse(argv).kind);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the environment', () => {
  test('sets what the command line leaves alone', () => {
    const got = config(['--name=a'], { ETCD_DATA_DIR: '/d', ETCD_PRE_VOTE: 'false', PATH: '/bin' });
    expect(got).toMatchObject({ name: 'a', dataDir: '/d', preVote: false });
  });

  test('a flag given both ways is fatal, before any other error', () => {
    expect(parse(['--name=a'], { ETCD_HEARTBEAT_INTERVAL: 'x', ETCD_NAME: '' })).toEqual({
      kind: 'fatal',
      exitCode: 1,
      message:
        'conflicting environment variable "ETCD_NAME" is shadowed by corresponding command-line flag (either unset environment variable or disable flag)',
    });
  });

  test.each<[Environment, string]>([
    [{ ETCD_HEARTBEAT_INTERVAL: 'abc' }, 'invalid value "abc" for ETCD_HEARTBEAT_INTERVAL: parse error'],
    [{ ETCD_PRE_VOTE: 'maybe' }, 'invalid value "maybe" for ETCD_PRE_VOTE: parse error'],
    [{ ETCD_INITIAL_CLUSTER_STATE: 'z' }, 'invalid value "z" for ETCD_INITIAL_CLUSTER_STATE: invalid value'],
    [
      { ETCD_AUTH_TOKEN_TTL: 'x', ETCD_BCRYPT_COST: 'y' },
      'invalid value "y" for ETCD_BCRYPT_COST: parse error',
    ],
    [
      { ETCD_LISTEN_CLIENT_URLS: 'http://127.0.0.1:1' },
      '--advertise-client-urls is required when --listen-client-urls is set explicitly',
    ],
  ])('%j', (env, message) => {
    expect(parse([], env)).toEqual({ kind: 'fatal', message, exitCode: 1 });
  });

  test('warns of variables nobody reads, and of none that is not its own', () => {
    const got = warnings(['--name=a', '--data-dir=d'], {
      ETCD_BOGUS: '1',
      ETCD_DATA_DIRS: '',
      // Of a container image: whose value is nobody's business.
      ETCD_ROOT_PASSWORD: 'secret',
      ETCD_VERSION: 'v3',
      ETCD_UNSUPPORTED_ARCH: 'arm',
      ETCD_FORCE: '1',
      ETCDCTL_API: '3',
      NAME: 'x',
    });
    expect(got).toEqual([
      'flag "-force" is no longer supported - ignoring.',
      'unrecognized environment variable ETCD_BOGUS=1',
      'unrecognized environment variable ETCD_DATA_DIRS=',
      'unrecognized environment variable ETCD_ROOT_PASSWORD=***',
      'cannot set special environment variable ETCD_VERSION=v3',
    ]);
  });

  test('an empty variable leaves the default', () => {
    expect(config([], { ETCD_NAME: '', ETCD_LISTEN_CLIENT_URLS: '' }).name).toBe('default');
  });
});

describe('rules between settings', () => {
  test.each<[string[], string, number?]>([
    [['--heartbeat-interval=0'], '--heartbeat-interval must be >0 (set to 0ms)'],
    [['--election-timeout=0'], '--election-timeout must be >0 (set to 0ms)'],
    [
      ['--heartbeat-interval=201'],
      '--election-timeout[1000ms] should be at least as 5 times as --heartbeat-interval[201ms]',
    ],
    [
      ['--election-timeout=50001'],
      '--election-timeout[50001ms] is too long, and should be set less than 50000ms',
    ],
    [
      ['--listen-client-urls=http://127.0.0.1:1'],
      '--advertise-client-urls is required when --listen-client-urls is set explicitly',
    ],
    [
      ['--listen-client-urls='],
      '--advertise-client-urls is required when --listen-client-urls is set explicitly',
    ],
    [['--listen-peer-urls=http://foo.com:1'], 'expected IP in URL for binding (http://foo.com:1)'],
    [['--listen-metrics-urls=http://:1'], 'expected IP in URL for binding (http://:1)'],
    [['--listen-client-http-urls=http://x:1'], 'expected IP in URL for binding (http://x:1)'],
    [
      ['--initial-advertise-peer-urls=http://:1'],
      '--initial-advertise-peer-urls "http://:1" must be "host:port" (unexpected empty host (http://:1))',
    ],
    [
      ['--advertise-client-urls=http://:1'],
      '--advertise-client-urls "http://:1" must be in the format "host:port", "unix:/path/to/socket" or "unixs:/path/to/socket" (unexpected empty host (http://:1))',
    ],
    [
      ['--initial-cluster=a=http://x:1', '--discovery-srv=d'],
      'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery-endpoints" or "discovery-srv"',
    ],
    [['--discovery-token=t'], 'both --discovery-token and --discovery-endpoints must be set'],
    [['--discovery-endpoints=http://x:1'], 'both --discovery-token and --discovery-endpoints must be set'],
    [
      ['--discovery-token=t', '--discovery-endpoints=a,,b'],
      '--discovery-endpoints must not contain empty endpoints',
    ],
    [
      ['--discovery-fallback=proxy'],
      `v2 proxy is deprecated, and --discovery-fallback can't be configured as "proxy"`,
    ],
    [['--auto-compaction-mode='], 'undefined auto-compaction-mode'],
    [['--auto-compaction-mode=foo'], 'unknown auto-compaction-mode "foo"'],
    [['--auto-compaction-retention=abc'], 'error parsing CompactionRetention: time: invalid duration "abc"'],
    [
      ['--auto-compaction-retention=-1'],
      'error parsing CompactionRetention: time: missing unit in duration "-1"',
    ],
    [['--logger=capnslog'], '--logger=capnslog is removed in v3.5'],
    [['--logger=foo'], 'unknown logger option "foo"'],
    [['--log-outputs=default,stdout'], 'multi logoutput for "default" is not supported yet'],
    [['--log-level=foo'], 'unrecognized level: "foo"', 2],
    [['--log-format=xml'], 'unknown log format: xml, supported values json, console'],
    [
      ['--enable-log-rotation'],
      '--log-outputs requires a single file path when --log-rotate-config-json is defined',
    ],
    [['--compact-hash-check-time=0s'], '--compact-hash-check-time must be >0 (set to 0s)'],
    [
      ['--feature-gates=LeaseCheckpointPersist=true'],
      'enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint',
    ],
    [['--tls-min-version=TLS1.1'], 'unexpected TLS version "TLS1.1" (must be one of: TLS1.2, TLS1.3)'],
    [
      ['--tls-min-version=TLS1.3', '--tls-max-version=TLS1.2'],
      'min version (TLS1.3) is greater than max version (TLS1.2)',
    ],
    [
      ['--tls-min-version=TLS1.3', '--cipher-suites=x'],
      'cipher suites cannot be configured when only TLS1.3 is enabled',
    ],
    [['--cipher-suites=TLS_NONE'], 'unexpected TLS cipher suite "TLS_NONE"'],
    [
      ['--enable-distributed-tracing', '--distributed-tracing-sampling-rate=-1'],
      'distributed tracing configurition is not valid: (tracing sampling rate must be positive)',
    ],
    [['--auth-token=foo'], 'auth: invalid auth options'],
    [['--auth-token=jwt,a=1,a=2'], 'auth: invalid auth options'],
    [['--auth-token=jwt,a'], 'auth: invalid auth options'],
    [
      ['--listen-client-urls=https://127.0.0.1:1', '--advertise-client-urls=https://a:1'],
      'TLS key/cert (--cert-file, --key-file) must be provided for client url https://127.0.0.1:1 with HTTPS scheme',
    ],
    [['--config-file=/none'], 'open /none: no such file or directory'],
  ])('%j is fatal', (argv, message, exitCode = 1) => {
    expect(parse(argv)).toEqual({ kind: 'fatal', message, exitCode });
  });

  test.each<[string[]]>([
    [['--heartbeat-interval=200']],
    [['--election-timeout=50000', '--heartbeat-interval=10000']],
    [['--log-level=WARN']],
    [['--auth-token=jwt,pub-key=a,priv-key=b,sign-method=RS256,ttl=1m']],
    [['--metrics=foo']],
    [['--listen-client-urls=http://127.0.0.1:0', '--advertise-client-urls=http://a.example:1']],
  ])('%j passes', (argv) => {
    expect(parse(argv).kind).toBe('config');
  });
});

describe('what follows from other settings', () => {
  test("a name of one's own replaces the default initial cluster, at the advertised URLs", () => {
    expect(config(['--name=a']).initialCluster).toBe('a=http://localhost:2380');
    expect(config(['--name=a', '--initial-advertise-peer-urls=http://y:2,http://x:1']).initialCluster).toBe(
      'a=http://x:1,a=http://y:2',
    );
    expect(config(['--name=a', '--initial-cluster=b=http://x:1']).initialCluster).toBe('b=http://x:1');
    expect(config(['--initial-advertise-peer-urls=http://x:1']).initialCluster).toBe(
      'default=http://localhost:2380',
    );
    expect(config(['--discovery-srv=d']).initialCluster).toBe('');
  });

  test('the data directory follows the name', () => {
    expect(config(['--name=a']).dataDir).toBe('a.etcd');
    expect(config(['--data-dir=x', '--name=a']).dataDir).toBe('x');
    expect(warnings(['--name=a'])).toContain("'data-dir' was empty; using default a.etcd");
  });

  test('with a known host, default advertised URLs of a member on 0.0.0.0 name it', () => {
    const argv = [
      '--name=a',
      '--listen-peer-urls=http://0.0.0.0:12380',
      '--listen-client-urls=http://0.0.0.0:12379',
    ];
    const advertise = '--advertise-client-urls=http://localhost:2379';
    const result = parseServerConfig([...argv, advertise], {}, noFile, { defaultHost: '10.0.0.9' });
    if (result.kind !== 'config') throw new Error(JSON.stringify(result));
    expect(urlTexts(result.config.initialAdvertisePeerUrls)).toEqual(['http://10.0.0.9:12380']);
    expect(urlTexts(result.config.advertiseClientUrls)).toEqual(['http://10.0.0.9:12379']);
    expect(result.config.initialCluster).toBe('a=http://10.0.0.9:12380');
    expect(urlTexts(config([...argv, advertise]).initialAdvertisePeerUrls)).toEqual([
      'http://localhost:2380',
    ]);
  });

  test('zeros become what they stand for', () => {
    expect(defaultServerConfig()).toMatchObject({
      quotaBackendBytes: 2_147_483_648,
      backendBatchIntervalMs: 100,
      backendBatchLimit: 10_000,
      compactionBatchLimit: 1_000,
      compactionSleepIntervalMs: 10,
      watchProgressNotifyIntervalMs: 600_000,
      snapshotCount: 10_000,
      snapshotCatchupEntries: 5_000,
      dataDir: 'default.etcd',
    });
    const zeros = ['--snapshot-count=0', '--auth-token-ttl=0', '--watch-progress-notify-interval=1ms'];
    const raised = ['--raft-read-timeout=1s', '--bcrypt-cost=99', '--warning-unary-request-duration=0'];
    expect(config([...zeros, ...raised])).toMatchObject({
      snapshotCount: 10_000,
      authTokenTtlSeconds: 300,
      watchProgressNotifyIntervalMs: 100,
      raftReadTimeoutMs: 5_000,
      bcryptCost: 10,
      warningUnaryRequestDurationMs: 300,
    });
  });

  test.each<[string, string, unknown]>([
    ['periodic', '0', { mode: 'off' }],
    ['periodic', '5', { mode: 'periodic', retentionMs: 18_000_000 }],
    ['periodic', '5m', { mode: 'periodic', retentionMs: 300_000 }],
    ['periodic', '-5m', { mode: 'off' }],
    ['revision', '1000', { mode: 'revision', revisions: 1_000 }],
    ['revision', '0', { mode: 'off' }],
    ['revision', '1us', { mode: 'revision', revisions: 1_000 }],
  ])('auto-compaction %s %s', (autoCompactionMode, autoCompactionRetention, value) => {
    expect(autoCompaction({ autoCompactionMode, autoCompactionRetention })).toEqual({ ok: true, value });
  });
});

describe('the flag table', () => {
  const rows: readonly AnyFlagSpec[] = FLAGS;

  test('names and fields are unique, and none is an ignored flag', () => {
    expect(new Set(rows.map((row) => row.name)).size).toBe(rows.length);
    expect(new Set(rows.map((row) => row.field)).size).toBe(rows.length);
    expect(rows.filter((row) => IGNORED_FLAGS.includes(row.name))).toEqual([]);
  });

  test('a duration, and only what counts time, says its unit in the field', () => {
    for (const row of rows) if (row.kind === 'duration') expect(row.field).toMatch(/Ms$/);
  });

  test('every default reads back from its own text', () => {
    for (const row of rows) {
      if (row.kind === 'feature-gates' || row.fileOnly === true) continue;
      // What stands for another value, or for nothing, is shown as such and reads back as the same.
      const text = row.name === 'data-dir' ? 'default.etcd' : shownDefault(row);
      if (text === '' && row.kind !== 'string') continue;
      const argv = [`--${row.name}=${text}`];
      if (row.name === 'listen-client-urls') argv.push('--advertise-client-urls=http://localhost:2379');
      const inert = row.name === 'backend-bbolt-freelist-type' ? { backendBboltFreelistType: 'map' } : {};
      expect([row.name, config(argv)]).toEqual([row.name, { ...defaultServerConfig(), ...inert }]);
    }
  });
});
