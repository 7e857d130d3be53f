/** Rounds of compaction by two API servers, on our own store. */

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { silentLogger, systemClock, type Clock } from '@keelson/base';
import type { Client } from '@keelson/client';

import { until } from '../../base/test/until.ts';
import { MemberCluster } from '../../store/test/members.ts';
import { Compactor } from '../src/storage/compactor.ts';

let cluster: MemberCluster;
let client: Client;
beforeAll(async () => {
  cluster = await MemberCluster.start({ members: 1 });
  client = cluster.client();
});
afterAll(() => cluster.stop());

function compactor(clock: Clock = systemClock, intervalMs = 0): Compactor {
  return new Compactor(client, { clock, logger: silentLogger, intervalMs });
}

test('whoever comes first compacts to where it was the round before; all hear of it', async () => {
  const listener = compactor();
  listener.start();
  const [a, b] = [compactor(), compactor()];
  const { header } = await client.kv.put('k', '0');
  const first = header?.revision ?? 0;

  // Nobody has seen a round: nothing is compacted.
  await a.compactOnce();
  await b.compactOnce();
  expect([a.compactedRevision, b.compactedRevision]).toEqual([0, 0]);
  expect((await client.kv.value('compact_rev_key'))?.toString()).toBe('0');
  for (const value of ['1', '2']) await client.kv.put('k', value);
  expect((await client.kv.get('k', { revision: first })).kvs[0]?.value.toString()).toBe('0');

  // Both have: the second one finds that the round is done, and learns how far.
  await b.compactOnce();
  await a.compactOnce();
  const compacted = b.compactedRevision;
  expect(compacted).toBeGreaterThanOrEqual(first);
  expect(a.compactedRevision).toBe(compacted);
  expect((await client.kv.value('compact_rev_key'))?.toString()).toBe(String(compacted));
  await expect(client.kv.get('k', { revision: compacted - 1 })).rejects.toThrow('compacted');
  await client.kv.get('k', { revision: compacted });
  await until(() => listener.compactedRevision === compacted, 'the listener to hear');

  // A round later it is what the first saw when it lost.
  for (const value of ['3', '4']) await client.kv.put('k', value);
  await a.compactOnce();
  expect(a.compactedRevision).toBeGreaterThan(compacted);
  await until(() => listener.compactedRevision === a.compactedRevision, 'the listener to hear again');

  // One that starts later knows at once.
  const late = compactor();
  late.start();
  await until(() => late.compactedRevision === a.compactedRevision, 'the late one to hear');
  listener.stop();
  late.stop();
});

test('rounds come by the clock until it is stopped', async () => {
  const timers: { readonly delayMs: number; readonly task: () => void }[] = [];
  const clock: Clock = {
    ...systemClock,
    setTimer(delayMs, task) {
      const timer = { delayMs, task };
      timers.push(timer);
      return { cancel: () => void timers.splice(timers.indexOf(timer), 1) };
    },
  };
  const rounds = async (): Promise<number> => (await client.kv.get('compact_rev_key')).kvs[0]?.version ?? 0;
  const before = await rounds();
  const one = compactor(clock, 300_000);
  one.start();
  for (let round = 0; round < 2; round += 1) {
    expect(timers.map(({ delayMs }) => delayMs)).toEqual([300_000]);
    timers.shift()?.task();
    await until(() => timers.length === 1, 'the next round to be set');
  }
  // The first round only learned how many there had been.
  expect(await rounds()).toBe(before + 1);
  one.stop();
  expect(timers).toEqual([]);
});
