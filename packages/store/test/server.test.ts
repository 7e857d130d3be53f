import { afterEach, describe, expect, test } from '@jest/globals';
import { MemberCluster, until } from './members.ts';

const open: MemberCluster[] = [];

async function started(options: Parameters<typeof MemberCluster.start>[0]): Promise<MemberCluster> {
  const cluster = await MemberCluster.start(options);
  open.push(cluster);
  return cluster;
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
    const cluster = await started({ members: 3 });
    const first = await cluster.leader();
    const client = cluster.client([0, 1, 2].filter((i) => i !== first));
    await client.kv.put('k', '1');
    const { term } = cluster.server(first).replica;
    const startedMs = performance.now();
    await cluster.stopMember(first);
    expect(performance.now() - startedMs).toBeLessThan(1_500);
    const second = await cluster.leader();
    expect(cluster.server(second).replica.term).toBe(term + 1);
    await client.kv.put('k', '2');
    await cluster.startMember(first);
    await until(
      'the returned member to catch up',
      () => cluster.server(first).replica.state.mvcc.currentRevision === 3,
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
