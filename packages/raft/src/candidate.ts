/**
 * What a candidate or pre-candidate does with each message of its term: count votes, and give way to
 * whoever turns out to lead the term.
 */
import { hexId } from '@keelson/base';
import { messageTypeName, roleName } from './describe.ts';
import { Campaign, campaign, poll } from './election.ts';
import { type StepOutcome, stepFollower } from './follower.ts';
import { VoteResult } from './quorum.ts';
import { broadcastAppend } from './replication.ts';
import type { RaftState } from './state.ts';
import { becomeFollower, becomeLeader } from './transitions.ts';
import { type Message, MessageType, NONE, Role } from './types.ts';

export function stepCandidate(state: RaftState, message: Message): StepOutcome {
  switch (message.type) {
    case MessageType.App:
    case MessageType.Heartbeat:
    case MessageType.Snap:
      // Always of our term: someone else won it.
      becomeFollower(state, message.term, message.from);
      return stepFollower(state, message);
    case MessageType.VoteResp:
      if (state.role === Role.Candidate) countVote(state, message);
      return 'ok';
    case MessageType.PreVoteResp:
      if (state.role === Role.PreCandidate) countVote(state, message);
      return 'ok';
    case MessageType.Prop:
      state.print('info', () => `${state.name} no leader at term ${state.term}; dropping proposal`);
      return 'dropped';
    case MessageType.TimeoutNow:
      state.print(
        'debug',
        () =>
          `${state.name} [term ${state.term} state ${roleName(state.role)}] ignored MsgTimeoutNow from ${hexId(message.from)}`,
      );
      return 'ok';
    default:
      return 'ok';
  }
}

function countVote(state: RaftState, message: Message): void {
  const tally = poll(state, message.from, message.type, !message.reject);
  state.print(
    'info',
    () =>
      `${state.name} has received ${tally.granted} ${messageTypeName(message.type)} votes and ${tally.rejected} vote rejections`,
  );
  if (tally.result === VoteResult.Won) {
    if (state.role === Role.PreCandidate) {
      campaign(state, Campaign.Election);
    } else {
      becomeLeader(state);
      broadcastAppend(state);
    }
  } else if (tally.result === VoteResult.Lost) {
    becomeFollower(state, state.term, NONE);
  }
}
