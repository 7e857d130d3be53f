/**
 * JSON merge patches (RFC 7386): members of the patch replace those of the object, null removes, objects are merged.
 * Neither value is changed; what the patch does not name is shared with the object.
 *
 * Modelled on evanphx/json-patch v4, whose one deviation is kept: where the object has no object at a place, nulls are
 * left out of what the patch puts there even inside lists.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { finish, LOOK_EVERY, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import { Members } from './json-members.ts';

/** The object with the patch laid on it. */
export function mergePatch(object: JsonObject, patch: JsonObject): JsonObject {
  return finish(mergePatchInSlices(object, patch, WITHOUT_PAUSE));
}

/** The same, which can be put down. */
export function* mergePatchInSlices(object: JsonObject, patch: JsonObject, pace: Pace): Sliced<JsonObject> {
  const merged = new Members();
  let seen = 0;
  for (const name of namesOf(object)) {
    if ((seen += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    const present = object[name];
    if (!Object.hasOwn(patch, name)) merged.put(name, present);
    else if (patch[name] !== null) merged.put(name, yield* laidOn(present, patch[name], pace));
  }
  for (const name of namesOf(patch)) {
    if ((seen += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    const value = patch[name];
    if (value !== null && !Object.hasOwn(object, name)) {
      merged.put(name, yield* withoutNullsInSlices(value, pace));
    }
  }
  return merged.object() ?? {};
}

function* laidOn(present: Json, patch: Json, pace: Pace): Sliced<Json> {
  if (!isJsonObject(present)) return yield* withoutNullsInSlices(patch, pace);
  return isJsonObject(patch) ? yield* mergePatchInSlices(present, patch, pace) : patch;
}

/** The value without the members that are null; items of lists stay. */
export function* withoutNullsInSlices(value: Json, pace: Pace): Sliced<Json> {
  if (Array.isArray(value)) {
    const items: Json[] = [];
    for (let at = 0; at < value.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      const item: Json = value[at];
      items.push(isContainer(item) ? yield* withoutNullsInSlices(item, pace) : item);
    }
    return items;
  }
  if (!isJsonObject(value)) return value;
  const kept = new Members();
  let seen = 0;
  for (const name of namesOf(value)) {
    if ((seen += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    const member = value[name];
    if (member !== null)
      kept.put(name, isContainer(member) ? yield* withoutNullsInSlices(member, pace) : member);
  }
  return kept.object() ?? {};
}

function isContainer(value: Json): boolean {
  return typeof value === 'object' && value !== null;
}
