import { describe, expect, test } from '@jest/globals';

import { defaultServerConfig, parseServerConfig } from './config.ts';
import { FEATURE_GATES } from './feature-gates.ts';
import { NOT_YET_SERVED, unsupported } from './not-served.ts';

/** What an operator would write for each flag of the table, so that every row is seen to fire. */
const ASKING: Readonly<Record<string, readonly string[]>> = {
  'max-request-bytes': ['--max-request-bytes=268435457'],
};

/** A value that differs from the default for flags not listed above. */
function asking(flag: string): readonly string[] {
  if (Object.hasOwn(ASKING, flag)) return ASKING[flag];
  if (/time(out)?$/.test(flag)) return [`--${flag}=7s`];
  const bool = /^(.*verify|enable-.*|memory-mlock|force-.*)$/;
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

  test.each(NOT_YET_SERVED.map((row) => [row.flag, row.setting ?? `--${row.flag}`]))(
    '--%s',
    (flag, named) => {
      expect(refusedBy(asking(flag))).toContain(named);
    },
  );

  test('every feature gate is served', () => {
    const gates = Object.entries(FEATURE_GATES).map(([name, gate]) => `${name}=${String(!gate.enabled)}`);
    expect(refusedBy([`--feature-gates=${gates.join()}`])).toEqual([]);
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
        '--log-format=console',
        '--enable-log-rotation',
        '--initial-cluster-state=existing',
        '--socket-reuse-port',
        '--grpc-keepalive-interval=1s',
        '--max-request-bytes=268435456',
        '--watch-progress-notify-interval=5s',
        '--listen-client-urls=https://127.0.0.1:1,unix:/x',
        '--advertise-client-urls=https://127.0.0.1:1',
        '--listen-peer-urls=https://127.0.0.1:2,unixs:/y',
        '--initial-advertise-peer-urls=https://127.0.0.1:2,unixs:/y',
        '--initial-cluster=default=https://127.0.0.1:2,default=unixs:/y',
        '--auto-tls',
        '--peer-auto-tls',
        '--tls-min-version=TLS1.3',
      ]),
    ).toEqual([]);
  });
});
