/** The cluster as its clients, its mischief and its healing know it. An interface only. */
import type { Network, Scheduler } from '@keelson/sim';
import type { Message, NodeId } from '../../src/index.ts';
import type { Oracle } from './checkers.ts';
import type { SimNode } from './node.ts';
import type { Fault } from './options.ts';
import type { Surroundings } from './surroundings.ts';

export interface World extends Surroundings {
  readonly scheduler: Scheduler;
  readonly oracle: Oracle;
  readonly network: Network<NodeId, Message>;
  readonly nodes: ReadonlyMap<NodeId, SimNode>;
  readonly clients: {
    readonly satisfied: boolean;
    describe(): string;
    /** The faults have stopped. */
    heal(): void;
  };
  /** Faults have stopped for good. */
  healed: boolean;
  /** No new fault happens for a while. */
  calm: boolean;
  /** The seed goes on only because it lacks something. */
  readonly overdue: boolean;
  /** Election timeouts from healing to a leader that committed in its term. */
  leaderAfter: number;
  /** Whoever must not start any more: taken down by the operator, or outside the core that comes back. */
  readonly retired: Set<SimNode>;
  on(fault: Fault): boolean;
  running(): SimNode[];
  leaders(): SimNode[];
  found(): NodeId;
  turn(node: SimNode): void;
  transfer(node: SimNode, to: NodeId): void;
  forget(node: SimNode): void;
  campaign(node: SimNode): void;
  start(node: SimNode): void;
  mayStart(node: SimNode): boolean;
  /** Units since `since`, in longest election timeouts. */
  timeoutsSince(since: number): number;
}
