import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { asV2, Changer, entersJoint, leavesJoint, put, restoreConfState } from './conf-change.ts';
import { jointVoteResult, VoteResult } from './quorum.ts';
import { type Configuration, describeConfiguration, Tracker } from './tracker.ts';
import { type ConfChangeSingle, ConfChangeTransition, ConfChangeType, type NodeId } from './types.ts';
import { EMPTY } from '@keelson/base';

const { AddNode, RemoveNode, AddLearnerNode, UpdateNode } = ConfChangeType;

function tracker(...voters: NodeId[]): Tracker {
  const made = new Tracker(10, Infinity);
  for (const nodeId of voters) put(made, new Changer(made, 10).simple([{ type: AddNode, nodeId }]));
  return made;
}

describe('which way a change goes', () => {
  test.each<[string, ConfChangeTransition, number, boolean, boolean]>([
    ['one change goes straight', ConfChangeTransition.Auto, 1, false, false],
    ['several go through a joint membership, left by itself', ConfChangeTransition.Auto, 2, true, true],
    ['implicit: joint, left by itself', ConfChangeTransition.JointImplicit, 1, true, true],
    ['explicit: joint, left when asked', ConfChangeTransition.JointExplicit, 1, true, false],
  ])('%s', (_name, transition, count, joint, autoLeave) => {
    const changes = Array.from({ length: count }, (_, i) => ({ type: AddNode, nodeId: BigInt(i + 1) }));
    expect(entersJoint({ transition, changes, context: EMPTY })).toEqual({ joint, autoLeave });
  });

  test('an empty change leaves, whatever its context', () => {
    const empty = { transition: ConfChangeTransition.Auto, changes: [], context: Buffer.from('x') };
    expect(leavesJoint(empty)).toBe(true);
    expect(leavesJoint({ ...empty, changes: [{ type: AddNode, nodeId: 1n }] })).toBe(false);
  });

  test('a v1 change is a simple one', () => {
    const v2 = asV2({ id: 7n, type: RemoveNode, nodeId: 3n, context: Buffer.from('c') });
    expect(v2.changes).toEqual([{ type: RemoveNode, nodeId: 3n }]);
    expect(entersJoint(v2).joint).toBe(false);
  });
});

test('a refused change leaves no trace', () => {
  const held = tracker(1n, 2n);
  const before = describeConfiguration(held.config);
  const lines = held.progresses.map((each) => each.describe());
  const result = new Changer(held, 10).simple([
    { type: AddLearnerNode, nodeId: 2n },
    { type: AddNode, nodeId: 3n },
  ]);
  expect(result).toEqual({
    kind: 'refused',
    reason: 'more than one voter changed without entering joint config',
  });
  expect(describeConfiguration(held.config)).toBe(before);
  expect(held.progresses.map((each) => each.describe())).toEqual(lines);
});

test('the last voter stays', () => {
  expect(new Changer(tracker(1n), 10).simple([{ type: RemoveNode, nodeId: 1n }])).toEqual({
    kind: 'refused',
    reason: 'removed all voters',
  });
});

test('what is known of a peer survives a change of the others', () => {
  const held = tracker(1n, 2n);
  held.get(2n)?.maybeUpdate(9);
  put(held, new Changer(held, 10).simple([{ type: AddNode, nodeId: 3n }]));
  expect(held.get(2n)?.match).toBe(9);
  expect(held.get(3n)?.describe()).toBe('StateProbe match=0 next=10');
});

/** Memberships reached by random changes, joint or not, in order. */
const walk = fc.array(
  fc.record({
    how: fc.constantFrom('simple' as const, 'enter' as const, 'leave' as const),
    changes: fc.array(
      fc.record({
        type: fc.constantFrom(AddNode, AddNode, RemoveNode, AddLearnerNode, UpdateNode),
        nodeId: fc.integer({ min: 0, max: 5 }).map(BigInt),
      }),
      { maxLength: 4 },
    ),
  }),
  { maxLength: 20 },
);

function follow(held: Tracker, how: 'simple' | 'enter' | 'leave', changes: ConfChangeSingle[]): boolean {
  const changer = new Changer(held, 10);
  const result =
    how === 'simple'
      ? changer.simple(changes)
      : how === 'enter'
        ? changer.enterJoint(true, changes)
        : changer.leaveJoint();
  if (result.kind === 'changed') put(held, result);
  return result.kind === 'changed';
}

test('a ConfState restores to the membership that it came from', () => {
  fc.assert(
    fc.property(walk, (steps) => {
      const held = tracker(1n);
      for (const { how, changes } of steps) {
        if (!follow(held, how, changes)) continue;
        const restored = new Tracker(10, Infinity);
        restoreConfState(restored, held.confState(), 10);
        expect(restored.config).toEqual(held.config);
        expect(restored.progresses.map((each) => [each.id, each.isLearner])).toEqual(
          held.progresses.map((each) => [each.id, each.isLearner]),
        );
      }
    }),
  );
});

function winners(config: Configuration): Set<NodeId>[] {
  const ids = [1n, 2n, 3n, 4n, 5n];
  const sets: Set<NodeId>[] = [];
  for (let mask = 0; mask < 32; mask++) {
    const yes = ids.filter((_, i) => (mask & (1 << i)) !== 0);
    const votes = new Map(ids.map((id) => [id, yes.includes(id)]));
    if (jointVoteResult(config.incoming, config.outgoing, votes) === VoteResult.Won) sets.push(new Set(yes));
  }
  return sets;
}

test('any quorum of a membership meets any quorum of the next one (thesis §4.1, Raft §6)', () => {
  fc.assert(
    fc.property(walk, (steps) => {
      const held = tracker(1n);
      for (const { how, changes } of steps) {
        const before = winners(held.config);
        if (!follow(held, how, changes)) continue;
        for (const one of before) {
          for (const other of winners(held.config)) expect([...one].some((id) => other.has(id))).toBe(true);
        }
      }
    }),
    { numRuns: 50 },
  );
});
