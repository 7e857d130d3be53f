import { expect, test } from '@jest/globals';
import { etcdserverpb } from '@keelson/proto';
import type { CommandKind } from '../apply/command.ts';
import type { ApplyResult } from '../apply/results.ts';
import { StoreError } from '../errors.ts';
import { Lessor } from '../lease/lessor.ts';
import { Leases, type LeadershipView, type LeaseForwarder } from './leases.ts';
import { HandClock } from '../../test/hand-clock.ts';
import { Schedule } from './schedule.ts';

test('a task runs once an interval, once when late, and never after stop', async () => {
  const clock = new HandClock();
  const schedule = new Schedule(clock);
  let runs = 0;
  schedule.every(10, () => runs++);
  await clock.pass(9);
  expect(runs).toBe(0);
  await clock.pass(1);
  await clock.pass(100);
  expect(runs).toBe(2);
  schedule.stop();
  await clock.pass(100);
  expect(runs).toBe(2);
});

test('delays end with their time or with the schedule, and are none afterwards', async () => {
  const clock = new HandClock();
  const schedule = new Schedule(clock);
  const ended: string[] = [];
  void schedule.delay(10).then(() => ended.push('short'));
  void schedule.delay(1000).then(() => ended.push('long'));
  await clock.pass(10);
  expect(ended).toEqual(['short']);
  schedule.stop();
  await clock.pass(0);
  expect(ended).toEqual(['short', 'long']);
  await schedule.delay(1e9);
});

class Member implements LeadershipView {
  isLeader = false;
  leaderId = 0n;
  readonly lessor = new Lessor({ put: () => {}, delete: () => {} }, 2);
  confirm: () => Promise<void> = () => Promise.resolve();
  linearizable(): Promise<void> {
    return this.confirm();
  }
  /** Applied at once, as a log of one member would. */
  readonly proposed: etcdserverpb.LeaseCheckpoint[] = [];
  propose(_kind: CommandKind, body: Buffer): Promise<ApplyResult> {
    for (const checkpoint of etcdserverpb.decodeLeaseCheckpointRequest(body).checkpoints) {
      this.proposed.push(checkpoint);
      this.lessor.checkpoint(checkpoint.ID, checkpoint.remainingTTL);
    }
    return Promise.resolve({ response: undefined, error: undefined, revision: 1 });
  }
}

function leases(
  member: Member,
  forwarder: Partial<LeaseForwarder> = {},
): { leases: Leases; clock: HandClock; schedule: Schedule } {
  const clock = new HandClock();
  const schedule = new Schedule(clock);
  const refuses = (): Promise<never> => Promise.reject(new Error('unreachable'));
  const made = new Leases(member, { renew: refuses, timeToLive: refuses, ...forwarder }, schedule, {
    monotonicMs: () => clock.monotonicMs(),
    requestTimeoutMs: 7_000,
  });
  return { leases: made, clock, schedule };
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.catch((error: unknown) => (error as StoreError).code);

test('a renewal first takes back what a checkpoint told the others', async () => {
  const member = new Member();
  member.isLeader = true;
  member.lessor.grant(1n, 1_000);
  member.lessor.checkpoint(1n, 400);
  member.lessor.promote(0, 0);
  const { leases: tested } = leases(member);
  expect(await tested.renew(1n)).toBe(1_000);
  expect(await tested.renew(1n)).toBe(1_000);
  expect(member.proposed).toMatchObject([{ ID: 1n, remainingTTL: 0 }]);
  member.lessor.checkpoint(1n, 300);
  member.propose = async () => {
    member.isLeader = false;
    return Promise.resolve({ response: undefined, error: undefined, revision: 1 });
  };
  expect(await codeOf(tested.renew(1n))).toBe('NOT_PRIMARY');
});

test('a leader renews once it is known to lead still', async () => {
  const member = new Member();
  member.isLeader = true;
  member.lessor.promote(0, 0);
  member.lessor.grant(1n, 10);
  const { leases: tested } = leases(member);
  expect(await tested.renew(1n)).toBe(10);
  expect(await tested.renew(2n)).toBeUndefined();
  member.confirm = () => Promise.reject(new StoreError('LEADER_CHANGED'));
  expect(await codeOf(tested.renew(1n))).toBe('NOT_PRIMARY');
  member.confirm = () => {
    member.isLeader = false;
    return Promise.resolve();
  };
  expect(await codeOf(tested.renewHere(1n))).toBe('NOT_PRIMARY');
});

test('whose time is up is told so when the end is applied, or by the next leader', async () => {
  const member = new Member();
  member.isLeader = true;
  member.lessor.promote(0, 0);
  member.lessor.grant(1n, 10);
  member.lessor.grant(2n, 10);
  member.lessor.arm(0);
  const { leases: tested, clock } = leases(member);
  await clock.pass(10_000);
  let answered = 0;
  const ended = tested.renew(1n).finally(() => answered++);
  const kept = codeOf(tested.renew(2n)).finally(() => answered++);
  await clock.pass(20);
  expect(answered).toBe(0);
  member.lessor.revoke(1n);
  await clock.pass(20);
  expect(await ended).toBeUndefined();
  expect(answered).toBe(1);
  member.isLeader = false;
  await clock.pass(20);
  expect(await kept).toBe('NOT_PRIMARY');
});

test('whose time ran out while its checkpoint was taken back waits for its end as well', async () => {
  const member = new Member();
  member.isLeader = true;
  member.lessor.grant(1n, 10);
  member.lessor.checkpoint(1n, 5);
  member.lessor.promote(0, 0);
  const { leases: tested, clock } = leases(member);
  const propose = member.propose.bind(member);
  let syncs = (): void => {};
  member.propose = async (kind, body) => {
    await new Promise<void>((resolve) => (syncs = resolve));
    return propose(kind, body);
  };
  let answered = 0;
  const ended = tested.renew(1n).finally(() => answered++);
  await clock.pass(1);
  await clock.pass(6000);
  syncs();
  await clock.pass(20);
  expect(member.proposed).toHaveLength(1);
  expect(answered).toBe(0);
  member.lessor.revoke(1n);
  await clock.pass(20);
  expect(await ended).toBeUndefined();
});

test('elsewhere the leader of the moment is asked, until one answers or the time is up', async () => {
  const member = new Member();
  const asked: bigint[] = [];
  const { leases: tested, clock } = leases(member, {
    renew: (leader) => {
      asked.push(leader);
      return leader === 3n ? Promise.resolve(30) : Promise.reject(new Error('gone'));
    },
  });
  const renewed = tested.renew(1n);
  await clock.pass(50);
  member.leaderId = 2n;
  await clock.pass(50);
  member.leaderId = 3n;
  await clock.pass(50);
  expect(await renewed).toBe(30);
  expect(asked).toEqual([2n, 3n]);
  member.leaderId = 2n;
  const late = codeOf(tested.renew(1n));
  for (let i = 0; i < 150; i++) await clock.pass(50);
  expect(await late).toBe('TIMEOUT');
});

test('a member that stops does not go on asking', async () => {
  const { leases: tested, schedule, clock } = leases(new Member());
  const renewed = codeOf(tested.renew(1n));
  await clock.pass(0);
  schedule.stop();
  expect(await renewed).toBe('STOPPED');
});
