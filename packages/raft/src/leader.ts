/**
 * What a leader does with each message of its term: admit proposals, follow every peer's progress,
 * commit, confirm reads, hand leadership over.
 */
import { assert, hexId } from '@keelson/base';
import { asV2 } from './conf-change.ts';
import { decodeConfChangeEntry } from './conf-change-codec.ts';
import { describeConfChange } from './describe.ts';
import type { StepOutcome } from './follower.ts';
import { type Progress, ProgressState } from './progress.ts';
import { acknowledgeRead, handleReadIndex, releaseEarlyReads } from './read-index.ts';
import { broadcastAppend, maybeCommit, maybeSendAppend, sendAppend, sendTimeoutNow } from './replication.ts';
import type { RaftState } from './state.ts';
import { describeConfiguration } from './tracker.ts';
import { becomeFollower } from './transitions.ts';
import { Entry, EntryType, type Message, MessageType, NONE } from './types.ts';

export function stepLeader(state: RaftState, message: Message): StepOutcome {
  switch (message.type) {
    case MessageType.Prop:
      return handleProposal(state, message.entries);
    case MessageType.ReadIndex:
      handleReadIndex(state, message);
      return 'ok';
    case MessageType.ForgetLeader:
      return 'ok';
    default:
  }
  const progress = state.tracker.get(message.from);
  if (progress === undefined) {
    state.print('debug', () => `${state.name} no progress available for ${hexId(message.from)}`);
    return 'ok';
  }
  switch (message.type) {
    case MessageType.AppResp:
      handleAppendResponse(state, progress, message);
      break;
    case MessageType.HeartbeatResp:
      handleHeartbeatResponse(state, progress, message);
      break;
    case MessageType.SnapStatus:
      handleSnapshotStatus(state, progress, message.reject);
      break;
    case MessageType.Unreachable:
      handleUnreachable(state, progress);
      break;
    case MessageType.TransferLeader:
      handleTransfer(state, progress);
      break;
    default:
  }
  return 'ok';
}

/** Each election timeout with check-quorum: a leader nobody hears of must not think that it leads. */
export function checkQuorum(state: RaftState): void {
  if (!state.tracker.quorumActive()) {
    state.print('warn', () => `${state.name} stepped down to follower since quorum is not active`);
    becomeFollower(state, state.term, NONE);
  }
  for (const progress of state.tracker.progresses) {
    if (progress.id !== state.id) progress.recentActive = false;
  }
}

/** Admits proposals: patterns whose type and data go under the leader's term at the end of the log. */
export function handleProposal(state: RaftState, patterns: readonly Entry[]): StepOutcome {
  assert(patterns.length > 0, () => `${state.name} stepped empty MsgProp`);
  // Removed, though still leading until someone else does.
  if (state.tracker.get(state.id) === undefined) return 'dropped';
  if (state.leadTransferee !== NONE) {
    state.print(
      'debug',
      () =>
        `${state.name} [term ${state.term}] transfer leadership to ${hexId(state.leadTransferee)} is in progress; dropping proposal`,
    );
    return 'dropped';
  }
  const pendingBefore = state.pendingConfIndex;
  let admitted: Entry[] | undefined;
  for (let i = 0; i < patterns.length; i++) {
    const pattern = patterns[i];
    if (pattern.type === EntryType.Normal) continue;
    const refusal = judgeConfChange(state, pattern);
    if (refusal === undefined) {
      state.pendingConfIndex = state.log.lastIndex() + i + 1;
    } else {
      state.print('info', () => refusal);
      // An empty entry in its place keeps the others' order and tells the proposer that it came to nothing.
      admitted ??= patterns.slice();
      admitted[i] = new Entry(0, 0);
    }
  }
  if (!state.appendOwn(admitted ?? patterns)) {
    // Nothing was appended, so nothing is pending that was not before.
    state.pendingConfIndex = pendingBefore;
    return 'dropped';
  }
  broadcastAppend(state);
  return 'ok';
}

/** Why a conf change must not enter the log now, as a log line; undefined when it may. */
function judgeConfChange(state: RaftState, pattern: Entry): string | undefined {
  const { tracker } = state;
  const change = decodeConfChangeEntry(pattern);
  let reason: string | undefined;
  if (change === undefined) {
    // Bytes from outside that no node could apply; never admitted, whatever the configuration says.
    return `${state.name} ignoring conf change at config ${describeConfiguration(tracker.config)}: malformed`;
  }
  if (state.config.disableConfChangeValidation) return undefined;
  const joint = tracker.config.outgoing.length > 0;
  const leaving = asV2(change).changes.length === 0;
  if (state.pendingConfIndex > state.log.applied) {
    reason = `possible unapplied conf change at index ${state.pendingConfIndex} (applied to ${state.log.applied})`;
  } else if (joint && !leaving) {
    reason = 'must transition out of joint config first';
  } else if (!joint && leaving) {
    reason = 'not in joint state; refusing empty conf change';
  }
  if (reason === undefined) return undefined;
  const text = pattern.data.length === 0 ? '' : describeConfChange(change);
  return `${state.name} ignoring conf change ${text} at config ${describeConfiguration(tracker.config)}: ${reason}`;
}

function handleAppendResponse(state: RaftState, progress: Progress, message: Message): void {
  progress.recentActive = true;
  if (message.reject) {
    handleRejection(state, progress, message);
    return;
  }
  // A probing peer that repeats what we know has answered the probe: that is news enough.
  const answersProbe = progress.match === message.index && progress.state === ProgressState.Probe;
  if (!progress.maybeUpdate(message.index) && !answersProbe) return;

  if (progress.state === ProgressState.Probe) {
    progress.becomeReplicate();
  } else if (progress.state === ProgressState.Replicate) {
    progress.inflights.freeTo(message.index);
  } else if (progress.match + 1 >= state.log.firstIndex()) {
    // Our log can take it from here, whatever became of the snapshot.
    state.print(
      'debug',
      () =>
        `${state.name} recovered from needing snapshot, resumed sending replication messages to ` +
        `${hexId(message.from)} [${progress.describe()}]`,
    );
    progress.becomeProbe();
    progress.becomeReplicate();
  }

  const own = progress.id === state.id;
  if (maybeCommit(state)) {
    releaseEarlyReads(state);
    broadcastAppend(state);
  } else if (!own && progress.canBumpCommit(state.log.committed)) {
    sendAppend(state, progress);
  }
  if (own) return;
  // The window may have opened by more than one message.
  while (maybeSendAppend(state, progress, false));
  if (progress.id === state.leadTransferee && progress.match === state.log.lastIndex()) {
    state.print(
      'info',
      () => `${state.name} sent MsgTimeoutNow to ${hexId(message.from)} after received MsgAppResp`,
    );
    sendTimeoutNow(state, progress);
  }
}

function handleRejection(state: RaftState, progress: Progress, message: Message): void {
  const from = hexId(message.from);
  state.print(
    'debug',
    () =>
      `${state.name} received MsgAppResp(rejected, hint: (index ${message.rejectHint}, term ${message.logTerm})) ` +
      `from ${from} for index ${message.index}`,
  );
  // The peer has logTerm at the hint: skip our entries of later terms, none can agree.
  let probe = message.rejectHint;
  if (message.logTerm > 0) probe = state.log.findConflictByTerm(message.rejectHint, message.logTerm).index;
  if (!progress.maybeDecreaseTo(message.index, probe)) return;
  state.print('debug', () => `${state.name} decreased progress of ${from} to [${progress.describe()}]`);
  if (progress.state === ProgressState.Replicate) progress.becomeProbe();
  sendAppend(state, progress);
}

function handleHeartbeatResponse(state: RaftState, progress: Progress, message: Message): void {
  progress.recentActive = true;
  progress.appendPaused = false;
  // Behind, or probing: an append (empty when the window is full) finds out what was lost.
  if (progress.match < state.log.lastIndex() || progress.state === ProgressState.Probe) {
    sendAppend(state, progress);
  }
  acknowledgeRead(state, message);
}

function handleSnapshotStatus(state: RaftState, progress: Progress, failed: boolean): void {
  if (progress.state !== ProgressState.Snapshot) return;
  // A failed one was never applied: then probe from what is known, not from its end.
  if (failed) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  state.print(
    'debug',
    () =>
      `${state.name} snapshot ${failed ? 'failed' : 'succeeded'}, resumed sending replication messages to ` +
      `${hexId(progress.id)} [${progress.describe()}]`,
  );
  // Wait for the peer's own answer, or a heartbeat's, before sending more.
  progress.appendPaused = true;
}

function handleUnreachable(state: RaftState, progress: Progress): void {
  // What was sent ahead is probably lost.
  if (progress.state === ProgressState.Replicate) progress.becomeProbe();
  state.print(
    'debug',
    () =>
      `${state.name} failed to send message to ${hexId(progress.id)} because it is unreachable [${progress.describe()}]`,
  );
}

/** Hands leadership to `progress`'s node (thesis §3.10): catch it up, then have it campaign. */
function handleTransfer(state: RaftState, progress: Progress): void {
  const target = hexId(progress.id);
  if (progress.isLearner) {
    state.print('debug', () => `${state.name} is learner. Ignored transferring leadership`);
    return;
  }
  const earlier = state.leadTransferee;
  if (earlier === progress.id) {
    state.print(
      'info',
      () =>
        `${state.name} [term ${state.term}] transfer leadership to ${target} is in progress, ignores request to same node ${target}`,
    );
    return;
  }
  if (earlier !== NONE) {
    state.leadTransferee = NONE;
    state.print(
      'info',
      () => `${state.name} [term ${state.term}] abort previous transferring leadership to ${hexId(earlier)}`,
    );
  }
  if (progress.id === state.id) {
    state.print('debug', () => `${state.name} is already leader. Ignored transferring leadership to self`);
    return;
  }
  state.print('info', () => `${state.name} [term ${state.term}] starts to transfer leadership to ${target}`);
  // It has one election timeout; after that proposals are taken again.
  state.electionElapsed = 0;
  state.leadTransferee = progress.id;
  if (progress.match === state.log.lastIndex()) {
    sendTimeoutNow(state, progress);
    state.print(
      'info',
      () =>
        `${state.name} sends MsgTimeoutNow to ${target} immediately as ${target} already has up-to-date log`,
    );
  } else {
    sendAppend(state, progress);
  }
}
