/**
 * Ends requests that take too long: 60 seconds, or what `?timeout=` asks for below that. Whatever waits on the
 * request's behalf (its body, a storage) is told by its signal; the client is answered 504 at once.
 */

import type { Clock } from '@keelson/base';

import type { ApiRequest, ApiResponse, Filter } from '../api/exchange.ts';
import { badRequest, timeout, type ApiError } from '../api/status.ts';
import { parseDuration } from '../codec/times.ts';
import { isLongRunning } from './long-running.ts';

/** The original's --request-timeout. */
export const REQUEST_TIMEOUT_MS = 60_000;

export interface DeadlineOptions {
  readonly clock: Clock;
  /** Fires a request's signal. */
  readonly abort: (request: ApiRequest, reason: ApiError) => void;
  readonly timeoutMs?: number;
}

export function deadline({ clock, abort, timeoutMs = REQUEST_TIMEOUT_MS }: DeadlineOptions): Filter {
  return (request, next) => {
    if (isLongRunning(request.info)) return next(request);
    const limit = Math.min(timeoutMs, askedMs(request) ?? timeoutMs);
    return new Promise<ApiResponse>((resolve, reject) => {
      const timer = clock.setTimer(limit, () => {
        const error = timeout('request did not complete within the allotted timeout', 0);
        abort(request, error);
        reject(error);
      });
      next(request).then(
        (response) => {
          timer.cancel();
          resolve(response);
        },
        (error: unknown) => {
          timer.cancel();
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  };
}

/** Go's words for a text that is no duration. */
function durationProblem(text: string): string {
  const quoted = JSON.stringify(text);
  const [, rest] = /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(.*)$/s.exec(text) ?? [];
  if (rest === '') return `time: missing unit in duration ${quoted}`;
  return `time: invalid duration ${quoted}`;
}

/**
 * What `timeout` of the query says; undefined without one.
 *
 * @throws ApiError BadRequest
 */
function askedMs(request: ApiRequest): number | undefined {
  const text = request.query.get('timeout');
  if (text === null || text === '') return undefined;
  const nanos = parseDuration(text);
  if (nanos === undefined) {
    throw badRequest(`invalid timeout specified in the request URL - ${durationProblem(text)}`);
  }
  // Zero means that the client does not care.
  return nanos <= 0n ? undefined : Number(nanos / 1_000_000n);
}
