/**
 * The order of a merged list: items that the patch names stand as the patch orders them, the others as the object had
 * them, and the two are woven together as the object's order allows.
 *
 * Modelled on apimachinery's strategicpatch (its proposal "preserve order in strategic merge patch"); each step takes
 * time in proportion to the lists, where the original searches them.
 */

import { isJsonObject, JsonFloat, type Json, type JsonObject } from '../api/json.ts';
import { memberOf } from './json-members.ts';
import { failedPatch, goText, goType } from './patch-error.ts';

/** A scalar as something that is equal exactly where Go's values are; undefined for what Go cannot compare. */
export function scalarId(value: Json | undefined): string | undefined {
  if (value === undefined || value === null) return 'nil';
  if (value instanceof JsonFloat) return `float64 ${value.value}`;
  return typeof value === 'object' ? undefined : `${goType(value)} ${String(value)}`;
}

/** What tells items of a list apart: the value of their merge key, or for scalars they themselves. */
export function itemId(item: Json, mergeKey: string): string | undefined {
  if (mergeKey === '') return scalarId(item);
  return isJsonObject(item) ? scalarId(memberOf(item, mergeKey)) : undefined;
}

/** First index of each item. */
function indexesOf(list: readonly Json[], mergeKey: string): Map<string, number> {
  const indexes = new Map<string, number>();
  for (let at = 0; at < list.length; at += 1) {
    const id = itemId(list[at], mergeKey);
    if (id !== undefined && !indexes.has(id)) indexes.set(id, at);
  }
  return indexes;
}

export function noMergeKey(item: JsonObject, mergeKey: string): Error {
  return failedPatch(`map: ${goText(item)} does not contain declared merge key: ${mergeKey}`);
}

/** What a value should have been. */
export function badArgument(expected: 'map[string]interface {}' | '[]interface {}', actual: Json): Error {
  return failedPatch(`expected a ${expected}, but received a ${goType(actual)}`);
}

/** Items of the list that are also in another, and the rest. */
export function partition(
  list: readonly Json[],
  by: readonly Json[],
  mergeKey: string,
): { readonly named: readonly Json[]; readonly others: readonly Json[] } {
  const named: Json[] = [];
  const others: Json[] = [];
  const present = indexesOf(by, mergeKey);
  const stop = mergeKey === '' ? -1 : by.findIndex((item) => !isJsonObject(item));
  for (const item of list) {
    if (mergeKey !== '') {
      if (!isJsonObject(item)) throw badArgument('map[string]interface {}', item);
      if (!Object.hasOwn(item, mergeKey)) throw noMergeKey(item, mergeKey);
    }
    const id = itemId(item, mergeKey);
    const at = id === undefined ? undefined : present.get(id);
    // The original looks from the front and trips over what is no object.
    if (stop >= 0 && (at === undefined || at > stop)) {
      throw failedPatch(`value for key ${stop} is not a map`);
    }
    if (at === undefined) others.push(item);
    else named.push(item);
  }
  return { named, others };
}

/**
 * Orders a merged list.
 *
 * @param named items that the patch names, to be ordered as in `order`
 * @param others items that only the object has, to be ordered as in `live`
 * @param objects whether items are objects
 */
export function weave(
  named: readonly Json[],
  others: readonly Json[],
  order: readonly Json[],
  live: readonly Json[],
  mergeKey: string,
  objects: boolean,
): readonly Json[] {
  const key = objects ? mergeKey : '';
  const right = sorted(named, order, key, objects);
  const left = sorted(others, live, key, objects);
  const positions = indexesOf(live, key);
  const position = (item: Json): number => positions.get(itemId(item, key) ?? '') ?? -1;
  const woven: Json[] = [];
  let at = 0;
  for (const item of right) {
    const limit = position(item);
    while (at < left.length) {
      const place = position(left[at]);
      if (place < 0 || limit < 0 || place >= limit) break;
      woven.push(left[at]);
      at += 1;
    }
    woven.push(item);
  }
  for (; at < left.length; at += 1) woven.push(left[at]);
  return woven;
}

function sorted(list: readonly Json[], order: readonly Json[], key: string, objects: boolean): Json[] {
  let kept: readonly Json[] = list;
  let deleted: readonly Json[] = [];
  if (objects) {
    for (const item of [...list, ...order]) {
      if (!isJsonObject(item)) throw badArgument('map[string]interface {}', item);
      if (!Object.hasOwn(item, key)) throw noMergeKey(item, key);
    }
    const isDeleted = (item: Json): boolean => isJsonObject(item) && memberOf(item, '$patch') === 'delete';
    deleted = list.filter(isDeleted);
    if (deleted.length > 0) kept = list.filter((item) => !isDeleted(item));
  }
  const positions = indexesOf(order, key);
  const placed = kept.map((item) => ({ item, at: positions.get(itemId(item, key) ?? '') }));
  const ordered = placed.every(({ at }) => at !== undefined)
    ? placed.toSorted((a, b) => (a.at ?? 0) - (b.at ?? 0))
    : inserted(placed);
  return [...ordered.map(({ item }) => item), ...deleted];
}

interface Placed {
  readonly item: Json;
  readonly at: number | undefined;
}

/** Lists up to this length Go sorts by insertion. */
const INSERTED_MAX = 20;

/**
 * The order that Go's stable sort gives to a list with items that have no place: the original calls each of them less
 * than whatever it is compared with. Only an empty $setElementOrder leads here. Longer lists, where Go's outcome
 * is an accident of its blocks, get the items without a place first.
 */
function inserted(list: readonly Placed[]): readonly Placed[] {
  if (list.length > INSERTED_MAX) {
    const known = list.filter(({ at }) => at !== undefined).toSorted((a, b) => (a.at ?? 0) - (b.at ?? 0));
    return [...list.filter(({ at }) => at === undefined), ...known];
  }
  const ordered: Placed[] = [];
  for (const one of list) {
    let to = ordered.length;
    while (to > 0) {
      const before = ordered[to - 1];
      if (one.at !== undefined && before.at !== undefined && one.at >= before.at) break;
      to -= 1;
    }
    ordered.splice(to, 0, one);
  }
  return ordered;
}
