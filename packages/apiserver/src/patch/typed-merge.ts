/**
 * The walks over typed values that server-side apply is made of: merge a partial object into another, and take
 * members and items out of one. Values are never changed; what stays the same is shared.
 *
 * Modelled on structured-merge-diff's typed package, order of merged lists included: items that both sides have
 * stand in the order of the applied list, items that only the live list has keep their place among them.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import type { TypeSchema } from '../schema/type-schema.ts';
import { elementText, PathElement, pathText } from './field-path.ts';
import type { FieldSet } from './field-set.ts';
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
  sameForm,
  type Form,
} from './typed-merge-schema.ts';
import { scalarProblem, TypedMergeError, type TypedProblem } from './typed-merge-validate.ts';

/**
 * The live object with what the applied one states laid over it. Nothing is removed.
 *
 * @throws TypedMergeError for duplicates in a list of the applied object, and for forms that do not fit
 */
export function mergeTyped(live: Json, applied: Json, type: TypeSchema): Json {
  const merge = new Merge();
  const merged = merge.visit(live, applied, type);
  if (merge.problems.length > 0) throw new TypedMergeError(merge.problems);
  return merged ?? null;
}

class Merge {
  /** What does not fit. Below the items of a list nothing is told, as in the original. */
  problems: TypedProblem[] = [];
  private readonly path: PathElement[] = [];

  /** The merged value; undefined where nothing comes out (an object all of whose members vanish). */
  visit(live: Json | undefined, applied: Json | undefined, type: TypeSchema): Json | undefined {
    if (applied === undefined) return this.as(formOf(type, live), live, applied, type);
    if (live !== undefined && !sameForm(type, live, applied))
      this.as(formOf(type, live), live, applied, type);
    return this.as(formOf(type, applied), live, applied, type);
  }

  private as(
    form: Form,
    live: Json | undefined,
    applied: Json | undefined,
    type: TypeSchema,
  ): Json | undefined {
    switch (form) {
      case 'map':
        return this.map(live, applied, type);
      case 'list':
        return this.list(live, applied, type);
      case 'scalar': {
        const left = live === undefined ? undefined : scalarProblem(live, type, 'lhs: ');
        const right = applied === undefined ? undefined : scalarProblem(applied, type, 'rhs: ');
        if (left === undefined || right === undefined) return applied === undefined ? live : applied;
        this.tell(left);
        this.tell(right);
        return undefined;
      }
    }
  }

  private map(live: Json | undefined, applied: Json | undefined, type: TypeSchema): Json | undefined {
    const left = asMap(live);
    const right = asMap(applied);
    if (isAtomicMap(type) || (isEmptyMap(left) && isEmptyMap(right)))
      return applied === undefined ? live : applied;
    // Without a member on the other side a value stays as it is, unless something in it vanishes; that is what
    // the walk below would find out, member by member.
    const members: [string, Json][] = [];
    for (const name of Object.keys(left ?? {})) {
      const other = right !== undefined && Object.hasOwn(right, name) ? right[name] : undefined;
      this.member(members, name, left?.[name], other, type);
    }
    for (const name of Object.keys(right ?? {})) {
      if (left === undefined || !Object.hasOwn(left, name))
        this.member(members, name, undefined, right?.[name], type);
    }
    return members.length === 0 ? undefined : Object.fromEntries(members);
  }

  private member(
    members: [string, Json][],
    name: string,
    live: Json | undefined,
    applied: Json | undefined,
    type: TypeSchema,
  ): void {
    this.path.push(PathElement.field(name));
    const inner = memberType(type, name);
    if (inner === undefined) {
      this.tell('schema error: invalid atom: inlined');
    } else {
      const merged = this.visit(live, applied, inner);
      if (merged !== undefined) members.push([name, merged]);
    }
    this.path.pop();
  }

  private list(live: Json | undefined, applied: Json | undefined, type: TypeSchema): Json | undefined {
    const left = asList(live) ?? [];
    const right = asList(applied) ?? [];
    if (isAtomicList(type) || (left.length === 0 && right.length === 0))
      return applied === undefined ? live : applied;
    const rightIndex = this.index(right, type, false);
    const leftIndex = this.index(left, type, true);
    if (rightIndex === undefined || leftIndex === undefined) return undefined;
    const items = this.items(left, leftIndex, rightIndex, itemType(type));
    return items.length === 0 ? undefined : items;
  }

  /** The elements in order, and the item of each; undefined, and told, where they cannot be told apart. */
  private index(list: readonly Json[], type: TypeSchema, allowDuplicates: boolean): Index | undefined {
    const told = this.problems.length;
    const elements: PathElement[] = [];
    const items = new Map<string, Json>();
    for (let at = 0; at < list.length; at += 1) {
      const element = itemElement(type, list[at]);
      if (typeof element === 'string') {
        this.tell(`element ${at}: ${element}`);
        continue;
      }
      const known = items.has(element.text);
      if (known && !allowDuplicates) {
        this.tell(`duplicate entries for key ${elementText(element)}`);
        continue;
      }
      // Items that occur twice are not merged with an applied one: it replaces them all.
      items.set(element.text, known ? null : list[at]);
      elements.push(element);
    }
    return this.problems.length === told ? { elements, items } : undefined;
  }

  private items(left: readonly Json[], leftIndex: Index, rightIndex: Index, type: TypeSchema): Json[] {
    const shared = rightIndex.elements.filter(({ text }) => leftIndex.items.has(text));
    let nextShared = 0;
    const merged = new Set<string>();
    const out: Json[] = [];
    const put = (element: PathElement, live: Json | undefined, applied: Json | undefined): void => {
      const item = this.item(element, live, applied, type);
      if (item !== undefined) out.push(item);
    };
    const putRight = (element: PathElement): void => {
      merged.add(element.text);
      put(element, leftIndex.items.get(element.text), rightIndex.items.get(element.text));
    };
    let l = 0;
    let r = 0;
    while (l < leftIndex.elements.length || r < rightIndex.elements.length) {
      if (l < leftIndex.elements.length && r < rightIndex.elements.length) {
        const element = leftIndex.elements[l];
        if (element.text === rightIndex.elements[r].text) {
          putRight(element);
          l += 1;
          r += 1;
          nextShared += 1;
          continue;
        }
        const awaited = shared[nextShared];
        if (rightIndex.items.has(element.text) && awaited !== undefined && awaited.text !== element.text) {
          // A shared item, but another one comes first in the applied list.
          l += 1;
          continue;
        }
      }
      if (l < leftIndex.elements.length) {
        const element = leftIndex.elements[l];
        if (!rightIndex.items.has(element.text)) {
          put(element, left[l], undefined);
          l += 1;
          continue;
        }
        if (merged.has(element.text)) l += 1;
      }
      if (r < rightIndex.elements.length) {
        const element = rightIndex.elements[r];
        putRight(element);
        r += 1;
        if (shared[nextShared]?.text === element.text) nextShared += 1;
      }
    }
    return out;
  }

  private item(
    element: PathElement,
    live: Json | undefined,
    applied: Json | undefined,
    type: TypeSchema,
  ): Json | undefined {
    const told = this.problems;
    this.problems = [];
    this.path.push(element);
    const merged = this.visit(live, applied, type);
    this.path.pop();
    this.problems = told;
    return merged;
  }

  private tell(message: string): void {
    this.problems.push({ path: pathText(this.path), message });
  }
}

interface Index {
  readonly elements: readonly PathElement[];
  readonly items: ReadonlyMap<string, Json>;
}

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

function removeBelow(value: Json, fields: FieldSet, type: TypeSchema): Json {
  const left = removeFields(value, fields, type);
  if (left !== null) return left;
  if (Array.isArray(value)) return EMPTY_LIST;
  return isJsonObject(value) ? EMPTY_OBJECT : null;
}

const EMPTY_LIST: readonly Json[] = [];
const EMPTY_OBJECT: JsonObject = {};
