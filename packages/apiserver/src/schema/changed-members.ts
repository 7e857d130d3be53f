/**
 * An object of many members with some of them changed: copied member by member, so that the copy can be put down. To
 * spread an object of 100,000 members holds up everybody for 60 ms.
 */

import type { Json, JsonObject } from '../api/json.ts';
import { NameKeeper, namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';

/**
 * @param changes by name; undefined leaves a member out, what the object does not have comes behind the others
 * @returns the same object where nothing changes
 */
export function* changedMembers(
  object: JsonObject,
  changes: ReadonlyMap<string, Json | undefined>,
  pace: Pace,
): Sliced<JsonObject> {
  if (changes.size === 0) return object;
  const changed: Record<string, Json> = {};
  const names = new NameKeeper();
  const put = (name: string, value: Json | undefined): void => {
    if (value === undefined) return;
    names.add(name);
    setMember(changed, name, value);
  };
  let count = 0;
  for (const name of namesOf(object)) {
    if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    put(name, changes.has(name) ? changes.get(name) : object[name]);
  }
  for (const [name, value] of changes) if (!Object.hasOwn(object, name)) put(name, value);
  names.keep(changed);
  return changed;
}

function setMember(object: Record<string, Json>, name: string, value: Json): void {
  if (name === '__proto__') {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[name] = value;
  }
}
