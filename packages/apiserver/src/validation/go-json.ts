/** JSON as Go's encoder writes it: what could end a script in a page is escaped. For texts that show values. */

import { JsonFloat } from '../api/json.ts';

/** @param indent of a member a line; without it all is one line */
export function goJson(value: unknown, indent?: string): string {
  const json = JSON.stringify(
    value ?? null,
    (_name, item: unknown) => {
      if (item instanceof JsonFloat) return item.value;
      return typeof item === 'bigint' ? Number(item) : item;
    },
    indent,
  );
  return json.replace(
    /[<>&\u2028\u2029]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
