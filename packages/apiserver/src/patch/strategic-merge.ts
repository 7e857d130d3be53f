/**
 * Strategic merge patches: merge patches that know the object's type. Lists with a merge key are merged item by item,
 * lists of scalars may be merged as sets, and directives in the patch replace, delete, order and keep. Object and
 * patch are left as they are.
 *
 * Modelled on apimachinery's strategicpatch, whose texts are kept. Where the original's outcome hangs on the random
 * order of a Go map, members of $deleteFromPrimitiveList come last, as they do beside $setElementOrder; the order in a
 * list whose items are not distinct is an accident of Go's arrays there, and here that of first occurrence.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { finish, LOOK_EVERY, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import { badRequest } from '../api/status.ts';
import type { StructSchema } from '../schema/type-schema.ts';
import { hasMany, isJsonList, memberOf, Members, setMember } from './json-members.ts';
import { withoutNullsInSlices } from './merge-patch.ts';
import { failedPatch, goText, goType, goWord, unprocessable } from './patch-error.ts';
import { badArgument, itemId, noMergeKey, partition, scalarId, weave } from './strategic-merge-order.ts';
import { kindName, listRule, objectRule, type GoType, type MemberRule } from './strategic-merge-schema.ts';

const DIRECTIVE = '$patch';
const RETAIN_KEYS = '$retainKeys';
const DELETE_FROM_LIST = '$deleteFromPrimitiveList';
const SET_ORDER = '$setElementOrder';

/**
 * The object with the patch laid on it; it need not be an object of the type any more.
 *
 * @param schema the type of the object
 * @throws ApiError BadRequest for directives of the wrong form, Invalid for lists of lists, 500 as the original for
 *   everything else that cannot be merged
 */
export function strategicMergePatch(object: JsonObject, patch: JsonObject, schema: StructSchema): JsonObject {
  return finish(strategicMergePatchInSlices(object, patch, schema, WITHOUT_PAUSE));
}

/** The same, which can be put down. */
export function strategicMergePatchInSlices(
  object: JsonObject,
  patch: JsonObject,
  schema: StructSchema,
  pace: Pace,
): Sliced<JsonObject> {
  return mergeObjects(object, patch, { type: schema, pointer: false }, pace);
}

type Draft = Record<string, Json>;

function* mergeObjects(object: JsonObject, patch: JsonObject, type: GoType, pace: Pace): Sliced<JsonObject> {
  if (Object.hasOwn(patch, DIRECTIVE)) return directed(patch);
  const names = namesOf(patch);
  if (isPlain(names) && (hasMany(names.length) || hasMany(namesOf(object).length))) {
    return yield* mergeMany(object, patch, type, pace);
  }
  const merged = yield* copied(object, pace);
  const rest = yield* copied(patch, pace);
  retainKeys(merged, rest);
  for (const name of names) {
    if (name.startsWith(SET_ORDER)) yield* setOrder(merged, rest, name, type, pace);
  }
  const deletions: string[] = [];
  for (const name of names) {
    if (!Object.hasOwn(rest, name)) continue;
    if (pace.due()) yield;
    const value = rest[name];
    if (name.startsWith(DELETE_FROM_LIST)) deletions.push(name);
    else yield* mergeMember(merged, name, value, type, pace);
  }
  for (const name of deletions) yield* deleteFromList(merged, name, rest[name], type, pace);
  return merged;
}

/** An object with the same members, to be changed. */
function* copied(object: JsonObject, pace: Pace): Sliced<Draft> {
  const names = namesOf(object);
  if (!hasMany(names.length)) return { ...object };
  const copy: Draft = {};
  for (let at = 0; at < names.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    setMember(copy, names[at], object[names[at]]);
  }
  return copy;
}

/** Whether no member is a directive. */
function isPlain(names: readonly string[]): boolean {
  return !names.some(
    (name) => name === RETAIN_KEYS || name.startsWith(SET_ORDER) || name.startsWith(DELETE_FROM_LIST),
  );
}

/** Objects of many members, and a patch without directives: the outcome is made in order, and nothing is copied in one go. */
function* mergeMany(object: JsonObject, patch: JsonObject, type: GoType, pace: Pace): Sliced<JsonObject> {
  const merged = new Members();
  let seen = 0;
  for (const name of namesOf(object)) {
    if ((seen += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    const value = Object.hasOwn(patch, name)
      ? yield* laidOn(object[name], name, patch[name], type, pace)
      : object[name];
    if (value !== undefined) merged.put(name, value);
  }
  for (const name of namesOf(patch)) {
    if ((seen += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    if (Object.hasOwn(object, name)) continue;
    const value = yield* laidOn(undefined, name, patch[name], type, pace);
    if (value !== undefined) merged.put(name, value);
  }
  return merged.object() ?? {};
}

/** What a patch with `$patch` makes of an object. */
function directed(patch: JsonObject): JsonObject {
  const directive = patch[DIRECTIVE];
  if (directive === 'replace') {
    const { [DIRECTIVE]: _, ...rest } = patch;
    return rest;
  }
  if (directive === 'delete') return {};
  throw failedPatch(`unknown patch type: ${goWord(directive)} in map: ${goText(patch)}`);
}

/** Takes away what $retainKeys does not name. */
function retainKeys(merged: Draft, rest: Draft): void {
  const directive = memberOf(rest, RETAIN_KEYS);
  if (directive === undefined) return;
  Reflect.deleteProperty(rest, RETAIN_KEYS);
  if (!isJsonList(directive)) throw badRequest('invalid patch format of retainKeys');
  const retained = new Set(directive);
  for (const [name, value] of Object.entries(rest)) {
    if (value === null || name.startsWith(DELETE_FROM_LIST) || name.startsWith(SET_ORDER)) continue;
    if (!retained.has(name)) throw badRequest('invalid patch format of retainKeys');
  }
  for (const name of Object.keys(merged)) {
    if (!retained.has(name)) Reflect.deleteProperty(merged, name);
  }
}

const BAD_ORDER = 'invalid patch format of setElementOrder list';

/** Merges the list that `$setElementOrder/…` names and puts it in order. Takes both out of the patch. */
function* setOrder(merged: Draft, rest: Draft, directive: string, type: GoType, pace: Pace): Sliced<void> {
  const order = rest[directive];
  Reflect.deleteProperty(rest, directive);
  if (!isJsonList(order)) throw badArgument('[]interface {}', order);
  const name = listName(directive, SET_ORDER, BAD_ORDER);
  const live = memberOf(merged, name);
  const patch = memberOf(rest, name);
  if (live !== undefined && !isJsonList(live)) throw badArgument('[]interface {}', live);
  if (patch !== undefined && !isJsonList(patch)) throw badArgument('[]interface {}', patch);
  const rule = listRule(type, name);
  checkOrder(patch ?? [], order, rule.mergeKey);
  let list: readonly Json[];
  let liveOrder = live ?? [];
  if (live === undefined) {
    if (patch === undefined) return;
    list = yield* itemsWithoutDirected(patch, pace);
  } else {
    list = patch === undefined ? live : yield* mergeLists(live, patch, rule, false, pace);
    if (patch !== undefined) liveOrder = orderAfterDeletions(live, patch, rule);
  }
  const { named, others } = partition(list, order, rule.mergeKey);
  const objects = elementsAreObjects(live ?? [], patch ?? []);
  setMember(merged, name, weave(named, others, order, liveOrder, rule.mergeKey, objects));
  Reflect.deleteProperty(rest, name);
}

/**
 * The order that the object's own items are held to: new items stand where deleted ones made room, at the end, so that
 * what only the object has comes before them. In the original this follows from both sharing one array.
 */
function orderAfterDeletions(
  live: readonly Json[],
  patch: readonly Json[],
  { strategy, mergeKey }: MemberRule,
): readonly Json[] {
  if (strategy !== 'merge' || !patch.some((item) => hasDirective(item))) return live;
  const { base, plain } = specialItems(live, patch, mergeKey);
  if (base === plain || plain.length === 0 || base.length === live.length) return live;
  const known = new Set(base.map((item) => itemId(item, mergeKey)));
  const added = plain.filter((item) => {
    const id = itemId(item, mergeKey);
    const isNew = !known.has(id);
    known.add(id);
    return isNew;
  });
  return [...base, ...added.slice(0, live.length - base.length)];
}

/** The order of the patch's items must be that of $setElementOrder, which names all of them. */
function checkOrder(patch: readonly Json[], order: readonly Json[], mergeKey: string): void {
  if (patch.length === 0 || order.length === 0) return;
  let kept = patch;
  if (mergeKey !== '') {
    for (const item of patch) if (!isJsonObject(item)) throw badArgument('map[string]interface {}', item);
    kept = patch.filter((item) => !isJsonObject(item) || memberOf(item, DIRECTIVE) !== 'delete');
  }
  let at = 0;
  for (let next = 0; at < kept.length && next < order.length;) {
    if (hasDirective(kept[at])) {
      at += 1;
      continue;
    }
    if (sameItem(kept[at], order[next], mergeKey)) at += 1;
    next += 1;
    if (at < kept.length && next >= order.length) {
      throw failedPatch(
        `The order in patch list:\n${goText(patch)}\n doesn't match ${SET_ORDER} list:\n${goText(order)}\n`,
      );
    }
  }
}

function sameItem(a: Json, b: Json, mergeKey: string): boolean {
  if (mergeKey !== '') {
    for (const item of [a, b]) {
      if (!isJsonObject(item)) throw badArgument('map[string]interface {}', item);
      if (!Object.hasOwn(item, mergeKey)) throw noMergeKey(item, mergeKey);
    }
  }
  const id = itemId(a, mergeKey);
  return id !== undefined && id === itemId(b, mergeKey);
}

function listName(directive: string, prefix: string, problem: string): string {
  const slash = directive.indexOf('/');
  if (slash !== prefix.length) throw badRequest(problem);
  return directive.slice(slash + 1);
}

/** Takes the named items out of a list of scalars. */
function* deleteFromList(
  merged: Draft,
  directive: string,
  items: Json,
  type: GoType,
  pace: Pace,
): Sliced<void> {
  const problem = 'invalid patch format of primitive list';
  const name = listName(directive, DELETE_FROM_LIST, problem) || directive;
  if (items === null) {
    Reflect.deleteProperty(merged, name);
    return;
  }
  const present = memberOf(merged, name);
  if (present === undefined || goType(present) !== goType(items)) return;
  if (isJsonList(present) && isJsonList(items)) {
    setMember(merged, name, yield* mergeLists(present, items, listRule(type, name), true, pace));
  } else {
    yield* mergeMember(merged, name, items, type, pace);
  }
}

function* mergeMember(merged: Draft, name: string, value: Json, type: GoType, pace: Pace): Sliced<void> {
  const laid = yield* laidOn(memberOf(merged, name), name, value, type, pace);
  if (laid === undefined) Reflect.deleteProperty(merged, name);
  else setMember(merged, name, laid);
}

/** A member with the patch's laid on it; undefined where it is taken away. */
function* laidOn(
  present: Json | undefined,
  name: string,
  value: Json,
  type: GoType,
  pace: Pace,
): Sliced<Json | undefined> {
  if (value === null) return undefined;
  if (isJsonObject(present) && isJsonObject(value)) {
    const { type: own, strategy } = objectRule(type, name);
    return strategy === 'replace' ? value : yield* mergeObjects(present, value, own, pace);
  }
  if (isJsonList(present) && isJsonList(value)) {
    return yield* mergeLists(present, value, listRule(type, name), false, pace);
  }
  if (typeof value !== 'object') return value;
  return yield* withoutDirected(yield* withoutNullsInSlices(value, pace), pace);
}

/** The value without objects that are directives; undefined when it is one itself. */
function* withoutDirected(value: Json, pace: Pace): Sliced<Json | undefined> {
  if (isJsonList(value)) return yield* itemsWithoutDirected(value, pace);
  if (!isJsonObject(value)) return value;
  if (Object.hasOwn(value, DIRECTIVE)) return undefined;
  const kept = new Members();
  let seen = 0;
  for (const name of namesOf(value)) {
    if ((seen += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    const plain = yield* withoutDirected(value[name], pace);
    if (plain !== undefined) kept.put(name, plain);
  }
  return kept.object() ?? {};
}

function* itemsWithoutDirected(list: readonly Json[], pace: Pace): Sliced<Json[]> {
  const kept: Json[] = [];
  for (let at = 0; at < list.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const plain = yield* withoutDirected(list[at], pace);
    if (plain !== undefined) kept.push(plain);
  }
  return kept;
}

function hasDirective(value: Json): boolean {
  return isJsonObject(value) && Object.hasOwn(value, DIRECTIVE);
}

/** @param deleting whether the patch's items are to be taken away */
function* mergeLists(
  live: readonly Json[],
  patch: readonly Json[],
  { type, strategy, mergeKey }: MemberRule,
  deleting: boolean,
  pace: Pace,
): Sliced<readonly Json[]> {
  if (strategy !== 'merge' && !deleting) return patch;
  if (live.length === 0 && patch.length === 0) return live;
  const objects = elementsAreObjects(live, patch);
  if (!objects) {
    if (deleting) {
      const gone = new Set(patch.map((item) => scalarId(item)));
      return live.filter((item) => !gone.has(scalarId(item)));
    }
    const { named, others } = partition(distinct([...live, ...patch]), patch, mergeKey);
    return weave(named, others, patch, live, mergeKey, false);
  }
  if (mergeKey === '') throw failedPatch(`cannot merge lists without merge key for ${kindName(type)}`);
  if (pace.due()) yield;
  const { base, plain } = specialItems(live, patch, mergeKey);
  const merged = yield* mergeItems(base, plain, mergeKey, type, pace);
  if (pace.due()) yield;
  const { named, others } = partition(merged, plain, mergeKey);
  if (pace.due()) yield;
  return weave(named, others, plain, base, mergeKey, true);
}

/** Carries out `$patch` in items of a list. @returns the object's list after that, and the patch's other items */
function specialItems(
  live: readonly Json[],
  patch: readonly Json[],
  mergeKey: string,
): { readonly base: readonly Json[]; readonly plain: readonly Json[] } {
  const plain: Json[] = [];
  const deleted = new Set<string>();
  let replacing = false;
  for (const item of patch) {
    if (!isJsonObject(item) || !Object.hasOwn(item, DIRECTIVE)) {
      plain.push(item);
      continue;
    }
    const directive = item[DIRECTIVE];
    if (directive === 'delete') {
      if (!Object.hasOwn(item, mergeKey)) throw noMergeKey(item, mergeKey);
      const id = itemId(item, mergeKey);
      if (id !== undefined) deleted.add(id);
    } else if (directive === 'replace') {
      replacing = true;
    } else if (directive === 'merge') {
      throw failedPatch('merging lists cannot yet be specified in the patch');
    } else {
      throw failedPatch(`unknown patch type: ${goWord(directive)} in map: ${goText(item)}`);
    }
  }
  if (replacing) return { base: plain, plain: [] };
  if (deleted.size === 0) return { base: live, plain };
  const base = live.filter((item) => {
    const id = isJsonObject(item) && Object.hasOwn(item, mergeKey) ? itemId(item, mergeKey) : undefined;
    return id === undefined || !deleted.has(id);
  });
  return { base, plain };
}

/** Lays each item on the object's item of the same key, or adds it. */
function* mergeItems(
  base: readonly Json[],
  patch: readonly Json[],
  mergeKey: string,
  type: GoType,
  pace: Pace,
): Sliced<readonly Json[]> {
  const merged = [...base];
  const indexes = new Map<string, number>();
  for (let at = 0; at < base.length; at += 1) noteIndex(indexes, base[at], at, mergeKey);
  let seen = 0;
  for (const item of patch) {
    if ((seen += 1) % LOOK_EVERY === 0 && pace.due()) yield;
    if (!isJsonObject(item) || !Object.hasOwn(item, mergeKey)) {
      throw isJsonObject(item) ? noMergeKey(item, mergeKey) : badArgument('map[string]interface {}', item);
    }
    const id = itemId(item, mergeKey);
    const at = id === undefined ? undefined : indexes.get(id);
    if (at === undefined) {
      noteIndex(indexes, item, merged.length, mergeKey);
      merged.push(item);
      continue;
    }
    const present = merged[at];
    if (isJsonObject(present)) merged[at] = yield* mergeObjects(present, item, type, pace);
  }
  return merged;
}

function noteIndex(indexes: Map<string, number>, item: Json, at: number, mergeKey: string): void {
  if (!isJsonObject(item) || !Object.hasOwn(item, mergeKey)) return;
  const id = itemId(item, mergeKey);
  if (id !== undefined && !indexes.has(id)) indexes.set(id, at);
}

function distinct(list: readonly Json[]): readonly Json[] {
  const seen = new Set<string>();
  return list.filter((item) => {
    const id = scalarId(item) ?? '';
    if (seen.has(id)) return false;
    seen.add(id);
    return true;
  });
}

/** Whether the items of two lists are objects rather than scalars; all must be of one type. @throws ApiError */
function elementsAreObjects(live: readonly Json[], patch: readonly Json[]): boolean {
  let type: string | undefined;
  for (const item of [...live, ...patch]) {
    const own = goType(item);
    if (type === undefined) {
      type = own;
      if (isJsonList(item)) throw unprocessable('lists of lists are not supported');
    }
    if (own !== type || item === null) {
      const lists: Json = [live, patch];
      throw failedPatch(`list element types are not identical: ${goText(lists)}`);
    }
  }
  if (type === undefined) throw failedPatch('no elements in any of the given slices');
  return type.startsWith('map');
}
