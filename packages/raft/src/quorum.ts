/**
 * What a majority, or two at once, agree on: commit indexes and votes. Pure functions over lists of
 * voters (ids ascending, none twice); they know neither nodes nor messages. Modelled on etcd-io/raft's
 * quorum package.
 */
import type { NodeId } from './types.ts';

export const VoteResult = { Pending: 'VotePending', Lost: 'VoteLost', Won: 'VoteWon' } as const;
export type VoteResult = (typeof VoteResult)[keyof typeof VoteResult];

/**
 * The largest index that a majority has reached, given one acknowledged index a voter. Infinity when
 * there are no voters, so that an absent half of a joint quorum does not hold the other back.
 *
 * @param acked sorted in place
 */
export function majorityIndex(acked: number[]): number {
  const count = acked.length;
  if (count === 0) return Infinity;
  for (let i = 1; i < count; i++) {
    const value = acked[i];
    let at = i - 1;
    while (at >= 0 && acked[at] > value) {
      acked[at + 1] = acked[at];
      at--;
    }
    acked[at + 1] = value;
  }
  return acked[count - (Math.floor(count / 2) + 1)];
}

/** The index committed by `voters`; a voter that is not in `acked` counts as 0. */
export function committedIndex(voters: readonly NodeId[], acked: ReadonlyMap<NodeId, number>): number {
  return majorityIndex(voters.map((id) => acked.get(id) ?? 0));
}

/** The index committed by both halves; an empty `outgoing` is no joint quorum. */
export function jointCommittedIndex(
  incoming: readonly NodeId[],
  outgoing: readonly NodeId[],
  acked: ReadonlyMap<NodeId, number>,
): number {
  return Math.min(committedIndex(incoming, acked), committedIndex(outgoing, acked));
}

/** Won with a majority of yes, Lost when that can no longer happen. No voters: Won. */
export function voteResult(voters: readonly NodeId[], votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  if (voters.length === 0) return VoteResult.Won;
  let granted = 0;
  let missing = 0;
  for (let i = 0; i < voters.length; i++) {
    const vote = votes.get(voters[i]);
    if (vote === undefined) missing++;
    else if (vote) granted++;
  }
  const majority = Math.floor(voters.length / 2) + 1;
  if (granted >= majority) return VoteResult.Won;
  return granted + missing >= majority ? VoteResult.Pending : VoteResult.Lost;
}

/** Won when both halves won, Lost when either lost. */
export function jointVoteResult(
  incoming: readonly NodeId[],
  outgoing: readonly NodeId[],
  votes: ReadonlyMap<NodeId, boolean>,
): VoteResult {
  const first = voteResult(incoming, votes);
  const second = voteResult(outgoing, votes);
  if (first === second) return first;
  if (first === VoteResult.Lost || second === VoteResult.Lost) return VoteResult.Lost;
  return VoteResult.Pending;
}
