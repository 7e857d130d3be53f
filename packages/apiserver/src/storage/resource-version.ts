/**
 * resourceVersion, the text, and the revision it stands for: read, and checked against what the store has reached. The
 * only place where the text is understood.
 */

import { badRequest, tooLargeResourceVersion, type ApiError } from '../api/status.ts';

/**
 * The revision a version names; 0 for '' and '0'.
 *
 * @throws ApiError 400 for what is no whole number of 64 bits
 */
export function parseResourceVersion(text: string): number {
  if (text === '') return 0;
  const wrong = problemOf(text);
  if (wrong !== undefined) throw invalidResourceVersion(text, wrong);
  // A revision beyond 2^53 is never reached, so comparing it needs no more digits.
  return Number(text);
}

/** @throws ApiError 504 while the store is older than the version */
export function checkReached(resourceVersion: string, revision: number): void {
  const wanted = parseResourceVersion(resourceVersion);
  if (wanted > revision) throw tooLargeResourceVersion(wanted, revision);
}

const UINT64_MAX = 2n ** 64n - 1n;

function problemOf(text: string): string | undefined {
  if (!/^\d+$/.test(text)) return 'invalid syntax';
  return BigInt(text) > UINT64_MAX ? 'value out of range' : undefined;
}

function invalidResourceVersion(text: string, problem: string): ApiError {
  return badRequest(
    `invalid resource version: strconv.ParseUint: parsing ${JSON.stringify(text)}: ${problem}`,
  );
}
