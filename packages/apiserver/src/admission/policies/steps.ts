/**
 * Work that seldom has to wait: a generator that hands out what it waits for. Where nothing has to be waited for it is
 * done at once, without a promise; what was begun is never begun again.
 */

import type { Sliced, Slices } from '../../api/sliced.ts';

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

/** Gives the event loop its turn where the work so far took long. */
export function* breathe(slices: Slices): Steps<void> {
  if (slices.due()) yield slices.turn();
}

/** As a step of Steps: work that is put down whenever its turn is over. */
export function* inTurns<T>(slices: Slices, work: Sliced<T>): Steps<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    yield slices.turn();
  }
}
