/**
 * `keelson ctl` where the other suites do not reach: commands that run until stopped, files, mirrors, our own
 * commands, and what etcdctl 3.4 does not have. At a real etcd; what needs 3.7 is at our own member.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createClient } from '@keelson/client';
import { TestAuthority } from '../../store/test/tls-fixtures.ts';
import { run } from '../src/cli.ts';
import { capture, type Captured } from './capture.ts';
import { HAS_ETCD, startEtcd, type EtcdProcess } from '../../base/test/etcd-process.ts';
import { freePorts } from '../../base/test/free-ports.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'keelson-ctl-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Running extends Captured {
  readonly ended: Promise<number>;
}

function start(endpoint: string, ...args: string[]): Running {
  const captured = capture({ PATH: process.env['PATH'] });
  return { ...captured, ended: run(['etcdctl', `--endpoints=${endpoint}`, ...args], captured.io) };
}

async function ctl(endpoint: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const running = start(endpoint, ...args);
  running.stdin.end();
  return { code: await running.ended, out: running.out(), err: running.err() };
}

const difference = HAS_ETCD ? describe : describe.skip;

difference(HAS_ETCD ? 'at a real etcd' : 'at a real etcd (skipped: no etcd and etcdctl on PATH)', () => {
  let etcd: EtcdProcess;
  let at: string;
  beforeAll(async () => {
    etcd = await startEtcd();
    at = etcd.endpoint;
  });
  afterAll(() => etcd.stop());

  test('lock holds until it is stopped; a second one waits its turn', async () => {
    const first = start(at, 'lock', 'l');
    await first.until(/^l\/[0-9a-f]+\n\n/);
    const second = start(at, 'lock', 'l');
    const third = start(at, 'lock', 'l', '-w', 'json');
    while (
      !(await ctl(at, 'get', '--prefix', 'l/', '--count-only', '-w', 'fields')).out.includes('"Count" : 3')
    );
    third.stop();
    expect([await third.ended, third.out()]).toEqual([1, '']);
    expect(third.err()).toContain('Error: context canceled\n');
    expect(second.out()).toBe('');
    first.stop();
    expect([await first.ended, first.err()]).toEqual([0, '']);
    await second.until(/^l\/[0-9a-f]+\n\n/);
    second.stop();
    expect(await second.ended).toBe(0);
    expect(await ctl(at, 'get', '--prefix', 'l/')).toEqual({ code: 0, out: '', err: '' });
    expect((await ctl(at, 'lease', 'list')).out).toBe('found 0 leases\n');
  });

  test('a lock whose lease is lost ends with an error', async () => {
    const lock = start(at, 'lock', 'lost', '--ttl=2');
    await lock.until(/^lost\/([0-9a-f]+)\n\n/);
    await ctl(at, 'lease', 'revoke', /lost\/([0-9a-f]+)/.exec(lock.out())?.[1] ?? '');
    expect(await lock.ended).toBe(1);
    expect(lock.err()).toContain('Error: session expired\n');
  });

  test('a lock around a command: its exit code is passed on, its environment has the key', async () => {
    const code = async (script: string): Promise<number> =>
      (await ctl(at, 'lock', 'c', '--', 'sh', '-c', script)).code;
    expect(await code('exit 0')).toBe(0);
    expect(await code('exit 7')).toBe(7);
    expect(await code('test "${ETCD_LOCK_KEY%/*}" = c && test "$ETCD_LOCK_REV" -gt 1')).toBe(0);
    expect(await code('kill -9 $$')).toBe(255);
  });

  test('elect leads until it is stopped; -l tells who leads', async () => {
    const listener = start(at, 'elect', '-l', 'boss', '-w', 'json');
    const anna = start(at, 'elect', 'boss', 'anna');
    await anna.until(/^boss\/[0-9a-f]+\nanna\n$/);
    await listener.until(/"value":"YW5uYQ=="/);
    const bert = start(at, 'elect', 'boss', 'bert');
    anna.stop();
    expect(await anna.ended).toBe(0);
    await bert.until(/bert/);
    await listener.until(/"value":"YmVydA=="/);
    bert.stop();
    listener.stop();
    expect([await bert.ended, await listener.ended]).toEqual([0, 0]);
    const [first] = listener.out().split('\n');
    expect(JSON.parse(first ?? '')).toMatchObject({ kvs: [{ value: 'YW5uYQ==' }] });
  });

  test('snapshot save: a whole file under its name or none, and etcdctl reads it', async () => {
    await ctl(at, 'put', 'snap', 'shot');
    const file = path.join(folder, 'saved.db');
    const saved = await ctl(at, 'snapshot', 'save', file);
    expect([saved.code, saved.out]).toEqual([0, `Snapshot saved at ${file}\n`]);
    expect(statSync(file).size % 512).toBe(32);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['saved.db']);
    const status = spawnSync('etcdctl', ['snapshot', 'status', file], {
      env: { ...process.env, ETCDCTL_API: '3' },
      encoding: 'utf8',
    });
    expect([status.status, status.stdout]).toEqual([0, expect.stringMatching(/^[0-9a-f]+, \d+, \d+, /)]);
    const two = await ctl(`${at},127.0.0.1:1`, 'snapshot', 'save', path.join(folder, 'two.db'));
    expect(two.code).toBe(5);
    expect(two.err).toContain(
      `Error: snapshot must be requested to one selected node, not multiple [${at} 127.0.0.1:1]\n`,
    );
    const none = await ctl(
      '127.0.0.1:1',
      '--dial-timeout=100ms',
      '--command-timeout=200ms',
      'snapshot',
      'save',
      file,
    );
    expect(none.code).toBe(5);
    expect(readdirSync(folder)).toEqual(['saved.db']);
  });

  test('make-mirror copies what is there and follows', async () => {
    const other = await startEtcd();
    try {
      const source = createClient({ endpoints: [at] });
      const target = createClient({ endpoints: [other.endpoint] });
      await Promise.all(Array.from({ length: 100 }, (_, i) => source.kv.put(`m/${i}`, `v${i}`)));
      const mirror = start(
        at,
        'make-mirror',
        '--prefix=m/',
        '--dest-prefix=copy/',
        '--max-txn-ops=2',
        other.endpoint,
      );
      const arrived = async (key: string, value: string | undefined): Promise<void> => {
        while ((await target.kv.value(key))?.toString() !== value);
      };
      await arrived('copy/99', 'v99');
      await source.kv.put('elsewhere', 'x');
      await source.kv.delete('m/1', { prefix: true });
      await source.kv.put('m/new', 'new');
      await arrived('copy/new', 'new');
      const { kvs } = await target.kv.get('', { prefix: true });
      const want = (await source.kv.get('m/', { prefix: true })).kvs;
      expect(kvs.map(({ key, value }) => `${key.subarray(5).toString()}=${value.toString()}`)).toEqual(
        want.map(({ key, value }) => `${key.subarray(2).toString()}=${value.toString()}`),
      );
      mirror.stop();
      expect(await mirror.ended).toBe(143);
      source.close();
      target.close();
    } finally {
      await other.stop();
    }
  });

  test('make-mirror into a cluster that asks for certificates and a password', async () => {
    const authority = new TestAuthority();
    const server = authority.issue('server');
    const mirrorer = authority.issue('client');
    const other = await startEtcd({
      tls: [
        `--cert-file=${server.certFile}`,
        `--key-file=${server.keyFile}`,
        `--trusted-ca-file=${authority.caFile}`,
        '--client-cert-auth',
      ],
    });
    const secured = [
      `--cacert=${authority.caFile}`,
      `--cert=${mirrorer.certFile}`,
      `--key=${mirrorer.keyFile}`,
    ];
    const there = (...args: string[]): Promise<{ code: number; out: string; err: string }> =>
      ctl(`https://${other.endpoint}`, ...secured, ...args);
    try {
      await there('user', 'add', 'root:top');
      await there('auth', 'enable');
      await ctl(at, 'put', 'secure/1', 'one');
      const mirror = start(
        at,
        'make-mirror',
        '--prefix=secure/',
        '--no-dest-prefix',
        ...secured.map((flag) => flag.replace('--', '--dest-')),
        '--dest-user=root:top',
        `https://${other.endpoint}`,
      );
      while ((await there('--user=root:top', 'get', '1')).out !== '1\none\n') {
        expect(mirror.err()).toBe('');
      }
      mirror.stop();
      await mirror.ended;
      // Without them nothing can be written.
      const bare = await ctl(
        at,
        '--dial-timeout=200ms',
        '--command-timeout=400ms',
        'make-mirror',
        '--prefix=secure/',
        other.endpoint,
      );
      expect(bare.code).toBe(1);
    } finally {
      await other.stop();
      authority.dispose();
    }
  });

  test('watch --json: a line an event, text as text', async () => {
    const lease = BigInt(`0x${/lease (\w+)/.exec((await ctl(at, 'lease', 'grant', '100')).out)?.[1] ?? 0}`);
    const put = await ctl(at, 'put', 'j/a', 'first', '-w', 'json');
    const revision = Number(/"revision":(\d+)/.exec(put.out)?.[1]);
    await ctl(at, 'put', 'j/a', 'zweite Größe', `--lease=${lease.toString(16)}`);
    const client = createClient({ endpoints: [at] });
    await client.kv.put('j/b', Buffer.from([0xff, 0]));
    client.close();
    await ctl(at, 'del', 'j/a');
    const watch = start(at, 'watch', '--json', '--prefix', 'j/', `--rev=${revision}`, '--prev-kv');
    await watch.until(/DELETE.*\n/);
    watch.stop();
    await watch.ended;
    const lines = watch
      .out()
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    expect(lines).toEqual([
      { type: 'PUT', revision, key: 'j/a', value: 'first', createRevision: revision, version: 1 },
      {
        type: 'PUT',
        revision: revision + 1,
        key: 'j/a',
        value: 'zweite Größe',
        createRevision: revision,
        version: 2,
        lease: lease.toString(16).padStart(16, '0'),
        prev: { revision, value: 'first', createRevision: revision, version: 1 },
      },
      {
        type: 'PUT',
        revision: revision + 2,
        key: 'j/b',
        valueBase64: '/wA=',
        createRevision: revision + 2,
        version: 1,
      },
      expect.objectContaining({ type: 'DELETE', revision: revision + 3, key: 'j/a' }),
    ]);
  });

  test('a signal ends what has no end of its own at once, as a shell tells it', async () => {
    const watch = start(at, 'watch', 'w');
    const nobody = start('127.0.0.1:1', '--dial-timeout=1h', '--command-timeout=1h', 'get', 'k');
    // A signal before the command listens for it would end a real process.
    const signals = setInterval(() => [watch, nobody].forEach((each) => each.stop()), 20);
    expect([await watch.ended, await nobody.ended]).toEqual([143, 143]);
    clearInterval(signals);
  });

  test('--hex: ids of fields and json as hex', async () => {
    const fields = await ctl(at, 'put', 'hex', 'x', '-w', 'fields', '--hex');
    expect(fields.out).toMatch(/^"ClusterID" : [0-9a-f]*[a-f][0-9a-f]*\n/);
    expect((await ctl(at, 'get', 'hex', '-w', 'fields', '--hex')).out).toContain(
      '"Lease" : 0000000000000000\n',
    );
    expect((await ctl(at, 'member', 'list', '-w', 'json', '--hex')).out).toMatch(/"ID":"[0-9a-f]+"/);
  });

  test('top: one frame for pipes', async () => {
    const frame = await ctl(at, 'top', '--once', '--interval=50ms');
    expect(frame.code).toBe(0);
    expect(frame.out).toMatch(/^members 1\/1 {3}leader default {3}term \d+ {3}revision \d+ {3}puts \d/);
    expect(frame.out).toMatch(/\ndefault +leader +\d.* ok\n$/);
    const json = await ctl(at, 'top', '--once', '--interval=50ms', '-w', 'json');
    expect(JSON.parse(json.out)).toMatchObject({ members: [{ role: 'leader', watchers: 0, lag: 0 }] });
    expect((await ctl(at, 'top', '-w', 'fields')).err).toBe('Error: fields not supported as output format\n');
  });

  test('top: frame after frame until it is stopped', async () => {
    const top = start(at, 'top', '--interval=50ms');
    await top.until(/members 1\/1[^]*members 1\/1/);
    top.stop();
    expect(await top.ended).toBe(0);
  });

  test('get --stream is not known to an old server', async () => {
    const { code, err } = await ctl(at, 'get', '--stream', 'k');
    expect(code).toBe(1);
    expect(err).toMatch(/unknown method RangeStream/);
  });
});

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const OURS = path.join(ROOT, 'bin', 'etcd');
const built = existsSync(path.join(ROOT, 'packages', 'store', 'dist', 'main.js'));

(built ? describe : describe.skip)(
  built ? 'at our own member' : 'at our own member (skipped: not built)',
  () => {
    let stop: () => Promise<void>;
    let at: string;
    beforeAll(async () => {
      const [client, peer] = await freePorts(2);
      at = `127.0.0.1:${client}`;
      const child = spawn(
        OURS,
        [
          `--data-dir=${path.join(folder, 'ours')}`,
          `--listen-client-urls=http://${at}`,
          `--advertise-client-urls=http://${at}`,
          `--listen-peer-urls=http://127.0.0.1:${peer}`,
          `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
          `--initial-cluster=default=http://127.0.0.1:${peer}`,
        ],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      );
      const exited = once(child, 'exit');
      stop = async () => {
        child.kill('SIGKILL');
        await exited;
      };
      let log = '';
      await new Promise<void>((resolve) => {
        child.stderr.on('data', (chunk: Buffer) => {
          log += chunk.toString();
          if (log.includes('ready to serve client requests')) resolve();
        });
      });
    });
    afterAll(() => stop());

    test('get --stream prints what get prints', async () => {
      const client = createClient({ endpoints: [at] });
      await Promise.all(Array.from({ length: 50 }, (_, i) => client.kv.put(`s/${i}`, `v${i}`)));
      client.close();
      for (const more of [[], ['-w', 'json'], ['--limit=7', '-w', 'json'], ['--keys-only']]) {
        const plain = await ctl(at, 'get', '--prefix', 's/', ...more);
        expect(await ctl(at, 'get', '--prefix', 's/', '--stream', ...more)).toEqual(plain);
        expect(plain.out.length).toBeGreaterThan(50);
      }
    });

    test('downgrade: validate, enable, cancel', async () => {
      const say = async (...args: string[]): Promise<[number, string, string]> => {
        const { code, out, err } = await ctl(at, 'downgrade', ...args);
        return [code, out, err.split('\n').findLast((line) => line.startsWith('Error: ')) ?? ''];
      };
      expect(await say('validate', '3.6')).toEqual([
        0,
        'Downgrade validate success, cluster version 3.7.0\n',
        '',
      ]);
      expect(await say('validate', '3.5')).toEqual([
        1,
        '',
        'Error: etcdserver: invalid downgrade target version',
      ]);
      expect(await say('validate', 'x')).toEqual([
        1,
        '',
        'Error: etcdserver: wrong downgrade target version format',
      ]);
      expect(await say('cancel')).toEqual([1, '', 'Error: etcdserver: no inflight downgrade job']);
      expect(await say('enable', '3.6.0')).toEqual([
        0,
        'Downgrade enable success, cluster version 3.7.0\n',
        '',
      ]);
      expect((await ctl(at, 'endpoint', 'status', '-w', 'fields')).out).toContain(
        '"DowngradeEnabled" : true\n',
      );
      expect(await say('cancel')).toEqual([
        0,
        expect.stringMatching(/^Downgrade cancel success, cluster version 3\.[67]\.0\n$/),
        '',
      ]);
      expect(await say('validate')).toEqual([128, '', 'Error: TARGET_VERSION not provided']);
      expect(await say('enable', '3.6', 'x')).toEqual([128, '', 'Error: too many arguments']);
      expect(await say('enable', '')).toEqual([128, '', 'Error: target version not provided']);
      expect((await ctl(at, 'downgrade', 'validate', '3.6', '-w', 'fields')).err).toBe(
        'Error: fields not supported as output format\n',
      );
    });

    test('snapshot save names the server; defrag tells how long it took', async () => {
      const file = path.join(folder, 'ours.db');
      expect((await ctl(at, 'snapshot', 'save', file)).out).toBe(
        `Snapshot saved at ${file}\nServer version 3.7.0\n`,
      );
      expect((await ctl(at, 'defrag')).out).toMatch(
        /^Finished defragmenting etcd member\[[\d.:]+\]\. took [\d.]+(µs|ms|s)\n$/,
      );
    });

    test('top reads our own metrics', async () => {
      const json = await ctl(at, 'top', '--once', '--interval=100ms', '-w', 'json');
      const { members } = JSON.parse(json.out);
      expect(members[0]).toMatchObject({ role: 'leader', putsPerSecond: 0, watchers: 0, health: 'ok' });
      expect(members[0].keys).toBeGreaterThan(0);
      expect(members[0].residentBytes).toBeGreaterThan(1e6);
    });

    test('bin/etcdctl is an executable of its own name', async () => {
      const child = spawn(path.join(ROOT, 'bin', 'etcdctl'), ['endpoint', 'health'], {
        env: { PATH: process.env['PATH'], ETCDCTL_ENDPOINTS: at },
      });
      let out = '';
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
      const [code] = await once(child, 'exit');
      expect([code, out]).toEqual([
        0,
        expect.stringMatching(/^127\.0\.0\.1:\d+ is healthy: successfully committed proposal: took = /),
      ]);
      const version = spawnSync(path.join(ROOT, 'bin', 'etcdctl'), ['--version'], { encoding: 'utf8' });
      expect(version.stdout).toMatch(/^etcdctl version: 3\.\d+\.\d+\nAPI version: 3\.\d+\n$/);
      const unknown = spawnSync(path.join(ROOT, 'bin', 'etcdctl'), ['frobnicate'], { encoding: 'utf8' });
      expect([unknown.status, unknown.stderr]).toEqual([
        1,
        'Error: unknown command "frobnicate" for "etcdctl"\nRun \'etcdctl --help\' for usage.\n',
      ]);
    });
  },
);
