/**
 * `keelson snapshot` as a person runs it, at a member with TLS and users: a folder that is brought up to date, followed,
 * restored; a new base when the log was released; and what is refused.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { createClient, type Client } from '@keelson/client';
import { inProcessChannel } from '@keelson/rpc';
import { parseServerConfig, realWorld, StoreServer } from '@keelson/store';
import { TestAuthority } from '../../store/test/tls-fixtures.ts';
import { run } from '../src/cli.ts';
import { capture } from './capture.ts';
import { HAS_ETCD, startEtcd } from '../../base/test/etcd-process.ts';

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function snapshot(...args: string[]): Promise<Outcome> {
  const captured = capture();
  const code = await run(['snapshot', ...args], captured.io);
  return { code, out: captured.out(), err: captured.err() };
}

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
      '--bcrypt-cost=4',
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

function clientOf(server: StoreServer, user?: { readonly user: string; readonly password: string }): Client {
  return createClient({
    ...user,
    endpoints: ['127.0.0.1:1'],
    channelFactory: () => inProcessChannel(server.table),
  });
}

const endpointOf = (server: StoreServer): string => `--endpoints=127.0.0.1:${server.clientPorts[0].port}`;

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'keelson-snapshot-'));
});
afterAll(() => rm(dir, { recursive: true }));

describe('a backup folder', () => {
  const authority = new TestAuthority();
  const issued = authority.issue('server');
  let server: StoreServer;
  let client: Client;
  let folder = '';
  let save: string[] = [];

  beforeAll(async () => {
    folder = join(dir, 'deep/folder');
    const https = 'https://127.0.0.1:0';
    server = await startMember(
      join(dir, 'source'),
      `--listen-client-urls=${https}`,
      `--advertise-client-urls=${https}`,
      `--cert-file=${issued.certFile}`,
      `--key-file=${issued.keyFile}`,
    );
    client = clientOf(server);
    for (const name of ['root', 'anna']) await client.auth.userAdd(name, 'secret');
    await client.auth.roleAdd('root');
    await client.auth.userGrantRole('root', 'root');
    await client.auth.enable();
    client.close();
    client = clientOf(server, { user: 'root', password: 'secret' });
    for (let i = 0; i < 5; i++) await client.kv.put(`key/${i}`, `${i}`);
    save = ['save', '--incremental', folder, endpointOf(server), `--cacert=${authority.caFile}`];
  });
  afterAll(async () => {
    client.close();
    await server.stop();
    authority.dispose();
  });

  test('is not for everybody', async () => {
    for (const user of ['anna:secret', 'anna:wrong']) {
      const outcome = await snapshot(...save, `--user=${user}`);
      expect(outcome.code).not.toBe(0);
      expect(outcome.err).toMatch(/permission denied|authentication failed/);
    }
    expect((await snapshot(...save)).err).toContain('Error: etcdserver: user name is empty');
    expect(await readdir(folder)).toEqual([]);
  });

  test('gets a base, then what is new, then nothing', async () => {
    const user = '--user=root:secret';
    const first = await snapshot(...save, user);
    expect([first.code, first.err]).toEqual([0, '']);
    expect(first.out).toMatch(
      /^Saved a base: revision 6, entry \d+\nNothing new: .* reaches revision 6, entry \d+\n$/,
    );
    for (let i = 0; i < 5; i++) await client.kv.delete(`key/${i}`);
    expect((await snapshot(...save, user)).out).toMatch(
      new RegExp(`^Shipped 6 entries \\([\\d.]+ k?B\\): ${folder} reaches revision 11, entry \\d+\n$`),
    );
    // Its own login is an entry of the log.
    expect((await snapshot(...save, user)).out).toMatch(
      /^Shipped 1 entries .* reaches revision 11, entry \d+\n$/,
    );
    expect((await readdir(folder)).sort()).toEqual(['chain-0001', 'manifest.json']);
    expect((await readdir(join(folder, 'chain-0001'))).sort()).toEqual(['base.db', 'wal']);
  });

  test('is followed until it is stopped, by one at a time', async () => {
    const captured = capture({ ETCDCTL_USER: 'root:secret' }, true);
    const code = run(['snapshot', ...save, '--follow', '--interval=5ms'], captured.io);
    await captured.until(/Following: /);
    const other = await snapshot(...save, '--user=root:secret');
    expect(other).toMatchObject({
      code: 1,
      err: `Error: ${folder} is being written to by another process (pid ${process.pid})\n`,
    });
    for (let i = 0; i < 20; i++) await client.kv.put('followed', `${i}`);
    await captured.until(/reaches revision 31/);
    captured.stop();
    expect(await code).toBe(0);
    expect(captured.out()).toMatch(
      /Stopped: .* reaches revision 31, entry \d+; \d\d entries \(.* shipped\n$/,
    );
    expect(captured.err()).toBe('');
  });

  test('has a status, as text and as JSON', async () => {
    const { code, out } = await snapshot('status', folder);
    expect(code).toBe(0);
    expect(out).toMatch(/^cluster [0-9a-f]+\n\nchain-0001\n {2}base.db: a base of member /);
    expect(out).toMatch(/\n {2}reachable: revisions 6 to 31, times 20\S+Z to 20\S+Z\n$/);
    const json: unknown = JSON.parse((await snapshot('status', '-w', 'json', folder)).out);
    expect(json).toMatchObject({ chains: [{ base: { revision: 6 }, increments: [{}, {}, {}] }] });
    expect((await snapshot('status', folder, '-w', 'table')).err).toBe('Error: unsupported output format\n');
    const base = await snapshot('status', join(folder, 'chain-0001/base.db'));
    expect(base.out).toMatch(/^[0-9a-f]+, 6, \d+, /);
    expect(await run(['util', 'snapshot', 'status', join(folder, 'chain-0001/base.db')], capture().io)).toBe(
      0,
    );
    const dump = capture();
    expect(await run(['store', 'dump', 'log', folder], dump.io)).toBe(0);
    expect(dump.out()).toContain('put:<key:"followed" value:"19">');
  });

  test('is restored to a revision: what was deleted later is there', async () => {
    const dataDir = join(dir, 'restored');
    const outcome = await snapshot(
      'restore',
      '--incremental',
      folder,
      '--data-dir',
      dataDir,
      '--until-revision=8',
    );
    expect(outcome.code).toBe(0);
    expect(outcome.out).toMatch(new RegExp(`^Restored revision 8, entry \\d+, in ${dataDir}\n$`));
    expect((await readdir(dir)).filter((name) => name.startsWith('restored'))).toEqual(['restored']);
    const restored = await startMember(dataDir);
    const root = clientOf(restored, { user: 'root', password: 'secret' });
    const { kvs, header } = await root.kv.get('key/', { prefix: true });
    expect(kvs.map(({ key }) => key.toString())).toEqual(['key/2', 'key/3', 'key/4']);
    expect(header?.revision).toBe(8);
    // It is another cluster now.
    const wrong = await snapshot('save', '--incremental', folder, endpointOf(restored), '--user=root:secret');
    expect(wrong).toMatchObject({
      code: 1,
      err: 'Error: etcdserver: cluster ID mismatch: the folder is a backup of something else; use another\n',
    });
    root.close();
    await restored.stop();
  });

  test('a flipped byte is found', async () => {
    const name = (await readdir(join(folder, 'chain-0001/wal'))).sort()[0];
    const file = join(folder, 'chain-0001/wal', name);
    const bytes = await readFile(file);
    bytes[bytes.length - 40] ^= 1;
    await writeFile(file, bytes);
    const status = await snapshot('status', folder);
    expect(status.code).toBe(1);
    expect(status.out).toMatch(/\n {4}DAMAGED: its sha256 is [0-9a-f]{64}, not [0-9a-f]{64}\n/);
    expect(status.out).toMatch(/\n {2}reachable: revisions 6 to 6, /);
    const outcome = await snapshot('restore', '--incremental', folder, `--data-dir=${join(dir, 'never')}`);
    expect(outcome.code).toBe(1);
    expect(outcome.err.split('\n').at(-2)).toMatch(
      /^Error: .* is damaged: its sha256 is .*; the last reachable revision is 6 \(entry \d+, 20/,
    );
    expect(await readdir(dir)).not.toContain('never');
  });
});

test('a log that was released wants a new base; the moments before it stay', async () => {
  const server = await startMember(
    join(dir, 'releasing'),
    '--snapshot-count=10',
    '--max-wals=1',
    '--snapshot-catchup-entries=5',
  );
  const client = clientOf(server);
  const folder = join(dir, 'two-chains');
  const save = ['save', '--incremental', folder, endpointOf(server)];
  await client.kv.put('a', 'first');
  expect((await snapshot(...save)).code).toBe(0);
  await client.kv.put('a', 'second');
  expect((await snapshot(...save)).out).toMatch(/^Shipped 1 entries/);
  // The first segment holds 256 KB; it goes with the first .snap file after the next is begun.
  const value = 'x'.repeat(50_000);
  while (await reachesBack(client, 2)) await client.kv.put('large', value);
  const { revision } = (await client.kv.get('a')).header!;
  await client.kv.put('a', 'third');
  const outcome = await snapshot(...save);
  expect(outcome.err).toMatch(/^the log no longer reaches back to entry \d+: taking a new base\n$/);
  expect(outcome.out).toMatch(/^Saved a base: revision \d+, entry \d+\nNothing new: /);
  const status = await snapshot('status', folder);
  expect(status.out).toContain('\nchain-0002\n');
  const dataDir = join(dir, 'old');
  expect(
    (await snapshot('restore', '--incremental', folder, '--data-dir', dataDir, '--until-revision', '3')).out,
  ).toMatch(/^Restored revision 3, /);
  const between = await snapshot('restore', '--incremental', folder, '--data-dir', `${dataDir}-2`, '--until-revision', `${revision}`); // prettier-ignore
  expect(between.code).toBe(1);
  expect(between.err).toMatch(
    new RegExp(
      `Error: revision ${revision} is not in the backup: the last reachable revision is 3 .*, and the next base is of revision \\d+: there is a gap\n$`,
    ),
  );
  client.close();
  await server.stop();
});

async function reachesBack(client: Client, index: number): Promise<boolean> {
  try {
    for await (const _message of client.backup.shipLog({ term: 1, index }));
    return true;
  } catch (error) {
    return !(error instanceof Error && error.message.startsWith('keelson: the log no longer reaches back'));
  }
}

describe('calls that say nothing', () => {
  test.each<[string, string[], number, string]>([
    ['no command', [], 1, 'Saved snapshots and incremental backups'],
    ['another command', ['keep'], 1, 'Error: unknown command "keep" for "keelson snapshot"'],
    ['no folder', ['save', '--incremental'], 128, 'expects one argument, the folder'],
    ['follow without incremental', ['save', 'x', '--follow'], 128, '--follow goes with --incremental'],
    ['no interval', ['save', '--incremental', 'x', '--interval=0s'], 128, '--interval is to be longer than nothing'],
    ['no data dir', ['restore', '--incremental', 'x'], 1, 'required flag(s) "data-dir" not set'],
    ['a folder that is none', ['restore', '--incremental', tmpdir(), '--data-dir=x'], 1, 'is no backup folder: it has no manifest.json'],
    ['a time that is none', ['restore', '--incremental', 'x', '--data-dir=x', '--until-time=noon'], 128, '--until-time "noon" is no time of RFC 3339'],
    ['two moments', ['restore', '--incremental', 'x', '--data-dir=x', '--until-time=noon', '--until-revision=1'], 128, 'are two moments: give one'],
    ['a status of nothing', ['status', '/nowhere'], 1, 'stat /nowhere: no such file or directory'],
    ['a restore of a file that is not there', ['restore', '/nowhere', '--data-dir=/nowhere/else'], 1, 'no such file or directory'],
  ])('%s', async (_name, args, code, message) => {
    const outcome = await snapshot(...args);
    expect(outcome.err).toContain(message);
    expect(outcome.code).toBe(code);
  }); // prettier-ignore

  test('help', async () => {
    for (const args of [['--help'], ['save', '--help'], ['restore', '--help'], ['status', '--help']]) {
      const { code, out, err } = await snapshot(...args);
      expect([code, err]).toEqual([0, '']);
      expect(out).toContain('keelson snapshot');
    }
  });

  (HAS_ETCD ? test : test.skip)('a real etcd has no such service (needs etcd on the path)', async () => {
    const etcd = await startEtcd();
    try {
      const outcome = await snapshot(
        'save',
        '--incremental',
        join(dir, 'etcd'),
        `--endpoints=${etcd.endpoint}`,
      );
      expect(outcome.code).toBe(1);
      expect(outcome.err).toContain('the server does not ship its log');
    } finally {
      await etcd.stop();
    }
  });
});
