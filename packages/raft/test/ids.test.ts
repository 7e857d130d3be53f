/** Ids are 64-bit: two that a double cannot tell apart are two members, in their own order. */
import { EMPTY } from '@keelson/base';
import { expect, test } from '@jest/globals';
import { ConfChangeTransition, ConfChangeType, type ConfState, type NodeId } from '../src/index.ts';
import { OneMember } from './one-member.ts';

const NEAR: readonly NodeId[] = [2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 63n + 1n];

test('memberships list them in ascending order, whatever the order of arrival', () => {
  const arrivals = [NEAR, NEAR.toReversed()];
  const states = arrivals.map((ids): ConfState => {
    const member = new OneMember();
    const changes = ids.map((nodeId) => ({ type: ConfChangeType.AddNode, nodeId }));
    return member.node.applyConfChange({
      transition: ConfChangeTransition.JointExplicit,
      changes,
      context: EMPTY,
    });
  });
  for (const state of states) expect(state.voters).toEqual([1n, 2n, 3n, ...NEAR]);
});

test('an update changes nothing: a learner stays one', () => {
  const member = new OneMember({ confState: { voters: [1n, 2n], learners: [3n] } });
  const update = { id: 0n, type: ConfChangeType.UpdateNode, nodeId: 3n, context: EMPTY };
  expect(member.node.applyConfChange(update)).toMatchObject({ voters: [1n, 2n], learners: [3n] });
});
