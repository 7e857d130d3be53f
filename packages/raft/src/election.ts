/**
 * Elections: when a node may campaign, what it asks, how votes are given and counted (Raft §5.2, §5.4;
 * pre-vote: thesis §9.6).
 */
import { hexId } from '@keelson/base';
import { messageTypeName } from './describe.ts';
import type { RaftState } from './state.ts';
import { allVoters, type VoteTally } from './tracker.ts';
import { becomeCandidate, becomePreCandidate } from './transitions.ts';
import { Message, MessageType, NONE, type NodeId, Role } from './types.ts';

export const Campaign = { PreElection: 0, Election: 1, Transfer: 2 } as const;
export type Campaign = (typeof Campaign)[keyof typeof Campaign];

/** Context of vote requests after a leader asked for a transfer: voters then do not insist on their lease. */
const TRANSFER_CONTEXT: Buffer = Buffer.from('CampaignTransfer');

/** Campaigns unless something forbids it. */
export function hup(state: RaftState, campaignType: Campaign): void {
  if (state.role === Role.Leader) {
    state.print('debug', () => `${state.name} ignoring MsgHup because already leader`);
    return;
  }
  if (!state.promotable()) {
    state.print('warn', () => `${state.name} is unpromotable and can not campaign`);
    return;
  }
  // A committed change may have made another quorum: winning by the old one could make two leaders.
  if (state.log.hasUnappliedConfChange()) {
    state.print(
      'warn',
      () =>
        `${state.name} cannot campaign at term ${state.term} since there are still pending configuration changes to apply`,
    );
    return;
  }
  state.print('info', () => `${state.name} is starting a new election at term ${state.term}`);
  campaign(state, campaignType);
}

/** Asks every voter, in id order; the own vote is an answer to oneself once it is durable. */
export function campaign(state: RaftState, campaignType: Campaign): void {
  const { log } = state;
  const preVote = campaignType === Campaign.PreElection;
  if (preVote) becomePreCandidate(state);
  else becomeCandidate(state);
  const type = preVote ? MessageType.PreVote : MessageType.Vote;
  const term = preVote ? state.term + 1 : state.term;
  const index = log.lastIndex();
  const logTerm = log.lastTerm();
  for (const id of allVoters(state.tracker.config)) {
    if (id === state.id) {
      state.send(new Message(voteResponseType(type), { to: id, term }));
      continue;
    }
    state.print(
      'info',
      () =>
        `${state.name} [logterm: ${logTerm}, index: ${index}] sent ${messageTypeName(type)} request to ` +
        `${hexId(id)} at term ${state.term}`,
    );
    const request = new Message(type, { to: id, term, index, logTerm });
    if (campaignType === Campaign.Transfer) request.context = TRANSFER_CONTEXT;
    state.send(request);
  }
}

function voteResponseType(type: MessageType): MessageType {
  return type === MessageType.PreVote ? MessageType.PreVoteResp : MessageType.VoteResp;
}

/** Counts an answer; the first of each node stands. */
export function poll(state: RaftState, from: NodeId, type: MessageType, granted: boolean): VoteTally {
  state.print(
    'info',
    () =>
      `${state.name} received ${messageTypeName(type)}${granted ? '' : ' rejection'} from ${hexId(from)} at term ${state.term}`,
  );
  state.tracker.recordVote(from, granted);
  return state.tracker.tallyVotes();
}

/**
 * With check-quorum, a node that heard from a leader within an election timeout ignores vote requests of
 * higher terms, so that a flapping node cannot depose a healthy leader. A transfer is exempt.
 */
export function leaseHolds(state: RaftState, message: Message): boolean {
  if (message.type !== MessageType.Vote && message.type !== MessageType.PreVote) return false;
  if (message.context.equals(TRANSFER_CONTEXT)) return false;
  const inLease =
    state.config.checkQuorum && state.lead !== NONE && state.electionElapsed < state.config.electionTick;
  if (!inLease) return false;
  state.print(
    'info',
    () =>
      `${voteText(state, 'ignored', message)}: lease is not expired ` +
      `(remaining ticks: ${state.config.electionTick - state.electionElapsed})`,
  );
  return true;
}

/** A vote or pre-vote request of our term or (pre-vote) a future one. */
export function handleVote(state: RaftState, message: Message): void {
  const isPreVote = message.type === MessageType.PreVote;
  const free =
    state.vote === message.from ||
    (state.vote === NONE && state.lead === NONE) ||
    (isPreVote && message.term > state.term);
  // A learner votes too: it may be a voter by now and not know it yet. It is asked, so it counts.
  if (!free || !state.log.isUpToDate(message.index, message.logTerm)) {
    rejectVote(state, message);
    return;
  }
  state.print('info', () => voteText(state, 'cast', message));
  // A pre-vote is answered at the term that was asked about, which the pre-candidate waits for.
  state.send(new Message(voteResponseType(message.type), { to: message.from, term: message.term }));
  if (!isPreVote) {
    state.electionElapsed = 0;
    state.vote = message.from;
  }
}

/** Refuses at our own term, so that a candidate that is behind learns of it. */
export function rejectVote(state: RaftState, message: Message): void {
  state.print('info', () => voteText(state, 'rejected', message));
  state.send(
    new Message(voteResponseType(message.type), { to: message.from, term: state.term, reject: true }),
  );
}

function voteText(state: RaftState, verb: 'cast' | 'rejected' | 'ignored', message: Message): string {
  const { log } = state;
  return (
    `${state.name} [logterm: ${log.lastTerm()}, index: ${log.lastIndex()}, vote: ${hexId(state.vote)}] ` +
    `${verb} ${messageTypeName(message.type)} ${verb === 'cast' ? 'for' : 'from'} ${hexId(message.from)} ` +
    `[logterm: ${message.logTerm}, index: ${message.index}] at term ${state.term}`
  );
}
