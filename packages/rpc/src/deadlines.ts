/**
 * Many deadlines on one timer. Each rounds up to a step of a few milliseconds and is filed there, so that a
 * call with a deadline costs two set operations instead of a timer of its own. Deadlines fire late by at
 * most a step (plus the timer's own delay), never early.
 */
import type { Clock, Timer } from '@keelson/base';

/** Small against any timeout a client sends; large enough that thousands of calls share a step. */
const STEP_MS = 8;

export interface Due {
  deadlinePassed(): void;
}

export class Deadlines {
  private readonly clock: Clock;
  private readonly steps = new Map<number, Set<Due>>();
  private timer: Timer | undefined = undefined;
  private armedStep = Infinity;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Deadlines that are filed. */
  get count(): number {
    let count = 0;
    for (const filed of this.steps.values()) count += filed.size;
    return count;
  }

  /** @returns the step, to be given to `remove` */
  add(due: Due, deadlineMs: number): number {
    const step = Math.ceil(deadlineMs / STEP_MS);
    const filed = this.steps.get(step);
    if (filed === undefined) this.steps.set(step, new Set([due]));
    else filed.add(due);
    if (step < this.armedStep) this.arm(step);
    return step;
  }

  remove(due: Due, step: number): void {
    const filed = this.steps.get(step);
    if (filed === undefined || !filed.delete(due)) return;
    // An empty step whose timer runs stays until it fires, so that a busy step is not built again and again.
    if (filed.size === 0 && step !== this.armedStep) this.steps.delete(step);
  }

  /** Forgets all; nothing fires any more. */
  clear(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.armedStep = Infinity;
    this.steps.clear();
  }

  private arm(step: number): void {
    this.timer?.cancel();
    this.armedStep = step;
    // Timers hold at most 2^31-1 ms; a deadline beyond is looked at again then.
    const delayMs = Math.min(Math.max(0, step * STEP_MS - this.clock.monotonicMs()), 2 ** 31 - 1);
    this.timer = this.clock.setTimer(delayMs, this.fire);
  }

  private readonly fire = (): void => {
    this.timer = undefined;
    this.armedStep = Infinity;
    const nowMs = this.clock.monotonicMs();
    let next = Infinity;
    const passed: Due[] = [];
    for (const [step, filed] of this.steps) {
      if (step * STEP_MS <= nowMs) {
        this.steps.delete(step);
        passed.push(...filed);
      } else if (filed.size === 0) {
        this.steps.delete(step);
      } else if (step < next) {
        next = step;
      }
    }
    if (next < Infinity) this.arm(next);
    for (const due of passed) due.deadlinePassed();
  };
}
