/**
 * One evaluation of an expression: its variables, its local slots, what it has cost so far and may cost, and whether it is
 * to stop. No clock: who must interrupt a long one hands in a question.
 */

import type { Result } from './values.ts';

/** Where the variables of an expression come from; undefined for one that is not bound. */
export interface Bindings {
  get(name: string): Result | undefined;
}

/** Ends an evaluation whose budget is used up. */
export class CostExceeded extends Error {}
export class Interrupted extends Error {}

/** Folds ask whether to stop after this many steps, as Kubernetes configures it. */
const INTERRUPT_CHECK_STEPS = 100;

/** One evaluation. */
export class Frame {
  readonly bindings: Bindings;
  readonly slots: Result[];
  cost = 0;
  readonly costMax: number;
  private readonly stop: (() => boolean) | undefined;
  private steps = 0;

  constructor(bindings: Bindings, slotCount: number, costMax: number, stop: (() => boolean) | undefined) {
    this.bindings = bindings;
    this.slots = [];
    for (let i = 0; i < slotCount; i++) this.slots.push(null);
    this.costMax = costMax;
    this.stop = stop;
  }

  charge(cost: number): void {
    this.cost += cost;
    if (this.cost > this.costMax) throw new CostExceeded();
  }

  step(): void {
    this.steps++;
    if (this.stop !== undefined && this.steps % INTERRUPT_CHECK_STEPS === 0 && this.stop())
      throw new Interrupted();
  }
}

export type Evaluate = (frame: Frame) => Result;

export const NO_BINDINGS: Bindings = { get: () => undefined };
