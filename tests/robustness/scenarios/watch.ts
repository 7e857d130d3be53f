/**
 * Bugs of watches that etcd had: progress that overtakes events, events lost at a compaction, watchers forgotten when their
 * client is slow, and watchers confused by a snapshot that their member received.
 */
import { pause, waitUntil } from '../../harness/waiting.ts';
import { transaction } from '../blackbox/load.ts';
import { must, type Scenario, type Stage } from './stage.ts';

async function puts(
  stage: Stage,
  member: string,
  count: number,
  key: (i: number) => string,
): Promise<number> {
  const clients = Array.from({ length: Math.min(32, count) }, (_, i) => stage.client(10 + i));
  let next = 0;
  let revision = 0;
  await Promise.all(
    clients.map(async (client) => {
      while (next < count) {
        const i = next++;
        const answer = await client.ask(member, { kind: 'put', key: key(i), value: `${i}` });
        revision = Math.max(revision, answer?.revision ?? 0);
      }
    }),
  );
  return revision;
}

export const PROGRESS_OVERTAKES: Scenario = {
  name: 'progress-overtakes',
  issue: '#15220',
  law: 'W6',
  what: 'progress is asked for while a watch still reads the past',
  members: 1,
  flags: {},
  async run(stage) {
    const member = stage.field.name(0);
    const client = stage.client();
    for (let i = 0; i < 40; i++) {
      const then = Array.from({ length: 100 }, (_, n) => ({
        kind: 'put' as const,
        key: `k/${n}`,
        value: `${i}.${n}.${'x'.repeat(40)}`,
      }));
      must(await client.ask(member, transaction([], then)), 'txn');
    }
    for (let i = 0; i < 3; i++) {
      const stream = await stage.stream(member);
      stream.watch({ key: 'k/', end: 'k0', start: 2 });
      stream.progress();
      await pause(300);
    }
    await stage.settle();
  },
};

export const LOST_DELETE: Scenario = {
  name: 'lost-delete',
  issue: '#19179',
  law: 'W3',
  what: 'a watch begins at a compaction that is a delete',
  members: 1,
  flags: {},
  async run(stage) {
    const member = stage.field.name(0);
    const client = stage.client();
    await client.ask(member, { kind: 'put', key: 'k', value: '1' });
    await client.ask(member, { kind: 'put', key: 'other', value: '1' });
    const { revision = 0 } = must(await client.ask(member, { kind: 'delete', key: 'k' }), 'delete');
    must(await client.ask(member, { kind: 'compact', revision, physical: true }), 'compact');
    const stream = await stage.stream(member);
    stream.watch({ key: 'k', start: revision });
    await pause(500);
    await client.ask(member, { kind: 'put', key: 'k', value: '2' });
    await stage.settle();
  },
};

export const FORGOTTEN_WATCHER: Scenario = {
  name: 'forgotten-watcher',
  issue: '#17529',
  law: 'W11',
  what: 'a watch begins below the compaction on a stream whose client does not read',
  members: 1,
  flags: {},
  async run(stage) {
    const member = stage.field.name(0);
    const client = stage.client();
    for (let i = 0; i < 5; i++) await client.ask(member, { kind: 'put', key: 'k', value: `${i}` });
    must(await client.ask(member, { kind: 'compact', revision: 5, physical: true }), 'compact');
    const stream = await stage.stream(member);
    stream.watch({ key: 'full' });
    await pause(300);
    stream.pause();
    const value = 'x'.repeat(60_000);
    for (let i = 0; i < 400; i++)
      await client.ask(member, { kind: 'put', key: 'full', value: `${i}${value}` });
    stream.watch({ key: 'k', start: 2 });
    await pause(1500);
    stream.resume();
    await pause(1000);
    await client.ask(member, { kind: 'put', key: 'k', value: 'last' });
    await stage.settle(2000);
  },
};

export const WATCH_OVER_SNAPSHOT: Scenario = {
  name: 'watch-over-snapshot',
  issue: '#15271, #20221',
  law: 'W2',
  what: 'a member with open watches, one of them from a revision to come, receives a snapshot',
  members: 3,
  flags: { 'snapshot-count': '100', 'snapshot-catchup-entries': '50' },
  async run(stage) {
    const { field } = stage;
    const leader = await waitUntil('there is a leader', { timeoutMs: 10_000 }, () => field.leader());
    const behind = field.everyone.find((i) => i !== leader) ?? 0;
    const client = stage.client();
    const first = await puts(stage, field.name(leader), 10, (i) => `k/${i}`);
    const stream = await stage.stream(field.name(behind));
    stream.watch({ key: 'k/', end: 'k0' });
    stream.watch({ key: 'k/', end: 'k0', start: first + stage.missedEntries + 400 });
    await pause(500);
    for (const other of field.everyone) if (other !== behind) field.cut(behind, other);
    // What it misses is no key of the watches': what they are told afterwards must be new.
    const last = await puts(stage, field.name(leader), stage.missedEntries, (i) => `n/${i % 50}`);
    await pause(500);
    for (const other of field.everyone) if (other !== behind) field.join(behind, other);
    await waitUntil('the member has caught up', { timeoutMs: 40_000, everyMs: 50 }, async () => {
      const revision = await field.cluster.api(behind).revision({ serializable: true, timeoutMs: 1000 });
      return revision >= last ? true : undefined;
    });
    await pause(500);
    for (let i = 0; i < 20; i++) {
      await client.ask(field.name(leader), { kind: 'put', key: `k/${i % 10}`, value: `after ${i}` });
      await pause(20);
    }
    await stage.settle(1500);
  },
};
