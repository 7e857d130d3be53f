/**
 * Members of etcd 3.4 and ours do not stand in one cluster: 3.4 panics at entries that every etcd from 3.6 on
 * writes, at once and at each later start. So whoever tries must be refused before one of them is written: the one
 * that joins, and the one whose data dir was a member's that the others still wait for.
 */
import { expect } from '@jest/globals';
import { KEELSON_ETCD, missingServer, REFERENCE_ETCD } from '../harness/binaries.ts';
import { MemberProcess } from '../harness/member-process.ts';
import { ProcessCluster } from '../harness/process-cluster.ts';
import { waitUntil } from '../harness/waiting.ts';
import { check, etcdctl } from './oracle.ts';

const missing = missingServer();
const ENDS_MS = 30_000;

/** The same member, run by our server. */
const asOurs = ({ options }: MemberProcess): MemberProcess =>
  new MemberProcess({ ...options, binary: KEELSON_ETCD });

check(
  'we do not join a running etcd 3.4',
  async () => {
    await using cluster = await ProcessCluster.start({ binary: REFERENCE_ETCD ?? '', size: 1 });
    const [{ name, peerUrl }] = cluster.members;
    const newcomer = asOurs(await cluster.join('ours', new Map([[name, [peerUrl]]])));
    const endpoint = `--endpoints=${cluster.members[0].address}`;
    // As a learner: the quorum stays one.
    await etcdctl(endpoint, 'member', 'add', 'ours', '--learner', `--peer-urls=${newcomer.peerUrl}`);
    newcomer.start();
    await waitUntil('ours ends', { timeoutMs: ENDS_MS }, () => !newcomer.running || undefined);
    expect(newcomer.exitCode).toBe(1);
    expect(newcomer.log()).toContain('incompatible with current running cluster: a member runs 3.4');
    expect(cluster.members[0].running).toBe(true);
    expect(await etcdctl(endpoint, 'put', 'after', 'all')).toBe('OK\n');
  },
  missing,
);

check(
  'one member of three that ours takes over does no harm to the other two',
  async () => {
    await using cluster = await ProcessCluster.start({ binary: REFERENCE_ETCD ?? '' });
    const [first, second, third] = cluster.members;
    await etcdctl(`--endpoints=${first.address}`, 'put', 'before', 'all');
    await third.stop();
    const ours = asOurs(third);
    ours.start();
    try {
      await waitUntil('it is refused by both', { timeoutMs: ENDS_MS }, () => {
        ours.assertRuns();
        const refused = [first, second].filter((member) => /incompatible|too low/.test(member.log()));
        return (refused.length === 2 && /incompatible version/.test(ours.log())) || undefined;
      });
      const endpoint = `--endpoints=${first.address}`;
      expect(await etcdctl(endpoint, 'put', 'after', 'all')).toBe('OK\n');
      expect([first.running, second.running]).toEqual([true, true]);
    } finally {
      await ours.kill();
    }
    third.start();
    await cluster.healthy();
    expect(await etcdctl(`--endpoints=${third.address}`, 'get', 'after', '--print-value-only')).toBe('all\n');
    cluster.assertAllRun();
  },
  missing,
);
