import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { committedIndex, jointCommittedIndex, jointVoteResult, voteResult, VoteResult } from './quorum.ts';

const ids = fc.uniqueArray(fc.bigInt(1n, 9n), { maxLength: 7 });
const acks = fc.array(fc.tuple(fc.bigInt(1n, 9n), fc.nat(20))).map((pairs) => new Map(pairs));
const votes = fc.array(fc.tuple(fc.bigInt(1n, 9n), fc.boolean())).map((pairs) => new Map(pairs));

test.each<[string, bigint[], [bigint, number][], number]>([
  ['no voters', [], [], Infinity],
  ['one voter, nothing acked', [1n], [], 0],
  ['two voters need both', [1n, 2n], [[1n, 9]], 0],
  [
    'three voters, two acked',
    [1n, 2n, 3n],
    [
      [1n, 12],
      [2n, 5],
    ],
    5,
  ],
  [
    'four voters need three',
    [1n, 2n, 3n, 4n],
    [
      [1n, 9],
      [2n, 8],
      [3n, 7],
    ],
    7,
  ],
])('committedIndex: %s', (_name, voters, acked, want) => {
  expect(committedIndex(voters, new Map(acked))).toBe(want);
});

test('committedIndex is the largest index that a majority has reached', () => {
  fc.assert(
    fc.property(ids, acks, (voters, acked) => {
      fc.pre(voters.length > 0);
      let want = 0;
      for (let index = 1; index <= 20; index++) {
        const reached = voters.filter((id) => (acked.get(id) ?? 0) >= index).length;
        if (reached * 2 > voters.length) want = index;
      }
      expect(committedIndex(voters, acked)).toBe(want);
      expect(jointCommittedIndex(voters, [], acked)).toBe(want);
      expect(jointCommittedIndex(voters, voters, acked)).toBe(want);
    }),
  );
});

test('a vote is won, lost or pending by counting', () => {
  fc.assert(
    fc.property(ids, ids, votes, (incoming, outgoing, cast) => {
      const slow = (voters: bigint[]): VoteResult => {
        const yes = voters.filter((id) => cast.get(id) === true).length;
        const no = voters.filter((id) => cast.get(id) === false).length;
        if (voters.length === 0 || yes * 2 > voters.length) return VoteResult.Won;
        return (voters.length - no) * 2 > voters.length ? VoteResult.Pending : VoteResult.Lost;
      };
      const halves = [slow(incoming), slow(outgoing)];
      expect(voteResult(incoming, cast)).toBe(halves[0]);
      let want: VoteResult = VoteResult.Pending;
      if (halves.includes(VoteResult.Lost)) want = VoteResult.Lost;
      else if (halves.every((each) => each === VoteResult.Won)) want = VoteResult.Won;
      expect(jointVoteResult(incoming, outgoing, cast)).toBe(want);
    }),
  );
});
