/**
 * How a node becomes what it is: the four roles, each entered through one function that sets every field
 * it needs and clears the rest. Nothing is sent from here except a leader's first entry to its own log.
 */
import { assert } from '@keelson/base';
import type { RaftState } from './state.ts';
import { Entry, NONE, type NodeId, Role } from './types.ts';

/** Follows `lead` (NONE: nobody yet) in `term`. */
export function becomeFollower(state: RaftState, term: number, lead: NodeId): void {
  state.reset(term);
  state.lead = lead;
  state.role = Role.Follower;
  state.print('info', () => `${state.name} became follower at term ${state.term}`);
}

/** Asks for votes in a new term, its own first. */
export function becomeCandidate(state: RaftState): void {
  assert(state.role !== Role.Leader, 'invalid transition [leader -> candidate]');
  state.reset(state.term + 1);
  state.vote = state.id;
  state.role = Role.Candidate;
  state.print('info', () => `${state.name} became candidate at term ${state.term}`);
}

/** Asks whether it would be elected; term and vote stay, so that failing costs nobody anything. */
export function becomePreCandidate(state: RaftState): void {
  assert(state.role !== Role.Leader, 'invalid transition [leader -> pre-candidate]');
  state.tracker.votes.clear();
  state.lead = NONE;
  state.role = Role.PreCandidate;
  state.print('info', () => `${state.name} became pre-candidate at term ${state.term}`);
}

/**
 * Leads the current term. The first act is an empty entry: only with an entry of its own term may a
 * leader count earlier ones as committed (Raft §5.4.2).
 */
export function becomeLeader(state: RaftState): void {
  assert(state.role !== Role.Follower, 'invalid transition [follower -> leader]');
  state.reset(state.term);
  state.lead = state.id;
  state.role = Role.Leader;
  const own = state.tracker.get(state.id);
  assert(own !== undefined, 'a leader is elected that is not in its own configuration');
  own.becomeReplicate();
  own.recentActive = true;
  // There may be a conf change in the tail; rather than look, admit none until the tail is applied.
  state.pendingConfIndex = state.log.lastIndex();
  const appended = state.appendOwn([new Entry(0, 0)]);
  assert(appended, 'empty entry was dropped');
  state.print('info', () => `${state.name} became leader at term ${state.term}`);
}
