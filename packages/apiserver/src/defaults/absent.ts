/** Setting members that are absent: the one thing every default rule does. Copies on write. */

import type { Json, JsonObject } from '../api/json.ts';
import { has, text } from '../validation/value.ts';

/** With these members where the value has none or null; an empty text counts as none. */
export function withAbsent(value: JsonObject, defaults: JsonObject): JsonObject {
  let filled: Record<string, Json> | undefined;
  for (const name of Object.keys(defaults)) {
    if (!has(value, name) || value[name] === '') (filled ??= { ...value })[name] = defaults[name];
  }
  return filled ?? value;
}

/** As withAbsent, for pointers: an empty text that is there was said. */
export function withNil(value: JsonObject, defaults: JsonObject): JsonObject {
  let filled: Record<string, Json> | undefined;
  for (const name of Object.keys(defaults)) {
    if (!has(value, name)) (filled ??= { ...value })[name] = defaults[name];
  }
  return filled ?? value;
}

/** Where a field of one value became a list, the older one is the list's first; where both are said, the older one wins. */
export function oneAndAll(
  value: JsonObject,
  one: string,
  all: string,
  entry: (first: string) => Json,
  listed: readonly string[],
): JsonObject {
  const said = text(value, one);
  if (said === '') return listed[0] === undefined ? value : { ...value, [one]: listed[0] };
  return listed[0] === said ? value : { ...value, [all]: [entry(said)] };
}
