/**
 * A typed value without some of its members and items. Values are never changed; what stays the same is shared.
 *
 * Modelled on structured-merge-diff's typed package.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import type { TypeSchema } from '../schema/type-schema.ts';
import { PathElement } from './field-path.ts';
import type { FieldSet } from './field-set.ts';
import { Members } from './json-members.ts';
import {
  asList,
  asMap,
  formOf,
  isAtomicList,
  isAtomicMap,
  isEmptyMap,
  itemElement,
  itemType,
  memberType,
} from './typed-merge-schema.ts';

/**
 * The value without the members and items of the set; null when nothing is left. A container that is emptied by
 * what goes out of it stays, empty.
 */
export function removeFields(value: Json, fields: FieldSet, type: TypeSchema): Json {
  switch (formOf(type, value)) {
    case 'scalar':
      return value;
    case 'list':
      return removeItems(value, fields, type);
    case 'map':
      return removeMembers(value, fields, type);
  }
}

/** The same, which can be put down. */
export function* removeFieldsInSlices(
  value: Json,
  fields: FieldSet,
  type: TypeSchema,
  pace: Pace,
): Sliced<Json> {
  const form = formOf(type, value);
  if (pace === WITHOUT_PAUSE || form === 'scalar') return removeFields(value, fields, type);
  return yield* form === 'list'
    ? removeItemsInSlices(value, fields, type, pace)
    : removeMembersInSlices(value, fields, type, pace);
}

function removeItems(value: Json, fields: FieldSet, type: TypeSchema): Json {
  const items = asList(value);
  if (items === undefined || items.length === 0 || isAtomicList(type)) return null;
  const left: Json[] = [];
  let touched = false;
  for (const item of items) {
    const element = itemElement(type, item);
    if (typeof element === 'string') {
      left.push(item);
      continue;
    }
    if (fields.hasElement(element)) continue;
    const below = fields.below(element);
    if (below.isEmpty) {
      left.push(item);
    } else {
      touched = true;
      left.push(removeBelow(item, below, itemType(type)));
    }
  }
  return left.length > 0 || touched ? left : null;
}

function* removeItemsInSlices(value: Json, fields: FieldSet, type: TypeSchema, pace: Pace): Sliced<Json> {
  const items = asList(value);
  if (items === undefined || items.length === 0 || isAtomicList(type)) return null;
  const left: Json[] = [];
  let touched = false;
  for (let at = 0; at < items.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const item = items[at];
    const element = itemElement(type, item);
    if (typeof element === 'string') {
      left.push(item);
      continue;
    }
    if (fields.hasElement(element)) continue;
    const below = fields.below(element);
    if (below.isEmpty) {
      left.push(item);
    } else {
      touched = true;
      left.push(keptOf(item, yield* removeFieldsInSlices(item, below, itemType(type), pace)));
    }
  }
  return left.length > 0 || touched ? left : null;
}

function removeMembers(value: Json, fields: FieldSet, type: TypeSchema): Json {
  const members = asMap(value);
  if (isEmptyMap(members) || members === undefined || isAtomicMap(type)) return null;
  const left: [string, Json][] = [];
  let touched = false;
  for (const name of Object.keys(members)) {
    const element = PathElement.field(name);
    if (fields.hasElement(element)) continue;
    const below = fields.below(element);
    const inner = memberType(type, name);
    if (below.isEmpty || inner === undefined) {
      left.push([name, members[name]]);
    } else {
      touched = true;
      left.push([name, removeBelow(members[name], below, inner)]);
    }
  }
  return left.length > 0 || touched ? Object.fromEntries(left) : null;
}

function* removeMembersInSlices(value: Json, fields: FieldSet, type: TypeSchema, pace: Pace): Sliced<Json> {
  const members = asMap(value);
  if (isEmptyMap(members) || members === undefined || isAtomicMap(type)) return null;
  const left = new Members();
  const names = namesOf(members);
  for (let at = 0; at < names.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const name = names[at];
    const node = fields.at(`f:${name}`);
    if (node?.member === true) continue;
    const inner = memberType(type, name);
    if (node === undefined || inner === undefined) {
      left.put(name, members[name]);
    } else {
      const kept = yield* removeFieldsInSlices(members[name], node.below, inner, pace);
      left.put(name, keptOf(members[name], kept));
    }
  }
  return left.object() ?? null;
}

function removeBelow(value: Json, fields: FieldSet, type: TypeSchema): Json {
  return keptOf(value, removeFields(value, fields, type));
}

/** @param left of the value */
function keptOf(value: Json, left: Json): Json {
  if (left !== null) return left;
  if (Array.isArray(value)) return EMPTY_LIST;
  return isJsonObject(value) ? EMPTY_OBJECT : null;
}

const EMPTY_LIST: readonly Json[] = [];
const EMPTY_OBJECT: JsonObject = {};
