/**
 * What the writer of a new object owns, in FieldsV1 at once: one walk that checks the object against its type, compares it
 * with the zero it started from and writes what differs in order. The general way (server-side-apply-updater.ts) makes a
 * set of each of these and joins them, which a new object without owners need not pay for. Where anything is unusual the
 * answer is that it is not known, and the general way says what is wrong: this one never does.
 *
 * The laws are those of typed-merge-validate.ts and typed-merge-fields.ts; a test compares the two.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
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
  walk.members(fields, start, next, type, reset, stripped);
  return walk.known ? fields : undefined;
}

type Into = Record<string, Json>;

class Creation {
  known = true;

  /** @returns how many were written */
  members(
    into: Into,
    before: JsonObject | undefined,
    after: JsonObject,
    type: TypeSchema,
    reset: FieldSet | undefined,
    stripped: FieldSet | undefined,
  ): number {
    let count = 0;
    for (const name of namesInOrder(after)) {
      const inner = memberType(type, name);
      if (inner === undefined) {
        this.known = false;
        return count;
      }
      const old = before !== undefined && Object.hasOwn(before, name) ? before[name] : undefined;
      if (this.value(into, `f:${name}`, old, after[name], inner, reset, stripped)) count += 1;
      if (!this.known) return count;
    }
    return count;
  }

  /** @returns whether something was written under this name */
  private value(
    into: Into,
    text: string,
    before: Json | undefined,
    after: Json | undefined,
    type: TypeSchema,
    reset: FieldSet | undefined,
    stripped: FieldSet | undefined,
  ): boolean {
    if (after === undefined || (before !== undefined && !sameForm(type, before, after))) {
      this.known = false;
      return false;
    }
    const resetHere = reset?.at(text);
    if (resetHere?.member === true) {
      this.known = fits(after, type);
      return false;
    }
    const strippedHere = stripped?.at(text);
    const isNew = before === undefined;
    const form = formOf(type, after);
    const old = form === 'map' ? asMap(before) : undefined;
    if (isWhole(form, after, type)) {
      this.known = fits(after, type);
      if (!this.known || strippedHere?.member === true) return false;
      // Where nothing stands now, what stood there before goes away, piece by piece.
      if (form === 'map' && !isAtomicMap(type) && !isEmptyMap(old)) return false;
      if (!isNew && equalJson(before, after)) return false;
      into[text] = NOTHING_BELOW;
      return true;
    }
    if (Array.isArray(before) && before.length > 0) {
      this.known = false;
      return false;
    }
    // The value itself is owned where it is new, and else only what lies in it.
    const isMember = isNew && strippedHere?.member !== true;
    const below: Into = isMember ? { '.': NOTHING_BELOW } : {};
    let count = 0;
    if (form === 'list' && Array.isArray(after)) {
      count = this.items(below, after, type, resetHere?.below, strippedHere?.below);
    } else if (form === 'map' && isJsonObject(after)) {
      count = this.members(below, old, after, type, resetHere?.below, strippedHere?.below);
    } else {
      this.known = false;
    }
    if (count === 0 && !isMember) return false;
    into[text] = count === 0 ? NOTHING_BELOW : below;
    return true;
  }

  /** Items of one name are owned as one, and nothing in them. */
  private items(
    into: Into,
    items: readonly Json[],
    type: TypeSchema,
    reset: FieldSet | undefined,
    stripped: FieldSet | undefined,
  ): number {
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
      named.sort((a, b) => comparePathElements(a.element, b.element));
    }
    const itemsType = itemType(type);
    let count = 0;
    for (const { element, item } of named) {
      if (this.value(into, element.text, undefined, item, itemsType, reset, stripped)) count += 1;
      if (!this.known) return count;
    }
    return count;
  }
}

interface Named {
  readonly element: PathElement;
  readonly item: Json;
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

/** Whether validation has nothing to say of the value. */
function fits(value: Json, type: TypeSchema): boolean {
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
