/**
 * Conversions that take a call: converting is asked for in the middle of work that does not wait, so what is missing is
 * thrown, made by whoever may wait, and the work done again. Nothing may have been written by then.
 */

/** Thrown by convert(): ask for this first, then convert again. */
export class ConversionNeeded extends Error {
  /** Asks; convert() finds the answer afterwards. @throws ApiError */
  readonly make: () => Promise<void>;

  constructor(make: () => Promise<void>) {
    super('a conversion has to be asked for');
    this.make = make;
  }
}

/** One piece of work converts a handful of objects; more means that answers are not found again. */
const CALLS_MAX = 16;

/** Does a piece of work as soon as its conversions are there. @param act is done again from its beginning */
export async function settled<T>(act: () => T | Promise<T>): Promise<T> {
  for (let calls = 0; ; calls += 1) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof ConversionNeeded) || calls >= CALLS_MAX) throw error;
      await error.make();
    }
  }
}
