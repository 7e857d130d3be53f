/**
 * Whether lists of the types `set` and `map` have each item, or each key, once. Pure.
 *
 * Modelled on apiextensions-apiserver's schema/listtype, whose texts these are.
 */

import { isJsonObject, JsonFloat, type Json, type JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import type { Pace, Sliced } from '../api/sliced.ts';
import type { Structural } from '../schema/structural.ts';
import { FieldErrors } from '../validation/field-errors.ts';
import { FieldPath } from '../validation/field-path.ts';

/** Items whose keys are taken between two looks at the pace. */
const LOOK_ITEMS = 256;

export function* checkListTypes(
  errors: FieldErrors,
  schema: Structural,
  object: JsonObject,
  pace: Pace,
): Sliced<void> {
  if (schema.holdsListTypes) yield* new ListTypes(errors, pace).object(schema, object, undefined);
}

class ListTypes {
  private readonly errors: FieldErrors;
  private readonly pace: Pace;

  constructor(errors: FieldErrors, pace: Pace) {
    this.errors = errors;
    this.pace = pace;
  }

  /** @param path undefined at an object's top */
  *object(schema: Structural, object: JsonObject, path: FieldPath | undefined): Sliced<void> {
    const { properties, additional } = schema;
    for (const name of namesOf(object)) {
      const value = object[name];
      const named = properties.get(name);
      const node = named ?? additional;
      if (typeof value !== 'object' || value === null || node?.holdsListTypes !== true) continue;
      const at = named === undefined ? `[${name}]` : name;
      if (path === undefined) yield* this.value(node, value, FieldPath.of(at));
      else yield* this.value(node, value, named === undefined ? path.key(name) : path.child(name));
    }
  }

  private *value(schema: Structural, value: Json, path: FieldPath): Sliced<void> {
    if (this.pace.due()) yield;
    if (Array.isArray(value)) yield* this.list(schema, value, path);
    else if (isJsonObject(value)) yield* this.object(schema, value, path);
  }

  private *list(schema: Structural, list: readonly Json[], path: FieldPath): Sliced<void> {
    const { items, listType, listMapKeys } = schema;
    if (listType === 'set') {
      const texts = yield* this.texts(list, identityOf);
      for (const index of repeated(texts)) this.errors.duplicate(path.index(index), inOrder(list[index]));
    } else if (listType === 'map') {
      yield* this.keys(listMapKeys, list, path);
    }
    if (items?.holdsListTypes !== true) return;
    for (let index = 0; index < list.length; index += 1) {
      yield* this.value(items, list[index], path.index(index));
    }
  }

  private *keys(keys: readonly string[], list: readonly Json[], path: FieldPath): Sliced<void> {
    for (let index = 0; index < list.length; index += 1) {
      const item = list[index];
      if (item !== null && !isJsonObject(item)) {
        this.errors.invalid(path.index(index), item, 'must be an object for an array of list-type map');
        return;
      }
    }
    const texts = yield* this.texts(list, (item) => identityOf(keyOf(keys, item)));
    for (const index of repeated(texts)) {
      this.errors.duplicate(path.index(index), keyOf(keys, list[index]));
    }
  }

  private *texts(list: readonly Json[], textOfItem: (item: Json) => string): Sliced<string[]> {
    const texts: string[] = [];
    for (const item of list) {
      if (texts.length % LOOK_ITEMS === 0 && this.pace.due()) yield;
      texts.push(textOfItem(item));
    }
    return texts;
  }
}

/** A value with its members in order, as it is shown. */
export function inOrder(value: Json): Json {
  if (Array.isArray(value)) return value.map(inOrder);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((name) => [name, inOrder(value[name])]),
  );
}

/** Equal for equal values: a whole number and one with a fraction are two. */
function identityOf(value: Json): string {
  if (value instanceof JsonFloat) return `${value.value}.0`;
  if (Array.isArray(value)) return `[${value.map(identityOf).join()}]`;
  if (typeof value === 'bigint') return value.toString();
  if (!isJsonObject(value)) return JSON.stringify(value);
  const names = Object.keys(value).toSorted();
  return `{${names.map((name) => `${JSON.stringify(name)}:${identityOf(value[name])}`).join()}}`;
}

function keyOf(keys: readonly string[], item: Json): JsonObject {
  const key: Record<string, Json> = {};
  for (const name of keys) if (isJsonObject(item) && Object.hasOwn(item, name)) key[name] = item[name];
  return key;
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
