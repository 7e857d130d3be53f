/**
 * The data dir of a real etcd, opened in place: stopped in order, killed under load, made by its own restore;
 * one member and three. What etcd served is served, at the same revisions and with the same hash.
 */
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { Metadata } from '@keelson/rpc';
import { defragment, main, offlineWorld } from '@keelson/store';
import { REFERENCE_ETCD } from '../harness/binaries.ts';
import { Ledger } from '../harness/ledger.ts';
import type { MemberApi } from '../harness/member-api.ts';
import type { MemberProcess } from '../harness/member-process.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { PutLoad } from '../harness/put-load.ts';
import { waitUntil } from '../harness/waiting.ts';
import { contentOf, makeContent, makeUsers } from './content.ts';
import { KeelsonMember } from './keelson-member.ts';
import { check, etcdctl } from './oracle.ts';

function addressOf(member: MemberProcess): Parameters<typeof KeelsonMember.start>[0] {
  const { name, dataDir, options } = member;
  return { name, dataDir, clientPort: options.clientPort, peerPort: options.peerPort };
}

function snapNames(member: MemberProcess): string[] {
  return readdirSync(path.join(member.dataDir, 'member', 'snap'));
}

check('stopped in order: keys, leases, members and hash are the same, and it goes on', async () => {
  await using cluster = await ProcessCluster.start({ binary: REFERENCE_ETCD ?? '', size: 1 });
  const [member] = cluster.members;
  await makeContent(cluster.api(0), { keys: 300, compact: true });
  const before = await contentOf(cluster.api(0));
  await member.stop();
  {
    await using ours = await (await KeelsonMember.start(addressOf(member))).ready();
    expect(await contentOf(ours.api)).toEqual(before);
    const { members } = await ours.api.call(
      services.Cluster.methods.memberList,
      new etcdserverpb.MemberListRequest(),
    );
    expect(members).toMatchObject([
      { name: member.name, peerURLs: [member.peerUrl], clientURLs: [member.clientUrl] },
    ]);
    // The cluster goes up with its members.
    const { membership } = ours.server.replica.state;
    await waitUntil('the version of the cluster is ours', { timeoutMs: 10_000 }, () =>
      membership.clusterVersion === '3.7.0' ? true : undefined,
    );
    expect(snapNames(member)).toEqual(expect.arrayContaining(['db.imported', 'db.level.1']));
    expect(snapNames(member)).not.toContain('db');
    expect((await ours.api.put('more', '1')).header?.revision).toBe(before.revision + 1);
  }
  await using again = await (await KeelsonMember.start(addressOf(member))).ready();
  expect(again.messages).not.toContain('importing the database of another etcd');
  const after = await contentOf(again.api);
  const more = `more=1 ${before.revision + 1}.${before.revision + 1}.1 0`;
  expect(after.keys.filter((line) => line !== more)).toEqual(before.keys);
  expect(after.keys).toContain(more);
});

check('one that its etcd still runs on is refused, and so is changing its database', async () => {
  await using cluster = await ProcessCluster.start({ binary: REFERENCE_ETCD ?? '', size: 1 });
  const [member] = cluster.members;
  const log = path.join(cluster.home, 'refused.log');
  expect(await main([`--data-dir=${member.dataDir}`, `--log-outputs=${log}`], {})).toBe(1);
  expect(readFileSync(log, 'utf8')).toContain(`data dir ${member.dataDir} is in use: another process holds`);
  await expect(defragment(offlineWorld(silentLogger), member.dataDir)).rejects.toThrow(
    'another process holds',
  );
  expect(await cluster.api(0).revision()).toBe(1);
});

check('killed with -9 under load: nothing acknowledged is lost, nothing is there twice', async () => {
  // With and without .snap files in between.
  for (const snapshotCount of [100_000, 50]) {
    await using cluster = await ProcessCluster.start({
      binary: REFERENCE_ETCD ?? '',
      size: 1,
      flags: [`--snapshot-count=${snapshotCount}`],
    });
    const [member] = cluster.members;
    const base = await cluster.api(0).revision();
    const ledger = new Ledger(randomInt(1e9));
    const load = new PutLoad({ apis: [cluster.api(0)], ledger, writers: 16, prefix: 'load/', timeoutMs: 5000 }); // prettier-ignore
    load.start();
    await load.acknowledgedMore(400 + randomInt(400), 20_000);
    await member.kill();
    await load.stop();
    await using ours = await (await KeelsonMember.start(addressOf(member))).ready();
    expect(ours.messages).toContain('importing the database of another etcd');
    const { kvs, revision } = await ours.api.all('load/');
    expect(ledger.check(kvs, base, revision).broken).toEqual([]);
    expect(ledger.acknowledged.size).toBeGreaterThan(400);
    expect(snapNames(member).some((name) => name.endsWith('.snap'))).toBe(snapshotCount === 50);
  }
});

check('with authentication on: users keep their passwords and what they may do', async () => {
  await using cluster = await ProcessCluster.start({ binary: REFERENCE_ETCD ?? '', size: 1 });
  const [member] = cluster.members;
  await cluster.api(0).put('key/1', 'v');
  await makeUsers(cluster.api(0));
  const { Auth, KV } = services;
  await cluster.api(0).call(Auth.methods.authEnable, new etcdserverpb.AuthEnableRequest());
  await member.kill();
  await using ours = await (await KeelsonMember.start(addressOf(member))).ready();
  const range = new etcdserverpb.RangeRequest({ key: Buffer.from('key/1') });
  await expect(ours.api.call(KV.methods.range, range)).rejects.toThrow('user name is empty');
  const login = (name: string, password: string): Promise<etcdserverpb.AuthenticateResponse> =>
    ours.api.call(Auth.methods.authenticate, new etcdserverpb.AuthenticateRequest({ name, password }));
  await expect(login('reader', 'secret')).rejects.toThrow('authentication failed');
  const { token } = await login('reader', 'reading');
  const metadata = new Metadata();
  metadata.set('token', token);
  const { kvs } = await ours.api.call(KV.methods.range, range, { metadata });
  expect(kvs[0].value.toString()).toBe('v');
  const put = new etcdserverpb.PutRequest({ key: Buffer.from('key/1') });
  await expect(ours.api.call(KV.methods.put, put, { metadata })).rejects.toThrow('permission denied');
});

check('three members killed with -9 under load, each opened in place, agree', async () => {
  await using cluster = await ProcessCluster.start({
    binary: REFERENCE_ETCD ?? '',
    size: 3,
    flags: ['--snapshot-count=200'],
  });
  const base = await cluster.api(0).revision();
  const apis = [0, 1, 2].map((i) => cluster.api(i));
  const ledger = new Ledger(randomInt(1e9));
  const load = new PutLoad({ apis, ledger, writers: 16, prefix: 'load/', timeoutMs: 5000 });
  load.start();
  await load.acknowledgedMore(500 + randomInt(300), 30_000);
  await Promise.all(cluster.members.map((member) => member.kill()));
  await load.stop();
  const ours = await Promise.all(cluster.members.map((member) => KeelsonMember.start(addressOf(member))));
  try {
    await Promise.all(ours.map((member) => member.ready()));
    const { kvs, revision } = await waitUntil('a read is answered', { timeoutMs: 20_000 }, () =>
      ours[0].api.all('load/'),
    );
    expect(ledger.check(kvs, base, revision).broken).toEqual([]);
    const hashes = await waitUntil('all have applied it', { timeoutMs: 10_000 }, () =>
      Promise.all(ours.map(async ({ api }) => (await api.hashKV(revision)).hash)),
    );
    expect(new Set(hashes).size).toBe(1);
    const { members } = await ours[1].api.call(
      services.Cluster.methods.memberList,
      new etcdserverpb.MemberListRequest(),
    );
    expect(members.map(({ name }) => name).sort((a, b) => (a < b ? -1 : 1))).toEqual(['m1', 'm2', 'm3']);
  } finally {
    await Promise.all(ours.map((member) => member.stop()));
  }
});

check('after membership changes, before and after its last .snap file', async () => {
  for (const snapshotCount of [100_000, 10]) {
    await using cluster = await ProcessCluster.start({
      binary: REFERENCE_ETCD ?? '',
      size: 3,
      // Members that have just started are not yet taken for healthy.
      flags: [`--snapshot-count=${snapshotCount}`, '--strict-reconfig-check=false'],
    });
    const { Cluster } = services;
    const list = async (api: MemberApi): Promise<etcdserverpb.Member[]> =>
      (await api.call(Cluster.methods.memberList, new etcdserverpb.MemberListRequest(), { timeoutMs: 5000 }))
        .members;
    const api = cluster.api(0);
    // One that does not lead: what is in flight when a leader goes may take its time.
    const removed = (await cluster.leader()) === 2 ? 1 : 2;
    const { ID } = (await list(api)).find(({ name }) => name === cluster.members[removed].name)!;
    await api.call(Cluster.methods.memberRemove, new etcdserverpb.MemberRemoveRequest({ ID }));
    for (let i = 0; i < 15; i++) await api.put(`key/${i}`, 'v');
    const peerURLs = ['http://127.0.0.1:1'];
    await api.call(
      Cluster.methods.memberAdd,
      new etcdserverpb.MemberAddRequest({ peerURLs, isLearner: true }),
    );
    const before = await list(api);
    const { revision } = await contentOf(api);
    await Promise.all(cluster.members.map((member) => member.kill()));
    const ours = await Promise.all(
      cluster.members.filter((_, i) => i !== removed).map((member) => KeelsonMember.start(addressOf(member))),
    );
    try {
      await Promise.all(ours.map((member) => member.ready()));
      const members = await waitUntil('the members are listed', { timeoutMs: 20_000 }, () =>
        list(ours[0].api),
      );
      const byId = (all: etcdserverpb.Member[]): etcdserverpb.Member[] =>
        all.sort((a, b) => (a.ID < b.ID ? -1 : 1));
      expect(byId(members)).toEqual(byId(before));
      expect(members.map(({ isLearner }) => isLearner).filter(Boolean)).toHaveLength(1);
      expect((await ours[1].api.put('more', '1')).header?.revision).toBe(revision + 1);
      expect(ours[0].server.replica.state.membership.isRemoved(ID)).toBe(true);
    } finally {
      await Promise.all(ours.map((member) => member.stop()));
    }
  }
});

check("made by etcdctl's own restore", async () => {
  await using cluster = await ProcessCluster.start({ binary: REFERENCE_ETCD ?? '', size: 1 });
  await makeContent(cluster.api(0), { keys: 100, compact: true });
  const before = await contentOf(cluster.api(0));
  const saved = path.join(cluster.home, 'saved.db');
  await etcdctl(`--endpoints=${cluster.members[0].address}`, 'snapshot', 'save', saved);
  await cluster.members[0].stop();
  const { clientPort, peerPort } = cluster.members[0].options;
  const dataDir = path.join(cluster.home, 'restored');
  const peer = `http://127.0.0.1:${peerPort}`;
  await etcdctl(
    'snapshot',
    'restore',
    saved,
    `--data-dir=${dataDir}`,
    '--name=other',
    `--initial-cluster=other=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    '--initial-cluster-token=another',
  );
  await using ours = await (
    await KeelsonMember.start({ name: 'other', dataDir, clientPort, peerPort })
  ).ready();
  expect(await contentOf(ours.api)).toEqual(before);
  // The database still has the members of the old cluster; the .snap file has the new one's.
  const { members } = await ours.api.call(
    services.Cluster.methods.memberList,
    new etcdserverpb.MemberListRequest(),
  );
  expect(members).toMatchObject([{ name: 'other', peerURLs: [peer] }]);
});
