/** The answer to who comes when there is no room: in plain text, since what the client reads is not known yet. */

import type { ApiResponse, Headers } from '../api/exchange.ts';
import { plainText } from '../api/plain-text.ts';

const REFUSAL = 'Too many requests, please try again later.\n';

/** @param marks further headers, as others' answers carry them */
export function tooMany(retrySeconds: number, marks: Headers = new Map()): ApiResponse {
  return plainText(429, REFUSAL, new Map([['retry-after', [String(retrySeconds)]], ...marks]));
}
