/**
 * `etcdutl` as a person runs it: on a snapshot that a member of ours sent, on the data dirs made from it, and
 * on what is wrong. Against the etcdctl of this machine, which until 3.5 had the same commands, where there is one.
 */
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { createClient } from '@keelson/client';
import { inProcessChannel } from '@keelson/rpc';
import { parseServerConfig, realWorld, StoreServer } from '@keelson/store';
import { run } from '../src/cli.ts';
import { capture } from './capture.ts';
import { HAS_ETCD } from '../../base/test/etcd-process.ts';

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function utl(...args: string[]): Promise<Outcome> {
  const captured = capture();
  const code = await run(['util', ...args], captured.io);
  return { code, out: captured.out(), err: captured.err() };
}

let dir: string;
/** As `etcdctl snapshot save` keeps it. */
let saved: string;
let hash: number;

async function startMember(dataDir: string, ...flags: string[]): Promise<StoreServer> {
  const url = 'http://127.0.0.1:0';
  const parsed = parseServerConfig(
    [
      '--name=default',
      `--data-dir=${dataDir}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${url}`,
      `--initial-advertise-peer-urls=${url}`,
      `--initial-cluster=default=${url}`,
      ...flags,
    ],
    {},
    () => '',
  );
  if (parsed.kind !== 'config') throw new Error(JSON.stringify(parsed));
  const server = await StoreServer.start(parsed.config, realWorld(parsed.config, silentLogger));
  await server.ready();
  return server;
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'keelson-utl-'));
  saved = join(dir, 'saved.db');
  const server = await startMember(join(dir, 'source'));
  const client = createClient({
    endpoints: ['127.0.0.1:1'],
    channelFactory: () => inProcessChannel(server.table),
  });
  for (let i = 0; i < 50; i++) await client.kv.put(`key/${i}`, `value ${i}`.repeat(i));
  await client.kv.delete('key/7');
  await client.kv.compact(30);
  await client.lease.grant(600, { id: 77n });
  hash = (await client.maintenance.hashKV()).hash;
  const parts: Buffer[] = [];
  for await (const { blob } of client.maintenance.snapshot()) parts.push(blob);
  await writeFile(saved, Buffer.concat(parts));
  client.close();
  await server.stop();
});

afterAll(() => rm(dir, { recursive: true }));

/** The database without its digest. */
async function bareCopy(name: string): Promise<string> {
  const path = join(dir, name);
  await copyFile(saved, path);
  await truncate(path, (await stat(saved)).size - 32);
  return path;
}

describe('snapshot status', () => {
  test('every format says the same', async () => {
    const json = await utl('snapshot', 'status', saved, '-w', 'json');
    expect(json.code).toBe(0);
    const status: Record<string, number | string> = JSON.parse(json.out);
    expect(Object.keys(status)).toEqual(['hash', 'revision', 'totalKey', 'totalSize', 'version']);
    expect(status).toMatchObject({
      revision: 52,
      totalSize: (await stat(saved)).size - 32,
      version: '3.7.0',
    });
    const hex = Number(status['hash']).toString(16);
    expect((await utl('snapshot', 'status', saved)).out).toBe(
      `${hex}, 52, ${status['totalKey']}, ${(Number(status['totalSize']) / 1000).toFixed(0)} kB, 3.7.0\n`,
    );
    expect((await utl('-w', 'fields', 'snapshot', 'status', saved)).out).toBe(
      `"Hash" : ${status['hash']}\n"Revision" : 52\n"Keys" : ${status['totalKey']}\n"Size" : ${status['totalSize']}\n"Version" : 3.7.0\n`,
    );
    const table = (await utl('snapshot', 'status', saved, '--write-out=table')).out.split('\n');
    expect(table[1]).toMatch(/^\| +HASH +\| REVISION \| TOTAL KEYS \| TOTAL SIZE \| VERSION \|$/);
    expect(table[3]).toContain(` ${hex} |       52 |`);
  });

  test('of data dirs, in both layouts, too', async () => {
    const ours = await utl('snapshot', 'status', join(dir, 'source'), '-w', 'json');
    expect(JSON.parse(ours.out)).toMatchObject({ revision: 52 });
    const theirs = join(dir, 'theirs');
    await mkdir(join(theirs, 'member/snap'), { recursive: true });
    await copyFile(await bareCopy('bare.db'), join(theirs, 'member/snap/db'));
    expect((await utl('snapshot', 'status', theirs)).out).toBe((await utl('snapshot', 'status', saved)).out);
  });

  test.each<[string, string[], number, string]>([
    ['no argument', [], 128, 'Error: snapshot status requires exactly one argument\n'],
    ['two', ['a', 'b'], 128, 'Error: snapshot status requires exactly one argument\n'],
    ['no file', ['absent.db'], 1, 'Error: stat absent.db: no such file or directory\n'],
    ['protobuf', ['SAVED', '-w', 'protobuf'], 4, 'Error: protobuf not supported as output format\n'],
    ['no format', ['SAVED', '-w', 'yaml'], 4, 'Error: unsupported output format\n'],
  ])('refuses %s', async (_name, args, code, err) => {
    expect(await utl('snapshot', 'status', ...args.map((arg) => arg.replace('SAVED', saved)))).toEqual({
      code,
      out: '',
      err,
    });
  });

  test('names what is wrong with a page', async () => {
    const path = join(dir, 'flipped.db');
    const bytes = await readFile(saved);
    bytes.fill(0xff, 3 * 4096 + 8, 3 * 4096 + 12);
    await writeFile(path, bytes);
    const { code, err } = await utl('snapshot', 'status', path);
    expect(code).toBe(1);
    expect(err).toMatch(/^Error: snapshot file integrity check failed\. 1 errors found\.\nbbolt: page 3: /);
    await writeFile(path, 'not a database');
    expect((await utl('snapshot', 'status', path)).err).toBe('Error: bbolt: no valid meta page\n');
  });
});

describe('hashkv', () => {
  test('is what the member answered, of both layouts', async () => {
    for (const path of [saved, join(dir, 'source')]) {
      expect((await utl('hashkv', path)).out).toBe(`${hash}, 52, 30\n`);
      expect(JSON.parse((await utl('hashkv', path, '-w', 'json')).out)).toEqual({
        hash,
        hashRevision: 52,
        compactRevision: 30,
      });
    }
  });

  test('at older revisions, too, as far as they are there', async () => {
    const server = await startMember(join(dir, 'source'));
    const client = createClient({
      endpoints: ['127.0.0.1:1'],
      channelFactory: () => inProcessChannel(server.table),
    });
    const want = new Map<number, number>();
    for (const revision of [30, 31, 40, 51])
      want.set(revision, (await client.maintenance.hashKV({ revision })).hash);
    client.close();
    await server.stop();
    for (const [revision, expected] of want)
      expect((await utl('hashkv', saved, `--rev=${revision}`)).out).toBe(`${expected}, ${revision}, 30\n`);
    expect(await utl('hashkv', saved, '--rev', '29')).toMatchObject({
      code: 1,
      err: 'Error: mvcc: required revision has been compacted\n',
    });
    expect((await utl('hashkv', saved, '--rev', '53')).err).toBe(
      'Error: mvcc: required revision is a future revision\n',
    );
  });
});

describe('snapshot restore', () => {
  test('makes a data dir that a member starts on', async () => {
    const dataDir = join(dir, 'restored');
    const { code, out, err } = await utl('snapshot', 'restore', saved, '--data-dir', dataDir);
    expect({ code, out }).toEqual({ code: 0, out: '' });
    const messages = err.split('\n').map((line) => line.split('\t')[3]);
    expect(messages).toEqual(['restoring snapshot', 'added member', 'restored snapshot', undefined]);
    expect(err).toContain(`"wal-dir": "${dataDir}/member/wal"`);
    expect(await readdir(join(dataDir, 'member'))).toEqual(['snap', 'wal']);
    const server = await startMember(dataDir);
    expect(server.memberId).toBe(0x8e9e05c52164694dn);
    expect(await server.replica.state.mvcc.hashKV(52)).toMatchObject({ hash });
    await server.stop();
  });

  test('with a log elsewhere, and the newest revision moved on', async () => {
    const dataDir = join(dir, 'moved');
    const walDir = join(dir, 'elsewhere/wal');
    const { code } = await utl(
      'snapshot',
      'restore',
      saved,
      `--data-dir=${dataDir}`,
      `--wal-dir=${walDir}`,
      '--bump-revision=1000',
      '--mark-compacted',
    );
    expect(code).toBe(0);
    expect(await readdir(join(dataDir, 'member'))).toEqual(['snap']);
    expect(await readdir(walDir)).toEqual(['0000000000000000-0000000000000000.wal']);
    expect((await utl('hashkv', dataDir)).out).toMatch(/^\d+, 1052, 1052\n$/);
    const server = await startMember(dataDir, `--wal-dir=${walDir}`);
    expect(server.replica.state.mvcc.currentRevision).toBe(1052);
    expect((await utl('hashkv', dataDir, '--timeout=200ms')).err).toContain(
      'another process holds the data dir',
    );
    await server.stop();
  });

  test.each<[string, string[], number, string]>([
    ['no file name', ['--data-dir', 'DIR/x'], 128, 'snapshot restore requires exactly one argument'],
    ['a name that is not in the cluster', ['SAVED', '--data-dir', 'DIR/x', '--name', 'x'], 1, 'couldn\'t find local name "x" in the initial cluster configuration'], // prettier-ignore
    ['a directory that is not empty', ['SAVED', '--data-dir', 'DIR'], 1, 'data-dir "DIR" not empty or could not be read'], // prettier-ignore
    ['a log that is there', ['SAVED', '--data-dir', 'DIR/x', '--wal-dir', 'DIR'], 1, 'wal-dir "DIR" exists'],
    ['URLs that do not fit', ['SAVED', '--data-dir', 'DIR/x', '--initial-advertise-peer-urls', 'http://127.0.0.1:2222', '--initial-cluster', 'default=http://127.0.0.1:2380'], 1, '--initial-cluster has default=http://127.0.0.1:2380 but missing from --initial-advertise-peer-urls=http://127.0.0.1:2222 (resolved urls: "http://127.0.0.1:2222" != "http://127.0.0.1:2380")'], // prettier-ignore
    ['what is no URL', ['SAVED', '--data-dir', 'DIR/x', '--initial-advertise-peer-urls', 'foo'], 1, 'URL scheme must be http, https, unix, or unixs: foo'], // prettier-ignore
    ['a cluster without URLs', ['SAVED', '--data-dir', 'DIR/x', '--initial-cluster', 'foo'], 1, 'URL scheme must be http, https, unix, or unixs: '], // prettier-ignore
    ['a bump without a mark', ['SAVED', '--data-dir', 'DIR/x', '--bump-revision', '5'], 128, '--mark-compacted required if --revision-bump > 0'], // prettier-ignore
    ['a mark without a bump', ['SAVED', '--data-dir', 'DIR/x', '--mark-compacted'], 128, '--mark-compacted required if --revision-bump > 0'], // prettier-ignore
    [
      'an absent file',
      ['DIR/absent.db', '--data-dir', 'DIR/x'],
      1,
      'open DIR/absent.db: no such file or directory',
    ],
    ['no data dir', ['SAVED'], 1, 'required flag(s) "data-dir" not set'],
    ['a flag that is none', ['SAVED', '--what'], 1, 'unknown flag: --what'],
  ])('refuses %s', async (_name, args, code, message) => {
    const outcome = await utl(
      'snapshot',
      'restore',
      ...args.map((arg) => arg.replace('SAVED', saved).replace('DIR', dir)),
    );
    const error = outcome.err.split('\n').find((line) => line.startsWith('Error: '));
    expect({ code: outcome.code, error }).toEqual({
      code,
      error: `Error: ${message.replaceAll('DIR', dir)}`,
    });
    expect(await readdir(dir)).not.toContain('x');
  });
});

test('defrag: an etcd database gets smaller and stays what it is; ours gives its space back', async () => {
  const theirs = join(dir, 'fragmented');
  await mkdir(join(theirs, 'member/snap'), { recursive: true });
  const path = join(theirs, 'member/snap/db');
  await copyFile(await bareCopy('bare.db'), path);
  const before = await utl('snapshot', 'status', path, '-w', 'json');
  expect(await utl('defrag', '--data-dir', theirs)).toEqual({ code: 0, out: '', err: '' });
  expect((await utl('snapshot', 'status', path, '-w', 'json')).out).toBe(before.out);
  expect(await readdir(join(theirs, 'member/snap'))).toEqual(['db']);
  expect((await utl('defrag', '--data-dir', join(dir, 'source'))).code).toBe(0);
  expect((await utl('hashkv', join(dir, 'source'))).out).toBe(`${hash}, 52, 30\n`);
  expect((await utl('defrag', '--data-dir', join(dir, 'absent'))).err).toBe(
    `Error: Failed to defragment etcd data[${join(dir, 'absent')}] (open ${join(dir, 'absent')}/member/snap/db: no such file or directory)\n`,
  );
  expect((await utl('defrag')).err).toMatch(/^Error: required flag\(s\) "data-dir" not set\n/);
});

describe('migrate', () => {
  test.each<[string, string]>([
    ['abc', 'wrong target version format, expected "X.Y", got "abc"'],
    ['3', 'wrong target version format, expected "X.Y", got "3"'],
    ['3.6.0', 'wrong target version format, expected "X.Y", got "3.6.0"'],
    ['3.a', 'failed to parse target version: strconv.ParseInt: parsing "a": invalid syntax'],
    ['3.4', 'target version "3.4" not supported. Minimal "3.5"'],
  ])('refuses target %s', async (target, message) => {
    expect(await utl('migrate', '--data-dir', dir, '--target-version', target)).toMatchObject({
      code: 128,
      err: `Error: ${message}\n`,
    });
  });

  test('an exported data dir goes up and, by force, down', async () => {
    const target = join(dir, 'exported');
    const captured = capture();
    const code = await run(['store', 'export', target, '--data-dir', join(dir, 'source')], captured.io);
    expect(captured.err()).toContain('exported the data dir');
    expect(captured.err()).not.toContain('simple token');
    expect(code).toBe(0);
    const migrate = (version: string, ...more: string[]): Promise<Outcome> =>
      utl('migrate', '--data-dir', target, '--target-version', version, ...more);
    const version = async (): Promise<unknown> =>
      JSON.parse((await utl('snapshot', 'status', join(target, 'member/snap/db'), '-w', 'json')).out).version;
    expect((await migrate('3.5')).err).toContain('storage version up-to-date\t{"storage-version": "3.5"}');
    expect((await migrate('3.7')).err).toContain('updated storage version\t{"new-storage-version": "3.7.0"}');
    expect(await version()).toBe('3.7.0');
    expect(await migrate('3.8')).toMatchObject({
      code: 1,
      err: expect.stringContaining('"3.8.0" is not supported'),
    });
    expect((await migrate('3.8', '--force')).err).toContain(
      'forcefully set storage version\t{"storage-version": "3.8"}',
    );
    expect((await migrate('3.5', '--force')).err).toContain('storage version');
    expect(await version()).toBe('');
    expect((await utl('hashkv', join(target, 'member/snap/db'))).out).toBe(`${hash}, 52, 30\n`);
  });

  test('our own layout is of one version', async () => {
    const source = join(dir, 'source');
    expect(await utl('migrate', '--data-dir', source, '--target-version', '3.7')).toMatchObject({
      code: 0,
      err: expect.stringContaining('storage version up-to-date'),
    });
    expect(await utl('migrate', '--data-dir', source, '--target-version', '3.6')).toMatchObject({
      code: 1,
      err: expect.stringContaining('`keelson store export`'),
    });
  });
});

describe('buckets', () => {
  test('of a snapshot and of our own data dir: names, pairs from the last, a hash', async () => {
    const source = join(dir, 'source');
    for (const path of [saved, source]) {
      expect((await utl('list-bucket', path)).out.split('\n')).toEqual(
        expect.arrayContaining(['key', 'meta']),
      );
      const all = (await utl('iterate-bucket', path, 'key', '--decode')).out.trim().split('\n');
      expect(all.length).toBeGreaterThan(4);
      expect(all.at(-1)).toMatch(/^rev=\{main:\d+ sub:0\}, value=\[/);
      const revisions = all.map((line) => Number(/main:(\d+)/.exec(line)?.[1]));
      expect(revisions).toEqual(revisions.toSorted((a, b) => b - a));
      const newest = (await utl('iterate-bucket', path, 'key', '--decode', '--limit', '2')).out;
      expect(newest).toBe(`${all.slice(0, 2).join('\n')}\n`);
      expect((await utl('iterate-bucket', path, 'key', '--limit=1')).out).toMatch(/^key="/);
      expect((await utl('hash', path)).out).toMatch(new RegExp(`^db path: ${path}\nHash: \\d+\n$`));
    }
    expect(await utl('iterate-bucket', saved, 'none')).toMatchObject({
      code: 1,
      err: 'Error: got nil bucket for none\n',
    });
    expect(await utl('list-bucket', join(dir, 'nothing'))).toMatchObject({
      code: 1,
      err: expect.stringContaining('no such file or directory'),
    });
    expect((await utl('iterate-bucket', saved)).err).toBe('Error: accepts 2 arg(s), received 1\n');
  });
});

describe('keelson store dump', () => {
  const dump = async (...args: string[]): Promise<string> => {
    const captured = capture();
    const code = await run(['store', 'dump', ...args], captured.io);
    expect({ code, err: captured.err() }).toEqual({ code: 0, err: '' });
    return captured.out();
  };

  test('the log: who it belongs to, where it begins, every entry', async () => {
    const lines = (await dump('log', join(dir, 'source'))).split('\n');
    expect(lines.slice(0, 3)).toEqual(['Snapshot:', 'empty', 'WAL metadata:']);
    expect(lines[3]).toMatch(
      /^nodeID=[0-9a-f]+ clusterID=[0-9a-f]+ term=\d+ commitIndex=\d+ vote=[0-9a-f]+$/,
    );
    expect(lines[7]).toMatch(
      /^ {3}1\t {9}1\tconf\tmethod=ConfChangeAddNode id=[0-9a-f]+ context="\{\\"id\\":/,
    );
    expect(lines).toContainEqual(
      expect.stringMatching(/\tnorm\theader:<ID:\d+> put:<key:"key\/1" value:"value 1">$/),
    );
    expect(lines).toContainEqual(expect.stringMatching(/ deleteRange:<key:"key\/7">$/));
    expect(lines).toContainEqual(expect.stringMatching(/ leaseGrant:<TTL:600 ID:77>$/));
    const later = await dump('log', join(dir, 'source'), '--start-index=10');
    expect(later).not.toContain('ConfChange');
    const restored = await dump('log', join(dir, 'restored'));
    expect(restored).toContain('Snapshot:\nterm=1 index=1 voters=[8e9e05c52164694d]\n');
  });

  test('the database, of both layouts: its buckets and their pairs', async () => {
    const buckets = await dump('db', saved);
    expect(buckets.split('\n').slice(0, 5)).toEqual(['alarm', 'auth', 'authRoles', 'authUsers', 'cluster']);
    for (const path of [saved, join(dir, 'source')]) {
      const [first, ...rest] = (await dump('db', path, 'key')).split('\n');
      expect(first).toMatch(
        /^rev=\{main:2 sub:0\}, value=\[key "key\/0" \| val "" \| created 2 \| mod 2 \| ver 1\]$/,
      );
      expect(rest).toContain('rev={main:52 sub:0}, value=[tombstone "key/7"]');
      expect((await dump('db', path, 'key', '--limit=3')).split('\n')).toHaveLength(4);
      expect(await dump('db', path, 'lease')).toBe('lease ID=000000000000004d, TTL=600s, remaining=0s\n');
      expect(await dump('db', path, 'meta')).toContain('key="scheduledCompactRev", value=30\n');
      expect(await dump('db', path, 'meta', '--raw')).toContain('key="scheduledCompactRev", value="\\x00');
    }
  });

  test('refuses what is not there', async () => {
    const captured = capture();
    expect(await run(['store', 'dump', 'db', saved, 'what'], captured.io)).toBe(1);
    expect(await run(['store', 'dump', 'log', dir], captured.io)).toBe(1);
    expect(await run(['store', 'dump', 'what', dir], captured.io)).toBe(128);
    expect(captured.err()).toBe(
      `Error: got nil bucket for what\nError: no log in ${dir}/member/wal\nError: dump takes log DATA_DIR or db FILE_OR_DATA_DIR [BUCKET]\n`,
    );
  });
});

describe('around the commands', () => {
  test('version', async () => {
    expect(await utl('version')).toEqual({
      code: 0,
      out: 'etcdutl version: 3.7.1\nAPI version: 3.7\n',
      err: '',
    });
  });

  test('help lists what there is', async () => {
    const { out } = await utl('--help');
    for (const name of [
      'completion',
      'defrag',
      'hash',
      'hashkv',
      'iterate-bucket',
      'list-bucket',
      'migrate',
      'snapshot',
      'version',
    ])
      expect(out).toMatch(new RegExp(`^  ${name} `, 'm'));
    expect((await utl('snapshot')).out).toMatch(/^ {2}restore .*\n {2}status /m);
    expect((await utl('help', 'snapshot', 'restore')).out).toContain('--initial-cluster-token');
    expect((await utl('snapshot', 'save', 'x')).err).toBe(
      'Error: In order to download snapshot use: `etcdctl snapshot save ...`\n',
    );
    expect(await utl('what')).toMatchObject({
      code: 1,
      err: 'Error: unknown command "what" for "etcdutl"\nRun \'etcdutl --help\' for usage.\n',
    });
  });

  test('completion: a script that asks, and what it is answered', async () => {
    for (const shell of ['bash', 'zsh', 'fish', 'powershell'])
      expect((await utl('completion', shell)).out).toContain('etcdutl __complete');
    expect(await utl('completion', 'csh')).toMatchObject({
      code: 1,
      err: 'Error: invalid argument "csh" for "etcdutl completion"\n',
    });
    expect((await utl('completion')).err).toBe('Error: accepts 1 arg(s), received 0\n');
    const words = async (...typed: string[]): Promise<string[]> =>
      (await utl('__complete', ...typed)).out.split('\n').flatMap((line) => line.split('\t')[0] || []);
    expect(await words('h')).toEqual(['hash', 'hashkv']);
    expect(await words('snapshot', '')).toEqual(['restore', 'status']);
    expect(await words('iterate-bucket', '--')).toEqual([
      '--decode',
      '--limit=',
      '--timeout=',
      '--write-out=',
    ]);
  });

  test('the digest of what was sent is right', async () => {
    const bytes = await readFile(saved);
    const digest = createHash('sha256').update(bytes.subarray(0, -32)).digest();
    expect(bytes.subarray(-32).equals(digest)).toBe(true);
  });
});

const withEtcd = HAS_ETCD ? test : test.skip;
withEtcd('status as etcdctl 3.4 prints it (skipped where it is not installed)', async () => {
  const theirs = (format: string): string =>
    execFileSync('etcdctl', ['snapshot', 'status', saved, '-w', format], {
      env: { PATH: process.env['PATH'], ETCDCTL_API: '3' },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  const ours = async (format: string): Promise<string> =>
    (await utl('snapshot', 'status', saved, '-w', format)).out;
  // Later ones added the version, at the end.
  expect(await ours('simple')).toBe(theirs('simple').replace('\n', ', 3.7.0\n'));
  expect(await ours('json')).toBe(theirs('json').replace('}', ',"version":"3.7.0"}'));
  expect(await ours('fields')).toBe(`${theirs('fields')}"Version" : 3.7.0\n`);
  expect((await ours('table')).split('\n')[3]).toBe(theirs('table').split('\n')[3] + '   3.7.0 |');
});
