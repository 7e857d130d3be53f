/** A wait inside a plugin: it ends with the request. */

import type { Clock } from '@keelson/base';

/** @throws the signal's reason when the request ended first */
export function pause(clock: Pick<Clock, 'setTimer'>, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const timer = clock.setTimer(delayMs, () => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
    const stop = (): void => {
      timer.cancel();
      reject(signal.reason instanceof Error ? signal.reason : new Error('the request ended'));
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}
