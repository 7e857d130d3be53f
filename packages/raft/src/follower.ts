/**
 * What a follower does with each message of its term: take the leader's entries, pass on what only the
 * leader can do, start an election when told to.
 */
import { hexId } from '@keelson/base';
import { ReadOnlyOption } from './config.ts';
import { Campaign, hup } from './election.ts';
import { handleSnapshot } from './membership.ts';
import { handleAppend, handleHeartbeat } from './replication.ts';
import type { RaftState } from './state.ts';
import { Message, MessageType, NONE } from './types.ts';

/** 'dropped': a proposal that nobody took; it may be made again elsewhere or later. */
export type StepOutcome = 'ok' | 'dropped';

export function stepFollower(state: RaftState, message: Message): StepOutcome {
  switch (message.type) {
    case MessageType.App:
      hearLeader(state, message);
      handleAppend(state, message);
      return 'ok';
    case MessageType.Heartbeat:
      hearLeader(state, message);
      handleHeartbeat(state, message);
      return 'ok';
    case MessageType.Snap:
      hearLeader(state, message);
      handleSnapshot(state, message);
      return 'ok';
    case MessageType.Prop:
      return forwardProposal(state, message);
    case MessageType.ReadIndex:
      forward(state, message, 'index reading msg');
      return 'ok';
    case MessageType.TransferLeader:
      forward(state, message, 'leader transfer msg');
      return 'ok';
    case MessageType.ReadIndexResp:
      takeReadState(state, message);
      return 'ok';
    case MessageType.TimeoutNow:
      state.print(
        'info',
        () =>
          `${state.name} [term ${state.term}] received MsgTimeoutNow from ${hexId(message.from)} and starts an election to get leadership.`,
      );
      // No pre-vote: the leader itself asks, so nobody is disturbed.
      hup(state, Campaign.Transfer);
      return 'ok';
    case MessageType.ForgetLeader:
      forgetLeader(state);
      return 'ok';
    default:
      return 'ok';
  }
}

function hearLeader(state: RaftState, message: Message): void {
  state.electionElapsed = 0;
  state.lead = message.from;
}

function forwardProposal(state: RaftState, message: Message): StepOutcome {
  if (state.lead === NONE) {
    state.print('info', () => `${state.name} no leader at term ${state.term}; dropping proposal`);
    return 'dropped';
  }
  if (state.config.disableProposalForwarding) {
    state.print(
      'info',
      () =>
        `${state.name} not forwarding to leader ${hexId(state.lead)} at term ${state.term}; dropping proposal`,
    );
    return 'dropped';
  }
  passOn(state, message);
  return 'ok';
}

function forward(state: RaftState, message: Message, what: string): void {
  if (state.lead === NONE) {
    state.print('info', () => `${state.name} no leader at term ${state.term}; dropping ${what}`);
    return;
  }
  passOn(state, message);
}

/** The same message to the leader, still from whoever sent it first. */
function passOn(state: RaftState, message: Message): void {
  state.send(
    new Message(message.type, {
      to: state.lead,
      from: message.from,
      entries: message.entries,
      context: message.context,
    }),
  );
}

function takeReadState(state: RaftState, message: Message): void {
  const entry = message.entries[0];
  if (entry === undefined || message.entries.length !== 1) {
    state.print(
      'error',
      () =>
        `${state.name} invalid format of MsgReadIndexResp from ${hexId(message.from)}, entries count: ${message.entries.length}`,
    );
    return;
  }
  state.readStates.push({ index: message.index, context: entry.data });
}

/** Lets go of a leader believed dead, so that this node grants pre-votes; term and timer stay. */
function forgetLeader(state: RaftState): void {
  if (state.config.readOnlyOption === ReadOnlyOption.LeaseBased) {
    // The leader's lease rests on our not electing another one.
    state.print('error', () => 'ignoring MsgForgetLeader due to ReadOnlyLeaseBased');
    return;
  }
  if (state.lead === NONE) return;
  state.print('info', () => `${state.name} forgetting leader ${hexId(state.lead)} at term ${state.term}`);
  state.lead = NONE;
}
