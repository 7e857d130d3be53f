/** Answers in plain text, as net/http's Error writes them: where nobody knows yet what the client reads, or it asked for no object. */

import type { ApiResponse, Headers } from './exchange.ts';

/** @param more further headers */
export function plainText(code: number, text: string, more: Headers = new Map()): ApiResponse {
  return {
    kind: 'bytes',
    code,
    contentType: 'text/plain; charset=utf-8',
    body: Buffer.from(text),
    headers: new Map([['x-content-type-options', ['nosniff']], ...more]),
  };
}
