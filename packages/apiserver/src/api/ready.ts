/**
 * A stream whose pieces can be taken without a promise for each, for who has thousands of them: a watch of one object by
 * a thousand clients is a thousand small streams. It is iterated at first, as any other; once `canPoll` it may be asked
 * instead what is there, and says when there is more.
 */

export interface ReadyIterator<T> extends AsyncIterator<T, undefined> {
  /** Whether poll() may be used from now on, in place of next(). */
  readonly canPoll: boolean;
  /**
   * What is there now; undefined: nothing yet.
   *
   * @throws what next() would reject with
   */
  poll(): T | 'ended' | undefined;
  /** Calls once when poll() has something to say again. */
  whenReady(task: () => void): void;
}

export function isReady<T>(iterator: AsyncIterator<T>): iterator is ReadyIterator<T> {
  return 'canPoll' in iterator && iterator.canPoll === true;
}
