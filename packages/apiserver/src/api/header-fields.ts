/** Header fields as messages of HTTP/1.1 bring them. */

import type { Headers } from './exchange.ts';

/** Names in lower case, values in order. */
export function headersOf(raw: readonly string[]): Headers {
  const headers = new Map<string, string[]>();
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index].toLowerCase();
    const values = headers.get(name);
    if (values === undefined) headers.set(name, [raw[index + 1]]);
    else values.push(raw[index + 1]);
  }
  return headers;
}
