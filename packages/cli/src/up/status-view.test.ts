import { describe, expect, test } from '@jest/globals';
import { Member } from './member.ts';
import type { MemberStatus } from './probe.ts';
import { LiveBlock, changeLines, leaderOf, statusLines } from './status-view.ts';
import type { MemberReport } from './supervisor.ts';

const member = (name: string): Member =>
  new Member({ name, kind: 'store', clientUrl: 'http://127.0.0.1:1', logFile: '/dev/null', command: [] });

const follower: MemberStatus = {
  leads: false,
  hasLeader: true,
  learner: false,
  term: 2,
  revision: 1234,
  raftIndex: 4321,
  dbSizeBytes: 24_576,
};

const report = (name: string, healthy: boolean, status: Partial<MemberStatus> | undefined): MemberReport => ({
  member: member(name),
  healthy,
  status: status === undefined ? undefined : { ...follower, ...status },
});

test('a table of members', () => {
  const lines = statusLines([
    report('m1', true, { leads: true }),
    report('m2', false, { hasLeader: false, learner: true }),
    report('m3', false, undefined),
  ]);
  expect(lines).toEqual([
    'MEMBER  PID  ROLE     TERM  REVISION  RAFT INDEX  DB SIZE  HEALTH',
    'm1      -    leader   2     1234      4321        25 kB    ok',
    'm2      -    learner  2     1234      4321        25 kB    no leader',
    'm3      -    -        -     -         -           -        down',
  ]);
});

describe('changes', () => {
  const calm = [report('m1', true, { leads: true }), report('m2', true, {})];
  test.each<[string, MemberReport[], string[]]>([
    ['nothing', calm, []],
    [
      'another leader',
      [report('m1', true, {}), report('m2', true, { leads: true, term: 3 })],
      ['m2 leads (term 3)'],
    ],
    [
      'the old leader does not know yet',
      [report('m1', true, { leads: true }), report('m2', true, { leads: true, term: 3 })],
      ['m2 leads (term 3)'],
    ],
    [
      'no quorum',
      [report('m1', false, { leads: true }), report('m2', false, { hasLeader: false })],
      ['m1: unhealthy (was ok)', 'm2: no leader (was ok)'],
    ],
    [
      'a process that ended is told elsewhere',
      [report('m1', true, { leads: true }), report('m2', false, undefined)],
      [],
    ],
  ])('%s', (_name, after, want) => {
    expect(changeLines(calm, after)).toEqual(want);
  });
});

test('the leader is the one of the newest term', () => {
  const reports = [report('m1', true, { leads: true }), report('m2', true, { leads: true, term: 3 })];
  expect(leaderOf(reports)?.member.name).toBe('m2');
  expect(leaderOf([report('m1', true, {})])).toBeUndefined();
});

test('a block is redrawn in place, cut to the terminal, below what is said', () => {
  let written = '';
  const block = new LiveBlock(
    (text) => (written += text),
    () => 6,
  );
  block.draw(['one', 'much too long']);
  expect(written).toBe('one\nmuch \n');
  written = '';
  block.say('hello');
  expect(written).toBe('\u001b[2A\u001b[Jhello\none\nmuch \n');
});
