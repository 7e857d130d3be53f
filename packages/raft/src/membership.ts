/**
 * Putting memberships in force: a change that was applied, the one a node starts from, and the one a
 * leader's snapshot brings. Which changes are possible is conf-change's question.
 */
import { assert, hexId } from '@keelson/base';
import { asV2, Changer, put, restoreConfState } from './conf-change.ts';
import { describeConfState } from './describe.ts';
import { broadcastAppend, maybeCommit, maybeSendAppend } from './replication.ts';
import type { RaftState } from './state.ts';
import { compareIds, describeConfiguration } from './tracker.ts';
import { becomeFollower } from './transitions.ts';
import {
  type ConfChange,
  type ConfChangeV2,
  type ConfState,
  Message,
  MessageType,
  NONE,
  type NodeId,
  Role,
  type Snapshot,
} from './types.ts';

/** A conf change from the log is applied: every node gets the same membership from it. */
export function applyConfChange(state: RaftState, change: ConfChange | ConfChangeV2): ConfState {
  put(state.tracker, new Changer(state.tracker, state.log.lastIndex()).apply(asV2(change)));
  return settle(state);
}

/** The membership of a ConfState, in force with fresh progresses. */
export function restoreMembership(state: RaftState, confState: ConfState): void {
  state.tracker.clear();
  restoreConfState(state.tracker, confState, state.log.lastIndex());
  const restored = settle(state);
  assert(
    sameConfState(confState, restored),
    () =>
      `ConfStates not equivalent after sorting: ${describeConfState(confState)} and ${describeConfState(restored)}`,
  );
}

function sameConfState(a: ConfState, b: ConfState): boolean {
  const same = (x: readonly NodeId[], y: readonly NodeId[]): boolean =>
    x.length === y.length && x.toSorted(compareIds).join() === y.toSorted(compareIds).join();
  return (
    same(a.voters, b.voters) &&
    same(a.learners, b.learners) &&
    same(a.votersOutgoing, b.votersOutgoing) &&
    same(a.learnersNext, b.learnersNext) &&
    a.autoLeave === b.autoLeave
  );
}

/** What follows from the membership now in force. */
function settle(state: RaftState): ConfState {
  const { tracker } = state;
  state.print(
    'info',
    () => `${state.name} switched to configuration ${describeConfiguration(tracker.config)}`,
  );
  const confState = tracker.confState();
  const own = tracker.get(state.id);
  state.isLearner = own !== undefined && own.isLearner;
  if (state.role !== Role.Leader) return confState;

  if (own === undefined || own.isLearner) {
    // A leader that is out takes no more proposals; it may go on heartbeating until someone else leads.
    if (state.config.stepDownOnRemoval) becomeFollower(state, state.term, NONE);
    return confState;
  }
  if (confState.voters.length === 0) return confState;

  if (maybeCommit(state)) {
    // A smaller quorum has committed more. No read can be waiting for the first entry of the term here: no
    // change is applied before that entry is committed.
    broadcastAppend(state);
  } else {
    // Whoever is new need not wait for the next heartbeat.
    for (const progress of tracker.progresses) {
      if (progress.id !== state.id) maybeSendAppend(state, progress, false);
    }
  }
  if (state.leadTransferee !== NONE && !tracker.isVoter(state.leadTransferee)) state.leadTransferee = NONE;
  return confState;
}

/** A leader's snapshot, at a follower. */
export function handleSnapshot(state: RaftState, message: Message): void {
  const { log } = state;
  const snapshot = message.snapshot;
  const text = (verb: string): string =>
    `${state.name} [commit: ${log.committed}] ${verb} snapshot [index: ${snapshot?.index ?? 0}, term: ${snapshot?.term ?? 0}]`;
  if (snapshot !== undefined && restore(state, snapshot)) {
    state.print('info', () => text('restored'));
    state.send(new Message(MessageType.AppResp, { to: message.from, index: log.lastIndex() }));
    return;
  }
  state.print('info', () => text('ignored'));
  state.send(new Message(MessageType.AppResp, { to: message.from, index: log.committed }));
}

/** Replaces log and membership by the snapshot's; false when it brings nothing or must not be taken. */
function restore(state: RaftState, snapshot: Snapshot): boolean {
  const { log } = state;
  if (snapshot.index <= log.committed) return false;
  if (state.role !== Role.Follower) {
    state.print('warn', () => `${state.name} attempted to restore snapshot as leader; should never happen`);
    becomeFollower(state, state.term + 1, NONE);
    return false;
  }
  const { confState } = snapshot;
  // Whoever is in learnersNext is in votersOutgoing as well.
  const member = [confState.voters, confState.learners, confState.votersOutgoing].some((ids) =>
    ids.includes(state.id),
  );
  if (!member) {
    state.print(
      'warn',
      () =>
        `${state.name} attempted to restore snapshot but it is not in the ConfState ` +
        `${describeConfState(confState)}; should never happen`,
    );
    return false;
  }

  const ends = (): string =>
    `[commit: ${log.committed}, lastindex: ${log.lastIndex()}, lastterm: ${log.lastTerm()}]`;
  const name = `[index: ${snapshot.index}, term: ${snapshot.term}]`;
  if (log.matchTerm(snapshot.index, snapshot.term)) {
    // We have all of it as entries: only learn that they are committed.
    state.print('info', () => `${state.name} ${ends()} fast-forwarded commit to snapshot ${name}`);
    log.commitTo(snapshot.index);
    return false;
  }
  if (log.isApplyingConfChange()) {
    // The state machine may still put that change in force, on top of a membership which has it already.
    // The leader sends a snapshot again.
    state.print(
      'info',
      () => `${state.name} ${ends()} is applying a conf change; not restoring snapshot ${name}`,
    );
    return false;
  }
  log.restore(snapshot);
  restoreMembership(state, confState);
  state.print('info', () => `${state.name} ${ends()} restored snapshot ${name}`);
  return true;
}

/** Voters in hex, as the line that announces a node prints them. */
export function describePeers(ids: readonly NodeId[]): string {
  return ids.map(hexId).join(',');
}
