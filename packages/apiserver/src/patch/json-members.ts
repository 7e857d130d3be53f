/**
 * Members of JSON objects under construction, whatever they are called: a member called `__proto__` is a member, and
 * what an object inherits is none.
 */

import type { Json, JsonObject } from '../api/json.ts';

/** Sets a member of an object that is being made. */
export function setMember(object: Record<string, Json>, name: string, value: Json): void {
  if (name === '__proto__') {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[name] = value;
  }
}

/** A member of an object; undefined where it has none. */
export function memberOf(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** Tells a list from the other values. */
export function isJsonList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}
