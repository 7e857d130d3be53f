import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';

import { parseServerConfig, type ParseResult } from './config.ts';
import type { ServerConfig } from './flag-table.ts';
import { urlTexts } from './urls.ts';

function parse(text: string, argv: readonly string[] = []): ParseResult {
  return parseServerConfig(['--config-file=/etc/etcd.yaml', ...argv], {}, (path) => {
    expect(path).toBe('/etc/etcd.yaml');
    return text;
  });
}

function config(text: string): ServerConfig {
  const result = parse(text);
  if (result.kind !== 'config') throw new Error(JSON.stringify(result));
  return result.config;
}

const JSON_ERROR = 'error unmarshaling JSON: while decoding JSON: json: cannot unmarshal';

describe('the configuration file', () => {
  test.each<[string, string, Partial<ServerConfig>]>([
    ['text', 'name: a', { name: 'a', dataDir: 'a.etcd', initialCluster: 'a=http://localhost:2380' }],
    ['keys in capitals', 'Name: a', { name: 'a' }],
    ['a number where text belongs', 'auto-compaction-retention: 5', { autoCompactionRetention: '5' }],
    ['a boolean where text belongs', 'initial-cluster-token: true', { initialClusterToken: 'true' }],
    [
      'numbers',
      'heartbeat-interval: 50\nquota-backend-bytes: -1',
      { heartbeatIntervalMs: 50, quotaBackendBytes: -1 },
    ],
    [
      'durations in nanoseconds',
      'watch-progress-notify-interval: 5000000000',
      { watchProgressNotifyIntervalMs: 5_000 },
    ],
    ['booleans', 'pre-vote: false\nunsafe-no-fsync: yes', { preVote: false, unsafeNoFsync: true }],
    [
      'lists',
      'log-outputs: [stdout, stderr]\ncipher-suites:\n- TLS_AES_128_GCM_SHA256',
      { logOutputs: ['stderr', 'stdout'], cipherSuites: ['TLS_AES_128_GCM_SHA256'] },
    ],
    [
      'TLS blocks',
      'client-transport-security:\n  cert-file: c\n  client-cert-auth: true\n  allowed-cn: [x]\npeer-transport-security:\n  trusted-ca-file: p\n  auto-tls: true',
      {
        certFile: 'c',
        clientCertAuth: true,
        clientCertAllowedCn: ['x'],
        peerTrustedCaFile: 'p',
        peerAutoTls: true,
      },
    ],
    [
      'socket options',
      'socket-options: {reuse-port: true}',
      { socketReusePort: true, socketReuseAddress: false },
    ],
    [
      'discovery',
      'discovery-config:\n  token: t\n  endpoints: ["http://x:1"]',
      { discoveryToken: 't', discoveryEndpoints: ['http://x:1'], initialCluster: '' },
    ],
    ['nothing', '', { name: 'default' }],
    ['null values', 'name:\nheartbeat-interval: ~', { name: 'default', heartbeatIntervalMs: 100 }],
    ['empty URLs', 'listen-client-urls: ""', { name: 'default' }],
    ['an empty state', 'initial-cluster-state: ""', { initialClusterState: 'new' }],
    [
      'whitelists',
      'host-whitelist: a,b\ncors: http://x:1',
      { hostWhitelist: ['a', 'b'], cors: ['http://x:1'] },
    ],
    ['the last of repeated keys', 'name: a\nname: b', { name: 'b' }],
    ['a v2 stage, whatever it says', 'v2-deprecation: not-yet', { v2Deprecation: 'write-only' }],
  ])('%s', (_name, text, want) => {
    expect(config(text)).toMatchObject(want);
  });

  test('URLs are comma-separated text, and listening elsewhere needs no advertised URL here', () => {
    const got = config(
      'listen-client-urls: http://127.0.0.1:2,http://127.0.0.1:1\nfeature-gates: LeaseCheckpoint=true',
    );
    expect(urlTexts(got.listenClientUrls)).toEqual(['http://127.0.0.1:1', 'http://127.0.0.1:2']);
    expect(urlTexts(got.advertiseClientUrls)).toEqual(['http://localhost:2379']);
    expect(got.featureGates.enabled.LeaseCheckpoint).toBe(true);
  });

  test.each<[string, string]>([
    [
      'heartbeat-interval: abc',
      `${JSON_ERROR} string into Go struct field configYAML.heartbeat-interval of type uint`,
    ],
    [
      'heartbeat-interval: -1',
      `${JSON_ERROR} number -1 into Go struct field configYAML.heartbeat-interval of type uint`,
    ],
    [
      'heartbeat-interval: 1.5',
      `${JSON_ERROR} number 1.5 into Go struct field configYAML.heartbeat-interval of type uint`,
    ],
    [
      'watch-progress-notify-interval: 10m',
      `${JSON_ERROR} string into Go struct field configYAML.watch-progress-notify-interval of type time.Duration`,
    ],
    ['pre-vote: 1', `${JSON_ERROR} number 1 into Go struct field configYAML.pre-vote of type bool`],
    ['name: [a]', `${JSON_ERROR} array into Go struct field configYAML.name of type string`],
    ['name: {a: b}', `${JSON_ERROR} object into Go struct field configYAML.name of type string`],
    [
      'log-outputs: stdout',
      `${JSON_ERROR} string into Go struct field configYAML.log-outputs of type []string`,
    ],
    [
      'max-concurrent-streams: 4294967296',
      `${JSON_ERROR} number 4294967296 into Go struct field configYAML.max-concurrent-streams of type uint32`,
    ],
    ['- a', `${JSON_ERROR} array into Go value of type embed.configYAML`],
    [
      'client-transport-security: x',
      `${JSON_ERROR} string into Go struct field configYAML.client-transport-security of type embed.securityConfig`,
    ],
    ['peer-transport-security: x', 'invalid peer-transport-security'],
    [
      'listen-peer-urls: foo',
      'unexpected error setting up listen-peer-urls: URL scheme must be http, https, unix, or unixs: foo',
    ],
    [
      'advertise-client-urls: foo',
      'unexpected error setting up advertise-peer-urls: URL scheme must be http, https, unix, or unixs: foo',
    ],
    ['initial-cluster-state: foo', 'unexpected clusterState "foo"'],
    ['feature-gates: Foo=true', 'unrecognized feature gate: Foo'],
    ['rpc-transport: x', 'invalid value "x" for rpc-transport: invalid value'],
    ['heartbeat-interval: 0', '--heartbeat-interval must be >0 (set to 0ms)'],
    ['listen-peer-urls: http://foo.com:1', 'expected IP in URL for binding (http://foo.com:1)'],
  ])('%j is fatal', (text, message) => {
    expect(parse(text)).toEqual({ kind: 'fatal', message, exitCode: 1 });
  });

  test('text that is no YAML, or expands without end, is fatal', () => {
    const bomb = [
      'a: &a [x]',
      ...'bcdefghij'
        .split('')
        .map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefghi'[i]}`).join(',')}]`),
    ];
    for (const text of ['name: [', '\ta: b', bomb.join('\n')]) {
      const result = parse(text);
      expect(result.kind === 'fatal' && result.message).toMatch(/^error converting YAML to JSON: yaml: /);
    }
  });

  test('flags and environment are ignored, but a bad flag is still one', () => {
    const read = (): string => 'name: a';
    const env = { ETCD_NAME: 'c', ETCD_DATA_DIR: 'd', ETCD_BOGUS: '1' };
    const result = parseServerConfig(['--config-file', 'f', '--name=b'], env, read);
    expect(result.kind === 'config' && [result.config.name, result.config.dataDir]).toEqual(['a', 'a.etcd']);
    expect(parse('name: a', ['--nonsense']).kind).toBe('usage-error');
    expect(parse('name: a', ['--version']).kind).toBe('version');
  });

  test('ETCD_CONFIG_FILE names the file; the flag wins', () => {
    const read = (path: string): string => `name: ${path}`;
    const env = { ETCD_CONFIG_FILE: 'env' };
    const names = [[], ['--config-file=flag']].map((argv) => {
      const result = parseServerConfig(argv, env, read);
      return result.kind === 'config' ? result.config.name : result.kind;
    });
    expect(names).toEqual(['env', 'flag']);
  });

  test('keys nobody knows are ignored with a warning', () => {
    const result = parse(
      'name: a\ndata-dir: d\ncert-file: x\nclient-transport-security: {bogus: 1}\nraft-read-timeout: 1',
    );
    expect(result.kind === 'config' && result.warnings.slice(0, 3)).toEqual([
      'unrecognized key "cert-file" in the configuration file is ignored',
      'unrecognized key "client-transport-security.bogus" in the configuration file is ignored',
      'unrecognized key "raft-read-timeout" in the configuration file is ignored',
    ]);
  });

  test.each<[string, string]>([
    ['EACCES', 'open /etc/etcd.yaml: permission denied'],
    ['EISDIR', 'read /etc/etcd.yaml: is a directory'],
    ['EIO', 'open /etc/etcd.yaml: broken'],
  ])('a file that cannot be read: %s', (code, message) => {
    const result = parseServerConfig(['--config-file=/etc/etcd.yaml'], {}, () => {
      throw Object.assign(new Error('broken'), { code });
    });
    expect(result).toEqual({ kind: 'fatal', message, exitCode: 1 });
  });

  test('no text makes it throw', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(['config', 'fatal']).toContain(parse(text).kind);
      }),
    );
  });
});
