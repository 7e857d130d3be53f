/**
 * What differs between two objects of a type, as a tree that has nothing but differences: two that are equal make none of it.
 * Both are checked against the type in the same walk. Where anything is unusual (a value of another form, items of one
 * name) the answer is that it is not known, and the general way (typed-merge-compare.ts), whose laws these are, says more.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';
import type { TypeSchema } from '../schema/type-schema.ts';
import { fits, fitsInSlices } from './created-fields.ts';
import { equalJson, equalJsonInSlices, type PathElement } from './field-path.ts';
import type { FieldSet } from './field-set.ts';
import {
  asList,
  asMap,
  fitsScalar,
  formOf,
  isAtomicList,
  isAtomicMap,
  isEmptyMap,
  itemElement,
  itemType,
  memberType,
  sameForm,
  scalarClass,
} from './typed-merge-schema.ts';

/** One place, and what differs below it. */
export interface Change {
  /** `changed`: it has another value now, or is new; `removed`: it is gone; `same`: only below it something differs. */
  readonly kind: 'same' | 'changed' | 'removed';
  /** Nobody owns the place itself. */
  readonly stripped: boolean;
  /** By the text of the element. */
  readonly below: ReadonlyMap<string, Change> | undefined;
}

/** Fields that are none of the writer's. */
export interface Taken {
  /** With all that lies in them. */
  readonly reset: FieldSet | undefined;
  /** But not what lies in them. */
  readonly stripped: FieldSet | undefined;
}

/** @returns undefined where only the general way knows */
export function changedFields(
  before: JsonObject,
  after: JsonObject,
  type: TypeSchema,
  taken: Taken,
): Change | undefined {
  const walk = new Comparison();
  const change = isAtomicMap(type) ? undefined : walk.value(before, after, type, taken, false);
  return walk.known ? (change ?? NO_CHANGE) : undefined;
}

/** The same, which can be put down. */
export function* changedFieldsInSlices(
  before: JsonObject,
  after: JsonObject,
  type: TypeSchema,
  taken: Taken,
  pace: Pace,
): Sliced<Change | undefined> {
  const walk = new Comparison();
  const change = isAtomicMap(type)
    ? undefined
    : yield* walk.slicedValue(before, after, type, taken, false, pace);
  return walk.known ? (change ?? NO_CHANGE) : undefined;
}

const NO_CHANGE: Change = { kind: 'same', stripped: false, below: undefined };
const NOTHING_TAKEN: Taken = { reset: undefined, stripped: undefined };
const NO_ITEMS: readonly Json[] = [];

type Below = Map<string, Change>;

/** Two values in which more lies. */
interface Containers {
  readonly left: JsonObject | readonly Json[];
  readonly right: JsonObject | readonly Json[];
}

class Comparison {
  known = true;

  /** @param stripped whether nobody owns the place. @returns undefined where the values are the same */
  value(
    before: Json | undefined,
    after: Json | undefined,
    type: TypeSchema,
    taken: Taken,
    stripped: boolean,
  ): Change | undefined {
    const found = this.whole(before, after, type, stripped);
    if (found === undefined || 'kind' in found) return found;
    const { left, right } = found;
    let below: Below | undefined;
    if (isList(left) || isList(right)) {
      below = this.items(isList(left) ? left : NO_ITEMS, isList(right) ? right : NO_ITEMS, type, taken);
    } else {
      below = this.members(left, right, type, taken);
    }
    return changeOf(before, after, stripped, below);
  }

  *slicedValue(
    before: Json | undefined,
    after: Json | undefined,
    type: TypeSchema,
    taken: Taken,
    stripped: boolean,
    pace: Pace,
  ): Sliced<Change | undefined> {
    if (isLeaf(before) && isLeaf(after)) return this.value(before, after, type, taken, stripped);
    if (before === after && after !== undefined) {
      if (!(yield* fitsInSlices(after, type, pace))) this.known = false;
      return undefined;
    }
    if (
      Array.isArray(before) &&
      Array.isArray(after) &&
      formOf(type, after) === 'list' &&
      isAtomicList(type)
    ) {
      if (!(yield* fitsInSlices(before, type, pace)) || !(yield* fitsInSlices(after, type, pace))) {
        return this.unknown();
      }
      if (yield* equalJsonInSlices(before, after, pace)) return undefined;
      return changeOf(before, after, stripped, undefined, true);
    }
    const found = this.whole(before, after, type, stripped);
    if (found === undefined || 'kind' in found) return found;
    const { left, right } = found;
    let below: Below | undefined;
    if (isList(left) || isList(right)) {
      const [first, second] = [isList(left) ? left : NO_ITEMS, isList(right) ? right : NO_ITEMS];
      below = yield* this.slicedItems(first, second, type, taken, pace);
    } else {
      below = yield* this.slicedMembers(left, right, type, taken, pace);
    }
    return changeOf(before, after, stripped, below);
  }

  /** What becomes of values that are compared as a whole; the two, where what lies in them is. */
  private whole(
    before: Json | undefined,
    after: Json | undefined,
    type: TypeSchema,
    stripped: boolean,
  ): Change | Containers | undefined {
    if (before === after) {
      if (after !== undefined && !fits(after, type)) this.known = false;
      return undefined;
    }
    if (before !== undefined && after !== undefined && !sameForm(type, before, after)) return this.unknown();
    switch (formOf(type, after ?? before)) {
      case 'scalar': {
        const scalar = scalarClass(type);
        if (before !== undefined && !fitsScalar(scalar, before)) return this.unknown();
        if (after !== undefined && !fitsScalar(scalar, after)) return this.unknown();
        break;
      }
      case 'list': {
        if (!isListOrNothing(before) || !isListOrNothing(after)) return this.unknown();
        const left = asList(before) ?? NO_ITEMS;
        const right = asList(after) ?? NO_ITEMS;
        if (!isAtomicList(type) && left.length + right.length > 0) return { left, right };
        if (!this.fit(before, after, type)) return undefined;
        break;
      }
      case 'map': {
        if (!isMapOrNothing(before) || !isMapOrNothing(after)) return this.unknown();
        const left = asMap(before);
        const right = asMap(after);
        if (!isAtomicMap(type) && !(isEmptyMap(left) && isEmptyMap(right))) {
          return { left: left ?? NO_MEMBERS, right: right ?? NO_MEMBERS };
        }
        if (!this.fit(before, after, type)) return undefined;
        break;
      }
    }
    if (before !== undefined && after !== undefined && equalJson(before, after)) return undefined;
    return changeOf(before, after, stripped, undefined, true);
  }

  private fit(before: Json | undefined, after: Json | undefined, type: TypeSchema): boolean {
    const fit = (before === undefined || fits(before, type)) && (after === undefined || fits(after, type));
    if (!fit) this.known = false;
    return fit;
  }

  private unknown(): undefined {
    this.known = false;
    return undefined;
  }

  private members(before: JsonObject, after: JsonObject, type: TypeSchema, taken: Taken): Below | undefined {
    let below: Below | undefined;
    for (const name in before) {
      if (!Object.hasOwn(before, name)) continue;
      const other = Object.hasOwn(after, name) ? after[name] : undefined;
      below = this.member(below, name, before[name], other, type, taken);
      if (!this.known) return undefined;
    }
    for (const name in after) {
      if (!Object.hasOwn(after, name) || Object.hasOwn(before, name)) continue;
      below = this.member(below, name, undefined, after[name], type, taken);
      if (!this.known) return undefined;
    }
    return below;
  }

  private member(
    below: Below | undefined,
    name: string,
    before: Json | undefined,
    after: Json | undefined,
    type: TypeSchema,
    taken: Taken,
  ): Below | undefined {
    const inner = memberType(type, name);
    if (inner === undefined) {
      this.known = false;
      return below;
    }
    if (taken === NOTHING_TAKEN) {
      // Most are the same, and then their place needs no name.
      const change = this.value(before, after, inner, taken, false);
      return change === undefined ? below : added(below, `f:${name}`, change);
    }
    const text = `f:${name}`;
    const place = this.place(text, before, after, inner, taken);
    if (place === undefined) return below;
    const change = this.value(before, after, inner, place.below, place.stripped);
    return change === undefined ? below : added(below, text, change);
  }

  private *slicedMembers(
    before: JsonObject,
    after: JsonObject,
    type: TypeSchema,
    taken: Taken,
    pace: Pace,
  ): Sliced<Below | undefined> {
    let below: Below | undefined;
    let count = 0;
    for (const side of [before, after]) {
      for (const name of namesOf(side)) {
        if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
        if (side === after && Object.hasOwn(before, name)) continue;
        const left = side === before ? before[name] : undefined;
        const right = Object.hasOwn(after, name) ? after[name] : undefined;
        if (isLeaf(left) && isLeaf(right)) {
          below = this.member(below, name, left, right, type, taken);
        } else {
          const inner = memberType(type, name);
          if (inner === undefined) return this.unknown();
          const text = `f:${name}`;
          const place = this.place(text, left, right, inner, taken);
          if (place === undefined) continue;
          const change = yield* this.slicedValue(left, right, inner, place.below, place.stripped, pace);
          if (change !== undefined) below = added(below, text, change);
        }
        if (!this.known) return undefined;
      }
    }
    return below;
  }

  /** What is taken away at a place; undefined where all of it is. */
  private place(
    text: string,
    before: Json | undefined,
    after: Json | undefined,
    type: TypeSchema,
    { reset, stripped }: Taken,
  ): { readonly below: Taken; readonly stripped: boolean } | undefined {
    const resetHere = reset?.at(text);
    if (resetHere?.member === true) {
      // What must fit has to fit here as well; what differs is nobody's.
      this.fit(before, after, type);
      if (this.known && before !== undefined && after !== undefined && !sameForm(type, before, after)) {
        this.known = false;
      }
      return undefined;
    }
    const strippedHere = stripped?.at(text);
    const below =
      resetHere === undefined && strippedHere === undefined
        ? NOTHING_TAKEN
        : { reset: resetHere?.below, stripped: strippedHere?.below };
    return { below, stripped: strippedHere?.member === true };
  }

  private items(
    before: readonly Json[],
    after: readonly Json[],
    type: TypeSchema,
    taken: Taken,
  ): Below | undefined {
    const left = this.index(before, type);
    const right = left && this.index(after, type);
    if (left === undefined || right === undefined) return undefined;
    const inner = itemType(type);
    let below: Below | undefined;
    for (const [text, item] of left) {
      below = this.item(below, text, item, right.get(text), inner, taken);
      if (!this.known) return undefined;
    }
    for (const [text, item] of right) {
      if (left.has(text)) continue;
      below = this.item(below, text, undefined, item, inner, taken);
      if (!this.known) return undefined;
    }
    return below;
  }

  private item(
    below: Below | undefined,
    text: string,
    before: Json | undefined,
    after: Json | undefined,
    type: TypeSchema,
    taken: Taken,
  ): Below | undefined {
    const place = this.place(text, before, after, type, taken);
    if (place === undefined) return below;
    const change = this.value(before, after, type, place.below, place.stripped);
    return change === undefined ? below : added(below, text, change);
  }

  private *slicedItems(
    before: readonly Json[],
    after: readonly Json[],
    type: TypeSchema,
    taken: Taken,
    pace: Pace,
  ): Sliced<Below | undefined> {
    const left = yield* this.slicedIndex(before, type, pace);
    const right = left && (yield* this.slicedIndex(after, type, pace));
    if (left === undefined || right === undefined) return undefined;
    const inner = itemType(type);
    let below: Below | undefined;
    let count = 0;
    for (const side of [left, right]) {
      for (const text of side.keys()) {
        if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
        if (side === right && left.has(text)) continue;
        const [first, second] = [left.get(text), right.get(text)];
        const place = this.place(text, first, second, inner, taken);
        if (place === undefined) continue;
        const change = yield* this.slicedValue(first, second, inner, place.below, place.stripped, pace);
        if (change !== undefined) below = added(below, text, change);
        if (!this.known) return undefined;
      }
    }
    return below;
  }

  /** The items by their names; undefined, and not known, where they cannot be told apart. */
  private index(items: readonly Json[], type: TypeSchema): Map<string, Json> | undefined {
    const index = new Map<string, Json>();
    for (const item of items) if (!this.enter(index, item, type)) return undefined;
    return index;
  }

  private *slicedIndex(
    items: readonly Json[],
    type: TypeSchema,
    pace: Pace,
  ): Sliced<Map<string, Json> | undefined> {
    const index = new Map<string, Json>();
    for (const item of items) {
      if (index.size % LOOK_EVERY === 0 && pace.due()) yield;
      if (!this.enter(index, item, type)) return undefined;
    }
    return index;
  }

  private enter(index: Map<string, Json>, item: Json, type: TypeSchema): boolean {
    const element: PathElement | string = itemElement(type, item);
    if (typeof element === 'string' || index.has(element.text)) {
      this.known = false;
      return false;
    }
    index.set(element.text, item);
    return true;
  }
}

const NO_MEMBERS: JsonObject = {};

function isList(value: JsonObject | readonly Json[]): value is readonly Json[] {
  return Array.isArray(value);
}

function isLeaf(value: Json | undefined): boolean {
  return typeof value !== 'object' || value === null;
}

function isListOrNothing(value: Json | undefined): boolean {
  return value === undefined || value === null || Array.isArray(value);
}

function isMapOrNothing(value: Json | undefined): boolean {
  return value === undefined || value === null || isJsonObject(value);
}

function added(below: Below | undefined, text: string, change: Change): Below {
  const changes = below ?? new Map<string, Change>();
  changes.set(text, change);
  return changes;
}

/** A place of which there is something to tell. @param differs as a whole */
function changeOf(
  before: Json | undefined,
  after: Json | undefined,
  stripped: boolean,
  below: Below | undefined,
  differs = false,
): Change | undefined {
  if (before === undefined) return { kind: 'changed', stripped, below };
  if (after === undefined) return { kind: 'removed', stripped, below };
  if (differs) return { kind: 'changed', stripped, below };
  return below === undefined ? undefined : { kind: 'same', stripped, below };
}
