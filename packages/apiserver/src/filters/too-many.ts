/** The answer to who comes when there is no room: in plain text, since what the client reads is not known yet. */

import type { ApiResponse, Headers } from '../api/exchange.ts';

const REFUSAL = Buffer.from('Too many requests, please try again later.\n');

/** @param marks further headers, as others' answers carry them */
export function tooMany(retrySeconds: number, marks: Headers = new Map()): ApiResponse {
  return {
    kind: 'bytes',
    code: 429,
    contentType: 'text/plain; charset=utf-8',
    body: REFUSAL,
    headers: new Map([
      ['retry-after', [String(retrySeconds)]],
      ['x-content-type-options', ['nosniff']],
      ...marks,
    ]),
  };
}
