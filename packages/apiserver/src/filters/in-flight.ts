/**
 * Bounds how many requests work at a time, those that read and those that write apart; who comes beyond is told to come
 * again. Long-running ones do not count. The original's --max-requests-inflight, used where fairness is off.
 */

import type { Filter } from '../api/exchange.ts';
import { GROUP_MASTERS } from '../api/user-info.ts';
import { isLongRunning } from './long-running.ts';
import { tooMany } from './too-many.ts';

export interface InFlightLimits {
  /** 0: no bound. */
  readonly readingMax: number;
  readonly mutatingMax: number;
}

/** The original's defaults. */
const IN_FLIGHT: InFlightLimits = { readingMax: 400, mutatingMax: 200 };

const READING: ReadonlySet<string> = new Set(['get', 'list', 'watch']);

export function maxInFlight({ readingMax, mutatingMax }: InFlightLimits = IN_FLIGHT): Filter {
  let reading = 0;
  let mutating = 0;
  return async (request, next) => {
    if (isLongRunning(request.info)) return next(request);
    const reads = READING.has(request.info.verb);
    const limit = reads ? readingMax : mutatingMax;
    // Whoever has to put a cluster right is never kept out of it.
    const exempt = request.context.user?.groups.includes(GROUP_MASTERS) ?? false;
    if (limit > 0 && !exempt && (reads ? reading : mutating) >= limit) return tooMany(1);
    if (reads) reading += 1;
    else mutating += 1;
    try {
      return await next(request);
    } finally {
      if (reads) reading -= 1;
      else mutating -= 1;
    }
  };
}
