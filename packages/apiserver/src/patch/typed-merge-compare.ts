/**
 * What differs between two typed values, as sets of fields: what is gone, what has another value and what is new.
 *
 * Modelled on structured-merge-diff's typed package; what a leaf is, typed-merge-fields.ts says.
 */

import type { Json, JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { finish, LOOK_EVERY, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import type { TypeSchema } from '../schema/type-schema.ts';
import { equalJson, equalJsonInSlices, PathElement, pathText } from './field-path.ts';
import { FieldSetBuilder, type FieldSet } from './field-set.ts';
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

/** What distinguishes two objects; no field is in two of the sets. */
export interface Comparison {
  readonly removed: FieldSet;
  readonly modified: FieldSet;
  readonly added: FieldSet;
}

/** @throws TypedMergeError when a scalar fits on neither side */
export function compareTyped(before: Json, after: Json, type: TypeSchema): Comparison {
  const walk = new Difference();
  walk.visit(before, after, type);
  if (walk.problems.length > 0) throw new TypedMergeError(walk.problems);
  return { removed: walk.removed.build(), modified: walk.modified.build(), added: walk.added.build() };
}

/** The same, which can be put down. */
export function* compareTypedInSlices(
  before: Json,
  after: Json,
  type: TypeSchema,
  pace: Pace,
): Sliced<Comparison> {
  if (pace === WITHOUT_PAUSE) return compareTyped(before, after, type);
  const walk = new Difference();
  yield* walk.slicedVisit(before, after, type, pace);
  if (walk.problems.length > 0) throw new TypedMergeError(walk.problems);
  return {
    removed: yield* walk.removed.buildInSlices(pace),
    modified: yield* walk.modified.buildInSlices(pace),
    added: yield* walk.added.buildInSlices(pace),
  };
}

class Difference {
  readonly removed = new FieldSetBuilder();
  readonly modified = new FieldSetBuilder();
  readonly added = new FieldSetBuilder();
  readonly problems: TypedProblem[] = [];
  private readonly path: PathElement[] = [];

  visit(before: Json | undefined, after: Json | undefined, type: TypeSchema): void {
    if (before === after) return;
    let leaf: boolean;
    if (before === undefined || after === undefined) {
      leaf = this.as(formOf(type, before ?? after), before, after, type);
    } else {
      if (!sameForm(type, before, after)) this.as(formOf(type, before), before, after, type);
      leaf = this.as(formOf(type, after), before, after, type);
    }
    if (leaf) return;
    if (before === undefined) this.added.insert(this.path);
    else if (after === undefined) this.removed.insert(this.path);
  }

  *slicedVisit(
    before: Json | undefined,
    after: Json | undefined,
    type: TypeSchema,
    pace: Pace,
  ): Sliced<undefined> {
    if (before === after) return;
    let leaf: boolean;
    if (before === undefined || after === undefined) {
      leaf = yield* this.slicedAs(formOf(type, before ?? after), before, after, type, pace);
    } else {
      if (!sameForm(type, before, after)) {
        yield* this.slicedAs(formOf(type, before), before, after, type, pace);
      }
      leaf = yield* this.slicedAs(formOf(type, after), before, after, type, pace);
    }
    if (leaf) return;
    if (before === undefined) this.added.insert(this.path);
    else if (after === undefined) this.removed.insert(this.path);
  }

  private *slicedAs(
    form: Form,
    before: Json | undefined,
    after: Json | undefined,
    type: TypeSchema,
    pace: Pace,
  ): Sliced<boolean> {
    switch (form) {
      case 'map': {
        const left = asMap(before);
        const right = asMap(after);
        if (isAtomicMap(type) || (isEmptyMap(left) && isEmptyMap(right))) {
          return yield* this.slicedLeaf(before, after, pace);
        }
        yield* this.slicedMembers(left ?? NO_MEMBERS, right ?? NO_MEMBERS, type, pace);
        return false;
      }
      case 'list': {
        const left = asList(before) ?? NO_ITEMS;
        const right = asList(after) ?? NO_ITEMS;
        if (isAtomicList(type) || (left.length === 0 && right.length === 0)) {
          return yield* this.slicedLeaf(before, after, pace);
        }
        yield* this.slicedItems(left, right, type, pace);
        return false;
      }
      case 'scalar':
        return this.as(form, before, after, type);
    }
  }

  private *slicedLeaf(before: Json | undefined, after: Json | undefined, pace: Pace): Sliced<true> {
    if (before === undefined || after === undefined) return this.leaf(before, after);
    if (!(yield* equalJsonInSlices(before, after, pace))) this.modified.insert(this.path);
    return true;
  }

  private *slicedMembers(
    left: JsonObject,
    right: JsonObject,
    type: TypeSchema,
    pace: Pace,
  ): Sliced<undefined> {
    const leftNames = namesOf(left);
    for (let at = 0; at < leftNames.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      const name = leftNames[at];
      const other = Object.hasOwn(right, name) ? right[name] : undefined;
      yield* this.slicedMember(name, left[name], other, type, pace);
    }
    const rightNames = namesOf(right);
    for (let at = 0; at < rightNames.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      const name = rightNames[at];
      if (!Object.hasOwn(left, name)) yield* this.slicedMember(name, undefined, right[name], type, pace);
    }
  }

  private *slicedMember(
    name: string,
    before: Json | undefined,
    after: Json | undefined,
    type: TypeSchema,
    pace: Pace,
  ): Sliced<undefined> {
    const inner = memberType(type, name);
    // Most are the same.
    if (inner !== undefined && before === after) return;
    this.path.push(PathElement.field(name));
    if (inner === undefined) this.tell('schema error: invalid atom: inlined');
    else yield* this.slicedVisit(before, after, inner, pace);
    this.path.pop();
  }

  private *slicedItems(
    before: readonly Json[],
    after: readonly Json[],
    type: TypeSchema,
    pace: Pace,
  ): Sliced<undefined> {
    const left = yield* this.index(before, type, pace);
    const right = yield* this.index(after, type, pace);
    const inner = itemType(type);
    let at = 0;
    for (const { element, items } of left.values()) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      at += 1;
      yield* this.slicedItem(element, items, right.get(element.text)?.items ?? NO_ITEMS, inner, pace);
    }
    for (const [text, { element, items }] of right) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      at += 1;
      if (!left.has(text)) yield* this.slicedItem(element, NO_ITEMS, items, inner, pace);
    }
  }

  private *slicedItem(
    element: PathElement,
    before: readonly Json[],
    after: readonly Json[],
    type: TypeSchema,
    pace: Pace,
  ): Sliced<undefined> {
    // Items that are there twice are rare: a list is refused when it is applied with them.
    if (before.length > 1 || after.length > 1) {
      this.item(element, before, after, type);
      return;
    }
    if (before[0] === after[0]) return;
    this.path.push(element);
    yield* this.slicedVisit(before[0], after[0], type, pace);
    this.path.pop();
  }

  /** Whether the value was compared as a whole. */
  private as(form: Form, before: Json | undefined, after: Json | undefined, type: TypeSchema): boolean {
    switch (form) {
      case 'map': {
        const left = asMap(before);
        const right = asMap(after);
        if (isAtomicMap(type) || (isEmptyMap(left) && isEmptyMap(right))) return this.leaf(before, after);
        for (const name of Object.keys(left ?? {})) {
          const other = right !== undefined && Object.hasOwn(right, name) ? right[name] : undefined;
          this.member(name, left?.[name], other, type);
        }
        for (const name of Object.keys(right ?? {}))
          if (left === undefined || !Object.hasOwn(left, name))
            this.member(name, undefined, right?.[name], type);
        return false;
      }
      case 'list': {
        const left = asList(before) ?? [];
        const right = asList(after) ?? [];
        if (isAtomicList(type) || (left.length === 0 && right.length === 0)) return this.leaf(before, after);
        this.items(left, right, type);
        return false;
      }
      case 'scalar': {
        const left = scalarProblem(before, type, 'lhs: ');
        const right = scalarProblem(after, type, 'rhs: ');
        if (left === undefined || right === undefined) return this.leaf(before, after);
        this.tell(left);
        this.tell(right);
        return false;
      }
    }
  }

  private leaf(before: Json | undefined, after: Json | undefined): true {
    if (before === undefined) this.added.insert(this.path);
    else if (after === undefined) this.removed.insert(this.path);
    else if (!equalJson(before, after)) this.modified.insert(this.path);
    return true;
  }

  private member(name: string, before: Json | undefined, after: Json | undefined, type: TypeSchema): void {
    const inner = memberType(type, name);
    this.path.push(PathElement.field(name));
    if (inner === undefined) this.tell('schema error: invalid atom: inlined');
    else this.visit(before, after, inner);
    this.path.pop();
  }

  private items(before: readonly Json[], after: readonly Json[], type: TypeSchema): void {
    const left = finish(this.index(before, type, WITHOUT_PAUSE));
    const right = finish(this.index(after, type, WITHOUT_PAUSE));
    const inner = itemType(type);
    for (const { element, items } of left.values()) {
      this.item(element, items, right.get(element.text)?.items ?? NO_ITEMS, inner);
    }
    for (const [text, { element, items }] of right)
      if (!left.has(text)) this.item(element, NO_ITEMS, items, inner);
  }

  private *index(items: readonly Json[], type: TypeSchema, pace: Pace): Sliced<Map<string, Namesakes>> {
    const index = new Map<string, Namesakes>();
    for (let at = 0; at < items.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      const element = itemElement(type, items[at]);
      if (typeof element === 'string') {
        this.tell(`element ${at}: ${element}`);
        continue;
      }
      const known = index.get(element.text);
      if (known === undefined) index.set(element.text, { element, items: [items[at]] });
      else known.items.push(items[at]);
    }
    return index;
  }

  /** Items of one name. Where a side has several, they count as one that is owned as a whole. */
  private item(
    element: PathElement,
    before: readonly Json[],
    after: readonly Json[],
    type: TypeSchema,
  ): void {
    this.path.push(element);
    if (before.length <= 1 && after.length <= 1) {
      this.visit(before[0], after[0], type);
    } else if (before.length > 1 && after.length > 1) {
      if (!equalJson(before, after)) this.modified.insert(this.path);
    } else if (before.length > 1) {
      if (after.length > 0) this.visit(undefined, after[0], type);
      this.removed.insert(this.path);
    } else {
      if (before.length > 0) this.visit(before[0], undefined, type);
      this.added.insert(this.path);
    }
    this.path.pop();
  }

  private tell(message: string): void {
    this.problems.push({ path: pathText(this.path), message });
  }
}

const NO_ITEMS: readonly Json[] = [];
const NO_MEMBERS: JsonObject = {};

interface Namesakes {
  readonly element: PathElement;
  readonly items: Json[];
}
