/**
 * Logs as numbers: a chain stands for an entry and everything before it, so two logs agree up to an index
 * exactly when their chains there are one number. The membership that a chain leads to is computed here by
 * rules of our own, not by the core's. A chain is never forgotten.
 */
import {
  asV2,
  ConfChangeTransition,
  ConfChangeType,
  type ConfChangeV2,
  type ConfState,
  decodeConfChangeEntry,
  type Entry,
  EntryType,
} from '../../src/index.ts';

/** Ids of a membership as small numbers, ascending. */
export interface Members {
  readonly incoming: readonly number[];
  readonly outgoing: readonly number[];
  readonly learners: readonly number[];
  readonly learnersNext: readonly number[];
  readonly autoLeave: boolean;
}

interface Chain {
  readonly previous: number;
  readonly term: number;
  readonly index: number;
  readonly change: ConfChangeV2 | undefined;
  readonly members: Members;
  readonly text: string;
}

/** The number of the state that all founders start from. */
export const FOUNDING = 0;

export class Chains {
  private readonly list: Chain[] = [];
  private readonly numbers = new Map<string, number>();

  constructor(index: number, term: number, confState: ConfState) {
    const members = membersOf(confState);
    this.list.push({ previous: -1, term, index, change: undefined, members, text: 'founding' });
  }

  /** The chain that `entry` makes of `previous`. */
  add(previous: number, entry: Entry): number {
    const key = `${previous} ${entry.term}/${entry.index} ${entry.type} ${entry.data.toString('latin1')}`;
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    const before = this.list[previous];
    const decoded = entry.type === EntryType.Normal ? undefined : decodeConfChangeEntry(entry);
    const change = decoded === undefined ? undefined : asV2(decoded);
    this.list.push({
      previous,
      term: entry.term,
      index: entry.index,
      change,
      members: change === undefined ? before.members : changed(before.members, change),
      text: `${entry.term}/${entry.index}`,
    });
    this.numbers.set(key, this.list.length - 1);
    return this.list.length - 1;
  }

  term(chain: number): number {
    return this.list[chain]?.term ?? -1;
  }

  index(chain: number): number {
    return this.list[chain]?.index ?? -1;
  }

  /** The chain one entry shorter; -1 before the founding state. */
  previous(chain: number): number {
    return this.list[chain]?.previous ?? -1;
  }

  isChange(chain: number): boolean {
    return this.list[chain]?.change !== undefined;
  }

  /** Once all of it is applied. */
  members(chain: number): Members {
    return this.list[chain].members;
  }

  /** The chain's beginning up to `index`, which must lie in it. */
  at(chain: number, index: number): number {
    let each = chain;
    while (each >= 0 && this.index(each) > index) each = this.previous(each);
    return each;
  }
}

export function membersOf(state: ConfState): Members {
  return {
    incoming: state.voters.map(Number),
    outgoing: state.votersOutgoing.map(Number),
    learners: state.learners.map(Number),
    learnersNext: state.learnersNext.map(Number),
    autoLeave: state.autoLeave,
  };
}

/** What a committed change makes of a membership, read off the Raft thesis §4 and etcd's ConfChangeV2. */
function changed(before: Members, change: ConfChangeV2): Members {
  const sorted = (ids: Iterable<number>): number[] => [...new Set(ids)].sort((a, b) => a - b);
  if (change.changes.length === 0 && change.transition === ConfChangeTransition.Auto) {
    const learners = sorted([...before.learners, ...before.learnersNext]);
    return { incoming: before.incoming, outgoing: [], learners, learnersNext: [], autoLeave: false };
  }
  const joint = change.transition !== ConfChangeTransition.Auto || change.changes.length > 1;
  const outgoing = joint ? before.incoming : before.outgoing;
  let { incoming, learners, learnersNext } = before;
  const without = (ids: readonly number[], id: number): number[] => ids.filter((each) => each !== id);
  for (const { type, nodeId } of change.changes) {
    const id = Number(nodeId);
    if (id === 0 || type === ConfChangeType.UpdateNode) continue;
    if (type === ConfChangeType.AddLearnerNode && learners.includes(id)) continue;
    incoming = without(incoming, id);
    learners = without(learners, id);
    learnersNext = without(learnersNext, id);
    if (type === ConfChangeType.AddNode) incoming = sorted([...incoming, id]);
    else if (type === ConfChangeType.AddLearnerNode) {
      if (outgoing.includes(id)) learnersNext = sorted([...learnersNext, id]);
      else learners = sorted([...learners, id]);
    }
  }
  const autoLeave = joint && change.transition !== ConfChangeTransition.JointExplicit;
  return { incoming, outgoing, learners, learnersNext, autoLeave };
}

/** Whether `has` holds for a majority of each half; an empty half asks nothing. */
export function quorum(members: Members, has: (id: number) => boolean): boolean {
  for (const half of [members.incoming, members.outgoing]) {
    if (half.length === 0) continue;
    let count = 0;
    for (const id of half) if (has(id)) count++;
    if (count * 2 <= half.length) return false;
  }
  return true;
}

/** Whether every quorum of one shares a member with every quorum of the other: tried on all subsets. */
export function quorumsMeet(a: Members, b: Members): boolean {
  const ids = [...new Set([...a.incoming, ...a.outgoing, ...b.incoming, ...b.outgoing])];
  for (let subset = 0; subset < 1 << ids.length; subset++) {
    const inside = (id: number): boolean => (subset & (1 << ids.indexOf(id))) !== 0;
    if (quorum(a, inside) && quorum(b, (id) => !inside(id))) return false;
  }
  return true;
}
