/** A wait inside a plugin: it ends with the request. */

import { pause as waited, type Clock } from '@keelson/base';

/** @throws the signal's reason when the request ended first */
export async function pause(
  clock: Pick<Clock, 'setTimer'>,
  delayMs: number,
  signal: AbortSignal,
): Promise<void> {
  await waited(clock, delayMs, signal);
  if (signal.aborted) throw signal.reason instanceof Error ? signal.reason : new Error('the request ended');
}
