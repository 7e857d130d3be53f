/**
 * Equality of values as Go's apiequality.Semantic.DeepEqual sees decoded objects, and content that was not decoded. Pure.
 */

import { isJsonObject, JsonFloat, type Json } from './json.ts';
import { isEmptyObject, namesOf } from './member-names.ts';

/**
 * Whether two values say the same: order of members does not count, and an empty list or null is the same as
 * none, as Go's semantic equality of decoded objects has it. An empty object is more than none (a pointer that is
 * set), but the same as null (a map without omitempty).
 */
export function equalJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (isNothing(a) && isNothing(b)) return true;
  if ((a === null && hasNoMembers(b)) || (b === null && hasNoMembers(a))) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => equalJson(item, b[index]));
  }
  if (a instanceof JsonFloat || b instanceof JsonFloat) return numberOf(a) === numberOf(b);
  if (isJsonObject(a) && isJsonObject(b)) {
    for (const name of namesOf(a)) {
      if (!equalJson(a[name], Object.hasOwn(b, name) ? b[name] : undefined)) return false;
    }
    for (const name of namesOf(b)) {
      if (!Object.hasOwn(a, name) && !isNothing(b[name])) return false;
    }
    return true;
  }
  return false;
}

/**
 * Whether two values of a custom object are the same: order of members does not count, everything else does. A member that
 * is absent, null and what is empty are three things, and 1 is not 1.0.
 */
export function sameJson(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  }
  if (a instanceof JsonFloat) return b instanceof JsonFloat && a.value === b.value;
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const names = namesOf(a);
  return (
    names.length === namesOf(b).length &&
    names.every((name) => Object.hasOwn(b, name) && sameJson(a[name], b[name]))
  );
}

function isNothing(value: Json | undefined): boolean {
  if (value === undefined || value === null) return true;
  return Array.isArray(value) && value.length === 0;
}

function hasNoMembers(value: Json | undefined): boolean {
  return isJsonObject(value) && isEmptyObject(value);
}

function numberOf(value: Json | undefined): number | undefined {
  if (value instanceof JsonFloat) return value.value;
  return typeof value === 'number' ? value : undefined;
}
