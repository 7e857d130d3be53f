/** Notices the goals which can be seen by looking at a node after an event; others are told as they happen. */
import { type NodeId, NONE, Role } from '../../src/index.ts';
import { ProgressState } from '../../src/progress.ts';
import type { Goal } from './goals.ts';
import type { SimNode } from './node.ts';

interface Before {
  role: Role;
  term: number;
  transferee: NodeId;
  learner: boolean;
  voter: boolean;
  joint: boolean;
  autoLeave: boolean;
}

export class GoalWatch {
  private readonly before = new Map<SimNode, Before>();
  private readonly reach: (goal: Goal) => void;

  constructor(reach: (goal: Goal) => void) {
    this.reach = reach;
  }

  /** A node looks as if new after a crash. */
  forget(node: SimNode): void {
    this.before.delete(node);
  }

  look(node: SimNode): void {
    const { core, id } = node;
    const { role, term, tracker } = core;
    const { config } = tracker;
    const leads = role === Role.Leader;
    const now: Before = {
      role,
      term,
      transferee: leads ? core.leadTransferee : NONE,
      learner: core.isLearner,
      voter: tracker.isVoter(id),
      joint: config.outgoing.length > 0,
      autoLeave: config.autoLeave,
    };
    const before = this.before.get(node);
    this.before.set(node, now);
    if (leads) this.leader(node, now);
    if (now.joint) this.reach('joint membership in force');
    if (before === undefined) return;
    if (before.autoLeave && !now.joint) this.reach('joint membership left by itself');
    if (before.learner && now.voter && !now.learner) this.reach('learner promoted');
    if (before.voter && now.learner) this.reach('voter demoted');
    const led = before.role === Role.Leader && before.term === term;
    if (led && before.voter && !tracker.isVoter(id)) {
      if (leads) this.reach('leader removed itself');
      else this.reach('leader stepped down on removal');
    } else if (led && !leads && core.config.checkQuorum) {
      this.reach('leader without quorum stepped down');
    }
    if (led && leads && before.transferee !== NONE && now.transferee === NONE) this.reach('transfer aborted');
  }

  private leader({ core }: SimNode, now: Before): void {
    const { log, tracker } = core;
    if (core.earlyReads.length > 0) this.reach('read waited for the first commit of a term');
    const quorum = tracker.committed();
    if (quorum > log.committed && log.termOrZero(quorum) < now.term)
      this.reach('older term on a quorum, not committed');
    for (const progress of tracker.progresses) {
      if (progress.state === ProgressState.Replicate && progress.inflights.full())
        this.reach('flow control paused a peer');
    }
  }
}
