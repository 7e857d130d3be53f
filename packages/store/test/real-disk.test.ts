/** One member on a real disk, and what another process sees of it. */
import { afterEach, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock, type Clock } from '@keelson/base';
import { createClient, type Client } from '@keelson/client';
import { inProcessChannel } from '@keelson/rpc';
import { defaultServerConfig } from '../src/config/config.ts';
import { parseUniqueUrls } from '../src/config/urls.ts';
import { StoreServer } from '../src/server.ts';
import { realWorld } from '../src/world.ts';
import { WatchedClock } from './watched-clock.ts';

const folders: string[] = [];
const servers: StoreServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'keelson-store-'));
  folders.push(made);
  return made;
}

async function start(dataDir: string, clock: Clock = systemClock): Promise<StoreServer> {
  const urls = parseUniqueUrls('http://127.0.0.1:0');
  if (!urls.ok) throw new Error(urls.error);
  const config = {
    ...defaultServerConfig(),
    name: 'm1',
    dataDir,
    listenClientUrls: urls.value,
    listenPeerUrls: urls.value,
    advertiseClientUrls: urls.value,
    initialAdvertisePeerUrls: urls.value,
    initialCluster: 'm1=http://127.0.0.1:0',
  };
  const server = await StoreServer.start(config, { ...realWorld(config, silentLogger), clock });
  servers.push(server);
  await server.ready();
  return server;
}

function clientOf(server: StoreServer): Client {
  return createClient({ endpoints: ['127.0.0.1:1'], channelFactory: () => inProcessChannel(server.table) });
}

/** Opens a LevelDB in another process. */
function openElsewhere(directory: string): string {
  const level = createRequire(import.meta.url).resolve('classic-level');
  const script = `const { ClassicLevel } = require(${JSON.stringify(level)});
    new ClassicLevel(process.argv[1]).open().then(() => console.log('opened'), (e) => console.log(e.cause?.code ?? e.code));`;
  return spawnSync(process.execPath, ['-e', script, directory], { encoding: 'utf8' }).stdout.trim();
}

test('a member comes back with its data, leads at once, and its ports are free in between', async () => {
  const dataDir = await folder();
  const first = await start(dataDir);
  const client = clientOf(first);
  for (let i = 0; i < 20; i++) await client.kv.put(`k${i}`, `v${i}`);
  const { ID: leaseId } = await client.lease.grant(60);
  await client.kv.put('leased', 'v', { lease: leaseId });
  client.close();
  await first.stop();

  const clock = new WatchedClock();
  const second = await start(dataDir, clock);
  expect(clock.ranOut).toEqual([]);
  const again = clientOf(second);
  expect((await again.kv.get('k', { prefix: true })).count).toBe(20);
  expect(second.memberId).toBe(first.memberId);
  await again.lease.revoke(leaseId);
  expect((await again.kv.get('leased')).count).toBe(0);
  again.close();
});

test('no other process gets at the data, also after its size was asked for', async () => {
  const dataDir = await folder();
  const server = await start(dataDir);
  const directory = join(dataDir, 'member/snap/db.level');
  expect(await server.replica.state.sizeBytes()).toBeGreaterThan(0);
  expect(openElsewhere(directory)).toBe('LEVEL_LOCKED');
  await server.stop();
  expect(openElsewhere(directory)).toBe('opened');
});

test('a start that fails leaves nothing open', async () => {
  const dataDir = await folder();
  const server = await start(dataDir);
  await expect(start(dataDir)).rejects.toThrow('another process holds the data dir');
  const [{ port }] = server.clientPorts;
  const taken = parseUniqueUrls(`http://127.0.0.1:${port}`);
  if (!taken.ok) throw new Error(taken.error);
  const other = await folder();
  const config = {
    ...defaultServerConfig(),
    name: 'm1',
    dataDir: other,
    listenClientUrls: [],
    listenPeerUrls: taken.value,
    initialAdvertisePeerUrls: taken.value,
    initialCluster: `m1=http://127.0.0.1:${port}`,
  };
  await expect(StoreServer.start(config, realWorld(config, silentLogger))).rejects.toThrow(
    `listen tcp 127.0.0.1:${port}: bind: address already in use`,
  );
  expect(openElsewhere(join(other, 'member/snap/db.level'))).toBe('opened');
  expect((await readdir(join(other, 'member'))).sort((a, b) => (a < b ? -1 : 1))).toEqual(['snap', 'wal']);
});

test('stopping does not wait for clients that stay', async () => {
  const clock = new WatchedClock();
  const server = await start(await folder(), clock);
  const [{ port }] = server.clientPorts;
  const client = createClient({ endpoints: [`127.0.0.1:${port}`] });
  await client.kv.put('k', 'v');
  const watch = client.watch.create('k');
  clock.watch();
  await server.stop();
  expect(clock.ranOut).toEqual([]);
  watch.cancel();
  client.close();
});
