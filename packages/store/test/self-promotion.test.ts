import { afterEach, expect, test } from '@jest/globals';
import { Deferred } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { until } from '../../base/test/until.ts';
import type { StoreServer } from '../src/server.ts';
import { MemberCluster } from './members.ts';

const open: MemberCluster[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((cluster) => cluster.stop()));
});

const { Cluster } = services;

/** A cluster, a place for a learner that was added, and how to start it with the flag. */
async function withLearner(
  members: number,
  config: Parameters<typeof MemberCluster.start>[0]['config'],
): Promise<{ cluster: MemberCluster; place: number; start: () => Promise<StoreServer> }> {
  const cluster = await MemberCluster.start({ members, http: true, config: { ...config } });
  open.push(cluster);
  await cluster.leader();
  const place = await cluster.addSeat();
  const start = (): Promise<StoreServer> =>
    cluster.startMember(place, true, { promoteLearnerWhenReady: true });
  const channel = cluster.channel(0);
  const request = new etcdserverpb.MemberAddRequest({ peerURLs: [cluster.peerUrl(place)], isLearner: true });
  await channel.unary(Cluster.methods.memberAdd, request);
  return { cluster, place, start };
}

test('a learner started under load becomes a voter by itself, and no write is lost', async () => {
  const { cluster, start } = await withLearner(3, { strictReconfigCheck: false });
  const client = cluster.client([0, 1, 2]);
  let stop = false;
  let written = 0;
  const load = (async () => {
    while (!stop) await client.kv.put(`k${written++}`, 'v');
  })();
  await until(() => written > 40, 'some history');
  const joined = await start();
  await until(
    () => joined.replica.state.membership.get(joined.memberId)?.isLearner === false,
    'the promotion',
  );
  expect(cluster.server(0).replica.state.membership.list()).toHaveLength(4);
  stop = true;
  await load;
  await joined.replica.linearizable();
  expect(joined.replica.state.mvcc.keysTotal).toBe(written);
  expect(joined.instruments.registry.text()).toContain(
    'keelson_learner_promotion_attempts_total{result="promoted"} 1\n',
  );
  // A voter indeed: it makes the quorum of three out of four.
  const leader = await cluster.leader();
  await cluster.stopMember((leader + 1) % 3);
  await cluster.client([leader]).kv.put('after', 'v');
});

test('it is not promoted before the snapshot that it needs is in', async () => {
  const { cluster, place, start } = await withLearner(1, {
    strictReconfigCheck: false,
    snapshotCount: 10,
    snapshotCatchupEntries: 1,
  });
  const client = cluster.client([0]);
  for (let i = 0; i < 50; i++) await client.kv.put(`k${i}`, 'v');
  const { home } = cluster.seats[place];
  const openIncoming = home.openIncoming.bind(home);
  const arrived = new Deferred<void>();
  const released = new Deferred<void>();
  home.openIncoming = async () => {
    arrived.resolve();
    await released.promise;
    return openIncoming();
  };
  const joined = await start();
  await arrived.promise;
  for (let i = 50; i < 80; i++) await client.kv.put(`k${i}`, 'v');
  const seen = (): boolean | undefined =>
    cluster.server(0).replica.state.membership.get(joined.memberId)?.isLearner;
  expect(seen()).toBe(true);
  expect(joined.instruments.registry.text()).not.toContain('{result="promoted"}');
  released.resolve();
  await until(() => seen() === false, 'the promotion');
  await joined.replica.linearizable();
  expect(joined.replica.state.mvcc.keysTotal).toBe(80);
});

test('users and --strict-reconfig-check are no obstacle to a learner that is ready', async () => {
  const { cluster, start } = await withLearner(1, { bcryptCost: 4 });
  const { auth } = cluster.client([0]);
  await auth.userAdd('root', 'r');
  await auth.userGrantRole('root', 'root');
  await auth.enable();
  const joined = await start();
  await until(
    () => joined.replica.state.membership.get(joined.memberId)?.isLearner === false,
    'the promotion',
  );
  await cluster.client([0], { user: 'root', password: 'r' }).kv.put('after', 'v');
});
