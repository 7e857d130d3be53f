/**
 * How logs are made equal: what a leader sends to one peer and to all, and what the receiver does with
 * an append or a heartbeat. Answers to appends are the leader's (leader.ts).
 */
import { assert, hexId } from '@keelson/base';
import { payloadsSize } from './entry-size.ts';
import { type Progress, ProgressState } from './progress.ts';
import type { RaftState } from './state.ts';
import { type Entry, Message, MessageType, NONE } from './types.ts';

const NO_ENTRIES: readonly Entry[] = [];

/** Sends what the peer lacks, or an empty append when it lacks nothing, unless it is paused. */
export function sendAppend(state: RaftState, progress: Progress): void {
  maybeSendAppend(state, progress, true);
}

/**
 * Sends entries from progress.next on, or a snapshot when they are compacted.
 *
 * @param evenEmpty also without entries: that carries the commit index, or probes
 * @returns whether a message was sent
 */
export function maybeSendAppend(state: RaftState, progress: Progress, evenEmpty: boolean): boolean {
  if (progress.paused()) return false;
  const previous = progress.next - 1;
  const previousTerm = state.log.term(previous);
  if (typeof previousTerm !== 'number') return maybeSendSnapshot(state, progress);

  // With a full window only an empty append leaves: should all in flight be lost, it finds that out.
  let entries: readonly Entry[] = NO_ENTRIES;
  if (progress.state !== ProgressState.Replicate || !progress.inflights.full()) {
    const found = state.log.entries(progress.next, state.config.maxSizePerMsg);
    if (!Array.isArray(found)) return maybeSendSnapshot(state, progress);
    entries = found;
  }
  if (entries.length === 0 && !evenEmpty) return false;

  const committed = state.log.committed;
  state.send(
    new Message(MessageType.App, {
      to: progress.id,
      index: previous,
      logTerm: previousTerm,
      entries,
      commit: committed,
    }),
  );
  progress.sentEntries(entries.length, payloadsSize(entries));
  progress.sentCommit(committed);
  return true;
}

function maybeSendSnapshot(state: RaftState, progress: Progress): boolean {
  const to = hexId(progress.id);
  if (!progress.recentActive) {
    state.print('debug', () => `ignore sending snapshot to ${to} since it is not recently active`);
    return false;
  }
  const snapshot = state.log.snapshot();
  if (snapshot === undefined) {
    state.print(
      'debug',
      () => `${state.name} failed to send snapshot to ${to} because snapshot is temporarily unavailable`,
    );
    return false;
  }
  assert(snapshot.index > 0, 'need non-empty snapshot');
  state.print(
    'debug',
    () =>
      `${state.name} [firstindex: ${state.log.firstIndex()}, commit: ${state.log.committed}] sent ` +
      `snapshot[index: ${snapshot.index}, term: ${snapshot.term}] to ${to} [${progress.describe()}]`,
  );
  progress.becomeSnapshot(snapshot.index);
  state.print(
    'debug',
    () => `${state.name} paused sending replication messages to ${to} [${progress.describe()}]`,
  );
  state.send(new Message(MessageType.Snap, { to: progress.id, snapshot }));
  return true;
}

export function broadcastAppend(state: RaftState): void {
  const all = state.tracker.progresses;
  for (let i = 0; i < all.length; i++) {
    const progress = all[i];
    if (progress.id !== state.id) sendAppend(state, progress);
  }
}

/**
 * Tells everyone that this node leads. The commit index is cut to what the peer is known to have: past
 * that its log may differ from ours, and it must not commit what differs.
 *
 * @param context of the newest pending read; undefined for none
 */
export function broadcastHeartbeat(state: RaftState, context: Buffer | undefined): void {
  const all = state.tracker.progresses;
  for (let i = 0; i < all.length; i++) {
    const progress = all[i];
    if (progress.id === state.id) continue;
    const commit = Math.min(progress.match, state.log.committed);
    const message = new Message(MessageType.Heartbeat, { to: progress.id, commit });
    if (context !== undefined) message.context = context;
    state.send(message);
    progress.sentCommit(commit);
  }
}

/** Commits what a quorum has, if that is of this term; true when the commit index moved. */
export function maybeCommit(state: RaftState): boolean {
  const committed = state.tracker.committed();
  return committed !== Infinity && state.log.maybeCommit(committed, state.term);
}

/** A leader's append, at a follower (Raft §5.3). */
export function handleAppend(state: RaftState, message: Message): void {
  const { log } = state;
  if (!contiguous(message)) {
    state.print(
      'error',
      () =>
        `${state.name} ignored MsgApp from ${hexId(message.from)}: entries do not follow index ${message.index}`,
    );
    return;
  }
  if (message.index < log.committed) {
    state.send(new Message(MessageType.AppResp, { to: message.from, index: log.committed }));
    return;
  }
  const last = log.maybeAppend(message.index, message.logTerm, message.entries, message.commit);
  if (last >= 0) {
    state.send(new Message(MessageType.AppResp, { to: message.from, index: last }));
    return;
  }
  state.print(
    'debug',
    () =>
      `${state.name} [logterm: ${log.termOrZero(message.index)}, index: ${message.index}] rejected MsgApp ` +
      `[logterm: ${message.logTerm}, index: ${message.index}] from ${hexId(message.from)}`,
  );
  // The hint: the last place where we might agree, given that the leader has logTerm at index.
  const hint = log.findConflictByTerm(Math.min(message.index, log.lastIndex()), message.logTerm);
  state.send(
    new Message(MessageType.AppResp, {
      to: message.from,
      index: message.index,
      reject: true,
      rejectHint: hint.index,
      logTerm: hint.term,
    }),
  );
}

/** Whether a message from outside has the shape an append must have. */
function contiguous(message: Message): boolean {
  const entries = message.entries;
  for (let i = 0; i < entries.length; i++) {
    if (entries[i].index !== message.index + 1 + i) return false;
  }
  return true;
}

/** A leader's heartbeat, at a follower. */
export function handleHeartbeat(state: RaftState, message: Message): void {
  state.log.commitTo(message.commit);
  state.send(new Message(MessageType.HeartbeatResp, { to: message.from, context: message.context }));
}

/** Tells `progress`'s node to campaign at once. */
export function sendTimeoutNow(state: RaftState, progress: Progress): void {
  assert(progress.id !== NONE, 'leadership is transferred to nobody');
  state.send(new Message(MessageType.TimeoutNow, { to: progress.id }));
}
