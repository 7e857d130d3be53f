/**
 * Work that seldom has to wait: a generator that hands out what it waits for. Where nothing has to be waited for it is
 * done at once, without a promise; what was begun is never begun again.
 */

import type { Clock } from '@keelson/base';

/** Gives its result in the end, and before that promises it cannot go on without. */
export type Steps<T> = Generator<Promise<unknown>, T, void>;

/** The result at once where nothing was waited for. A promise that is rejected is thrown where it was waited for. */
export function runSteps<T>(steps: Steps<T>): T | Promise<T> {
  const first = steps.next();
  return first.done === true ? first.value : goOn(steps, first.value);
}

async function goOn<T>(steps: Steps<T>, first: Promise<unknown>): Promise<T> {
  let wait = first;
  for (;;) {
    let failure: { readonly error: unknown } | undefined;
    try {
      await wait;
    } catch (error) {
      failure = { error };
    }
    const next = failure === undefined ? steps.next() : steps.throw(failure.error);
    if (next.done === true) return next.value;
    wait = next.value;
  }
}

/** As step of Steps: what the promise gives. */
export function* waitFor<T>(promise: Promise<T>): Steps<T> {
  const given: { value?: T } = {};
  yield promise.then((value) => {
    given.value = value;
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it was set before this line runs
  return given.value as T;
}

/** An expression may cost a fifth of a second of work: others get their turn after it. */
const SLICE_MS = 5;

/** Gives the event loop its turn between expressions when they took long. */
export class Slices {
  private readonly clock: Pick<Clock, 'monotonicMs' | 'setTimer'>;
  private sinceMs: number;

  constructor(clock: Pick<Clock, 'monotonicMs' | 'setTimer'>) {
    this.clock = clock;
    this.sinceMs = clock.monotonicMs();
  }

  /** Seconds, of the server's monotonic clock. */
  seconds(): number {
    return this.clock.monotonicMs() / 1_000;
  }

  *breathe(): Steps<void> {
    if (this.clock.monotonicMs() - this.sinceMs < SLICE_MS) return;
    yield new Promise<void>((resolve) => {
      this.clock.setTimer(0, resolve);
    });
    this.sinceMs = this.clock.monotonicMs();
  }
}
