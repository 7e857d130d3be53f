/** What an operator, a metric or a test may see of a node: copies, so that looking changes nothing. */
import { type Progress, ProgressState } from './progress.ts';
import type { RaftState } from './state.ts';
import type { Configuration } from './tracker.ts';
import { type NodeId, NONE, type Role, Role as Roles } from './types.ts';

export interface BasicStatus {
  readonly id: NodeId;
  readonly term: number;
  readonly vote: NodeId;
  readonly commit: number;
  readonly applied: number;
  readonly lead: NodeId;
  readonly role: Role;
  readonly leadTransferee: NodeId;
}

/** One peer, as a leader sees it. */
export interface PeerStatus {
  readonly id: NodeId;
  readonly match: number;
  readonly next: number;
  readonly state: 'probe' | 'replicate' | 'snapshot';
  readonly isLearner: boolean;
  readonly recentActive: boolean;
  readonly paused: boolean;
  /** 0 when no snapshot is on its way. */
  readonly pendingSnapshot: number;
  readonly inflightCount: number;
  /** All of it in one line, as in log lines. */
  readonly text: string;
}

export interface Status extends BasicStatus {
  readonly isLearner: boolean;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly config: Configuration;
  /** Every member, ids ascending; empty unless this node leads. */
  readonly progress: readonly PeerStatus[];
}

export function basicStatus(state: RaftState): BasicStatus {
  return {
    id: state.id,
    term: state.term,
    vote: state.vote,
    commit: state.log.committed,
    applied: state.log.applied,
    lead: state.lead,
    role: state.role,
    leadTransferee: state.role === Roles.Leader ? state.leadTransferee : NONE,
  };
}

export function fullStatus(state: RaftState): Status {
  return {
    ...basicStatus(state),
    isLearner: state.isLearner,
    firstIndex: state.log.firstIndex(),
    lastIndex: state.log.lastIndex(),
    config: state.tracker.config,
    progress: state.role === Roles.Leader ? state.tracker.progresses.map(peerStatus) : [],
  };
}

function peerStatus(progress: Progress): PeerStatus {
  const states = {
    [ProgressState.Probe]: 'probe',
    [ProgressState.Replicate]: 'replicate',
    [ProgressState.Snapshot]: 'snapshot',
  } as const;
  return {
    id: progress.id,
    match: progress.match,
    next: progress.next,
    state: states[progress.state],
    isLearner: progress.isLearner,
    recentActive: progress.recentActive,
    paused: progress.paused(),
    pendingSnapshot: progress.pendingSnapshot,
    inflightCount: progress.inflights.count,
    text: progress.describe(),
  };
}
