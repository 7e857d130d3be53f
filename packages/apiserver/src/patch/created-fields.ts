/**
 * What the writer of a new object owns, in FieldsV1 at once: one walk that checks the object against its type, compares it
 * with the zero it started from and writes what differs in order. The general way (server-side-apply-updater.ts) makes a
 * set of each of these and joins them, which a new object without owners need not pay for. Where anything is unusual the
 * answer is that it is not known, and the general way says what is wrong: this one never does.
 *
 * The laws are those of typed-merge-validate.ts and typed-merge-fields.ts; a test compares the two.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { NameKeeper, namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';
import { sortedInSlices } from '../api/sorted.ts';
import type { TypeSchema } from '../schema/type-schema.ts';
import { comparePathElements, compareText, equalJson, type PathElement } from './field-path.ts';
import type { FieldSet } from './field-set.ts';
import {
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
  type Form,
} from './typed-merge-schema.ts';

/**
 * @param start what there was before: the zero of the type
 * @param next the object without managedFields
 * @param reset fields that are taken away with all that lies in them
 * @param stripped fields that are taken away, but not what lies in them
 * @returns without members where nothing is owned; undefined where only the general way knows
 */
export function createdFields(
  start: JsonObject,
  next: JsonObject,
  type: TypeSchema,
  reset: FieldSet | undefined,
  stripped: FieldSet,
): JsonObject | undefined {
  const walk = new Creation();
  const fields: Record<string, Json> = {};
  if (formOf(type, next) !== 'map' || isAtomicMap(type)) return undefined;
  walk.members(fields, start, next, type, { reset, stripped });
  return walk.known ? fields : undefined;
}

/** The same, which can be put down. */
export function* createdFieldsInSlices(
  start: JsonObject,
  next: JsonObject,
  type: TypeSchema,
  reset: FieldSet | undefined,
  stripped: FieldSet,
  pace: Pace,
): Sliced<JsonObject | undefined> {
  const walk = new Creation();
  const fields: Record<string, Json> = {};
  if (formOf(type, next) !== 'map' || isAtomicMap(type)) return undefined;
  yield* walk.slicedMembers(fields, start, next, type, { reset, stripped }, pace);
  return walk.known ? fields : undefined;
}

type Into = Record<string, Json>;

/** What is taken away in a value. */
interface Taken {
  readonly reset: FieldSet | undefined;
  readonly stripped: FieldSet | undefined;
}

/** A value that something lies in. */
interface Container extends Taken {
  /** Whether it is owned itself: where it is new; else only what lies in it. */
  readonly isMember: boolean;
  readonly below: Into;
  readonly old: JsonObject | undefined;
}

class Creation {
  known = true;

  /** @returns how many were written */
  members(
    into: Into,
    before: JsonObject | undefined,
    after: JsonObject,
    type: TypeSchema,
    taken: Taken,
  ): number {
    let count = 0;
    for (const name of namesInOrder(after)) {
      const inner = memberType(type, name);
      if (inner === undefined) {
        this.known = false;
        return count;
      }
      const old = before !== undefined && Object.hasOwn(before, name) ? before[name] : undefined;
      if (this.value(into, `f:${name}`, old, after[name], inner, taken)) count += 1;
      if (!this.known) return count;
    }
    return count;
  }

  *slicedMembers(
    into: Into,
    before: JsonObject | undefined,
    after: JsonObject,
    type: TypeSchema,
    taken: Taken,
    pace: Pace,
  ): Sliced<number> {
    let count = 0;
    let looked = 0;
    const names = yield* sortedInSlices([...namesOf(after)], compareText, pace);
    const kept = new NameKeeper();
    if (Object.hasOwn(into, '.')) kept.add('.');
    for (const name of names) {
      if ((looked += 1) % LOOK_EVERY === 0 && pace.due()) yield;
      const inner = memberType(type, name);
      if (inner === undefined) {
        this.known = false;
        return count;
      }
      const old = before !== undefined && Object.hasOwn(before, name) ? before[name] : undefined;
      const member = after[name];
      const wrote =
        typeof member === 'object' && member !== null
          ? yield* this.slicedValue(into, `f:${name}`, old, member, inner, taken, pace)
          : this.value(into, `f:${name}`, old, member, inner, taken);
      if (wrote) {
        count += 1;
        kept.add(`f:${name}`);
      }
      if (!this.known) return count;
    }
    kept.keep(into);
    return count;
  }

  /**
   * Writes what is owned as a whole, or not at all.
   *
   * @returns whether something was written under this name; the value, where something lies in it
   */
  private whole(
    into: Into,
    text: string,
    before: Json | undefined,
    after: Json | undefined,
    type: TypeSchema,
    { reset, stripped }: Taken,
    fitted?: boolean,
  ): boolean | Container {
    if (after === undefined || (before !== undefined && !sameForm(type, before, after))) {
      this.known = false;
      return false;
    }
    const resetHere = reset?.at(text);
    if (resetHere?.member === true) {
      this.known = fitted ?? fits(after, type);
      return false;
    }
    const strippedHere = stripped?.at(text);
    const isNew = before === undefined;
    const form = formOf(type, after);
    const old = form === 'map' ? asMap(before) : undefined;
    if (isWhole(form, after, type)) {
      this.known = fitted ?? fits(after, type);
      if (!this.known || strippedHere?.member === true) return false;
      // Where nothing stands now, what stood there before goes away, piece by piece.
      if (form === 'map' && !isAtomicMap(type) && !isEmptyMap(old)) return false;
      if (!isNew && equalJson(before, after)) return false;
      into[text] = NOTHING_BELOW;
      return true;
    }
    if (
      (Array.isArray(before) && before.length > 0) ||
      !(form === 'list' ? Array.isArray(after) : isJsonObject(after))
    ) {
      this.known = false;
      return false;
    }
    const isMember = isNew && strippedHere?.member !== true;
    return {
      isMember,
      below: isMember ? { '.': NOTHING_BELOW } : {},
      old,
      reset: resetHere?.below,
      stripped: strippedHere?.below,
    };
  }

  /** @returns whether something was written under this name */
  private value(
    into: Into,
    text: string,
    before: Json | undefined,
    after: Json | undefined,
    type: TypeSchema,
    taken: Taken,
  ): boolean {
    const found = this.whole(into, text, before, after, type, taken);
    if (typeof found === 'boolean') return found;
    let count = 0;
    if (Array.isArray(after)) count = this.items(found.below, after, type, found);
    else if (isJsonObject(after)) count = this.members(found.below, found.old, after, type, found);
    return written(into, text, found, count);
  }

  private *slicedValue(
    into: Into,
    text: string,
    before: Json | undefined,
    after: Json | undefined,
    type: TypeSchema,
    taken: Taken,
    pace: Pace,
  ): Sliced<boolean> {
    const isLong = typeof after === 'object' && after !== null && isWhole(formOf(type, after), after, type);
    const fitted = isLong ? yield* fitsInSlices(after, type, pace) : undefined;
    const found = this.whole(into, text, before, after, type, taken, fitted);
    if (typeof found === 'boolean') return found;
    let count = 0;
    if (Array.isArray(after)) count = yield* this.slicedItems(found.below, after, type, found, pace);
    else if (isJsonObject(after)) {
      count = yield* this.slicedMembers(found.below, found.old, after, type, found, pace);
    }
    return written(into, text, found, count);
  }

  /** Items of one name are owned as one, and nothing in them. */
  private items(into: Into, items: readonly Json[], type: TypeSchema, taken: Taken): number {
    const named: Named[] = [];
    for (const item of items) {
      const element = itemElement(type, item);
      if (typeof element === 'string') {
        this.known = false;
        return 0;
      }
      named.push({ element, item });
    }
    if (named.length > 1) {
      // Namesakes are rare enough for the general way.
      if (new Set(named.map(({ element }) => element.text)).size < named.length) {
        this.known = false;
        return 0;
      }
      named.sort(inOrder);
    }
    const itemsType = itemType(type);
    let count = 0;
    for (const { element, item } of named) {
      if (this.value(into, element.text, undefined, item, itemsType, taken)) count += 1;
      if (!this.known) return count;
    }
    return count;
  }

  private *slicedItems(
    into: Into,
    items: readonly Json[],
    type: TypeSchema,
    taken: Taken,
    pace: Pace,
  ): Sliced<number> {
    const named: Named[] = [];
    const texts = new Set<string>();
    for (const item of items) {
      const element = itemElement(type, item);
      if (typeof element === 'string' || texts.has(element.text)) {
        this.known = false;
        return 0;
      }
      texts.add(element.text);
      named.push({ element, item });
      if (named.length % LOOK_EVERY === 0 && pace.due()) yield;
    }
    const itemsType = itemType(type);
    let count = 0;
    for (const { element, item } of yield* sortedInSlices(named, inOrder, pace)) {
      if (yield* this.slicedValue(into, element.text, undefined, item, itemsType, taken, pace)) count += 1;
      if (!this.known) return count;
      if (pace.due()) yield;
    }
    return count;
  }
}

interface Named {
  readonly element: PathElement;
  readonly item: Json;
}

function inOrder(a: Named, b: Named): number {
  return comparePathElements(a.element, b.element);
}

/** Puts what lies in a value under its name; @returns whether there is anything */
function written(into: Into, text: string, { isMember, below }: Container, count: number): boolean {
  if (count === 0 && !isMember) return false;
  into[text] = count === 0 ? NOTHING_BELOW : below;
  return true;
}

const NOTHING_BELOW: JsonObject = {};

/** Whether a value is owned as a whole: nothing lies in it, or nobody looks. */
function isWhole(form: Form, value: Json, type: TypeSchema): boolean {
  switch (form) {
    case 'scalar':
      return true;
    case 'list':
      return isAtomicList(type) || value === null || (Array.isArray(value) && value.length === 0);
    case 'map':
      return isAtomicMap(type) || value === null || (isJsonObject(value) && isEmptyMap(value));
  }
}

/** More names than that are sorted by a way that does not take the square of their number. */
const FEW = 24;

/** In the order of FieldsV1. */
function namesInOrder(value: JsonObject): string[] {
  const names = Object.keys(value);
  if (names.length > FEW) return names.sort(compareText);
  for (let at = 1; at < names.length; at += 1) {
    const name = names[at];
    let to = at;
    while (to > 0 && compareText(names[to - 1], name) > 0) {
      names[to] = names[to - 1];
      to -= 1;
    }
    names[to] = name;
  }
  return names;
}

/** fits(), which can be put down. */
export function* fitsInSlices(value: Json, type: TypeSchema, pace: Pace): Sliced<boolean> {
  if (type.kind === 'untyped' || typeof value !== 'object' || value === null) return fits(value, type);
  const form = formOf(type, value);
  if (form === 'map' && isJsonObject(value)) {
    const names = namesOf(value);
    for (let at = 0; at < names.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      const member = memberType(type, names[at]);
      if (member === undefined || !(yield* fitsInSlices(value[names[at]], member, pace))) return false;
    }
    return true;
  }
  if (form !== 'list' || !Array.isArray(value)) return fits(value, type);
  const atomic = isAtomicList(type);
  const items = itemType(type);
  for (let at = 0; at < value.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const item: Json = value[at];
    if (!atomic && typeof itemElement(type, item) === 'string') return false;
    if (!(typeof item === 'object' ? yield* fitsInSlices(item, items, pace) : fits(item, items)))
      return false;
  }
  return true;
}

/** Whether validation has nothing to say of the value. */
export function fits(value: Json, type: TypeSchema): boolean {
  // Nothing can be wrong where anything may stand.
  if (type.kind === 'untyped') return true;
  switch (formOf(type, value)) {
    case 'scalar':
      return fitsScalar(scalarClass(type), value);
    case 'list': {
      if (!Array.isArray(value)) return value === null;
      const atomic = isAtomicList(type);
      const items = itemType(type);
      for (const item of value as readonly Json[]) {
        if (!atomic && typeof itemElement(type, item) === 'string') return false;
        if (!fits(item, items)) return false;
      }
      return true;
    }
    case 'map':
      if (!isJsonObject(value)) return value === null;
      for (const name of Object.keys(value)) {
        const member = memberType(type, name);
        if (member === undefined || !fits(value[name], member)) return false;
      }
      return true;
  }
}
