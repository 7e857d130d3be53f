/**
 * One life of a member's process: its clocks, its timers, its turns. Everything the member does begins in a task that
 * its life enters; when the life has ended, or while the process is paused, nothing is entered any more. What runs on
 * after an end (promises that nobody takes back) reaches neither disk nor network nor client.
 */
import type { Clock, Prng, Timer } from '@keelson/base';
import type { Scheduler } from '@keelson/sim';
import type { Goal } from './goals.ts';
import { settle } from './microtasks.ts';
import type { Fault, SimOptions } from './options.ts';

/** 2026-01-01, where every simulation begins. */
const EPOCH_MS = 1_767_225_600_000;
/** A longer delay becomes 1 ms, as in Node. */
const TIMER_MAX_MS = 0x7fff_ffff;

/** What the parts of the simulated world know of it, so that none imports the file that joins them. */
export interface Stage {
  readonly options: SimOptions;
  readonly scheduler: Scheduler;
  /** Whether a fault may happen now. */
  on(fault: Fault): boolean;
  /** A fault took effect. */
  happened(fault: Fault, detail?: string): void;
  count(what: string, by?: number): void;
  reach(goal: Goal): void;
  /** A process has done something, with all its consequences. */
  acted(life: Life): void;
  /** Between two effects of a process: true when it ends here. */
  crashesHere(life: Life): boolean;
}

/** What outlives a life: the machine. */
export interface Machine {
  /** Its number, from 1. */
  readonly place: number;
  /** Simulated ms until which the process does nothing. */
  pausedUntil: number;
  /** Its wall clock against everybody's, ms. */
  wallOffsetMs: number;
  /** Its ms for each simulated one. */
  rate: number;
}

export class Life implements Clock {
  readonly machine: Machine;
  readonly stage: Stage;
  /** Simulated ms. */
  readonly bornAt: number;
  ended = false;
  private startMs: number;
  private startedAt: number;
  private rate: number;
  /** What came while it was paused. */
  private readonly held = new Set<() => void>();
  private turnTasks: (() => void)[] = [];
  private turnDue = false;

  constructor(stage: Stage, machine: Machine, prng: Prng) {
    this.stage = stage;
    this.machine = machine;
    this.bornAt = stage.scheduler.now;
    // Any beginning, as a real monotonic clock: hours after the machine's start.
    this.startMs = prng.below(1_000_000);
    this.startedAt = this.bornAt;
    this.rate = machine.rate;
  }

  nowMs(): number {
    return EPOCH_MS + this.stage.scheduler.now + this.machine.wallOffsetMs;
  }

  monotonicMs(): number {
    return this.startMs + (this.stage.scheduler.now - this.startedAt) * this.rate;
  }

  /** Its clock runs at another rate from now on. */
  drift(rate: number): void {
    this.startMs = this.monotonicMs();
    this.startedAt = this.stage.scheduler.now;
    this.rate = rate;
    this.machine.rate = rate;
  }

  setTimer(delayMs: number, task: () => void): Timer {
    let cancelled = false;
    const delay = delayMs >= 1 && delayMs <= TIMER_MAX_MS ? Math.trunc(delayMs) : 1;
    this.later(Math.max(1, Math.round(delay / this.rate)), 'timer', () => {
      if (!cancelled) task();
    });
    return {
      cancel: () => {
        cancelled = true;
      },
    };
  }

  /** As setImmediate: in order, on the next turn. */
  readonly defer = (task: () => void): void => {
    this.turnTasks.push(task);
    if (this.turnDue) return;
    this.turnDue = true;
    this.later(0, 'turn', () => {
      this.turnDue = false;
      const tasks = this.turnTasks;
      this.turnTasks = [];
      for (const each of tasks) {
        if (this.ended) return;
        each();
        settle();
      }
    });
  };

  /** After `delayMs` simulated, if this life still goes on then; when it wakes, if it is paused. */
  later(delayMs: number, kind: string, task: () => void): void {
    this.stage.scheduler.later(delayMs, kind, this.machine.place, () => this.enter(kind, task));
  }

  /** Resolves after `delayMs` simulated; never when the life has ended. */
  sleep(delayMs: number, kind: string): Promise<void> {
    return new Promise((resolve) => this.later(delayMs, kind, resolve));
  }

  /** It goes on before its pause was to end: all that waits for that comes now, in any order, as it would have come then. */
  wake(): void {
    for (const held of this.held) this.stage.scheduler.later(0, 'wake', this.machine.place, held);
  }

  /** Runs a task as the process would: now, when it wakes, or never. */
  enter(kind: string, task: () => void): void {
    if (this.ended) return;
    const wait = this.machine.pausedUntil - this.stage.scheduler.now;
    if (wait > 0) {
      const held = (): void => {
        if (this.held.delete(held)) this.enter(kind, task);
      };
      this.held.add(held);
      this.stage.scheduler.later(wait, kind, this.machine.place, held);
      return;
    }
    task();
    settle();
    if (!this.ended) this.stage.acted(this);
  }
}
