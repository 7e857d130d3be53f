/**
 * What an update leaves as it was, found before the strategy looks: its members then are those of the old object, so that
 * whoever compares both, as generations do, need not walk through them. Changes nothing that anybody can see.
 */

import { isJsonObject, JsonFloat, type Json } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import type { KubeObject } from '../api/meta.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';

/** The object with those of its members that are to the letter as before, metadata aside, in the old one's place. */
export function* withKeptMembers(object: KubeObject, old: KubeObject, pace: Pace): Sliced<KubeObject> {
  const kept: Record<string, unknown> = { ...object };
  for (const name of Object.keys(object)) {
    if (name === 'metadata' || !Object.hasOwn(old, name)) continue;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what lies under an object's names is JSON
    if (yield* isWritten(object[name] as Json, old[name] as Json, pace)) kept[name] = old[name];
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the members are all there
  return kept as unknown as KubeObject;
}

/** Whether both are written with the same letters. */
function* isWritten(a: Json, b: Json, pace: Pace): Sliced<boolean> {
  if (a === b) return true;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let at = 0; at < a.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      if (a[at] !== b[at] && !(yield* isWritten(a[at], b[at], pace))) return false;
    }
    return true;
  }
  if (a instanceof JsonFloat) return b instanceof JsonFloat && Object.is(a.value, b.value);
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const names = namesOf(a);
  const before = namesOf(b);
  if (names.length !== before.length) return false;
  for (let at = 0; at < names.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const name = names[at];
    if (name !== before[at]) return false;
    if (a[name] !== b[name] && !(yield* isWritten(a[name], b[name], pace))) return false;
  }
  return true;
}
