/**
 * resourceVersion, the text, and the revision it stands for: read, and checked against what the store has reached. The
 * only place where the text is understood.
 */

import { ApiError, badRequest, tooLargeResourceVersion } from '../api/status.ts';

/**
 * The revision a version names; 0 for '' and '0'.
 *
 * @throws ApiError 400 for what is no whole number of 64 bits
 */
export function listedResourceVersion(text: string): number {
  const wrong = problemOf(text);
  if (wrong !== undefined) throw badRequest(`invalid resource version: ${wrong}`);
  return numberOf(text);
}

/**
 * The same for a get from a cache and for a watch, which the original does not expect to fail.
 *
 * @throws ApiError 500 without a reason for what is no whole number of 64 bits
 */
export function parseResourceVersion(text: string): number {
  const wrong = problemOf(text);
  if (wrong !== undefined) throw new ApiError({ code: 500, reason: '', message: wrong });
  return numberOf(text);
}

/** A revision beyond 2^53 is never reached, so comparing it needs no more digits. */
function numberOf(text: string): number {
  return text === '' ? 0 : Number(text);
}

/**
 * Of a store that is asked itself: nobody waited for it, so no time to come back is told.
 *
 * @throws ApiError 504 while the store is older than the version
 */
export function checkReached(resourceVersion: string, revision: number): void {
  const wanted = listedResourceVersion(resourceVersion);
  if (wanted > revision) throw tooLargeResourceVersion(wanted, revision, 0);
}

const UINT64_MAX = 2n ** 64n - 1n;

function problemOf(text: string): string | undefined {
  if (text === '') return undefined;
  const digits = /^\d+$/.test(text);
  if (digits && BigInt(text) <= UINT64_MAX) return undefined;
  const quoted = JSON.stringify(text);
  return `resourceVersion: Invalid value: ${quoted}: strconv.ParseUint: parsing ${quoted}: ${digits ? 'value out of range' : 'invalid syntax'}`;
}
