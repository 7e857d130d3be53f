/**
 * Saved snapshots and exported data dirs, from each server to the other: keys, leases and hash at the same
 * revisions, and both go on from there.
 */
import { randomInt } from 'node:crypto';
import { copyFile, readFile, truncate, writeFile } from 'node:fs/promises';
import { expect } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { exportMember, offlineHashKV, offlineWorld, restoreSnapshot, snapshotStatus, withDatabase, type RestoreOptions } from '@keelson/store'; // prettier-ignore
import { KEELSON_ETCD, KEELSON_FLAGS, missingServer } from '../harness/binaries.ts';
import { Ledger } from '../harness/ledger.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { PutLoad } from '../harness/put-load.ts';
import { waitUntil } from '../harness/waiting.ts';
import { contentOf, makeContent } from './content.ts';
import { KeelsonMember, type Address } from './keelson-member.ts';
import { check, etcdctl, etcdctlError, EtcdMember, plan, Workspace } from './oracle.ts';

const world = offlineWorld(silentLogger);

function restoreOptions(snapshotPath: string, at: Address, initialCluster?: string): RestoreOptions {
  const peer = `http://127.0.0.1:${at.peerPort}`;
  return {
    snapshotPath,
    name: at.name,
    dataDir: at.dataDir,
    walDir: '',
    peerUrls: [peer],
    initialCluster: initialCluster ?? `${at.name}=${peer}`,
    initialClusterToken: 'restored',
    skipHashCheck: false,
    bumpRevision: 0,
  };
}

/** The same with etcd's own tool. */
function restoreFlags(options: RestoreOptions): string[] {
  return [
    'snapshot',
    'restore',
    options.snapshotPath,
    `--name=${options.name}`,
    `--data-dir=${options.dataDir}`,
    `--initial-cluster=${options.initialCluster}`,
    `--initial-cluster-token=${options.initialClusterToken}`,
    `--initial-advertise-peer-urls=${options.peerUrls.join()}`,
  ];
}

const status = (path: string): ReturnType<typeof snapshotStatus> =>
  withDatabase(world, path, true, snapshotStatus);

check("etcd's snapshot: same status, restored here, the same content", async () => {
  using workspace = new Workspace();
  const { members } = await plan(workspace, 2);
  const saved = workspace.join('saved.db');
  await using etcd = await EtcdMember.start(members[0]).ready();
  await makeContent(etcd.api, { keys: 200, compact: true });
  const before = await contentOf(etcd.api);
  await etcdctl(`--endpoints=${etcd.process.address}`, 'snapshot', 'save', saved);

  const theirs: unknown = JSON.parse(await etcdctl('snapshot', 'status', saved, '-w', 'json'));
  const { version, ...ours } = await status(saved);
  expect(ours).toEqual(theirs);
  expect(version).toBe('');

  await restoreSnapshot(restoreOptions(saved, members[1]), world);
  await using member = await (await KeelsonMember.start(members[1])).ready();
  expect(await contentOf(member.api)).toEqual(before);
  await member.api.put('more', '1');
  expect((await contentOf(member.api)).revision).toBe(before.revision + 1);
  const hash = await withDatabase(world, saved, false, (database) => offlineHashKV(database, 0));
  expect(hash).toMatchObject({ hash: before.hash, hashRevision: before.revision });
});

check("our snapshot: etcd's tool restores it, etcd serves the same content", async () => {
  using workspace = new Workspace();
  const { members } = await plan(workspace, 3);
  const saved = workspace.join('saved.db');
  await using ours = await (await KeelsonMember.start(members[0])).ready();
  await makeContent(ours.api, { keys: 200, compact: true });
  const before = await contentOf(ours.api);
  await etcdctl(`--endpoints=127.0.0.1:${members[0].clientPort}`, 'snapshot', 'save', saved);
  const theirs: unknown = JSON.parse(await etcdctl('snapshot', 'status', saved, '-w', 'json'));
  const { version, ...mine } = await status(saved);
  expect(mine).toEqual(theirs);
  expect(version).toBe('3.7.0');

  await etcdctl(...restoreFlags(restoreOptions(saved, members[1])));
  await using etcd = await EtcdMember.start(members[1]).ready();
  expect(await contentOf(etcd.api)).toEqual(before);
  await etcd.api.put('more', '1');
  const after = await contentOf(etcd.api);
  // And back again, by the data dir of that etcd.
  await etcd.stop();
  await using again = await (await KeelsonMember.start(members[1])).ready();
  expect(await contentOf(again.api)).toEqual(after);
});

check('restored into three members of ours, which elect a leader', async () => {
  using workspace = new Workspace();
  const source = await plan(workspace, 1, 'source');
  const target = await plan(workspace, 3);
  const saved = workspace.join('saved.db');
  await using etcd = await EtcdMember.start(source.members[0]).ready();
  await makeContent(etcd.api, { keys: 50, compact: false });
  const before = await contentOf(etcd.api);
  await etcdctl(`--endpoints=${etcd.process.address}`, 'snapshot', 'save', saved);
  for (const member of target.members)
    await restoreSnapshot(restoreOptions(saved, member, target.initialCluster), world);
  const started = await Promise.all(target.members.map((member) => KeelsonMember.start(member)));
  try {
    await Promise.all(started.map((member) => member.ready()));
    const after = await waitUntil('a read is answered', { timeoutMs: 20_000 }, () =>
      contentOf(started[0].api),
    );
    expect(after).toEqual(before);
    await started[1].api.put('more', '1');
    const { members } = await started[2].api.call(
      services.Cluster.methods.memberList,
      new etcdserverpb.MemberListRequest(),
    );
    expect(members.map(({ name }) => name).sort((a, b) => (a < b ? -1 : 1))).toEqual(['m1', 'm2', 'm3']);
  } finally {
    await Promise.all(started.map((member) => member.stop()));
  }
});

check('a file that is damaged or lacks its digest is refused in the same words', async () => {
  using workspace = new Workspace();
  const { members } = await plan(workspace, 2);
  const saved = workspace.join('saved.db');
  await using etcd = await EtcdMember.start(members[0]).ready();
  await makeContent(etcd.api, { keys: 20, compact: false });
  await etcdctl(`--endpoints=${etcd.process.address}`, 'snapshot', 'save', saved);
  const bytes = await readFile(saved);
  bytes[10_000] ^= 1;
  await writeFile(workspace.join('flipped.db'), bytes);
  await copyFile(saved, workspace.join('bare.db'));
  await truncate(workspace.join('bare.db'), bytes.length - 32);
  await writeFile(workspace.join('other.db'), 'x'.repeat(512 * 9));
  for (const name of ['flipped.db', 'bare.db', 'absent.db']) {
    const options = restoreOptions(workspace.join(name), members[1]);
    const message = await etcdctlError(
      ...restoreFlags({ ...options, dataDir: workspace.join(`etcd-${name}`) }),
    );
    await expect(restoreSnapshot(options, world)).rejects.toThrow(message.replace('Error: ', ''));
  }
  const options = restoreOptions(workspace.join('bare.db'), members[1]);
  await expect(
    restoreSnapshot({ ...options, snapshotPath: workspace.join('other.db'), skipHashCheck: true }, world),
  ).rejects.toThrow('no valid meta page');
  // Nothing was left behind by those that failed.
  await restoreSnapshot({ ...options, skipHashCheck: true }, world);
  await expect(restoreSnapshot(options, world)).rejects.toThrow(
    `data-dir "${members[1].dataDir}" not empty or could not be read`,
  );
});

check('--bump-revision: the newest revision moves on, everything before it is compacted', async () => {
  using workspace = new Workspace();
  const { members } = await plan(workspace, 3);
  const saved = workspace.join('saved.db');
  await using etcd = await EtcdMember.start(members[0]).ready();
  await makeContent(etcd.api, { keys: 20, compact: false });
  const before = await contentOf(etcd.api);
  await etcdctl(`--endpoints=${etcd.process.address}`, 'snapshot', 'save', saved);
  await restoreSnapshot({ ...restoreOptions(saved, members[1]), bumpRevision: 10_000 }, world);
  const bumped = before.revision + 10_000;
  {
    await using ours = await (await KeelsonMember.start(members[1])).ready();
    const after = await contentOf(ours.api);
    expect(after).toMatchObject({ revision: bumped, keys: before.keys });
    expect((await ours.api.put('more', '1')).header?.revision).toBe(bumped + 1);
    await expect(ours.api.range({ key: Buffer.from('key/2'), revision: bumped - 1 })).rejects.toThrow(
      'required revision has been compacted',
    );
  }
  // It starts again, and a real etcd takes the odd revision as we do.
  await using again = await (await KeelsonMember.start(members[1])).ready();
  const after = await contentOf(again.api);
  expect(after.revision).toBe(bumped + 1);
  await again.stop();
  await exportMember({ dataDir: members[1].dataDir, walDir: '', target: members[2].dataDir }, silentLogger);
  await using back = await EtcdMember.start({ ...members[1], dataDir: members[2].dataDir }).ready();
  expect(await contentOf(back.api)).toEqual(after);
});

check('exported, one member and three: etcd starts with the same content and goes on', async () => {
  for (const count of [1, 3]) {
    using workspace = new Workspace();
    const { members, initialCluster } = await plan(workspace, count);
    const target = await plan(workspace, count, 'etcd');
    const flags = [`--initial-cluster=${initialCluster}`, '--snapshot-count=100'];
    const ours = await Promise.all(members.map((member) => KeelsonMember.start(member, flags)));
    await Promise.all(ours.map((member) => member.ready()));
    await waitUntil('there is a leader', { timeoutMs: 20_000 }, () => ours[0].api.revision());
    await makeContent(ours[0].api, { keys: 250, compact: true });
    const before = await contentOf(ours[0].api);
    await Promise.all(ours.map((member) => member.stop()));
    for (const [i, member] of members.entries())
      await exportMember(
        { dataDir: member.dataDir, walDir: '', target: target.members[i].dataDir },
        silentLogger,
      );
    const etcds = members.map((member, i) =>
      EtcdMember.start({ ...member, dataDir: target.members[i].dataDir }, [
        `--initial-cluster=${initialCluster}`,
      ]),
    );
    try {
      await Promise.all(etcds.map((etcd) => etcd.ready()));
      expect(await contentOf(etcds[0].api)).toEqual(before);
      const { members: listed } = await etcds[0].api.call(
        services.Cluster.methods.memberList,
        new etcdserverpb.MemberListRequest(),
      );
      expect(listed.map(({ name }) => name).sort((a, b) => (a < b ? -1 : 1))).toEqual(
        members.map(({ name }) => name),
      );
      await etcds[count - 1].api.put('more', '1');
      expect((await contentOf(etcds[0].api)).revision).toBe(before.revision + 1);
    } finally {
      await Promise.all(etcds.map((etcd) => etcd.kill()));
    }
    // The member's own data dir was not touched.
    const again = await Promise.all(members.map((member) => KeelsonMember.start(member, flags)));
    try {
      await Promise.all(again.map((member) => member.ready()));
      const after = await waitUntil('a read is answered', { timeoutMs: 20_000 }, () =>
        contentOf(again[0].api),
      );
      expect(after).toEqual(before);
    } finally {
      await Promise.all(again.map((member) => member.stop()));
    }
  }
});

check(
  'our members killed with -9 under load, then exported: etcd has all that was acknowledged',
  async () => {
    await using cluster = await ProcessCluster.start({ binary: KEELSON_ETCD, size: 3, flags: KEELSON_FLAGS });
    const base = await cluster.api(0).revision();
    const ledger = new Ledger(randomInt(1e9));
    const apis = [0, 1, 2].map((i) => cluster.api(i));
    const load = new PutLoad({ apis, ledger, writers: 16, prefix: 'load/', timeoutMs: 5000 });
    load.start();
    await load.acknowledgedMore(600 + randomInt(600), 30_000);
    await Promise.all(cluster.members.map((member) => member.kill()));
    await load.stop();
    using workspace = new Workspace();
    const initialCluster = cluster.members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',');
    const etcds: EtcdMember[] = [];
    try {
      for (const { name, dataDir, options } of cluster.members) {
        const target = workspace.join(`${name}/data`);
        await exportMember({ dataDir, walDir: '', target }, silentLogger);
        const { clientPort, peerPort } = options;
        etcds.push(
          EtcdMember.start({ name, dataDir: target, clientPort, peerPort }, [
            `--initial-cluster=${initialCluster}`,
          ]),
        );
      }
      await Promise.all(etcds.map((etcd) => etcd.ready()));
      const { kvs, revision } = await etcds[0].api.all('load/');
      expect(ledger.check(kvs, base, revision).broken).toEqual([]);
      expect(ledger.acknowledged.size).toBeGreaterThan(600);
    } finally {
      await Promise.all(etcds.map((etcd) => etcd.kill()));
    }
  },
  missingServer(),
);
