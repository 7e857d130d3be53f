import { describe, expect, test } from '@jest/globals';
import { restoreConfState } from './conf-change.ts';
import { VoteResult } from './quorum.ts';
import { allVoters, describeConfiguration, Tracker } from './tracker.ts';
import { type ConfState, EMPTY_CONF_STATE, type NodeId } from './types.ts';

function tracker(members: Partial<ConfState>): Tracker {
  const all = new Tracker(10, Infinity);
  restoreConfState(all, { ...EMPTY_CONF_STATE, ...members }, 5);
  return all;
}

const JOINT = {
  voters: [1n, 2n, 10n],
  votersOutgoing: [1n, 2n, 3n],
  learners: [4n],
  learnersNext: [3n],
  autoLeave: true,
};

test('a configuration in one line, ids in decimal', () => {
  expect(describeConfiguration(tracker(JOINT).config)).toBe(
    'voters=(1 2 10)&&(1 2 3) learners=(4) learners_next=(3) autoleave',
  );
  expect(describeConfiguration(tracker({}).config)).toBe('voters=()');
});

test('the ConfState that it was restored from', () => {
  expect(tracker(JOINT).confState()).toEqual(JOINT);
});

test('voters of both halves, each once; progresses of all in id order', () => {
  const all = tracker(JOINT);
  expect(allVoters(all.config)).toEqual([1n, 2n, 3n, 10n]);
  expect(all.progresses.map((each) => [each.id, each.isLearner])).toEqual([
    [1n, false],
    [2n, false],
    [3n, false],
    [4n, true],
    [10n, false],
  ]);
  expect([all.isVoter(3n), all.isVoter(4n), all.isVoter(10n), all.isVoter(5n)]).toEqual([
    true,
    false,
    true,
    false,
  ]);
});

test.each<[string, Partial<ConfState>, NodeId, boolean]>([
  ['the one voter', { voters: [1n] }, 1n, true],
  ['the one voter, with learners', { voters: [1n], learners: [2n] }, 1n, true],
  ['a learner of one voter', { voters: [2n], learners: [1n] }, 1n, false],
  ['who was removed', { voters: [2n] }, 1n, false],
  ['one of two', { voters: [1n, 2n] }, 1n, false],
  ['the one voter of both halves', { voters: [1n], votersOutgoing: [1n] }, 1n, true],
  ['one of one, and of two', { voters: [1n], votersOutgoing: [1n, 2n] }, 1n, false],
])('every quorum alone: %s', (_name, members, id, alone) => {
  expect(tracker(members).isSingleton(id)).toBe(alone);
});

describe('votes', () => {
  test('the first answer of a node stands', () => {
    const all = tracker({ voters: [1n, 2n, 3n] });
    all.recordVote(1n, true);
    all.recordVote(2n, false);
    all.recordVote(2n, true);
    expect(all.tallyVotes()).toEqual({ granted: 1, rejected: 1, result: VoteResult.Pending });
  });

  test('a learner’s answer is neither counted nor decides', () => {
    const all = tracker({ voters: [1n, 2n, 3n], learners: [4n, 5n] });
    all.recordVote(1n, true);
    all.recordVote(4n, true);
    all.recordVote(5n, false);
    expect(all.tallyVotes()).toEqual({ granted: 1, rejected: 0, result: VoteResult.Pending });
  });

  test.each<[NodeId[], NodeId[], VoteResult]>([
    [[1n, 2n], [], VoteResult.Won],
    [[1n, 10n], [], VoteResult.Pending],
    [[1n, 10n], [2n, 3n], VoteResult.Lost],
    [[1n, 3n], [], VoteResult.Pending],
    [[1n, 3n], [2n, 10n], VoteResult.Lost],
    [[1n, 3n, 10n], [2n], VoteResult.Won],
  ])('joint: %j for and %j against', (granted, rejected, result) => {
    const all = tracker(JOINT);
    for (const id of granted) all.recordVote(id, true);
    for (const id of rejected) all.recordVote(id, false);
    expect(all.tallyVotes()).toEqual({ granted: granted.length, rejected: rejected.length, result });
  });
});

test.each<[NodeId[], boolean]>([
  [[1n, 2n], true],
  [[1n, 3n], false],
  [[1n, 10n], false],
  [[1n, 3n, 4n], false],
  [[2n, 3n, 10n], true],
])('with %j heard from, is a quorum of both halves active', (heard, active) => {
  const all = tracker(JOINT);
  for (const progress of all.progresses) progress.recentActive = heard.includes(progress.id);
  expect(all.quorumActive()).toBe(active);
});

test.each<[Partial<ConfState>, Record<string, number>, number]>([
  [{ voters: [1n, 2n, 3n] }, { 1: 7, 2: 5, 3: 0 }, 5],
  [{ voters: [1n, 2n], learners: [3n] }, { 1: 7, 2: 5, 3: 9 }, 5],
  [JOINT, { 1: 9, 2: 5, 3: 7, 4: 9, 10: 8 }, 7],
  [JOINT, { 1: 9, 2: 5, 3: 4, 4: 9, 10: 8 }, 5],
  [{}, {}, Infinity],
])('%j at %j has committed %d', (members, matches, index) => {
  const all = tracker(members);
  for (const progress of all.progresses) progress.match = matches[String(progress.id)] ?? 0;
  expect(all.committed()).toBe(index);
});
