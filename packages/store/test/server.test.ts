import { afterEach, describe, expect, test } from '@jest/globals';
import { JsonLogger } from '@keelson/base';
import type { Client, WatchOptions } from '@keelson/client';
import { etcdserverpb, services, type mvccpb } from '@keelson/proto';
import { until } from '../../base/test/until.ts';
import { MemberCluster } from './members.ts';
import { WatchedClock } from './watched-clock.ts';

const open: MemberCluster[] = [];

async function started(options: Parameters<typeof MemberCluster.start>[0]): Promise<MemberCluster> {
  const cluster = await MemberCluster.start(options);
  open.push(cluster);
  return cluster;
}

/** Events of key k until the client is closed. */
function listen(client: Client, tell: (event: mvccpb.Event) => void, options: WatchOptions): void {
  client.watch.create('k', options).listen({
    batch: ({ events }) => events.forEach(tell),
    end: () => {},
  });
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((cluster) => cluster.stop()));
});

describe('three members', () => {
  test('elect a leader, replicate, and answer alike everywhere', async () => {
    const cluster = await started({ members: 3 });
    await cluster.leader();
    const client = cluster.client();
    const { header } = await client.kv.put('k', 'v');
    expect(header!.revision).toBe(2);
    for (const i of [0, 1, 2]) {
      const { kvs } = await cluster.client([i]).kv.get('k');
      expect(kvs.map((kv) => kv.value.toString())).toEqual(['v']);
    }
    const hashes = await Promise.all([0, 1, 2].map((i) => cluster.server(i).replica.state.mvcc.hashKV(2)));
    expect(new Set(hashes.map((hash) => JSON.stringify(hash))).size).toBe(1);
  });

  test('a stopped leader hands over: the term rises by one and writes go on', async () => {
    const clocks = [new WatchedClock(), new WatchedClock(), new WatchedClock()];
    const cluster = await started({
      members: 3,
      world: (place, world) => ({ ...world, clock: clocks[place] }),
    });
    const first = await cluster.leader();
    const client = cluster.client([0, 1, 2].filter((i) => i !== first));
    await client.kv.put('k', '1');
    const { term } = cluster.server(first).replica;
    clocks[first].watch();
    await cluster.stopMember(first);
    expect(clocks[first].ranOut).toEqual([]);
    const second = await cluster.leader();
    expect(cluster.server(second).replica.term).toBe(term + 1);
    await client.kv.put('k', '2');
    await cluster.startMember(first);
    await until(
      () => cluster.server(first).replica.state.mvcc.currentRevision === 3,
      'the returned member to catch up',
    );
  });

  test('a member that loses power comes back with everything it acknowledged', async () => {
    const cluster = await started({ members: 3 });
    const client = cluster.client();
    for (let i = 0; i < 20; i++) await client.kv.put(`k${i}`, 'v');
    for (const i of [0, 1, 2]) await cluster.crashMember(i);
    for (const i of [0, 1, 2]) await cluster.startMember(i);
    await cluster.leader();
    expect((await cluster.client().kv.get('k', { prefix: true })).count).toBe(20);
  });
});

describe('a member that was away', () => {
  test('gets a snapshot when the log it needs is gone; its watchers miss nothing and see nothing twice', async () => {
    const lines: string[] = [];
    const logger = new JsonLogger(
      (line) => lines.push(line),
      () => 0,
    );
    const config = { snapshotCount: 20, snapshotCatchupEntries: 5 };
    const cluster = await started({ members: 3, config, logger });
    const leader = await cluster.leader();
    const away = (leader + 1) % 3;
    const client = cluster.client([leader]);
    await client.kv.put('k', '0');
    const seen: string[] = [];
    listen(cluster.client([away]), (event) => seen.push(event.kv!.value.toString()), { startRevision: 3 });
    await client.kv.put('k', '1');
    await until(() => seen.length > 0, 'the first event');
    const lagging = cluster.server(away);
    cluster.isolate(away);
    for (let i = 2; i <= 120; i++) await client.kv.put('k', `${i}`);
    const behind = lagging.replica.appliedIndex;
    cluster.mend(away);
    await until(() => lagging.replica.state.mvcc.currentRevision === 122, 'the member to catch up');
    await client.kv.put('k', '121');
    await until(() => seen.length >= 121, 'all events');
    expect(seen).toEqual(Array.from({ length: 121 }, (_, i) => `${i + 1}`));
    expect(lagging.replica.appliedIndex - behind).toBeGreaterThan(100);
    expect(lines.some((line) => line.includes('applied snapshot'))).toBe(true);
    const hashes = await Promise.all([0, 1, 2].map((i) => cluster.server(i).replica.state.mvcc.hashKV(122)));
    expect(new Set(hashes.map((hash) => JSON.stringify(hash))).size).toBe(1);
    await cluster.crashMember(away);
    await cluster.startMember(away);
    await until(
      () => cluster.server(away).replica.state.mvcc.currentRevision === 123,
      'the member to be back',
    );
  });

  test('a lost disk is no obstacle for the other two; who waits at its member is told at once', async () => {
    const cluster = await started({ members: 3 });
    const leader = await cluster.leader();
    const broken = (leader + 1) % 3;
    const client = cluster.client([0, 1, 2].filter((i) => i !== broken));
    await client.kv.put('a', '1');
    cluster.seats[broken].disk.configure({ fault: ({ kind }) => (kind === 'sync' ? 'EIO' : undefined) });
    await client.kv.put('a', '2');
    expect((await cluster.server(broken).failed).message).toContain('wal');
    const put = new etcdserverpb.PutRequest({ key: Buffer.from('a') });
    await expect(cluster.channel(broken).unary(services.KV.methods.put, put)).rejects.toMatchObject({
      code: 14,
      message: 'etcdserver: server stopped',
    });
    await client.kv.put('a', '3');
    expect((await client.kv.get('a')).kvs[0].value.toString()).toBe('3');
  });
});

describe('watches', () => {
  test('go on over a change of leader, on every member', async () => {
    const cluster = await started({ members: 3 });
    const first = await cluster.leader();
    const stay = [0, 1, 2].filter((i) => i !== first);
    const seen = stay.map(() => [] as number[]);
    stay.forEach((place, at) => {
      listen(cluster.client([place]), (event) => seen[at].push(event.kv!.modRevision), { prefix: true });
    });
    await until(
      () => stay.every((place) => cluster.server(place).replica.hub.watcherCount === 1),
      'the watches to stand',
    );
    const client = cluster.client(stay);
    for (let i = 0; i < 10; i++) await client.kv.put(`k${i}`, 'v');
    await cluster.stopMember(first);
    await cluster.leader();
    for (let i = 0; i < 10; i++) await client.kv.put(`k${i}`, 'v');
    const want = Array.from({ length: 20 }, (_, i) => i + 2);
    await until(() => seen.every((each) => each.length >= 20), 'all events');
    expect(seen).toEqual([want, want]);
  });
});

describe('leases', () => {
  test('end when their time is up, at the leader of the day', async () => {
    const cluster = await started({ members: 3 });
    const first = await cluster.leader();
    const client = cluster.client([first]);
    const { ID } = await client.lease.grant(1);
    await client.kv.put('k', 'v', { lease: ID });
    const channel = cluster.channel(first);
    const ttl = await channel.unary(
      services.Lease.methods.leaseTimeToLive,
      new etcdserverpb.LeaseTimeToLiveRequest({ ID, keys: true }),
    );
    expect(ttl).toMatchObject({ grantedTTL: 1, keys: [Buffer.from('k')] });
    await until(
      () => cluster.running().every((server) => server.replica.state.mvcc.keysTotal === 0),
      'the key to be gone',
    );
    expect(
      (
        await channel.unary(
          services.Lease.methods.leaseTimeToLive,
          new etcdserverpb.LeaseTimeToLiveRequest({ ID }),
        )
      ).TTL,
    ).toBe(-1);
  });

  test('a follower passes renewals on to the leader over the peer port', async () => {
    const cluster = await started({ members: 3, http: true });
    const leader = await cluster.leader();
    const { ID } = await cluster.client([leader]).lease.grant(30);
    const stream = cluster.channel((leader + 1) % 3).bidi(services.Lease.methods.leaseKeepAlive);
    const answers: [bigint, number][] = [];
    stream.onMessage((answer) => answers.push([answer.ID, answer.TTL]));
    stream.write(new etcdserverpb.LeaseKeepAliveRequest({ ID }));
    stream.write(new etcdserverpb.LeaseKeepAliveRequest({ ID: 77n }));
    stream.write(new etcdserverpb.LeaseKeepAliveRequest({ ID }));
    await until(() => answers.length === 3, 'three answers, in order');
    expect(answers).toEqual([
      [ID, 30],
      [77n, 0],
      [ID, 30],
    ]);
    stream.cancel();
  });
});

describe('without a quorum', () => {
  test('writes and linearizable reads end with etcd’s error, serializable reads answer', async () => {
    // Request timeout: 5 s and two election timeouts.
    const cluster = await started({ members: 3 });
    const leader = await cluster.leader();
    const client = cluster.client();
    await client.kv.put('k', 'v');
    const left = (leader + 1) % 3;
    await Promise.all([0, 1, 2].filter((i) => i !== left).map((i) => cluster.stopMember(i)));
    const channel = cluster.channel(left);
    const put = channel.unary(
      services.KV.methods.put,
      new etcdserverpb.PutRequest({ key: Buffer.from('k') }),
    );
    const range = channel.unary(
      services.KV.methods.range,
      new etcdserverpb.RangeRequest({ key: Buffer.from('k') }),
    );
    const list = channel.unary(
      services.Cluster.methods.memberList,
      new etcdserverpb.MemberListRequest({ linearizable: true }),
    );
    await Promise.all([
      expect(put).rejects.toMatchObject({
        code: 14,
        message: expect.stringMatching(/^etcdserver: request timed out/),
      }),
      expect(range).rejects.toMatchObject({ code: 14, message: 'etcdserver: request timed out' }),
      expect(list).rejects.toMatchObject({ code: 14, message: 'etcdserver: request timed out' }),
    ]);
    const known = await channel.unary(
      services.Cluster.methods.memberList,
      new etcdserverpb.MemberListRequest(),
    );
    expect(known.members).toHaveLength(3);
    const local = new etcdserverpb.RangeRequest({ key: Buffer.from('k'), serializable: true });
    expect((await channel.unary(services.KV.methods.range, local)).kvs[0].value.toString()).toBe('v');
  });
});
