/** Waiting on a clock that is given, for as long as nobody calls it off. */

import type { Clock } from './clock.ts';

/** Resolves after `delayMs`, or at once when the signal is or gets aborted; leaves neither timer nor listener behind. */
export function pause(clock: Pick<Clock, 'setTimer'>, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.setTimer(delayMs, end);
    signal.addEventListener('abort', end, { once: true });
  });
}
