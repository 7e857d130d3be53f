import { afterEach, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { etcdserverpb, healthpb, services } from '@keelson/proto';
import { Metadata } from '@keelson/rpc';
import { until } from '../../base/test/until.ts';
import { AlarmType } from '../src/alarm/alarms.ts';
import { isBatchRecordKey } from '../src/backend/batch-record.ts';
import { bucketRange, Buckets } from '../src/backend/buckets.ts';
import { defaultFeatureGates, setFeatureGates, type FeatureGates } from '../src/config/feature-gates.ts';
import { BboltReader } from '../src/snapshot/bbolt-reader.ts';
import { MemberCluster } from './members.ts';

const open: MemberCluster[] = [];

async function started(options: Parameters<typeof MemberCluster.start>[0]): Promise<MemberCluster> {
  const cluster = await MemberCluster.start(options);
  open.push(cluster);
  return cluster;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((cluster) => cluster.stop()));
});

const { Cluster, Health, Maintenance, KV, Watch, Lease } = services;

describe('members come and go', () => {
  test('a member joins over the network, as learner and as voter; it is promoted and removed', async () => {
    const cluster = await started({ members: 1, http: true, config: { strictReconfigCheck: false } });
    const client = cluster.client([0]);
    await client.kv.put('before', 'v');
    const learner = await cluster.addSeat();
    const channel = cluster.channel(0);
    const added = await channel.unary(
      Cluster.methods.memberAdd,
      new etcdserverpb.MemberAddRequest({ peerURLs: [cluster.peerUrl(learner)], isLearner: true }),
    );
    expect(added.header!.revision).toBe(0);
    expect(added.members).toHaveLength(2);
    const joined = await cluster.startMember(learner, true);
    expect(joined.memberId).toBe(added.member!.ID);
    await until(() => joined.replica.state.mvcc.currentRevision === 2, 'the learner to catch up');
    await joined.ready();

    const asked = cluster.channel(learner);
    await expect(
      asked.unary(KV.methods.put, new etcdserverpb.PutRequest({ key: Buffer.from('k') })),
    ).rejects.toMatchObject({ code: 9, message: 'etcdserver: rpc not supported for learner' });
    const range = new etcdserverpb.RangeRequest({ key: Buffer.from('before') });
    await expect(asked.unary(KV.methods.range, range)).rejects.toMatchObject({
      message: 'etcdserver: rpc not supported for learner',
    });
    range.serializable = true;
    expect((await asked.unary(KV.methods.range, range)).count).toBe(1);
    expect((await asked.unary(Maintenance.methods.status, new etcdserverpb.StatusRequest())).isLearner).toBe(
      true,
    );

    const request = new etcdserverpb.MemberPromoteRequest({ ID: joined.memberId });
    // One entry behind is a tenth of a log this short: asked again until the last one is answered.
    const promote = async (): Promise<etcdserverpb.MemberPromoteResponse> => {
      for (;;) {
        try {
          return await channel.unary(Cluster.methods.memberPromote, request);
        } catch (error) {
          if (!String(error).includes('in sync with leader')) throw error;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    };
    expect((await promote()).members.every((member) => !member.isLearner)).toBe(true);
    await until(() => !joined.replica.isLearner, 'the promotion to arrive');
    await expect(promote()).rejects.toMatchObject({
      message: 'etcdserver: can only promote a learner member',
    });
    expect(
      (await asked.unary(KV.methods.put, new etcdserverpb.PutRequest({ key: Buffer.from('k') }))).header!
        .revision,
    ).toBe(3);

    const remove = new etcdserverpb.MemberRemoveRequest({ ID: joined.memberId });
    expect((await channel.unary(Cluster.methods.memberRemove, remove)).members).toHaveLength(1);
    await expect(channel.unary(Cluster.methods.memberRemove, remove)).rejects.toMatchObject({
      code: 5,
      message: 'etcdserver: member not found',
    });
    expect((await joined.failed).message).toContain('permanently removed from the cluster');
    await client.kv.put('after', 'v');
  });

  test.each<[string, Parameters<typeof expect>[0], () => [string, etcdserverpb.MemberAddRequest]]>([
    ['no URLs', 'etcdserver: given member URLs are invalid', () => ['', new etcdserverpb.MemberAddRequest()]],
    [
      'URLs that are none',
      'etcdserver: given member URLs are invalid',
      () => ['', new etcdserverpb.MemberAddRequest({ peerURLs: ['foo'] })],
    ],
    [
      'a URL that is taken',
      'etcdserver: Peer URLs already exists',
      () => ['', new etcdserverpb.MemberAddRequest({ peerURLs: ['http://127.0.0.1:1'] })],
    ],
  ])('adding with %s', async (_name, message, request) => {
    const cluster = await started({ members: 1 });
    await expect(cluster.channel(0).unary(Cluster.methods.memberAdd, request()[1])).rejects.toMatchObject({
      message,
    });
  });

  test('strict checks: a second voter in a cluster of one may come, a third must wait for it to start', async () => {
    const cluster = await started({ members: 1 });
    const channel = cluster.channel(0);
    const add = (port: number): Promise<unknown> =>
      channel.unary(
        Cluster.methods.memberAdd,
        new etcdserverpb.MemberAddRequest({ peerURLs: [`http://127.0.0.1:${port}`] }),
      );
    const removeSelf = new etcdserverpb.MemberRemoveRequest({ ID: cluster.server(0).memberId });
    await expect(channel.unary(Cluster.methods.memberRemove, removeSelf)).rejects.toMatchObject({
      code: 2,
      message: 'etcdserver: re-configuration failed due to not enough started members',
    });
    await add(7);
    await expect(add(8)).rejects.toMatchObject({
      code: 2,
      message: 'etcdserver: re-configuration failed due to not enough started members',
    });
  });

  test('an update changes the URLs that all see, and nothing else', async () => {
    const cluster = await started({ members: 3 });
    const leader = await cluster.leader();
    const other = (leader + 1) % 3;
    const ID = cluster.server(other).memberId;
    const request = new etcdserverpb.MemberUpdateRequest({ ID, peerURLs: ['http://127.0.0.1:99'] });
    const { members } = await cluster.channel(other).unary(Cluster.methods.memberUpdate, request);
    expect(members.find((member) => member.ID === ID)).toMatchObject({
      peerURLs: ['http://127.0.0.1:99'],
      name: `m${other + 1}`,
      clientURLs: [`http://127.0.0.1:${other + 1}`],
    });
    await expect(
      cluster
        .channel(other)
        .unary(Cluster.methods.memberUpdate, new etcdserverpb.MemberUpdateRequest({ ID, peerURLs: ['x'] })),
    ).rejects.toMatchObject({ message: 'etcdserver: given member URLs are invalid' });
    await expect(
      cluster
        .channel(other)
        .unary(
          Cluster.methods.memberUpdate,
          new etcdserverpb.MemberUpdateRequest({ ID: 5n, peerURLs: ['x'] }),
        ),
    ).rejects.toMatchObject({ message: 'etcdserver: member not found' });
  });

  test('a founder that lost its data does not found the cluster again', async () => {
    const cluster = await started({ members: 3, http: true });
    const leader = await cluster.leader();
    const lost = (leader + 1) % 3;
    await cluster.stopMember(lost);
    cluster.replaceSeat(lost);
    await expect(cluster.startMember(lost)).rejects.toThrow('has already been bootstrapped');
  });

  test('joining what is not there is refused in one line', async () => {
    const cluster = await started({ members: 1, http: true });
    const seat = await cluster.addSeat();
    await expect(cluster.startMember(seat, true)).rejects.toThrow('member count is unequal');
    await cluster.stopMember(0);
    await expect(cluster.startMember(seat, true)).rejects.toThrow('cannot fetch cluster info from peer urls');
  });
});

describe('the leader moves', () => {
  test('to the member that is asked for', async () => {
    const cluster = await started({ members: 3 });
    const leader = await cluster.leader();
    const target = (leader + 1) % 3;
    const move = (i: number, targetID: bigint): Promise<unknown> =>
      cluster
        .channel(i)
        .unary(Maintenance.methods.moveLeader, new etcdserverpb.MoveLeaderRequest({ targetID }));
    await expect(move(target, cluster.server(target).memberId)).rejects.toMatchObject({
      code: 9,
      message: 'etcdserver: not leader',
    });
    await expect(move(leader, 77n)).rejects.toMatchObject({
      code: 9,
      message: 'etcdserver: bad leader transferee',
    });
    expect(await move(leader, cluster.server(target).memberId)).toMatchObject({ header: undefined });
    expect(await cluster.leader()).toBe(target);
  });
});

describe('maintenance', () => {
  test('a snapshot is a database file and its SHA-256; Hash is that of its buckets', async () => {
    const cluster = await started({ members: 1 });
    const client = cluster.client();
    for (let i = 0; i < 30; i++) await client.kv.put(`k${i}`, 'v'.repeat(5000));
    const channel = cluster.channel(0);
    const blobs: Buffer[] = [];
    let remaining = -1;
    for await (const message of channel.serverStream(
      Maintenance.methods.snapshot,
      new etcdserverpb.SnapshotRequest(),
    )) {
      expect(message.header).toBeUndefined();
      expect(message.version).toBe('3.7.0');
      expect(message.blob.length).toBeLessThanOrEqual(32 * 1024);
      if (remaining > 0) expect(message.remainingBytes).toBe(remaining - message.blob.length);
      remaining = message.remainingBytes;
      blobs.push(message.blob);
    }
    const digest = blobs.pop()!;
    const file = Buffer.concat(blobs);
    expect(digest).toEqual(createHash('sha256').update(file).digest());
    expect(file.length % 4096).toBe(0);
    const reader = await BboltReader.open({
      read: (at, length) => Promise.resolve(file.subarray(at, at + length)),
      size: () => Promise.resolve(file.length),
    });
    await reader.check();
    expect((await reader.buckets()).map((bucket) => bucket.name.toString())).toContain('key');
    const hash = (): Promise<etcdserverpb.HashResponse> =>
      channel.unary(Maintenance.methods.hash, new etcdserverpb.HashRequest());
    const first = (await hash()).hash;
    expect((await hash()).hash).toBe(first);
    await client.kv.put('k', 'v');
    expect((await hash()).hash).not.toBe(first);
    expect(
      await channel.unary(Maintenance.methods.defragment, new etcdserverpb.DefragmentRequest()),
    ).toMatchObject({ header: undefined });
  });

  test('with StopGRPCServiceOnDefrag a member says while it defragments that it does not serve', async () => {
    const gates = setFeatureGates(defaultFeatureGates(), 'StopGRPCServiceOnDefrag=true');
    if (!gates.ok) throw new Error(gates.error);
    const cluster = await started({ members: 1, config: { featureGates: gates.value } });
    const channel = cluster.channel(0);
    const statuses: number[] = [];
    const { SERVING, NOT_SERVING } = healthpb.ServingStatus;
    for await (const { status } of channel.serverStream(
      Health.methods.watch,
      new healthpb.HealthCheckRequest(),
    )) {
      statuses.push(status);
      if (statuses.length === 1)
        void channel.unary(Maintenance.methods.defragment, new etcdserverpb.DefragmentRequest());
      if (statuses.length === 3) break;
    }
    expect(statuses).toEqual([SERVING, NOT_SERVING, SERVING]);
    expect(await channel.unary(Health.methods.check, new healthpb.HealthCheckRequest())).toMatchObject({
      status: SERVING,
    });
  });

  test('the quota: the alarm is raised, puts are refused everywhere, deletes go on, disarm ends it', async () => {
    const cluster = await started({ members: 3, config: { quotaBackendBytes: 40_000 } });
    await cluster.leader();
    const client = cluster.client();
    const full = async (): Promise<void> => {
      for (let i = 0; i < 100; i++) await client.kv.put(`k${i}`, 'v'.repeat(1000));
    };
    await expect(full()).rejects.toMatchObject({
      message: expect.stringContaining('mvcc: database space exceeded'),
    });
    const status = await cluster
      .channel(1)
      .unary(Maintenance.methods.status, new etcdserverpb.StatusRequest());
    expect(status.errors.join()).toMatch(/memberID:[0-9]+ alarm:NOSPACE/);
    expect(status.dbSizeQuota).toBe(40_000);
    for (const i of [0, 1, 2])
      await expect(cluster.client([i]).kv.put('k', 'v')).rejects.toMatchObject({
        message: expect.stringContaining('database space exceeded'),
      });
    await client.kv.delete('k', { prefix: true });
  });

  test('a compaction that is waited for is done', async () => {
    const cluster = await started({ members: 1 });
    const client = cluster.client();
    for (let i = 0; i < 50; i++) await client.kv.put('k', `${i}`);
    await cluster
      .channel(0)
      .unary(KV.methods.compact, new etcdserverpb.CompactionRequest({ revision: 40, physical: true }));
    expect(cluster.server(0).replica.state.mvcc.finishedCompactRevision).toBe(40);
    await expect(client.kv.get('k', { revision: 39 })).rejects.toMatchObject({
      message: expect.stringContaining('required revision has been compacted'),
    });
    expect((await client.kv.get('k', { revision: 40 })).kvs[0].value.toString()).toBe('38');
  });
});

describe('without a leader', () => {
  test('who requires one is refused at once, and open streams end; others wait', async () => {
    const cluster = await started({ members: 3 });
    const leader = await cluster.leader();
    const alone = (leader + 1) % 3;
    const metadata = Metadata.of({ hasleader: 'true' });
    const channel = cluster.channel(alone);
    const watch = channel.bidi(Watch.methods.watch, { metadata });
    watch.write(
      new etcdserverpb.WatchRequest({
        createRequest: new etcdserverpb.WatchCreateRequest({ key: Buffer.from('k') }),
      }),
    );
    const keepAlive = channel.bidi(Lease.methods.leaseKeepAlive, { metadata });
    const ends = [watch, keepAlive].map((stream) => new Promise<unknown>((resolve) => stream.onEnd(resolve)));
    watch.onMessage(() => {});
    keepAlive.onMessage(() => {});
    cluster.isolate(alone);
    for (const error of await Promise.all(ends))
      expect(error).toMatchObject({ code: 14, message: 'etcdserver: no leader' });
    const range = new etcdserverpb.RangeRequest({ key: Buffer.from('k'), serializable: true });
    await expect(channel.unary(KV.methods.range, range, { metadata })).rejects.toMatchObject({
      code: 14,
      message: 'etcdserver: no leader',
    });
    expect((await channel.unary(KV.methods.range, range)).count).toBe(0);
    const status = await channel.unary(Maintenance.methods.status, new etcdserverpb.StatusRequest());
    expect(status).toMatchObject({ leader: 0n, errors: ['etcdserver: no leader'] });
    cluster.mend(alone);
    await cluster.leader();
  });
});

describe('members compare their data', () => {
  /** Another value under the newest change of one member, as a disk or a bug might leave it. */
  async function spoil(cluster: MemberCluster, i: number): Promise<void> {
    const { state } = cluster.seats[i].server!.replica;
    await state.buffer.commit();
    const { backend } = state;
    let pair: { key: string; value: Buffer } | undefined;
    for await (const pairs of backend.iterate({ ...bucketRange(Buckets.key), reverse: true, limit: 20 }))
      pair ??= pairs.find(({ key }) => !isBatchRecordKey(key));
    if (pair === undefined) throw new Error('no change to spoil');
    // Another lease number than was put.
    await backend.write([{ key: pair.key, value: Buffer.concat([pair.value, Buffer.from([0x30, 9])]) }]);
  }

  function gated(text: string): FeatureGates {
    const gates = setFeatureGates(defaultFeatureGates(), text);
    if (!gates.ok) throw new Error(gates.error);
    return gates.value;
  }

  const leaderOf = (cluster: MemberCluster): number =>
    cluster.seats.findIndex((seat) => seat.server?.replica.isLeader === true);

  test('a follower that differs is found by the periodic check, alarmed, and nothing is served', async () => {
    const cluster = await started({ members: 3, http: true, config: { corruptCheckTimeMs: 100 } });
    const client = cluster.client([0, 1, 2]);
    await client.kv.put('k', 'v');
    const wrong = (leaderOf(cluster) + 1) % 3;
    const { server } = cluster.seats[wrong];
    await until(() => server!.replica.state.mvcc.currentRevision === 2, 'the put to arrive');
    await spoil(cluster, wrong);
    await until(() => server!.replica.state.alarms.list(AlarmType.Corrupt).length > 0, 'the alarm');
    expect(server!.replica.state.alarms.list(AlarmType.Corrupt)).toEqual([
      { memberId: server!.memberId, type: AlarmType.Corrupt },
    ]);
    await expect(client.kv.put('k', 'w')).rejects.toThrow('etcdserver: corrupt cluster');
  });

  test('compaction hashes tell which member is wrong', async () => {
    const cluster = await started({
      members: 3,
      http: true,
      config: { featureGates: gated('CompactHashCheck=true'), compactHashCheckTimeMs: 100 },
    });
    const client = cluster.client([0, 1, 2]);
    for (let i = 0; i < 5; i++) await client.kv.put('k', `${i}`);
    const leader = leaderOf(cluster);
    for (const { server } of cluster.seats)
      await until(() => server!.replica.state.mvcc.currentRevision === 6, 'the puts to arrive');
    await spoil(cluster, leader);
    await client.kv.compact(6);
    const { server } = cluster.seats[leader];
    await until(() => server!.replica.state.alarms.list(AlarmType.Corrupt).length > 0, 'the alarm');
    expect(server!.replica.state.alarms.list(AlarmType.Corrupt)).toEqual([
      { memberId: server!.memberId, type: AlarmType.Corrupt },
    ]);
  });

  test('with InitialCorruptCheck a member starts while all are equal, and not beside one that differs', async () => {
    const cluster = await started({
      members: 3,
      http: true,
      config: { featureGates: gated('InitialCorruptCheck=true') },
    });
    const client = cluster.client([0, 1, 2]);
    await client.kv.put('k', 'v');
    const [one, other] = [leaderOf(cluster) + 1, leaderOf(cluster) + 2].map((i) => i % 3);
    for (const i of [one, other]) {
      await until(
        () => cluster.seats[i].server!.replica.state.mvcc.currentRevision === 2,
        'the put to arrive',
      );
    }
    await cluster.stopMember(one);
    const { memberId } = await cluster.startMember(one);
    await cluster.stopMember(one);
    await spoil(cluster, other);
    await expect(cluster.startMember(one)).rejects.toThrow(
      `${memberId.toString(16)} found data inconsistency with peers`,
    );
  });
});

describe('a downgrade', () => {
  test('validated, enabled, seen by all, kept over restarts, cancelled', async () => {
    const cluster = await started({ members: 3, http: true });
    const channel = cluster.channel(0);
    const { VALIDATE, ENABLE, CANCEL } = etcdserverpb.DowngradeAction;
    const ask = (action: number, version = ''): Promise<etcdserverpb.DowngradeResponse> =>
      channel.unary(Maintenance.methods.downgrade, new etcdserverpb.DowngradeRequest({ action, version }));
    const clusterVersion = (i: number): string =>
      cluster.seats[i].server!.replica.state.membership.clusterVersion;
    await until(() => clusterVersion(0) === '3.7.0', 'the cluster version');

    await expect(ask(VALIDATE, 'six')).rejects.toMatchObject({
      code: 3,
      message: 'etcdserver: wrong downgrade target version format',
    });
    await expect(ask(VALIDATE, '3.5')).rejects.toMatchObject({
      code: 3,
      message: 'etcdserver: invalid downgrade target version',
    });
    await expect(ask(CANCEL)).rejects.toMatchObject({
      code: 9,
      message: 'etcdserver: no inflight downgrade job',
    });
    expect((await ask(VALIDATE, '3.6.2')).version).toBe('3.7.0');
    expect((await ask(ENABLE, '3.6')).version).toBe('3.7.0');
    await expect(ask(ENABLE, '3.6')).rejects.toMatchObject({
      code: 9,
      message: 'etcdserver: cluster has a downgrade job in progress',
    });
    const leader = cluster.seats.findIndex((seat) => seat.server?.replica.isLeader === true);
    await cluster.stopMember(leader);
    await cluster.startMember(leader);
    const status = (i: number): Promise<etcdserverpb.StatusResponse> =>
      cluster.channel(i).unary(Maintenance.methods.status, new etcdserverpb.StatusRequest());
    expect((await status(leader)).downgradeInfo).toMatchObject({ enabled: true, targetVersion: '3.6.0' });
    // A new leader looks at the versions at once, and lowers the cluster's.
    await until(() => [0, 1, 2].every((i) => clusterVersion(i) === '3.6.0'), 'the lower version everywhere');
    const other = (leader + 1) % 3;
    const cancel = new etcdserverpb.DowngradeRequest({ action: CANCEL, version: '' });
    const cancelled = await cluster.channel(other).unary(Maintenance.methods.downgrade, cancel);
    expect(cancelled.version).toBe('3.6.0');
    expect((await status(other)).downgradeInfo?.enabled).toBe(false);
  });
});
