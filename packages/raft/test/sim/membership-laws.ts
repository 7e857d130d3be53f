/**
 * R9: one membership change is in flight at a time; every node gets the same membership from the same entry;
 * quorums of consecutive memberships meet; an id that left never comes back; nobody campaigns who is not a
 * voter, or who has a committed change yet to apply. That learners and removed members never count is part
 * of how votes (R1) and copies (R7) are counted: among the voters of the membership in force.
 *
 * Not claimed, as in etcd: a leader that applied its own removal may go on, without taking proposals, until
 * someone else leads (stepDownOnRemoval ends that); a removed node that is asked for a vote answers.
 */
import { law } from '@keelson/sim';
import { type ConfState, type Entry, EntryType, type NodeId, Role } from '../../src/index.ts';
import type { Observed } from './surroundings.ts';

export interface InForce {
  readonly index: number;
  readonly confState: ConfState;
}

function majority(half: readonly NodeId[]): number {
  return Math.floor(half.length / 2) + 1;
}

/** Whether every majority of `a` has a member in every majority of `b`. */
function meet(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  if (a.length === 0 || b.length === 0) return false;
  const common = a.filter((id) => b.includes(id)).length;
  const ofA = Math.max(0, majority(a) - (a.length - common));
  const ofB = Math.max(0, majority(b) - (b.length - common));
  return ofA + ofB > common;
}

/** Whether every quorum of one membership meets every quorum of the other: it is enough that two halves do. */
export function quorumsMeet(a: ConfState, b: ConfState): boolean {
  const halves = (each: ConfState): (readonly NodeId[])[] => [each.voters, each.votersOutgoing];
  return halves(a).some((half) => halves(b).some((other) => meet(half, other)));
}

export function membersOf(confState: ConfState): Set<NodeId> {
  const { voters, votersOutgoing, learners, learnersNext } = confState;
  return new Set([...voters, ...votersOutgoing, ...learners, ...learnersNext]);
}

function describe(confState: ConfState): string {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = confState;
  return `${voters.join(' ')}|${votersOutgoing.join(' ')}|${learners.join(' ')}|${learnersNext.join(' ')}|${autoLeave}`;
}

export class MembershipLaws {
  /** All memberships that were ever in force, in log order. */
  readonly history: InForce[];
  /** Whoever was a member once and is no more. */
  readonly left = new Set<NodeId>();

  constructor(first: InForce) {
    this.history = [first];
  }

  get newest(): InForce {
    return this.history[this.history.length - 1];
  }

  /** A leader put a new entry into its log. */
  appends({ core }: Observed, entry: Entry): void {
    if (entry.type === EntryType.Normal) return;
    const { log } = core;
    for (let index = Math.max(log.applied + 1, log.firstIndex()); index < entry.index; index++) {
      const found = log.slice(index, index + 1, Infinity);
      const other = Array.isArray(found) ? found[0] : undefined;
      law(
        'R9',
        other === undefined || other.type === EntryType.Normal,
        () => `conf change ${entry.term}/${entry.index} is appended while ${index} is unapplied`,
      );
    }
  }

  campaigns({ core, id }: Observed): void {
    const { log, tracker } = core;
    law('R9', tracker.isVoter(id), () => `${id} campaigns and is no voter`);
    for (let index = Math.max(log.applied + 1, log.firstIndex()); index <= log.committed; index++) {
      const found = log.slice(index, index + 1, Infinity);
      const entry = Array.isArray(found) ? found[0] : undefined;
      law(
        'R9',
        entry === undefined || entry.type === EntryType.Normal,
        () => `${id} campaigns with committed conf change ${index} unapplied`,
      );
    }
  }

  leads({ core, id }: Observed): void {
    law('R9', core.role === Role.Leader && core.tracker.isVoter(id), () => `${id} leads and is no voter`);
  }

  /** A snapshot at `index` brought a membership: the one in force there. */
  installed(node: Observed, index: number, confState: ConfState): void {
    const known = this.history.findLast((each) => each.index <= index);
    law(
      'R9',
      known !== undefined && describe(known.confState) === describe(confState),
      () => `${node.id} gets another membership from the snapshot at ${index}`,
    );
  }

  /** The conf change at `index` is applied: this membership is in force. */
  configured(node: Observed, index: number, confState: ConfState): void {
    const { newest } = this;
    if (index <= newest.index) {
      const known = this.history.find((each) => each.index === index);
      law(
        'R9',
        known !== undefined && describe(known.confState) === describe(confState),
        () => `${node.id} gets another membership from ${index}`,
      );
      return;
    }
    law(
      'R9',
      quorumsMeet(newest.confState, confState),
      () => `quorums of ${describe(newest.confState)} and ${describe(confState)} need not meet`,
    );
    const now = membersOf(confState);
    for (const id of now) law('R9', !this.left.has(id), () => `${id} left and is back`);
    for (const id of membersOf(newest.confState)) if (!now.has(id)) this.left.add(id);
    this.history.push({ index, confState });
  }
}
