import { describe, expect, test } from '@jest/globals';
import { silentLogger } from '@keelson/base';
import { HandClock } from '../../test/hand-clock.ts';
import type { HashResult } from '../mvcc/hash.ts';
import { type Checked, CorruptionChecks, type PeerHash } from './corruption.ts';
import { Schedule } from './schedule.ts';

const at = (hashRevision: number, hash: number, compactRevision = -1): HashResult => ({
  hash,
  compactRevision,
  hashRevision,
  currentRevision: hashRevision,
});

/** @param answers hash, compact revision and own revision of each peer; undefined for one that is away */
const peers = (...answers: ([number, number, number] | undefined)[]): PeerHash[] =>
  answers.map((answer, i) => ({
    id: BigInt(i + 2),
    endpoints: [`http://peer${i + 2}`],
    answer:
      answer === undefined
        ? undefined
        : { hash: answer[0], compactRevision: answer[1], currentRevision: answer[2] },
  }));

function checked(member: Partial<Checked>): {
  checks: CorruptionChecks;
  alarms: bigint[];
  clock: HandClock;
  schedule: Schedule;
} {
  const alarms: bigint[] = [];
  const clock = new HandClock();
  const schedule = new Schedule(clock);
  const whole: Checked = {
    memberId: 1n,
    isLeader: true,
    requestTimeoutMs: 7_000,
    hash: async () => at(10, 5),
    compactionHashes: () => [],
    peerHashes: async () => [],
    linearizable: async () => {},
    raiseCorrupt: (id) => alarms.push(id),
  };
  // Getters stay getters.
  Object.defineProperties(whole, Object.getOwnPropertyDescriptors(member));
  const checks = new CorruptionChecks(whole, schedule, silentLogger);
  return { checks, alarms, clock, schedule };
}

describe('before serving', () => {
  test.each<[string, PeerHash[], boolean]>([
    ['equal', peers([5, -1, 10], [5, -1, 12]), true],
    ['nobody there', peers(undefined, undefined), true],
    ['other data', peers([5, -1, 10], [6, -1, 10]), false],
    ['other data at another compaction, which may be right', peers([6, 4, 10]), true],
  ])('%s', async (_name, answers, passes) => {
    const asked: number[] = [];
    const { checks, alarms } = checked({
      peerHashes: async (revision) => {
        asked.push(revision);
        return answers;
      },
    });
    if (passes) await checks.initial();
    else await expect(checks.initial()).rejects.toThrow('1 found data inconsistency with peers');
    expect(asked).toEqual([10]);
    expect(alarms).toEqual([]);
  });
});

describe('every so often', () => {
  test.each<[string, HashResult[], PeerHash[], bigint[]]>([
    ['all equal', [at(10, 5), at(12, 7)], peers([5, -1, 10], [5, -1, 11]), []],
    ['one away', [at(10, 5), at(10, 5)], peers([5, -1, 10], undefined), []],
    ['own data changed under one revision', [at(10, 5), at(10, 6)], peers([5, -1, 10]), [1n]],
    ['a follower ahead of its leader', [at(10, 5), at(12, 7)], peers([5, -1, 13]), [2n]],
    ['a follower compacted beyond its leader', [at(10, 5), at(10, 5)], peers([9, 4, 10]), [2n]],
    ['other data', [at(10, 5), at(11, 8)], peers([5, -1, 10], [6, -1, 10]), [3n]],
    ['one alarm a check', [at(10, 5), at(11, 8)], peers([4, -1, 10], [6, -1, 10]), [2n]],
    ['compacted meanwhile by both', [at(10, 5), at(10, 8, 4)], peers([9, 4, 10]), []],
  ])('%s', async (_name, own, answers, expected) => {
    const hashes = [...own];
    const { checks, alarms } = checked({
      hash: async () => hashes.shift() ?? Promise.reject(new Error('asked too often')),
      peerHashes: async () => answers,
    });
    await checks.periodic();
    expect(alarms).toEqual(expected);
  });

  test('only while leading, and a check that fails is no end', async () => {
    let asked = 0;
    const member = { isLeader: false };
    const { checks, clock, schedule, alarms } = checked({
      get isLeader() {
        return member.isLeader;
      },
      linearizable: async () => {
        asked++;
        if (asked === 1) throw new Error('no leader');
      },
      peerHashes: async () => peers([6, -1, 10]),
    });
    const running = checks.runPeriodic(1_000);
    await clock.run(3_000);
    expect(asked).toBe(0);
    member.isLeader = true;
    await clock.run(1_000);
    expect([asked, alarms]).toEqual([1, []]);
    await clock.run(1_000);
    expect([asked, alarms]).toEqual([2, [2n]]);
    schedule.stop();
    await running;
  });
});

describe('what compactions hashed', () => {
  const three = [at(10, 1, -1), at(20, 2, 10), at(30, 3, 20)];

  test.each<[string, Record<number, PeerHash[]>, number[], bigint[]]>([
    ['equal at the newest', { 30: peers([3, 20, 31], [3, 20, 30]) }, [30], []],
    [
      'one behind: the older one tells',
      { 30: peers([3, 20, 31], undefined), 20: peers([2, 10, 31], [2, 10, 25]) },
      [30, 20],
      [],
    ],
    [
      'one has compacted otherwise',
      { 30: peers([3, 20, 31], [9, 10, 31]), 20: peers(undefined, undefined), 10: [] },
      [30, 20, 10],
      [],
    ],
    ['a minority is named', { 30: peers([3, 20, 31], [4, 20, 31]) }, [30], [3n]],
    ['the leader is the minority', { 30: peers([4, 20, 31], [4, 20, 31]) }, [30], [1n]],
    ['without a majority nobody is named', { 30: peers([4, 20, 31], [5, 20, 31]) }, [30], [0n]],
    ['two members that differ', { 30: peers([4, 20, 31]) }, [30], [0n]],
  ])('%s', async (_name, answers, expectedAsked, expectedAlarms) => {
    const asked: number[] = [];
    const { checks, alarms } = checked({
      compactionHashes: () => three,
      peerHashes: async (revision) => {
        asked.push(revision);
        return answers[revision];
      },
    });
    await checks.compactHash();
    expect(asked).toEqual(expectedAsked);
    expect(alarms).toEqual(expectedAlarms);
  });

  test('what the whole cluster agreed on is not asked again', async () => {
    const asked: number[] = [];
    const hashes = [...three];
    const { checks } = checked({
      compactionHashes: () => hashes,
      peerHashes: async (revision) => {
        asked.push(revision);
        return peers([hashes.find(({ hashRevision }) => hashRevision === revision)!.hash, 20, 31]);
      },
    });
    await checks.compactHash();
    await checks.compactHash();
    expect(asked).toEqual([30]);
  });
});
