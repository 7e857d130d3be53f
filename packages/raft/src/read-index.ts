/**
 * Linearizable reads without a log entry (thesis §6.4): the leader notes its commit index, makes sure
 * that it still leads, and answers with the index. It answers nothing before it has committed an entry
 * of its own term, since until then its commit index may lag what an earlier leader acknowledged.
 */
import { ReadOnlyOption } from './config.ts';
import { broadcastHeartbeat } from './replication.ts';
import { VoteResult } from './quorum.ts';
import { contextOf, type PendingRead } from './read-queue.ts';
import type { RaftState } from './state.ts';
import { Message, MessageType, NONE } from './types.ts';

/** A read at the leader: its own, or one forwarded by a follower. */
export function handleReadIndex(state: RaftState, request: Message): void {
  if (request.entries.length !== 1) {
    state.print(
      'error',
      () => `${state.name} invalid format of MsgReadIndex, entries count: ${request.entries.length}`,
    );
    return;
  }
  if (!state.committedInTerm()) {
    state.earlyReads.push(request);
    return;
  }
  confirm(state, request);
}

/** The first entry of the term is committed: reads that waited for it start now. */
export function releaseEarlyReads(state: RaftState): void {
  if (state.earlyReads.length === 0 || !state.committedInTerm()) return;
  const requests = state.earlyReads;
  state.earlyReads = [];
  for (const request of requests) confirm(state, request);
}

function confirm(state: RaftState, request: Message): void {
  const context = contextOf(request);
  if (state.config.readOnlyOption === ReadOnlyOption.LeaseBased || state.tracker.isSingleton(state.id)) {
    answer(state, request, state.log.committed);
    return;
  }
  const { beat } = state.reads.add(context, request, state.log.committed);
  state.reads.acknowledge(state.id, beat);
  broadcastHeartbeat(state, beat);
}

/** A heartbeat's answer that names a read: with a quorum of them, that read and all before it are safe. */
export function acknowledgeRead(state: RaftState, message: Message): void {
  if (state.config.readOnlyOption !== ReadOnlyOption.Safe || message.context.length === 0) return;
  const read = state.reads.acknowledge(message.from, message.context);
  if (read === undefined || state.tracker.quorumOf(read.acks) !== VoteResult.Won) return;
  for (const each of state.reads.release(message.context)) answerPending(state, each);
}

function answerPending(state: RaftState, read: PendingRead): void {
  answer(state, read.request, read.index);
}

function answer(state: RaftState, request: Message, index: number): void {
  if (request.from === NONE || request.from === state.id) {
    state.readStates.push({ index, context: contextOf(request) });
    return;
  }
  state.send(new Message(MessageType.ReadIndexResp, { to: request.from, index, entries: request.entries }));
}
