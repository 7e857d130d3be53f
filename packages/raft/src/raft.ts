/**
 * The top of the core: a node's birth, its clock, the rules of terms that come before any role, and what
 * follows when storage or the state machine report. Everything here is one synchronous step.
 */
import { assert, hexId } from '@keelson/base';
import { stepCandidate } from './candidate.ts';
import { type RaftConfig, settleConfig } from './config.ts';
import { messageTypeName } from './describe.ts';
import { Campaign, handleVote, hup, leaseHolds, rejectVote } from './election.ts';
import { entriesSize, payloadsSize } from './entry-size.ts';
import { type StepOutcome, stepFollower } from './follower.ts';
import { checkQuorum, handleProposal, stepLeader } from './leader.ts';
import { describePeers, restoreMembership } from './membership.ts';
import { broadcastHeartbeat } from './replication.ts';
import { RaftState } from './state.ts';
import { allVoters, describeConfiguration } from './tracker.ts';
import { becomeFollower } from './transitions.ts';
import { Entry, EntryType, Message, MessageType, NONE, Role, type Snapshot } from './types.ts';

/**
 * A node as its storage left it, a follower of nobody.
 *
 * @throws RaftConfigError when the configuration cannot work
 */
export function createState(config: RaftConfig): RaftState {
  const state = new RaftState(settleConfig(config));
  const { hardState, confState } = config.storage.initialState();
  const { log } = state;
  restoreMembership(state, confState);
  if (hardState.term !== 0 || hardState.vote !== NONE || hardState.commit !== 0) {
    assert(
      hardState.commit >= log.committed && hardState.commit <= log.lastIndex(),
      () =>
        `${state.name} state.commit ${hardState.commit} is out of range [${log.committed}, ${log.lastIndex()}]`,
    );
    log.committed = hardState.commit;
    state.term = hardState.term;
    state.vote = hardState.vote;
  }
  if (state.config.applied > 0) log.appliedTo(state.config.applied, 0);
  becomeFollower(state, state.term, NONE);
  state.print(
    'info',
    () =>
      `newRaft ${state.name} [peers: [${describePeers(allVoters(state.tracker.config))}], term: ${state.term}, ` +
      `commit: ${log.committed}, applied: ${log.applied}, lastindex: ${log.lastIndex()}, lastterm: ${log.lastTerm()}]`,
  );
  return state;
}

/** One tick of the clock. */
export function tick(state: RaftState): void {
  state.electionElapsed++;
  if (state.role === Role.Leader) tickLeader(state);
  else if (state.electionElapsed >= state.randomizedElectionTimeout && state.promotable()) {
    state.electionElapsed = 0;
    startCampaign(state);
  }
}

function tickLeader(state: RaftState): void {
  state.heartbeatElapsed++;
  if (state.electionElapsed >= state.config.electionTick) {
    state.electionElapsed = 0;
    if (state.config.checkQuorum) checkQuorum(state);
    // A transfer that took this long has failed.
    state.leadTransferee = NONE;
    if (state.role !== Role.Leader) return;
  }
  if (state.heartbeatElapsed >= state.config.heartbeatTick) {
    state.heartbeatElapsed = 0;
    broadcastHeartbeat(state, state.reads.newestContext());
  }
}

/** An election timeout, or an operator, asks this node to campaign. */
export function startCampaign(state: RaftState): void {
  hup(state, state.config.preVote ? Campaign.PreElection : Campaign.Election);
}

/**
 * Takes one message: the rules of terms first (Raft §5.1), then what is the same in every role, then the
 * role's own.
 */
export function step(state: RaftState, message: Message): StepOutcome {
  // Term 0: proposals, reads, and what this node tells itself.
  if (message.term > state.term) {
    if (leaseHolds(state, message)) return 'ok';
    followHigherTerm(state, message);
  } else if (message.term !== 0 && message.term < state.term) {
    answerLowerTerm(state, message);
    return 'ok';
  }

  switch (message.type) {
    case MessageType.Vote:
    case MessageType.PreVote:
      handleVote(state, message);
      return 'ok';
    case MessageType.StorageAppendResp:
      if (message.index !== 0) state.log.stableTo(message.index, message.logTerm);
      if (message.snapshot !== undefined) snapshotApplied(state, message.snapshot);
      return 'ok';
    case MessageType.StorageApplyResp:
      entriesApplied(state, message.entries);
      return 'ok';
    default:
  }
  switch (state.role) {
    case Role.Leader:
      return stepLeader(state, message);
    case Role.Follower:
      return stepFollower(state, message);
    default:
      return stepCandidate(state, message);
  }
}

function followHigherTerm(state: RaftState, message: Message): void {
  const { type } = message;
  // A pre-vote speaks of a term that may never come; granted, it is answered in those words.
  if (type === MessageType.PreVote || (type === MessageType.PreVoteResp && !message.reject)) return;
  state.print(
    'info',
    () =>
      `${state.name} [term: ${state.term}] received a ${messageTypeName(type)} message with higher term from ` +
      `${hexId(message.from)} [term: ${message.term}]`,
  );
  const fromLeader = type === MessageType.App || type === MessageType.Heartbeat || type === MessageType.Snap;
  becomeFollower(state, message.term, fromLeader ? message.from : NONE);
}

function answerLowerTerm(state: RaftState, message: Message): void {
  const { type } = message;
  const wouldDisturb = state.config.checkQuorum || state.config.preVote;
  if (wouldDisturb && (type === MessageType.Heartbeat || type === MessageType.App)) {
    // With these options our own vote requests may be ignored, and theirs never reach us: this answer
    // makes the old leader step down, so that a node with a higher term does not stay stuck.
    state.send(new Message(MessageType.AppResp, { to: message.from }));
  } else if (type === MessageType.PreVote) {
    // Without an answer, candidates of different terms could wait for each other for ever.
    rejectVote(state, message);
  } else if (type === MessageType.StorageAppendResp) {
    if (message.index !== 0) {
      // A later leader may have replaced these entries, and the disk may not know yet.
      state.print(
        'info',
        () =>
          `${state.name} [term: ${state.term}] ignored entry appends from a MsgStorageAppendResp message with ` +
          `lower term [term: ${message.term}]`,
      );
    }
    // A snapshot holds committed state only: no term takes that back.
    if (message.snapshot !== undefined) snapshotApplied(state, message.snapshot);
  } else {
    state.print(
      'info',
      () =>
        `${state.name} [term: ${state.term}] ignored a ${messageTypeName(type)} message with lower term from ` +
        `${hexId(message.from)} [term: ${message.term}]`,
    );
  }
}

function snapshotApplied(state: RaftState, snapshot: Snapshot): void {
  state.log.unstable.stableSnapshotTo(snapshot.index);
  appliedTo(state, snapshot.index, 0);
}

function entriesApplied(state: RaftState, entries: readonly Entry[]): void {
  if (entries.length === 0) return;
  appliedTo(state, entries[entries.length - 1].index, entriesSize(entries));
  state.releaseUncommitted(payloadsSize(entries));
}

function appliedTo(state: RaftState, index: number, size: number): void {
  const applied = Math.max(index, state.log.applied);
  state.log.appliedTo(applied, size);
  const { config } = state.tracker;
  if (!config.autoLeave || state.role !== Role.Leader || applied < state.pendingConfIndex) return;
  // No data is the change that leaves; it is never refused for its size. Should a transfer be under way
  // it is dropped, and the next applied entry tries again, here or at the next leader.
  if (handleProposal(state, [new Entry(0, 0, EntryType.ConfChangeV2)]) === 'ok') {
    state.print(
      'info',
      () => `initiating automatic transition out of joint configuration ${describeConfiguration(config)}`,
    );
  } else {
    state.print(
      'debug',
      () =>
        `not initiating automatic transition out of joint configuration ${describeConfiguration(config)}: raft proposal dropped`,
    );
  }
}
