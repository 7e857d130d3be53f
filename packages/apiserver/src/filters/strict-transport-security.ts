/** Adds Strict-Transport-Security to every answer, as --strict-transport-security-directives says it. */

import type { ApiResponse, Filter } from '../api/exchange.ts';

export function strictTransportSecurity(directives: readonly string[]): Filter {
  const value = directives.join('; ');
  return async (request, next) => withHeader(await next(request), 'strict-transport-security', value);
}

function withHeader(response: ApiResponse, name: string, value: string): ApiResponse {
  return { ...response, headers: new Map([...(response.headers ?? []), [name, [value]]]) };
}
