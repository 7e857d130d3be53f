/**
 * Whether a part of an object is the one that was there before, where items of lists with keys are found by those: in
 * another order such a list is the same one. Pure.
 *
 * Modelled on apiserver pkg/cel/common's CorrelatedObject.
 */

import { sameJson } from '../api/equal.ts';
import { isJsonObject, type Json } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import type { Structural } from '../schema/structural.ts';

/** A member that no schema tells of, in what is kept of unknown ones, is never the one before. */
export function isUnchanged(schema: Structural, value: Json, old: Json): boolean {
  if (Array.isArray(value)) return Array.isArray(old) && isSameList(schema, value, old);
  if (!isJsonObject(value) || !isJsonObject(old)) return sameJson(value, old);
  const names = namesOf(value);
  if (names.length !== namesOf(old).length) return false;
  return names.every((name) => {
    const node = schema.member(name);
    return node !== undefined && Object.hasOwn(old, name) && isUnchanged(node, value[name], old[name]);
  });
}

function isSameList(schema: Structural, value: readonly Json[], old: readonly Json[]): boolean {
  const { items, listType, listMapKeys } = schema;
  if (listType !== 'map' || items === undefined) return sameJson(value, old);
  if (value.length !== old.length) return false;
  const before = new Map(old.map((item) => [keyText(listMapKeys, item), item]));
  return value.every((item) => {
    const was = before.get(keyText(listMapKeys, item));
    return was !== undefined && isUnchanged(items, item, was);
  });
}

/** JSON of a value, as messages show it. */
export function textOf(value: Json): string {
  // What a set is mostly made of.
  if (typeof value === 'string' || typeof value === 'number') return JSON.stringify(value);
  return JSON.stringify(value, (_name, inner: unknown) =>
    typeof inner === 'bigint' ? Number(inner) : inner,
  );
}

/** The keys of an item as one text. */
export function keyText(keys: readonly string[], item: Json): string {
  return isJsonObject(item) ? JSON.stringify(keys.map((key) => textOf(item[key] ?? null))) : '';
}
