/**
 * JSON merge patches (RFC 7386): members of the patch replace those of the object, null removes, objects are merged.
 * Neither value is changed; what the patch does not name is shared with the object.
 *
 * Modelled on evanphx/json-patch v4, whose one deviation is kept: where the object has no object at a place, nulls are
 * left out of what the patch puts there even inside lists.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { setMember } from './json-members.ts';

/** The object with the patch laid on it. */
export function mergePatch(object: JsonObject, patch: JsonObject): JsonObject {
  const merged: Record<string, Json> = { ...object };
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) {
      Reflect.deleteProperty(merged, name);
      continue;
    }
    const present = Object.hasOwn(merged, name) ? merged[name] : null;
    setMember(merged, name, isJsonObject(present) ? mergeInto(present, value) : withoutNulls(value));
  }
  return merged;
}

function mergeInto(object: JsonObject, patch: Json): Json {
  return isJsonObject(patch) ? mergePatch(object, patch) : patch;
}

/** The value without the members that are null; items of lists stay. */
export function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return value.map((item: Json) => withoutNulls(item));
  if (!isJsonObject(value)) return value;
  const kept: Record<string, Json> = {};
  for (const [name, member] of Object.entries(value)) {
    if (member !== null) setMember(kept, name, withoutNulls(member));
  }
  return kept;
}
