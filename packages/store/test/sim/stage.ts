/** What the parts of the simulated world know of each other, so that none imports the file that joins them. */
import type { Prng } from '@keelson/base';
import type { Scheduler } from '@keelson/sim';
import type { Goal } from './goals.ts';
import type { Life } from './life.ts';
import type { Fault, SimOptions } from './options.ts';

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

/** Dice of their own for each part: what one draws changes nothing for the others. */
export type Dice = Prng;
