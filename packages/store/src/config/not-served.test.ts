import { describe, expect, test } from '@jest/globals';

import { defaultServerConfig, parseServerConfig } from './config.ts';
import { NOT_YET_SERVED, unsupported } from './not-served.ts';

/** What an operator would write for each flag of the table, so that every row is seen to fire. */
const ASKING: Readonly<Record<string, readonly string[]>> = {
  'listen-client-http-urls': ['--listen-client-http-urls=http://127.0.0.1:1'],
  'listen-metrics-urls': ['--listen-metrics-urls=http://127.0.0.1:1'],
  'listen-client-urls': ['--listen-client-urls=unix:/x', '--advertise-client-urls=http://a:1'],
  'listen-peer-urls': ['--listen-peer-urls=https://127.0.0.1:1', '--peer-auto-tls'],
  'initial-advertise-peer-urls': ['--initial-advertise-peer-urls=https://a:1'],
  'initial-cluster': ['--initial-cluster=a=https://a:1'],
  'max-request-bytes': ['--max-request-bytes=15728641'],
  'discovery-token': ['--discovery-token=t', '--discovery-endpoints=x'],
  'discovery-endpoints': ['--discovery-token=t', '--discovery-endpoints=x'],
  'client-cert-allowed-cn': [],
  'tls-min-version': ['--tls-min-version=TLS1.3'],
  'tls-max-version': ['--tls-max-version=TLS1.3'],
  cors: ['--cors=http://a:1'],
  'auth-token': ['--auth-token=jwt,sign-method=HS256'],
  metrics: ['--metrics=extensive'],
  'log-format': ['--log-format=console'],
  'log-outputs': ['--log-outputs=systemd/journal'],
  'enable-log-rotation': ['--enable-log-rotation', '--log-outputs=/run/x'],
  'discovery-insecure-transport': ['--discovery-insecure-transport=false'],
};

/** A value that differs from the default for flags not listed above. */
function asking(flag: string): readonly string[] {
  if (Object.hasOwn(ASKING, flag)) return ASKING[flag];
  if (/time(out)?$/.test(flag)) return [`--${flag}=7s`];
  if (flag === 'self-signed-cert-validity') return [`--${flag}=7`];
  const bool =
    /^(auto-tls|peer-auto-tls|.*cert-auth|.*verify|.*verification|enable-.*|memory-mlock|force-.*)$/;
  return [bool.test(flag) ? `--${flag}` : `--${flag}=x`];
}

function refusedBy(argv: readonly string[]): string[] {
  const result = parseServerConfig(argv, {}, () => '');
  if (result.kind !== 'config') throw new Error(JSON.stringify([argv, result]));
  return unsupported(result.config);
}

describe('what this build cannot honour', () => {
  test('defaults ask for nothing', () => {
    expect(unsupported(defaultServerConfig())).toEqual([]);
    expect(refusedBy(['--auto-compaction-retention=1h', '--cors=*', '--host-whitelist=*'])).toEqual([]);
  });

  const flags = NOT_YET_SERVED.filter(
    (row) => row.flag !== 'feature-gates' && row.flag !== 'client-cert-allowed-cn',
  );

  test.each(flags.map((row) => [row.flag, row.setting ?? `--${row.flag}`]))('--%s', (flag, named) => {
    expect(refusedBy(asking(flag))).toContain(named);
  });

  test('a common name from a configuration file', () => {
    const config = { ...defaultServerConfig(), clientCertAllowedCn: ['x'] };
    expect(unsupported(config)).toEqual(['--client-cert-allowed-cn']);
  });

  test('every gate it lacks, by name', () => {
    const gates = NOT_YET_SERVED.filter((row) => row.flag === 'feature-gates').map((row) => row.setting!);
    for (const gate of gates) {
      const also = gate.includes('Persist') ? ['--feature-gates=LeaseCheckpoint=true'] : [];
      expect(refusedBy([gate, ...also])).toContain(gate);
    }
    expect(
      refusedBy(['--feature-gates=FastLeaseKeepAlive=false,TxnModeWriteWithSharedBuffer=false']),
    ).toEqual([]);
  });

  test('what is served passes', () => {
    expect(
      refusedBy([
        '--name=a',
        '--snapshot-count=100',
        '--heartbeat-interval=10',
        '--election-timeout=100',
        '--quota-backend-bytes=53248',
        '--unsafe-no-fsync',
        '--log-outputs=/run/log',
        '--log-level=debug',
        '--initial-cluster-state=existing',
        '--socket-reuse-port',
        '--grpc-keepalive-interval=1s',
        '--max-request-bytes=15728640',
        '--watch-progress-notify-interval=5s',
      ]),
    ).toEqual([]);
  });
});
