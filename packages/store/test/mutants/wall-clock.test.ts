/** E6: what the machine's calendar says has no part in when a lease ends. */
import { afterEach, expect, test } from '@jest/globals';
import { systemClock, type Clock } from '@keelson/base';
import { MemberCluster } from '../members.ts';

let cluster: MemberCluster | undefined;

afterEach(async () => {
  await cluster?.stop();
});

test.each([
  ['an hour ahead', 3_600_000],
  ['of 1970', -systemClock.nowMs()],
])('a lease under a calendar %s', async (_name, offMs) => {
  const clock: Clock = {
    nowMs: () => systemClock.nowMs() + offMs,
    monotonicMs: () => systemClock.monotonicMs(),
    setTimer: (delayMs, task) => systemClock.setTimer(delayMs, task),
  };
  cluster = await MemberCluster.start({ members: 1, clock });
  await cluster.leader();
  const beganMs = clock.monotonicMs();
  const { ID } = await cluster.client().lease.grant(60);
  const lease = cluster.server(0).replica.lessor.lookup(ID);
  expect(lease?.expiresAtMs).toBeGreaterThanOrEqual(beganMs + 60_000);
  expect(lease?.expiresAtMs).toBeLessThanOrEqual(clock.monotonicMs() + 60_000);
});
