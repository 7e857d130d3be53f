/** Setting members that are absent: the one thing every default rule does. Copies on write. */

import type { JsonObject } from '../api/json.ts';
import { has } from '../validation/value.ts';

/** With these members where the value has none or null; an empty text counts as none. */
export function withAbsent(value: JsonObject, defaults: JsonObject): JsonObject {
  let filled = value;
  for (const [name, member] of Object.entries(defaults)) {
    if (!has(filled, name) || filled[name] === '') filled = { ...filled, [name]: member };
  }
  return filled;
}
