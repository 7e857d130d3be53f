/**
 * Texts by themselves. The engine makes a part of a text a view into the whole, so that a name that was read of a request
 * or of a stored object keeps all of it alive; what stays for long while the object goes takes copies.
 */

import { isJsonObject, type Json } from './json.ts';

/** Length from which a part is a view. */
const VIEW_MIN = 13;

/** The same text in memory of its own. Lone halves of a surrogate pair come out as U+FFFD, as UTF-8 has them. */
export function ownText(text: string): string {
  return text.length < VIEW_MIN ? text : Buffer.from(text, 'utf8').toString('utf8');
}

/** The same value, all texts in it in memory of their own. Names of members are so anyway. */
export function owned<T extends Json>(value: T): T;
export function owned(value: Json): Json {
  if (typeof value === 'string') return ownText(value);
  if (Array.isArray(value)) return value.map((item: Json) => owned(item));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, owned(member)]));
}
