import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { HandClock } from '../../test/hand-clock.ts';
import type { AutoCompaction } from '../config/validate.ts';
import { StoreError } from '../errors.ts';
import { AutoCompactor } from './auto-compaction.ts';
import { Schedule } from './schedule.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A member whose revision is the minutes since its start, and what was compacted when. */
class Member {
  readonly clock = new HandClock();
  readonly schedule = new Schedule(this.clock);
  readonly compacted: [minute: number, revision: number][] = [];
  isLeader = true;
  failure: Error | undefined;
  revision = (): number => Math.floor(this.clock.monotonicMs() / MINUTE) + 1;

  async compact(revision: number): Promise<void> {
    this.compacted.push([this.clock.monotonicMs() / MINUTE, revision]);
    if (this.failure !== undefined) throw this.failure;
  }

  start(plan: AutoCompaction): Promise<void> {
    const monotonicMs = (): number => this.clock.monotonicMs();
    return new AutoCompactor(this, this.schedule, monotonicMs, silentLogger).run(plan);
  }
}

describe('periodic', () => {
  test('an hour: first after an hour, then each hour; later ones keep a tenth more, as in etcd', async () => {
    const member = new Member();
    const running = member.start({ mode: 'periodic', retentionMs: HOUR });
    await member.clock.run(HOUR - 1);
    expect(member.compacted).toEqual([]);
    await member.clock.run(3 * HOUR);
    expect(member.compacted).toEqual([
      [60, 1],
      [120, 55],
      [180, 115],
    ]);
    member.schedule.stop();
    await running;
  });

  test('a day: nothing for a day, then each hour', async () => {
    const member = new Member();
    void member.start({ mode: 'periodic', retentionMs: 24 * HOUR });
    await member.clock.run(26 * HOUR);
    expect(member.compacted).toEqual([
      [24 * 60, 1],
      [25 * 60, 55],
      [26 * 60, 115],
    ]);
    member.schedule.stop();
  });

  test('five seconds are looked at ten times each', async () => {
    const member = new Member();
    const at: number[] = [];
    member.revision = () => at.push(member.clock.monotonicMs());
    void member.start({ mode: 'periodic', retentionMs: 5_000 });
    await member.clock.run(5_000);
    expect(at).toEqual([0, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500, 4_000, 4_500, 5_000]);
    member.schedule.stop();
  });

  test('a failure is tried again after a tenth; one already compacted is none', async () => {
    const member = new Member();
    void member.start({ mode: 'periodic', retentionMs: HOUR });
    member.failure = new Error('etcdserver: request timed out');
    await member.clock.run(HOUR + 13 * MINUTE);
    expect(member.compacted.map(([minute]) => minute)).toEqual([60, 66, 72]);
    member.failure = new StoreError('COMPACTED');
    await member.clock.run(HOUR);
    expect(member.compacted.map(([minute]) => minute)).toEqual([60, 66, 72, 78]);
    member.schedule.stop();
  });

  test('a follower only keeps count: made leader, it compacts as one that always led', async () => {
    const member = new Member();
    member.isLeader = false;
    void member.start({ mode: 'periodic', retentionMs: HOUR });
    await member.clock.run(100 * MINUTE);
    expect(member.compacted).toEqual([]);
    member.isLeader = true;
    await member.clock.run(5 * MINUTE);
    expect(member.compacted).toEqual([[102, 37]]);
    member.schedule.stop();
  });

  test('nothing new is not compacted again', async () => {
    const member = new Member();
    member.revision = () => 7;
    void member.start({ mode: 'periodic', retentionMs: HOUR });
    await member.clock.run(5 * HOUR);
    expect(member.compacted).toEqual([[60, 7]]);
    member.schedule.stop();
  });
});

describe('by revision', () => {
  test('every five minutes all but the newest so many', async () => {
    const member = new Member();
    void member.start({ mode: 'revision', revisions: 12 });
    await member.clock.run(21 * MINUTE);
    expect(member.compacted).toEqual([
      [15, 4],
      [20, 9],
    ]);
    member.isLeader = false;
    await member.clock.run(10 * MINUTE);
    expect(member.compacted).toHaveLength(2);
    member.isLeader = true;
    member.revision = () => 21;
    await member.clock.run(10 * MINUTE);
    expect(member.compacted.slice(2)).toEqual([]);
    member.schedule.stop();
  });
});

test('off is over at once', async () => {
  await new Member().start({ mode: 'off' });
});
