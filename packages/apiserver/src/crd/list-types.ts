/**
 * Whether lists of the types `set` and `map` have each item, or each key, once. Pure.
 *
 * Modelled on apiextensions-apiserver's schema/listtype, whose texts these are.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import type { Structural } from '../schema/structural.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';
import { textOf } from './validate-value.ts';

export function checkListTypes(errors: FieldErrors, schema: Structural, object: JsonObject): void {
  checkObject(errors, schema, object, undefined);
}

function checkObject(
  errors: FieldErrors,
  schema: Structural,
  object: JsonObject,
  path: FieldPath | undefined,
): void {
  if (schema.properties.size === 0 && schema.additional === undefined) return;
  for (const name in object) {
    if (!Object.hasOwn(object, name)) continue;
    const value = object[name];
    if (typeof value !== 'object' || value === null) continue;
    const named = schema.properties.get(name);
    if (named !== undefined) {
      check(errors, named, value, path === undefined ? FieldPath.of(name) : path.child(name));
    } else if (schema.additional !== undefined) {
      check(
        errors,
        schema.additional,
        value,
        path === undefined ? FieldPath.of(`[${name}]`) : path.key(name),
      );
    }
  }
}

function check(errors: FieldErrors, schema: Structural, value: Json, path: FieldPath): void {
  if (Array.isArray(value)) checkList(errors, schema, value, path);
  else if (isJsonObject(value)) checkObject(errors, schema, value, path);
}

function checkList(errors: FieldErrors, schema: Structural, list: readonly Json[], path: FieldPath): void {
  if (schema.listType === 'set') {
    for (const index of repeated(list.map((item) => textOf(item)))) {
      errors.duplicate(path.index(index), list[index]);
    }
  } else if (schema.listType === 'map') {
    checkKeys(errors, schema.listMapKeys, list, path);
  }
  const { items } = schema;
  if (items === undefined) return;
  for (let index = 0; index < list.length; index += 1) check(errors, items, list[index], path.index(index));
}

function checkKeys(
  errors: FieldErrors,
  keys: readonly string[],
  list: readonly Json[],
  path: FieldPath,
): void {
  for (let index = 0; index < list.length; index += 1) {
    const item = list[index];
    if (item !== null && !isJsonObject(item)) {
      errors.invalid(path.index(index), item, 'must be an object for an array of list-type map');
      return;
    }
  }
  const named = list.map((item) => {
    const key: Record<string, Json> = {};
    for (const name of keys) if (isJsonObject(item) && Object.hasOwn(item, name)) key[name] = item[name];
    return key;
  });
  for (const index of repeated(named.map((key) => textOf(key))))
    errors.duplicate(path.index(index), named[index]);
}

/** Places of the second one of each text that stands more than once. */
function repeated(texts: readonly string[]): number[] {
  const seen = new Map<string, number>();
  const found: number[] = [];
  for (const [index, text] of texts.entries()) {
    const times = seen.get(text) ?? 0;
    if (times === 1) found.push(index);
    seen.set(text, times + 1);
  }
  return found;
}
