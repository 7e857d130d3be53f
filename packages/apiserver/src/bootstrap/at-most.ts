/** Waiting for an end that may not come. */

import { pause, type Clock } from '@keelson/base';

/** Waits for an end, but not longer than this: a store that is gone must not hold up a stop. */
export async function atMost(clock: Clock, limitMs: number, end: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([end, pause(clock, limitMs, over.signal)]);
  } finally {
    over.abort();
  }
}
