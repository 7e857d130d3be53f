/**
 * What the rooms of the simulation see of each other: a checker of a node, a node of the cluster it lives in.
 * Interfaces only, so that no room needs another to be understood.
 */
import type { ConfState, Entry, HardState, Message, NodeId, StorageError } from '../../src/index.ts';
import type { RaftState } from '../../src/state.ts';
import type { Goal } from './goals.ts';
import type { SimOptions } from './options.ts';

/** A node under observation. */
export interface Observed {
  readonly id: NodeId;
  readonly core: RaftState;
  /** What a crash now would leave of its promises. */
  readonly durable: HardState;
  readonly storage: {
    firstIndex(): number;
    lastIndex(): number;
    term(index: number): number | StorageError;
  };
}

/** Who hears of what a node does, as it does it. */
export interface Witness {
  born(node: Observed): void;
  look(node: Observed): void;
  vote(id: NodeId, term: number, vote: NodeId): void;
  leaves(node: Observed, message: Message): void;
  applies(node: Observed, entry: Entry, state: string): void;
  configured(node: Observed, index: number, confState: ConfState): void;
  installed(node: Observed, index: number, confState: ConfState): void;
  stateAt(index: number): string | undefined;
}

/** What a node finds around it. */
export interface Surroundings {
  readonly oracle: Witness;
  readonly options: SimOptions;
  count(what: string): void;
  reach(goal: Goal): void;
  /** Between two effects of a node: true when it crashed here. */
  crashes(id: NodeId): boolean;
  applied(entry: Entry): void;
}
