import { afterEach, expect, test } from '@jest/globals';
import type { Client } from '@keelson/client';
import { JsonLogger } from '@keelson/base';
import { until } from '../../base/test/until.ts';
import { serving, stopServing } from './serving.ts';
import { MemberCluster } from './members.ts';

const open: MemberCluster[] = [];

afterEach(async () => {
  await stopServing();
  await Promise.all(open.splice(0).map((cluster) => cluster.stop()));
});

async function outcomes(calls: readonly Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((each) => (each.status === 'fulfilled' ? 'ok' : String(each.reason)));
}

function puts(client: Client, prefix: string, count: number): Promise<unknown>[] {
  return Array.from({ length: count }, (_, i) => client.kv.put(`${prefix}${i}`, 'v'));
}

test('writes at once do not get past a quota of one member; deletes make room; a restart counts again', async () => {
  const cluster = await MemberCluster.start({
    members: 1,
    config: { prefixLimits: 'prefix=/a/,keys=10;prefix=/b/,bytes=100' },
  });
  open.push(cluster);
  let client = cluster.client([0]);
  const got = await outcomes(puts(client, '/a/', 40));
  expect(got.filter((each) => each === 'ok')).toHaveLength(10);
  expect(got.find((each) => each !== 'ok')).toContain('keelson: quota of prefix "/a/" exceeded: 10 keys');
  await client.kv.put('/other', 'v');
  await client.kv.put('/a/0', 'a longer value');
  await expect(client.kv.put('/b/1', 'x'.repeat(97))).rejects.toMatchObject({ code: 8 });
  await cluster.stopMember(0);
  await cluster.startMember(0);
  await cluster.leader();
  client = cluster.client([0]);
  await expect(client.kv.put('/a/new', 'v')).rejects.toThrow('10 keys');
  await client.kv.delete('/a/1');
  await client.kv.put('/a/new', 'v');
  const metrics = cluster.server(0).instruments.registry.text();
  expect(metrics).toContain('keelson_prefix_keys{prefix="/a/"} 10\n');
  expect(metrics).toContain('keelson_prefix_keys_max{prefix="/a/"} 10\n');
  expect(metrics).toContain('keelson_prefix_bytes_max{prefix="/a/"} +Inf\n');
  expect(metrics).toContain('keelson_prefix_refused_total{limit="keys",prefix="/a/"} 1\n');
});

test('the gateway gives the same answer; without flags there are no such metrics', async () => {
  const { post, cluster } = await serving({ prefixLimits: 'prefix=/a/,writes-per-second=0.001,burst=1' });
  const put = { key: Buffer.from('/a/1').toString('base64') };
  expect((await post('/v3/kv/put', put)).status).toBe(200);
  const refused = await post('/v3/kv/put', put);
  expect(refused.status).toBe(429);
  expect(JSON.parse(refused.body)).toEqual({
    code: 8,
    message: 'keelson: rate limit of prefix "/a/" exceeded: 0.001 writes per second, burst 1',
    details: [],
  });
  expect(cluster.server(0).instruments.registry.has('keelson_prefix_keys')).toBe(true);
  const plain = await serving();
  expect(plain.cluster.server(0).instruments.registry.has('keelson_prefix_keys')).toBe(false);
});

test('each member counts what all of them write', async () => {
  const cluster = await MemberCluster.start({ members: 3, config: { prefixLimits: 'prefix=/a/,keys=6' } });
  open.push(cluster);
  await cluster.leader();
  for (let i = 0; i < 6; i++) await cluster.client([i % 3]).kv.put(`/a/${i}`, 'v');
  for (const i of [0, 1, 2]) {
    await cluster.server(i).replica.linearizable();
    await expect(cluster.client([i]).kv.put('/a/more', 'v')).rejects.toThrow('6 keys');
  }
});

test('who may not write is told so, and uses up nobody’s rate', async () => {
  const cluster = await MemberCluster.start({
    members: 1,
    config: { prefixLimits: 'prefix=/a/,writes-per-second=0.001,burst=2', bcryptCost: 4 },
  });
  open.push(cluster);
  const { auth } = cluster.client([0]);
  await auth.userAdd('root', 'r');
  await auth.userGrantRole('root', 'root');
  await auth.userAdd('mallory', 'm');
  await auth.enable();
  const mallory = cluster.client([0], { user: 'mallory', password: 'm' });
  for (let i = 0; i < 5; i++) await expect(mallory.kv.put('/a/1', 'v')).rejects.toThrow('permission denied');
  const root = cluster.client([0], { user: 'root', password: 'r' });
  await root.kv.put('/a/1', 'v');
  await root.kv.put('/a/1', 'v');
  await expect(root.kv.put('/a/1', 'v')).rejects.toThrow('rate limit');
});

test('a file of limits is read again; one that makes no sense changes nothing', async () => {
  const lines: string[] = [];
  const logger = new JsonLogger(
    (line) => void lines.push(line),
    () => 0,
    'info',
    'test',
  );
  const cluster = await MemberCluster.start({ members: 1, logger });
  open.push(cluster);
  await cluster.stopMember(0);
  const [{ disk: machine }] = cluster.seats;
  await machine.boot().writeFileAtomic('/limits.yaml', Buffer.from('- {prefix: /a/, keys: 1}'));
  const disk = machine.boot();
  machine.boot = () => disk;
  const server = await cluster.startMember(0, false, { prefixLimitsFile: '/limits.yaml' });
  await cluster.leader();
  const write = async (text: string): Promise<void> => {
    await disk.writeFileAtomic('/limits.yaml', Buffer.from(text));
    await server.reload();
  };
  const client = cluster.client([0]);
  await client.kv.put('/a/1', 'v');
  await expect(client.kv.put('/a/2', 'v')).rejects.toThrow('1 keys');
  await write('- {prefix: /a/, keys: 2}');
  await client.kv.put('/a/2', 'v');
  await write('- {prefix: /a/, keys: many}');
  await expect(client.kv.put('/a/3', 'v')).rejects.toThrow('2 keys');
  await write('');
  await expect(client.kv.put('/a/3', 'v')).rejects.toThrow('2 keys');
  expect(lines.filter((line) => line.includes('they stay as they were'))).toHaveLength(2);
  await write('[]');
  await until(async () => (await outcomes([client.kv.put('/a/3', 'v')]))[0] === 'ok', 'no limits');
  await client.kv.delete('/a/3');
  for (let i = 0; i < 1_200; i++) await client.kv.put(`/b/${String(i).padStart(4, '0')}`, 'v');
  await write('- {prefix: /b/, keys: 1200}');
  await until(async () => {
    const [first] = await outcomes([client.kv.put('/b/more', 'v')]);
    if (first === 'ok') await client.kv.delete('/b/more');
    return first.includes('1200 keys');
  }, 'the new prefix to be counted');
  await client.kv.put('/a/3', 'v');
});

test.each<[string, Parameters<typeof MemberCluster.start>[0]['config'], string]>([
  ['is not there', { prefixLimitsFile: '/none' }, 'cannot read --prefix-limits-file'],
  ['says nothing', { prefixLimits: 'prefix=/a/' }, 'invalid limits of prefixes: a prefix without'],
])('a member whose configuration %s does not start', async (_name, config, want) => {
  await expect(MemberCluster.start({ members: 1, config: { ...config } })).rejects.toThrow(want);
});
