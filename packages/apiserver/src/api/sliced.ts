/**
 * Work that may take long, done in slices: a generator that says where it can be put down, and a pace that says when it
 * should be. Where the pace says nothing it is done in one go, without a promise. Clock and turns are arguments.
 */

import type { Clock } from '@keelson/base';

/** Work that can be put down at each yield; nothing may depend on what happens meanwhile. */
export type Sliced<T> = Generator<undefined, T, void>;

/**
 * Bytes of an object's JSON up to which each step of its way is taken in one go: a step takes up to 10 us a kB of JSON that
 * has nothing but small members.
 */
export const LONG_BYTES = 64 * 1024;

/** Members of a value that are worked on between two looks at the pace: some 10 us. */
export const LOOK_EVERY = 32;

/** Asked between two steps of some work whether others are to have their turn. */
export interface Pace {
  due(): boolean;
}

/** For who has no others beside him. */
export const WITHOUT_PAUSE: Pace = { due: () => false };

/** Does all of it at once. */
export function finish<T>(work: Sliced<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Half of what all long work may take of a turn of the event loop: the step that finds it over may be a long one. */
const SLICE_MS = 1;

/** One request's work, so many milliseconds at a time. */
export class Slices implements Pace {
  private readonly clock: Pick<Clock, 'monotonicMs'>;
  private readonly next: () => Promise<void>;
  private readonly signal: AbortSignal | undefined;
  private sinceMs: number;

  /**
   * @param next resolves when the work may go on, in a later turn of the event loop
   * @param signal ends the work where it waits
   */
  constructor(clock: Pick<Clock, 'monotonicMs'>, next: () => Promise<void>, signal?: AbortSignal) {
    this.clock = clock;
    this.next = next;
    this.signal = signal;
    this.sinceMs = clock.monotonicMs();
  }

  /** Of the server's monotonic clock. */
  seconds(): number {
    return this.clock.monotonicMs() / 1_000;
  }

  due(): boolean {
    return this.clock.monotonicMs() - this.sinceMs >= SLICE_MS;
  }

  /** The same turns, for what is to come to its end whether or not anybody still waits for it. */
  toTheEnd(): Slices {
    return new Slices(this.clock, this.next);
  }

  /** Lets others have their turn. @throws the signal's reason when nobody waits for the work any more */
  async turn(): Promise<void> {
    await this.next();
    const { signal } = this;
    if (signal?.aborted === true) {
      throw signal.reason instanceof Error ? signal.reason : new Error('the request ended');
    }
    this.sinceMs = this.clock.monotonicMs();
  }

  /** What the work gives: at once where it took no longer than its turn. */
  run<T>(work: Sliced<T>): T | Promise<T> {
    this.sinceMs = this.clock.monotonicMs();
    const step = work.next();
    return step.done === true ? step.value : this.goOn(work);
  }

  private async goOn<T>(work: Sliced<T>): Promise<T> {
    for (;;) {
      await this.turn();
      const step = work.next();
      if (step.done === true) return step.value;
    }
  }
}
