/**
 * A partial object merged into another. Values are never changed; what stays the same is shared.
 *
 * Modelled on structured-merge-diff's typed package, order of merged lists included: items that both sides have
 * stand in the order of the applied list, items that only the live list has keep their place among them.
 */

import type { Json } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { finish, LOOK_EVERY, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import type { TypeSchema } from '../schema/type-schema.ts';
import { elementText, PathElement, pathText } from './field-path.ts';
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

/** The same, which can be put down. */
export function* mergeTypedInSlices(live: Json, applied: Json, type: TypeSchema, pace: Pace): Sliced<Json> {
  if (pace === WITHOUT_PAUSE) return mergeTyped(live, applied, type);
  const merge = new Merge();
  const merged = yield* merge.slicedVisit(live, applied, type, pace);
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

  *slicedVisit(
    live: Json | undefined,
    applied: Json | undefined,
    type: TypeSchema,
    pace: Pace,
  ): Sliced<Json | undefined> {
    if (isLeaf(live) && isLeaf(applied)) return this.visit(live, applied, type);
    if (applied === undefined) return yield* this.slicedAs(formOf(type, live), live, applied, type, pace);
    if (live !== undefined && !sameForm(type, live, applied))
      yield* this.slicedAs(formOf(type, live), live, applied, type, pace);
    return yield* this.slicedAs(formOf(type, applied), live, applied, type, pace);
  }

  private *slicedAs(
    form: Form,
    live: Json | undefined,
    applied: Json | undefined,
    type: TypeSchema,
    pace: Pace,
  ): Sliced<Json | undefined> {
    switch (form) {
      case 'map':
        return yield* this.slicedMap(live, applied, type, pace);
      case 'list':
        return yield* this.slicedList(live, applied, type, pace);
      case 'scalar':
        return this.as(form, live, applied, type);
    }
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

  private *slicedMap(
    live: Json | undefined,
    applied: Json | undefined,
    type: TypeSchema,
    pace: Pace,
  ): Sliced<Json | undefined> {
    const left = asMap(live);
    const right = asMap(applied);
    if (isAtomicMap(type) || (isEmptyMap(left) && isEmptyMap(right)))
      return applied === undefined ? live : applied;
    const members = new Members();
    const leftNames = left === undefined ? [] : namesOf(left);
    for (let at = 0; at < leftNames.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      const name = leftNames[at];
      const other = right !== undefined && Object.hasOwn(right, name) ? right[name] : undefined;
      const merged = yield* this.slicedMember(name, left?.[name], other, type, pace);
      if (merged !== undefined) members.put(name, merged);
    }
    const rightNames = right === undefined ? [] : namesOf(right);
    for (let at = 0; at < rightNames.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      const name = rightNames[at];
      if (left !== undefined && Object.hasOwn(left, name)) continue;
      const merged = yield* this.slicedMember(name, undefined, right?.[name], type, pace);
      if (merged !== undefined) members.put(name, merged);
    }
    return members.object();
  }

  private *slicedMember(
    name: string,
    live: Json | undefined,
    applied: Json | undefined,
    type: TypeSchema,
    pace: Pace,
  ): Sliced<Json | undefined> {
    this.path.push(PathElement.field(name));
    const inner = memberType(type, name);
    let merged: Json | undefined;
    if (inner === undefined) this.tell('schema error: invalid atom: inlined');
    else merged = yield* this.slicedVisit(live, applied, inner, pace);
    this.path.pop();
    return merged;
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
    const pairs = finish(this.pairs(left, right, type, WITHOUT_PAUSE));
    if (pairs === undefined) return undefined;
    const inner = itemType(type);
    const items: Json[] = [];
    for (const pair of pairs) {
      const item = this.item(pair, inner);
      if (item !== undefined) items.push(item);
    }
    return items.length === 0 ? undefined : items;
  }

  private *slicedList(
    live: Json | undefined,
    applied: Json | undefined,
    type: TypeSchema,
    pace: Pace,
  ): Sliced<Json | undefined> {
    const left = asList(live) ?? [];
    const right = asList(applied) ?? [];
    if (isAtomicList(type) || (left.length === 0 && right.length === 0))
      return applied === undefined ? live : applied;
    const pairs = yield* this.pairs(left, right, type, pace);
    if (pairs === undefined) return undefined;
    const inner = itemType(type);
    const items: Json[] = [];
    for (let at = 0; at < pairs.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      const item = yield* this.slicedItem(pairs[at], inner, pace);
      if (item !== undefined) items.push(item);
    }
    return items.length === 0 ? undefined : items;
  }

  /** The items of both lists in the order of the merged one; undefined, and told, where they cannot be told apart. */
  private *pairs(
    left: readonly Json[],
    right: readonly Json[],
    type: TypeSchema,
    pace: Pace,
  ): Sliced<readonly Pair[] | undefined> {
    const rightIndex = yield* this.index(right, type, false, pace);
    const leftIndex = yield* this.index(left, type, true, pace);
    if (rightIndex === undefined || leftIndex === undefined) return undefined;
    return yield* inOrder(left, leftIndex, rightIndex, pace);
  }

  /** The elements in order, and the item of each; undefined, and told, where they cannot be told apart. */
  private *index(
    list: readonly Json[],
    type: TypeSchema,
    allowDuplicates: boolean,
    pace: Pace,
  ): Sliced<Index | undefined> {
    const told = this.problems.length;
    const elements: PathElement[] = [];
    const items = new Map<string, Json>();
    for (let at = 0; at < list.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
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

  private item({ element, live, applied }: Pair, type: TypeSchema): Json | undefined {
    const told = this.problems;
    this.problems = [];
    this.path.push(element);
    const merged = this.visit(live, applied, type);
    this.path.pop();
    this.problems = told;
    return merged;
  }

  private *slicedItem(
    { element, live, applied }: Pair,
    type: TypeSchema,
    pace: Pace,
  ): Sliced<Json | undefined> {
    const told = this.problems;
    this.problems = [];
    this.path.push(element);
    const merged = yield* this.slicedVisit(live, applied, type, pace);
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

/** What stands under one name in two lists. */
interface Pair {
  readonly element: PathElement;
  readonly live: Json | undefined;
  readonly applied: Json | undefined;
}

function* inOrder(left: readonly Json[], leftIndex: Index, rightIndex: Index, pace: Pace): Sliced<Pair[]> {
  const shared: PathElement[] = [];
  for (let at = 0; at < rightIndex.elements.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const element = rightIndex.elements[at];
    if (leftIndex.items.has(element.text)) shared.push(element);
  }
  let nextShared = 0;
  const merged = new Set<string>();
  const pairs: Pair[] = [];
  const putRight = (element: PathElement): void => {
    const { text } = element;
    merged.add(text);
    pairs.push({ element, live: leftIndex.items.get(text), applied: rightIndex.items.get(text) });
  };
  let l = 0;
  let r = 0;
  while (l < leftIndex.elements.length || r < rightIndex.elements.length) {
    if ((l + r) % LOOK_EVERY === 0 && pace.due()) yield;
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
        pairs.push({ element, live: left[l], applied: undefined });
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
  return pairs;
}

function isLeaf(value: Json | undefined): boolean {
  return typeof value !== 'object' || value === null;
}
