/**
 * Gives each request the id it is known by in the audit log and the answer's Audit-Id: the client's, when it brings
 * one, else a new one.
 */

import type { Filter } from '../api/exchange.ts';

/** A client's id that is longer is not taken: it goes into every log line. */
const LENGTH_MAX = 64;

/** @param uuid a new random UUID (version 4) */
export function auditId(uuid: () => string): Filter {
  return (request, next) => {
    const given = request.headers.get('audit-id')?.[0] ?? '';
    const takes = given !== '' && given.length <= LENGTH_MAX && /^[\x21-\x7e]+$/.test(given);
    request.context.auditId = takes ? given : uuid();
    return next(request);
  };
}
