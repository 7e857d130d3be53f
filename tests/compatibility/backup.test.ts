/**
 * Incremental backups by the command as it is installed: followed under load and killed again and again, restored to
 * revisions and compared with what the cluster was then, and exported to a real etcd.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { exportMember, restoreIncremental } from '@keelson/store';
import { KEELSON_ETCD, missingServer } from '../harness/binaries.ts';
import type { MemberApi } from '../harness/member-api.ts';
import { waitUntil } from '../harness/waiting.ts';
import { contentOf, makeContent, type Content } from './content.ts';
import { KeelsonMember } from './keelson-member.ts';
import { check, etcdctl, EtcdMember, plan, Workspace } from './oracle.ts';

const KEELSON = path.join(path.dirname(KEELSON_ETCD), 'keelson');
const WAIT = { timeoutMs: 30_000 };
const ROUND_PUTS = 32;

/** A process that follows, and what it said. */
class Follower {
  said = '';
  private readonly child: ChildProcess;
  private readonly ended: Promise<unknown>;

  constructor(folder: string, endpoint: string) {
    this.child = spawn(
      KEELSON,
      ['snapshot', 'save', '--incremental', folder, '--follow', '--interval=10ms', `--endpoints=${endpoint}`],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.said += chunk.toString()));
    this.ended = once(this.child, 'exit');
  }

  async until(pattern: RegExp): Promise<void> {
    await waitUntil(`it says ${pattern}`, { timeoutMs: 60_000 }, () => {
      if (this.child.exitCode !== null) throw new Error(`it ended: ${this.said}`);
      return pattern.test(this.said) || undefined;
    });
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.child.kill(signal);
    await this.ended;
  }
}

/** Puts without a pause, and what the store was at some of them. */
async function load(api: MemberApi, from: number, seen: Map<number, Content>): Promise<void> {
  for (let i = from; i < from + ROUND_PUTS; i++) {
    await api.put(`load/${i % 40}`, `value ${i} `.repeat(i % 20), WAIT.timeoutMs);
    if (i % 9 === 0)
      await api.call(
        services.KV.methods.deleteRange,
        new etcdserverpb.DeleteRangeRequest({ key: Buffer.from(`load/${(i + 3) % 40}`) }),
        WAIT,
      );
    if (i % 8 === 0) {
      const content = await contentOf(api);
      seen.set(content.revision, content);
    }
  }
}

const missing = missingServer();
const name =
  'a follower that is killed again and again loses nothing; a real etcd takes over what is restored';
if (missing !== undefined) test.skip(`${name}: ${missing}`, () => {});
else
  check(name, async () => {
    using workspace = new Workspace();
    const { members } = await plan(workspace, 3);
    const [source, restored, etcd] = members;
    const folder = workspace.join('backup');
    const seen = new Map<number, Content>();
    await using member = await (
      await KeelsonMember.start(source, ['--snapshot-count=100', '--bcrypt-cost=4'])
    ).ready();
    await makeContent(member.api, { keys: 20, compact: false });
    for (let round = 0; round < 4; round++) {
      const follower = new Follower(folder, `127.0.0.1:${source.clientPort}`);
      const loading = load(member.api, round * ROUND_PUTS, seen);
      // At any moment after it has begun: the first time maybe in the middle of its base.
      const killed = (async () => {
        if (round > 0) await follower.until(/Following/);
        else await waitUntil('the load is halfway', { timeoutMs: 60_000 }, () => seen.size > 1 || undefined);
        await follower.end('SIGKILL');
      })();
      await Promise.all([loading, killed]);
      if (round === 2) {
        await member.api.call(
          services.KV.methods.compact,
          new etcdserverpb.CompactionRequest({ revision: Math.max(...seen.keys()) - 5 }),
          WAIT,
        );
        await addAndRemoveMember(member.api);
      }
    }
    const last = await contentOf(member.api);
    const follower = new Follower(folder, `127.0.0.1:${source.clientPort}`);
    await follower.until(new RegExp(`Following: .* reaches revision ${last.revision},`));
    await follower.end('SIGTERM');
    expect(follower.said).toMatch(/\nStopped: /);
    // The base is any saved snapshot to etcd's own tool.
    const base: { readonly revision: number } = JSON.parse(
      await etcdctl('snapshot', 'status', path.join(folder, 'chain-0001/base.db'), '-w', 'json'),
    );
    const manifest: unknown = JSON.parse(await readFile(path.join(folder, 'manifest.json'), 'utf8'));
    expect(base.revision).toBeGreaterThan(20);
    expect(manifest).toMatchObject({
      version: 1,
      chains: [{ base: { revision: base.revision } }],
    });

    const restore = async (revision: number): Promise<Content> => {
      const dataDir = `${restored.dataDir}-${revision}`;
      const peer = `http://127.0.0.1:${restored.peerPort}`;
      await restoreIncremental(
        {
          directory: folder,
          until: { kind: 'revision', revision },
          name: restored.name,
          dataDir,
          walDir: '',
          peerUrls: [peer],
          initialCluster: `${restored.name}=${peer}`,
          initialClusterToken: 'restored',
          skipHashCheck: false,
          bumpRevision: 0,
        },
        silentLogger,
      );
      await using again = await (await KeelsonMember.start({ ...restored, dataDir })).ready();
      return await contentOf(again.api);
    };
    // Before the last kill, and so with what earlier runs wrote.
    const revisions = [...seen.keys()].filter((revision) => revision > Math.max(...seen.keys()) - ROUND_PUTS);
    for (const revision of [revisions[0], revisions[Math.floor(revisions.length / 2)]])
      expect(await restore(revision)).toEqual(seen.get(revision));
    expect(await restore(last.revision)).toEqual(last);

    await exportMember(
      { dataDir: `${restored.dataDir}-${last.revision}`, walDir: '', target: etcd.dataDir },
      silentLogger,
    );
    const flags = [
      `--initial-advertise-peer-urls=http://127.0.0.1:${restored.peerPort}`,
      `--initial-cluster=${etcd.name}=http://127.0.0.1:${restored.peerPort}`,
    ];
    await using theirs = await EtcdMember.start({ ...etcd, peerPort: restored.peerPort }, flags).ready();
    expect(await contentOf(theirs.api)).toEqual(last);
  });

async function addAndRemoveMember(api: MemberApi): Promise<void> {
  const { Cluster } = services;
  const { member } = await api.call(
    Cluster.methods.memberAdd,
    new etcdserverpb.MemberAddRequest({ peerURLs: ['http://127.0.0.1:1'], isLearner: true }),
    WAIT,
  );
  await api.call(
    Cluster.methods.memberRemove,
    new etcdserverpb.MemberRemoveRequest({ ID: member?.ID ?? 0n }),
    WAIT,
  );
}
