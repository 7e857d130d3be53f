/** A cluster that has lost its majority for ever: one member's data begins a new one. */
import { afterEach, expect, test } from '@jest/globals';
import { JsonLogger } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { until } from '../../base/test/until.ts';
import { MemberCluster } from './members.ts';

const { Cluster, KV } = services;

const open: MemberCluster[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((cluster) => cluster.stop()));
});

async function started(members: number, lines: string[] = []): Promise<MemberCluster> {
  const logger = new JsonLogger((line) => void lines.push(line), Date.now, 'warn', 'test');
  const cluster = await MemberCluster.start({
    members,
    logger,
    http: true,
    config: { strictReconfigCheck: false },
  });
  open.push(cluster);
  return cluster;
}

test('two of three are lost for ever: the third serves all it has, and grows again', async () => {
  const lines: string[] = [];
  const cluster = await started(3, lines);
  const client = cluster.client();
  for (let i = 0; i < 50; i++) await client.kv.put(`k${i}`, `v${i}`);
  const place = await cluster.leader();
  const before = cluster.server(place);
  const { memberId, clusterId } = before;
  const others = [0, 1, 2].filter((i) => i !== place);
  const otherIds = others.map((i) => cluster.server(i).memberId).sort((a, b) => (a < b ? -1 : 1));
  for (const i of others) await cluster.crashMember(i);
  // It reaches this member's log and no other.
  let written = 0;
  cluster.seats[place].disk.configure({
    fault: () => {
      written++;
      return undefined;
    },
  });
  const request = new etcdserverpb.PutRequest({ key: Buffer.from('uncommitted'), value: Buffer.from('v') });
  const unheard = cluster.channel(place).unary(KV.methods.put, request);
  unheard.catch(() => {});
  await until(() => written > 0, 'the log to be written');
  cluster.seats[place].disk.configure({});
  const lastTerm = before.replica.term;
  await cluster.stopMember(place);
  await expect(unheard).rejects.toThrow();

  const alone = await cluster.startMember(place, false, { forceNewCluster: true });
  await alone.ready();
  expect(lines.find((line) => line.includes('by force'))).toContain('"discarded-uncommitted-entries":1}');
  await until(() => alone.replica.isLeader, 'it to lead');
  expect(alone).toMatchObject({ memberId, clusterId });
  expect(alone.replica.term).toBeGreaterThan(lastTerm);
  const one = cluster.client([place]);
  expect((await one.kv.get('k', { prefix: true })).kvs).toHaveLength(50);
  expect((await one.kv.get('uncommitted')).count).toBe(0);
  const { membership } = alone.replica.state;
  expect(membership.list().map(({ id }) => id)).toEqual([memberId]);
  expect(membership.removed()).toEqual(otherIds);
  await one.kv.put('after', 'force');

  // The next start needs no force, and one that is forced again finds nothing to do.
  await cluster.stopMember(place);
  await (await cluster.startMember(place)).ready();
  expect((await cluster.client([place]).kv.get('after')).count).toBe(1);
  await cluster.crashMember(place);
  await (await cluster.startMember(place, false, { forceNewCluster: true })).ready();
  expect((await cluster.client([place]).kv.get('after')).count).toBe(1);

  // It takes new members as any cluster does, in the places of those that were lost.
  const present = [place];
  for (const i of others) {
    cluster.replaceSeat(i);
    const add = new etcdserverpb.MemberAddRequest({ peerURLs: [cluster.peerUrl(i)] });
    await cluster.channel(place).unary(Cluster.methods.memberAdd, add);
    present.push(i);
    const initialCluster = present
      .map((each) => `${cluster.seats[each].name}=${cluster.peerUrl(each)}`)
      .join();
    const joined = await cluster.startMember(i, true, { initialCluster });
    await joined.ready();
    expect(otherIds).not.toContain(joined.memberId);
  }
  await cluster.leader();
  await cluster.client([place]).kv.put('grown', 'v');
  const last = cluster.client([others[1]]);
  expect((await last.kv.get('k', { prefix: true })).kvs).toHaveLength(50);
  expect((await last.kv.get('grown')).count).toBe(1);
});

test('a follower that knew less than the leader goes on with what it has', async () => {
  const cluster = await started(3);
  const client = cluster.client();
  await client.kv.put('k', 'v');
  const leader = await cluster.leader();
  const place = (leader + 1) % 3;
  const third = (leader + 2) % 3;
  await until(() => cluster.server(place).replica.state.mvcc.currentRevision === 2, 'it to hear');
  await cluster.crashMember(place);
  await cluster.client([leader]).kv.put('unheard', 'v');
  await cluster.crashMember(leader);
  await cluster.crashMember(third);
  const alone = await cluster.startMember(place, false, { forceNewCluster: true });
  await alone.ready();
  const one = cluster.client([place]);
  expect((await one.kv.get('k')).count).toBe(1);
  expect((await one.kv.get('unheard')).count).toBe(0);
  expect((await one.kv.put('more', 'v')).header!.revision).toBe(3);
});

test('a member is replaced under load: every acknowledged write is on the new one', async () => {
  const cluster = await started(3);
  const leader = await cluster.leader();
  const place = (leader + 1) % 3;
  const others = [0, 1, 2].filter((i) => i !== place);
  const client = cluster.client(others);
  const acknowledged: string[] = [];
  let replaced = false;
  const load = Promise.all(
    [0, 1, 2, 3].map(async (writer) => {
      for (let i = 0; !replaced || i < 20; i++) {
        const key = `w${writer}-${i}`;
        await client.kv.put(key, key);
        acknowledged.push(key);
      }
    }),
  );
  await until(() => acknowledged.length > 20, 'the load to run');

  const old = cluster.server(place).memberId;
  await cluster.crashMember(place);
  const channel = cluster.channel(leader);
  await channel.unary(Cluster.methods.memberRemove, new etcdserverpb.MemberRemoveRequest({ ID: old }));
  cluster.replaceSeat(place);
  const add = new etcdserverpb.MemberAddRequest({ peerURLs: [cluster.peerUrl(place)] });
  const { member } = await channel.unary(Cluster.methods.memberAdd, add);
  expect(member!.ID).not.toBe(old);
  const joined = await cluster.startMember(place, true);
  await joined.ready();
  expect(joined.memberId).toBe(member!.ID);
  const before = acknowledged.length;
  await until(() => acknowledged.length > before + 20, 'the load to go on');
  replaced = true;
  await load;
  const there = await cluster.client([place]).kv.get('w', { prefix: true });
  expect(there.kvs.map((kv) => kv.key.toString()).sort()).toEqual(acknowledged.sort());
});
