/** The event loop of this process, as turns.ts in flowcontrol/ wants it. */

import type { EventLoop } from '../flowcontrol/turns.ts';

export const eventLoop: EventLoop = {
  workedMs: () => performance.eventLoopUtilization().active,
  nextTurn: (task) => void setImmediate(task),
  // Ticks come when no promise has anything left to call; one that is asked for now would come before them.
  afterPromises: (task) => queueMicrotask(() => process.nextTick(task)),
};
