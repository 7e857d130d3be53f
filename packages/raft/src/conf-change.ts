/**
 * How a membership becomes another: simple changes, entering and leaving a joint one, and rebuilding
 * one from a snapshot's ConfState. Pure: a change is tried on a copy and either a checked result or the
 * reason for refusing it comes back; whoever asks puts it in force. Modelled on etcd-io/raft's
 * confchange package.
 */
import { assert } from '@keelson/base';
import type { Progress } from './progress.ts';
import { allVoters, compareIds, type Configuration, Tracker } from './tracker.ts';
import {
  type ConfChange,
  type ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  type ConfChangeV2,
  type ConfState,
  type NodeId,
} from './types.ts';

/** A membership that passed all checks, or why there is none. */
export type ChangeResult =
  | { readonly kind: 'changed'; readonly config: Configuration; readonly progresses: readonly Progress[] }
  | { readonly kind: 'refused'; readonly reason: string };

/** Either form as V2, which is what is applied. */
export function asV2(change: ConfChange | ConfChangeV2): ConfChangeV2 {
  if ('changes' in change) return change;
  return {
    transition: ConfChangeTransition.Auto,
    changes: [{ type: change.type, nodeId: change.nodeId }],
    context: change.context,
  };
}

/** Whether this change leaves a joint configuration: nothing in it but perhaps a context. */
export function leavesJoint(change: ConfChangeV2): boolean {
  return change.changes.length === 0 && change.transition === ConfChangeTransition.Auto;
}

/** Whether it must go through a joint configuration, and whether that is then left by itself. */
export function entersJoint(change: ConfChangeV2): { readonly joint: boolean; readonly autoLeave: boolean } {
  const joint = change.transition !== ConfChangeTransition.Auto || change.changes.length > 1;
  return { joint, autoLeave: joint && change.transition !== ConfChangeTransition.JointExplicit };
}

/** Tries changes on the membership that a tracker has in force. */
export class Changer {
  private readonly tracker: Tracker;
  private readonly lastIndex: number;

  /** @param lastIndex of the log: where replication to a node that joins begins */
  constructor(tracker: Tracker, lastIndex: number) {
    this.tracker = tracker;
    this.lastIndex = lastIndex;
  }

  /** A committed change in whatever way it asks for. */
  apply(change: ConfChangeV2): ChangeResult {
    if (leavesJoint(change)) return this.leaveJoint();
    const { joint, autoLeave } = entersJoint(change);
    return joint ? this.enterJoint(autoLeave, change.changes) : this.simple(change.changes);
  }

  /** At most one voter comes or goes: old and new majorities then always meet (thesis §4.1). */
  simple(changes: readonly ConfChangeSingle[]): ChangeResult {
    const draft = new Draft(this.tracker, this.lastIndex);
    if (draft.joint()) return refused("can't apply simple config change in joint config");
    const reason = draft.apply(changes);
    if (reason !== undefined) return refused(reason);
    if (differenceCount(this.tracker.config.incoming, draft.incoming) > 1) {
      return refused('more than one voter changed without entering joint config');
    }
    return draft.result();
  }

  /** Old voters stay on as the outgoing half until the joint configuration is left (Raft §6). */
  enterJoint(autoLeave: boolean, changes: readonly ConfChangeSingle[]): ChangeResult {
    const draft = new Draft(this.tracker, this.lastIndex);
    if (draft.joint()) return refused('config is already joint');
    if (draft.incoming.size === 0) return refused("can't make a zero-voter config joint");
    for (const id of draft.incoming) draft.outgoing.add(id);
    const reason = draft.apply(changes);
    if (reason !== undefined) return refused(reason);
    draft.autoLeave = autoLeave;
    return draft.result();
  }

  leaveJoint(): ChangeResult {
    const draft = new Draft(this.tracker, this.lastIndex);
    if (!draft.joint()) return refused("can't leave a non-joint config");
    draft.leave();
    return draft.result();
  }
}

/** Puts a change in force that every node must be able to make: a refusal is a broken law. */
export function put(tracker: Tracker, result: ChangeResult): void {
  const reason = result.kind === 'refused' ? result.reason : '';
  assert(result.kind === 'changed', () => `membership cannot be put in force: ${reason}`);
  tracker.adopt(result.config, result.progresses);
}

/**
 * The membership of `state` with fresh progresses, put in force in `tracker`, which must be empty: as if
 * its history of changes had been applied.
 */
export function restoreConfState(tracker: Tracker, state: ConfState, lastIndex: number): void {
  const add = (nodeId: NodeId): ConfChangeSingle => ({ type: ConfChangeType.AddNode, nodeId });
  const learn = (nodeId: NodeId): ConfChangeSingle => ({ type: ConfChangeType.AddLearnerNode, nodeId });
  const remove = (nodeId: NodeId): ConfChangeSingle => ({ type: ConfChangeType.RemoveNode, nodeId });

  const incoming = [
    ...state.votersOutgoing.map(remove),
    ...state.voters.map(add),
    ...state.learners.map(learn),
    ...state.learnersNext.map(learn),
  ];
  if (state.votersOutgoing.length === 0) {
    for (const change of incoming) put(tracker, new Changer(tracker, lastIndex).simple([change]));
    return;
  }
  for (const id of state.votersOutgoing) put(tracker, new Changer(tracker, lastIndex).simple([add(id)]));
  put(tracker, new Changer(tracker, lastIndex).enterJoint(state.autoLeave, incoming));
}

function refused(reason: string): ChangeResult {
  return { kind: 'refused', reason };
}

/** How many ids are in one of the two but not in both. */
function differenceCount(before: readonly NodeId[], after: ReadonlySet<NodeId>): number {
  let shared = 0;
  for (const id of before) if (after.has(id)) shared++;
  return before.length + after.size - 2 * shared;
}

/** A membership being changed; touches nothing of the tracker's. */
class Draft {
  readonly incoming: Set<NodeId>;
  readonly outgoing: Set<NodeId>;
  readonly learners: Set<NodeId>;
  readonly learnersNext: Set<NodeId>;
  autoLeave: boolean;
  private readonly progresses = new Map<NodeId, Progress>();
  private readonly tracker: Tracker;
  private readonly lastIndex: number;

  constructor(tracker: Tracker, lastIndex: number) {
    const config = tracker.config;
    this.tracker = tracker;
    this.lastIndex = lastIndex;
    this.incoming = new Set(config.incoming);
    this.outgoing = new Set(config.outgoing);
    this.learners = new Set(config.learners);
    this.learnersNext = new Set(config.learnersNext);
    this.autoLeave = config.autoLeave;
    for (const progress of tracker.progresses) this.progresses.set(progress.id, progress.clone());
    const broken = this.brokenLaw();
    assert(broken === undefined, () => `configuration in force: ${broken}`);
  }

  joint(): boolean {
    return this.outgoing.size > 0;
  }

  /** @returns why the changes are refused, or undefined */
  apply(changes: readonly ConfChangeSingle[]): string | undefined {
    for (const { type, nodeId } of changes) {
      // etcd writes 0 into a change that it refuses after it was committed.
      if (nodeId === 0n) continue;
      switch (type) {
        case ConfChangeType.AddNode:
          this.makeVoter(nodeId);
          break;
        case ConfChangeType.AddLearnerNode:
          this.makeLearner(nodeId);
          break;
        case ConfChangeType.RemoveNode:
          this.remove(nodeId);
          break;
        case ConfChangeType.UpdateNode:
          break;
        default:
          return `unexpected conf type ${String(type)}`;
      }
    }
    return this.incoming.size === 0 ? 'removed all voters' : undefined;
  }

  leave(): void {
    for (const id of this.learnersNext) {
      this.learners.add(id);
      const progress = this.progresses.get(id);
      if (progress !== undefined) progress.isLearner = true;
    }
    this.learnersNext.clear();
    for (const id of this.outgoing) {
      if (!this.incoming.has(id) && !this.learners.has(id)) this.progresses.delete(id);
    }
    this.outgoing.clear();
    this.autoLeave = false;
  }

  result(): ChangeResult {
    const broken = this.brokenLaw();
    if (broken !== undefined) return refused(broken);
    const progresses = [...this.progresses.values()].sort((a, b) => compareIds(a.id, b.id));
    return { kind: 'changed', config: this.configuration(), progresses };
  }

  private configuration(): Configuration {
    const ascending = (ids: ReadonlySet<NodeId>): NodeId[] => [...ids].sort(compareIds);
    return {
      incoming: ascending(this.incoming),
      outgoing: ascending(this.outgoing),
      learners: ascending(this.learners),
      learnersNext: ascending(this.learnersNext),
      autoLeave: this.autoLeave,
    };
  }

  private makeVoter(id: NodeId): void {
    const progress = this.progresses.get(id);
    if (progress === undefined) {
      this.join(id, false);
      return;
    }
    progress.isLearner = false;
    this.learners.delete(id);
    this.learnersNext.delete(id);
    this.incoming.add(id);
  }

  private makeLearner(id: NodeId): void {
    const progress = this.progresses.get(id);
    if (progress === undefined) {
      this.join(id, true);
      return;
    }
    if (progress.isLearner) return;
    this.remove(id);
    this.progresses.set(id, progress);
    // A voter of the outgoing half must not be a learner too: it becomes one when the half goes.
    if (this.outgoing.has(id)) {
      this.learnersNext.add(id);
    } else {
      progress.isLearner = true;
      this.learners.add(id);
    }
  }

  private remove(id: NodeId): void {
    if (!this.progresses.has(id)) return;
    this.incoming.delete(id);
    this.learners.delete(id);
    this.learnersNext.delete(id);
    if (!this.outgoing.has(id)) this.progresses.delete(id);
  }

  private join(id: NodeId, isLearner: boolean): void {
    (isLearner ? this.learners : this.incoming).add(id);
    // Probing starts at the end of our log; a node that is far behind will say so.
    this.progresses.set(id, this.tracker.newProgress(id, Math.max(this.lastIndex, 1), isLearner));
  }

  /** The laws of Configuration; undefined when all hold. */
  private brokenLaw(): string | undefined {
    const config = this.configuration();
    for (const id of [...allVoters(config), ...config.learners, ...config.learnersNext]) {
      if (!this.progresses.has(id)) return `no progress for ${id}`;
    }
    for (const id of config.learnersNext) {
      if (!this.outgoing.has(id)) return `${id} is in LearnersNext, but not Voters[1]`;
      if (this.progresses.get(id)?.isLearner === true) {
        return `${id} is in LearnersNext, but is already marked as learner`;
      }
    }
    for (const id of config.learners) {
      if (this.outgoing.has(id)) return `${id} is in Learners and Voters[1]`;
      if (this.incoming.has(id)) return `${id} is in Learners and Voters[0]`;
      if (this.progresses.get(id)?.isLearner === false)
        return `${id} is in Learners, but is not marked as learner`;
    }
    if (this.joint()) return undefined;
    if (config.learnersNext.length > 0) return 'cfg.LearnersNext must be nil when not joint';
    return config.autoLeave ? 'AutoLeave must be false when not joint' : undefined;
  }
}
