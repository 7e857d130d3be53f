/**
 * One evaluation: its bindings, what it has cost so far and may cost, and when it is to be put down. Each node charges it
 * before it runs and stops where the budget is used up.
 */

import type { Pace } from '../api/sliced.ts';
import type { Result } from './values.ts';

/** Where the variables of an expression come from; undefined for one that is not bound. */
export interface Bindings {
  get(name: string): Result | undefined;
}

/** Ends an evaluation whose budget is used up. */
export class CostExceeded extends Error {}
export class Interrupted extends Error {}
/** Ends an evaluation in one go that meets what takes long. */
export class TooLong extends Error {}

/** Folds ask whether to stop after this many steps, as Kubernetes configures it. */
const INTERRUPT_CHECK_STEPS = 100;

/** Of cost: what is charged between two looks at the pace takes microseconds, and a look as long as a step. */
const LOOK_COST = 20;

export interface FrameParts {
  readonly bindings: Bindings;
  readonly slotCount: number;
  /** The budget; what is charged beyond it ends the evaluation. */
  readonly costMax: number;
  readonly pace: Pace;
  /** Asked now and then by folds whether to give up. */
  readonly stop?: (() => boolean) | undefined;
}

export class Frame {
  readonly bindings: Bindings;
  readonly pace: Pace;
  /** Variables of the folds around. */
  readonly slots: Result[];
  cost = 0;
  private readonly costMax: number;
  private readonly stop: (() => boolean) | undefined;
  private steps = 0;
  private lookedAt = 0;

  constructor({ bindings, slotCount, costMax, pace, stop }: FrameParts) {
    this.bindings = bindings;
    this.pace = pace;
    this.slots = [];
    for (let i = 0; i < slotCount; i++) this.slots.push(null);
    this.costMax = costMax;
    this.stop = stop;
  }

  /** @throws CostExceeded */
  charge(cost: number): void {
    this.cost += cost;
    if (this.cost > this.costMax) throw new CostExceeded();
  }

  /** Another turn of a fold. @throws Interrupted */
  step(): void {
    this.steps++;
    if (this.stop !== undefined && this.steps % INTERRUPT_CHECK_STEPS === 0 && this.stop())
      throw new Interrupted();
  }

  /** Whether the evaluation is to be put down here. */
  due(): boolean {
    if (this.cost - this.lookedAt < LOOK_COST) return false;
    this.lookedAt = this.cost;
    return this.pace.due();
  }
}
