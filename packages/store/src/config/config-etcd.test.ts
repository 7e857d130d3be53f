/**
 * The configuration door against a real etcd: equal exit codes and equal messages for bad input, equal
 * ids for equal clusters. The oracle is etcd 3.4; where 3.7 says something else the row holds both
 * texts and why. Without an etcd 3.4 on the path the tests are skipped by name.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from '@jest/globals';

import { parseServerConfig } from './config.ts';
import type { Environment } from './flags.ts';
import { clusterId, memberId } from './ids.ts';
import { verifyBootstrap } from './initial-cluster.ts';
import { freePorts } from '../../../base/test/free-ports.ts';

const run = promisify(execFile);

function oraclePresent(): boolean {
  try {
    const version = execFileSync('etcd', ['--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    execFileSync('etcdctl', ['version'], { stdio: 'ignore', env: { ...process.env, ETCDCTL_API: '3' } });
    return version.startsWith('etcd Version: 3.4.');
  } catch {
    return false;
  }
}

const withEtcd = oraclePresent() ? describe : describe.skip;
const directory = mkdtempSync(join(tmpdir(), 'config-etcd-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Outcome {
  readonly exitCode: number;
  readonly message: string;
}

/** The cause in what a failing etcd 3.4 prints, whichever of its four ways it takes. */
function causeOf(stderr: string): string {
  for (const line of stderr.split('\n')) {
    const json = /"msg":"(?:failed to verify flags|failed to start etcd)","error":("(?:[^"\\]|\\.)*")/.exec(
      line,
    );
    if (json !== null) return String(JSON.parse(json[1]));
    const plain =
      /error verifying flags, (.*)\. See 'etcd --help'\.$/.exec(line) ??
      /pkg\/flags: (conflicting .*)$/.exec(line) ??
      /^panic: (.*)$/.exec(line);
    if (plain !== null) return plain[1];
  }
  return stderr.split('\n', 1)[0];
}

interface ExitError {
  readonly code: number;
  readonly stderr: string;
}

function isExitError(error: unknown): error is ExitError {
  return typeof error === 'object' && error !== null && 'code' in error && 'stderr' in error;
}

async function theirs(argv: readonly string[], env: Environment): Promise<Outcome> {
  try {
    // Our logger is zap only; 3.4 still has to be told. A server that starts is a wrong row: stop it.
    await run('etcd', ['--logger=zap', '--data-dir=data', ...argv], {
      env: { PATH: process.env['PATH'], ...env },
      cwd: directory,
      timeout: 5_000,
    });
    return { exitCode: 0, message: '' };
  } catch (error) {
    if (!isExitError(error)) throw error;
    return { exitCode: error.code, message: causeOf(error.stderr) };
  } finally {
    rmSync(join(directory, 'data'), { recursive: true, force: true });
  }
}

function ours(argv: readonly string[], env: Environment): Outcome {
  const result = parseServerConfig(['--logger=zap', '--data-dir=data', ...argv], env, (path) =>
    readFileSync(join(directory, path), 'utf8'),
  );
  if (result.kind === 'fatal' || result.kind === 'usage-error') {
    return { exitCode: result.exitCode, message: result.message };
  }
  if (result.kind !== 'config') return { exitCode: 0, message: result.kind };
  const cluster = verifyBootstrap(result.config);
  return cluster.ok ? { exitCode: 0, message: 'config' } : { exitCode: 1, message: cluster.error };
}

/** Any input that passes is told from one that fails by a later rule, which this breaks. */
const PASSES = ['--heartbeat-interval=0'];
const client = (urls: string): string[] => [
  `--listen-client-urls=${urls}`,
  '--advertise-client-urls=http://a:1',
  ...PASSES,
];
const ANY_PORTS = [
  '--listen-client-urls=http://127.0.0.1:0',
  '--advertise-client-urls=http://127.0.0.1:1',
  '--listen-peer-urls=http://127.0.0.1:0',
];
const bootstrap = (...argv: string[]): string[] => [
  ...ANY_PORTS,
  '--initial-advertise-peer-urls=http://127.0.0.1:2',
  ...argv,
];

const EQUAL: readonly (readonly [readonly string[], Environment?])[] = [
  [['--nonsense']],
  [['--nonsense=1', '--version']],
  [['---x']],
  [['--=x']],
  [['--name']],
  [['--pre-vote=maybe']],
  [['--heartbeat-interval=abc']],
  [['--heartbeat-interval', '']],
  [['--heartbeat-interval=08']],
  [['--heartbeat-interval=1_0_']],
  [['--snapshot-count=-1']],
  [['--snapshot-count=18446744073709551616']],
  [['--quota-backend-bytes=9223372036854775808']],
  [['--quota-backend-bytes=0x', ...PASSES]],
  [['--quota-backend-bytes=0x1f', ...PASSES]],
  [['--backend-batch-interval=5']],
  [['--backend-batch-interval=5x']],
  [['--backend-batch-interval=1m.5s', ...PASSES]],
  [['--max-concurrent-streams=4294967296']],
  [['--max-concurrent-streams=x']],
  [['--initial-cluster-state=foo']],
  [['--discovery-fallback=foo']],
  [['--cors=foo,bar']],
  [[...PASSES, '--name=a', '--']],
  [['--heartbeat-interval=0']],
  [['--election-timeout=0']],
  [['--heartbeat-interval=201']],
  [['--election-timeout=50001']],
  [['--listen-client-urls=http://127.0.0.1:0']],
  [['--listen-client-urls=']],
  [['--listen-peer-urls=http://foo.com:1']],
  [['--listen-metrics-urls=http://:1']],
  [['--initial-advertise-peer-urls=http://:1']],
  [['--auto-compaction-mode=foo']],
  [['--name=a'].concat(PASSES), { ETCD_NAME: 'b' }],
  [['--name=a'].concat(PASSES), { ETCD_NAME: '' }],
  [[], { ETCD_HEARTBEAT_INTERVAL: 'abc' }],
  [[], { ETCD_PRE_VOTE: 'maybe' }],
  [[], { ETCD_INITIAL_CLUSTER_STATE: 'zzz' }],
  [[], { ETCD_LISTEN_PEER_URLS: 'foo' }],
  [[], { ETCD_HEARTBEAT_INTERVAL: '0', ETCD_BOGUS: '1' }],
  [PASSES, { ETCD_LISTEN_CLIENT_URLS: '' }],
  [client('foo')],
  [client('')],
  [client('ftp://a:1')],
  [client('HTTP://127.0.0.1:1')],
  [client(' http://127.0.0.1:1')],
  [client('http://127.0.0.1:1,,http://127.0.0.1:2')],
  [client('http://a:1/path')],
  [client('http://a:1/')],
  [client('http://a')],
  [client('http:a:1')],
  [client('http://a:1:2')],
  [client('http://127.0.0.1:')],
  [client('http://[::1]:1')],
  [client('http://[::1:1')],
  [client('http://[::1]x:1')],
  [client('http://127.1:1')],
  [client('http://foo.com:1')],
  [client('http://:2379')],
  [client('http://127.0.0.1:x')],
  [client('http://%zz:1')],
  [client('http://%41:1')],
  [client('http://a b:1')],
  [client('http://u"@a:1')],
  [client('http://u@127.0.0.1:1')],
  [client('http://127.0.0.1:1?x=y#z')],
  [client(':')],
  [client('127.0.0.1:2379')],
  [client('localhost:2379')],
  [client('unix://localhost:1')],
  [bootstrap('--name=a', '--initial-cluster=b=http://127.0.0.1:2')],
  [bootstrap('--name=a', '--initial-cluster=')],
  [bootstrap('--name=', '--initial-cluster=a=http://127.0.0.1:2')],
  [bootstrap('--name=a', '--initial-cluster=a')],
  [bootstrap('--name=a', '--initial-cluster=a=foo')],
  [bootstrap('--name=a', '--initial-cluster==http://127.0.0.1:2')],
  [bootstrap('--name=a', '--initial-cluster=a=http://127.0.0.1:3')],
  [bootstrap('--name=a', '--initial-cluster=a=http://127.0.0.1:2,a=http://127.0.0.1:3')],
  [bootstrap('--name=a', '--initial-cluster=a=http://127.0.0.1:2,b=http://127.0.0.1:2')],
  [
    [
      ...ANY_PORTS,
      '--initial-advertise-peer-urls=http://127.0.0.1:3,http://127.0.0.1:2',
      '--name=a',
      '--initial-cluster=a=http://127.0.0.1:2',
    ],
  ],
  [bootstrap('--name=a', '--initial-cluster=a=http://127.0.0.2:2')],
  [bootstrap()],
  [bootstrap('--name=a', '--auto-compaction-retention=abc')],
  [bootstrap('--name=a', '--auto-compaction-retention=-1')],
  [bootstrap('--name=a', '--auto-compaction-retention=5x', '--auto-compaction-mode=revision')],
  [bootstrap('--name=a', '--auth-token=foo')],
  [
    [
      '--listen-client-urls=https://127.0.0.1:0',
      '--advertise-client-urls=http://a:1',
      '--listen-peer-urls=http://127.0.0.1:0',
    ],
  ],
  [['--log-outputs=default,stdout']],
  [['--logger=foo']],
  [['--config-file=url.yaml']],
  [['--config-file=rule.yaml']],
  [['--config-file=bind.yaml'], { ETCD_NAME: 'ignored' }],
  [[], { ETCD_CONFIG_FILE: 'rule.yaml' }],
];

/** [arguments, what 3.4 says, what 3.7 says and so do we, why]; exit codes in brackets where they differ. */
const DIFFERENT: readonly (readonly [readonly string[], Outcome, Outcome, string])[] = [
  [
    ['bareword'],
    { exitCode: 1, message: "'bareword' is not a valid flag" },
    { exitCode: 1, message: '"bareword" is not a valid flag' },
    'quoted by %q since 3.5',
  ],
  [
    ['--advertise-client-urls=http://:1'],
    {
      exitCode: 1,
      message: '--advertise-client-urls "http://:1" must be "host:port" (unexpected empty host (http://:1))',
    },
    {
      exitCode: 1,
      message:
        '--advertise-client-urls "http://:1" must be in the format "host:port", "unix:/path/to/socket" or "unixs:/path/to/socket" (unexpected empty host (http://:1))',
    },
    'sockets may be advertised since 3.6',
  ],
  [
    client('unix:/run/x'),
    {
      exitCode: 2,
      message:
        'invalid value "unix:/run/x" for flag -listen-client-urls: URL address does not have the form "host:port": unix:/run/x',
    },
    { exitCode: 1, message: '--heartbeat-interval must be >0 (set to 0ms)' },
    'sockets take any path since 3.5',
  ],
  [
    ['--initial-cluster=a=http://x:1', '--discovery-srv=foo'],
    {
      exitCode: 1,
      message:
        'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery" or "discovery-srv"',
    },
    {
      exitCode: 1,
      message:
        'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery-endpoints" or "discovery-srv"',
    },
    'v2 discovery is gone',
  ],
  [
    ['--log-level=foo'],
    { exitCode: 2, message: 'unknown level "foo"' },
    { exitCode: 2, message: 'unrecognized level: "foo"' },
    'the level is read by zap since 3.5',
  ],
  [
    ['--enable-v2', ...PASSES],
    { exitCode: 1, message: '--heartbeat-interval must be >0 (set to 0ms)' },
    { exitCode: 2, message: 'flag provided but not defined: -enable-v2' },
    'removed',
  ],
  [
    ['--experimental-corrupt-check-time=1s', ...PASSES],
    { exitCode: 1, message: '--heartbeat-interval must be >0 (set to 0ms)' },
    { exitCode: 2, message: 'flag provided but not defined: -experimental-corrupt-check-time' },
    'every experimental flag is removed in 3.7',
  ],
  [
    ['--max-learners=2', ...PASSES],
    { exitCode: 2, message: 'flag provided but not defined: -max-learners' },
    { exitCode: 1, message: '--heartbeat-interval must be >0 (set to 0ms)' },
    'new since',
  ],
];

withEtcd('against etcd 3.4 (needs etcd and etcdctl 3.4 on the path): bad input', () => {
  writeFileSync(join(directory, 'url.yaml'), 'listen-peer-urls: foo\n');
  writeFileSync(join(directory, 'rule.yaml'), 'heartbeat-interval: 0\nbogus: 1\n');
  writeFileSync(join(directory, 'bind.yaml'), 'name: a\nlisten-peer-urls: http://foo.com:1\n');

  test.each(EQUAL.map(([argv, env]) => [argv, env ?? {}] as const))('%j %j', async (argv, env) => {
    const got = ours(argv, env);
    expect(got.exitCode).not.toBe(0);
    expect(got).toEqual(await theirs(argv, env));
  });

  test.each(DIFFERENT)('%j differs: %j, %j (%s)', async (argv, old, now) => {
    expect(await theirs(argv, {})).toEqual(old);
    expect(ours(argv, {})).toEqual(now);
  });
});

/** Ports that were free a moment ago. */
async function etcdctl(endpoint: string, argv: readonly string[]): Promise<string> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    try {
      const options = { env: { PATH: process.env['PATH'], ETCDCTL_API: '3' } };
      return (await run('etcdctl', ['--endpoints', endpoint, '--dial-timeout=1s', ...argv], options)).stdout;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

withEtcd('against etcd 3.4 (needs etcd and etcdctl 3.4 on the path): ids', () => {
  test.each<[number, string]>([
    [1, 'a token of one'],
    [3, 'three together'],
  ])('of a static cluster of %d, token %j', async (count, token) => {
    const ports = await freePorts(2 * count);
    const names = Array.from({ length: count }, (_, i) => `m${i}`);
    const peer = (i: number): string => `http://127.0.0.1:${ports[2 * i]}`;
    const listen = (i: number): string => `http://127.0.0.1:${ports[2 * i + 1]}`;
    const cluster = names.map((name, i) => `${name}=${peer(i)}`).join(',');
    const children: ChildProcess[] = names.map((name, i) =>
      spawn(
        'etcd',
        [
          '--logger=zap',
          `--name=${name}`,
          `--data-dir=${join(directory, `${count}-${name}`)}`,
          `--initial-cluster=${cluster}`,
          `--initial-cluster-token=${token}`,
          `--listen-peer-urls=${peer(i)}`,
          `--initial-advertise-peer-urls=${peer(i)}`,
          `--listen-client-urls=${listen(i)}`,
          `--advertise-client-urls=${listen(i)}`,
        ],
        { stdio: 'ignore', env: { PATH: process.env['PATH'] } },
      ),
    );
    try {
      const status = await etcdctl(listen(0), ['endpoint', 'status', '-w', 'json']);
      const members = await etcdctl(listen(0), ['member', 'list', '-w', 'json']);
      const numbers = (text: string, key: string): bigint[] =>
        [...text.matchAll(new RegExp(`"${key}":(\\d+)`, 'g'))].map((match) => BigInt(match[1]));
      const want = names.map((_, i) => memberId([peer(i)], token));
      expect(new Set(numbers(members, 'ID'))).toEqual(new Set(want));
      expect(numbers(status, 'cluster_id')).toEqual([clusterId(want)]);
      expect(numbers(status, 'member_id')).toEqual([want[0]]);
    } finally {
      const exits = children.filter((child) => child.exitCode === null).map((child) => once(child, 'exit'));
      for (const child of children) child.kill('SIGKILL');
      await Promise.all(exits);
    }
  });
});
