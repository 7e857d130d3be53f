/** What a lease has left, told by the leader to all members, on a cluster whose clock is set forward. */
import { afterEach, expect, test } from '@jest/globals';
import { systemClock, type Clock } from '@keelson/base';
import { etcdserverpb, services } from '@keelson/proto';
import { until } from '../../base/test/until.ts';
import { setFeatureGates, defaultFeatureGates } from '../src/config/feature-gates.ts';
import { MemberCluster } from './members.ts';

const { Lease } = services;
const ID = 7n;

/** The machine's, and as far ahead as the test says; timers keep the machine's pace. */
class AheadClock implements Clock {
  aheadMs = 0;
  nowMs(): number {
    return systemClock.nowMs() + this.aheadMs;
  }
  monotonicMs(): number {
    return systemClock.monotonicMs() + this.aheadMs;
  }
  setTimer(delayMs: number, task: () => void): ReturnType<Clock['setTimer']> {
    return systemClock.setTimer(delayMs, task);
  }
}

const open: MemberCluster[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((cluster) => cluster.stop()));
});

async function started(gates: string): Promise<{ cluster: MemberCluster; clock: AheadClock }> {
  const featureGates = setFeatureGates(defaultFeatureGates(), gates);
  if (!featureGates.ok) throw new Error(featureGates.error);
  const clock = new AheadClock();
  const cluster = await MemberCluster.start({
    members: 3,
    clock,
    config: { featureGates: featureGates.value },
  });
  open.push(cluster);
  await cluster.leader();
  const { TTL } = await cluster
    .channel(0)
    .unary(Lease.methods.leaseGrant, new etcdserverpb.LeaseGrantRequest({ ID, TTL: 1_000 }));
  expect(TTL).toBe(1_000);
  await until(() => remaining(cluster).every((seconds) => seconds === 0), 'all to know it');
  return { cluster, clock };
}

/** As each member would give it to a lease of its own leading. */
function remaining(cluster: MemberCluster): (number | undefined)[] {
  return cluster.running().map(({ replica }) => replica.lessor.lookup(ID)?.remainingSeconds);
}

async function timeToLive(cluster: MemberCluster, i: number): Promise<number> {
  const request = new etcdserverpb.LeaseTimeToLiveRequest({ ID });
  return (await cluster.channel(i).unary(Lease.methods.leaseTimeToLive, request)).TTL;
}

test('the rest of a lease survives a change of leaders and a restart of all; a renewal voids it', async () => {
  const { cluster, clock } = await started('LeaseCheckpoint=true,LeaseCheckpointPersist=true');
  clock.aheadMs += 400_000;
  await until(() => remaining(cluster).every((left) => left! > 590 && left! <= 600), 'all to hear of it');
  await cluster.stopMember(await cluster.leader());
  const second = await cluster.leader();
  expect(await timeToLive(cluster, second)).toBeLessThanOrEqual(600);

  for (let i = 0; i < 3; i++) await cluster.stopMember(i);
  await Promise.all([0, 1, 2].map((i) => cluster.startMember(i)));
  const third = await cluster.leader();
  await until(() => remaining(cluster).every((left) => left! > 0), 'all to be there');
  const left = await timeToLive(cluster, third);
  expect(left).toBeGreaterThan(590);
  expect(left).toBeLessThanOrEqual(600);

  const renewed = await cluster.server(third).replica.leases.renew(ID);
  expect(renewed).toBe(1_000);
  // Before it was answered: whoever leads next counts from the renewal.
  expect(cluster.server(third).replica.lessor.lookup(ID)?.remainingSeconds).toBe(0);
  await until(() => remaining(cluster).every((seconds) => seconds === 0), 'all to forget it');
  await cluster.stopMember(third);
  expect(await timeToLive(cluster, await cluster.leader())).toBeGreaterThan(990);
});

test('without the gate a change of leaders gives the whole TTL again', async () => {
  const { cluster, clock } = await started('');
  clock.aheadMs += 400_000;
  const first = await cluster.leader();
  await until(() => cluster.server(first).replica.lessor.lookup(ID)!.expiresAtMs > 0, 'it to be shorter');
  expect(await timeToLive(cluster, first)).toBeLessThanOrEqual(600);
  await cluster.stopMember(first);
  expect(await timeToLive(cluster, await cluster.leader())).toBeGreaterThan(990);
});
