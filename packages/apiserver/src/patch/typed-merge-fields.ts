/**
 * From typed values to sets of fields: which fields an object states, what differs between two objects, and how a
 * set that was written under an older schema reads under this one.
 *
 * Modelled on structured-merge-diff's typed package: leaves are scalars, atomic lists and maps, items of sets and
 * of lists with keys, members of maps; an empty object and an explicit null are leaves as well.
 */

import { isJsonObject, type Json } from '../api/json.ts';
import type { TypeSchema } from '../schema/type-schema.ts';
import { equalJson, PathElement, pathText } from './field-path.ts';
import { FieldSet, FieldSetBuilder } from './field-set.ts';
import {
  asList,
  asMap,
  formOf,
  isAtomicList,
  isAtomicMap,
  isDeduced,
  isEmptyMap,
  itemElement,
  itemType,
  memberType,
  namesMember,
  sameForm,
  type Form,
} from './typed-merge-schema.ts';
import { scalarProblem, TypedMergeError, type TypedProblem } from './typed-merge-validate.ts';

/** Every leaf the value states, and every item and map member. The value has been validated. */
export function fieldsOf(value: Json, type: TypeSchema): FieldSet {
  const walk = new Statement();
  walk.visit(value, type);
  return walk.found.build();
}

class Statement {
  readonly found = new FieldSetBuilder();
  private readonly path: PathElement[] = [];

  visit(value: Json, type: TypeSchema): void {
    switch (formOf(type, value)) {
      case 'scalar':
        this.found.insert(this.path);
        break;
      case 'list':
        if (isAtomicList(type)) this.found.insert(this.path);
        else this.items(asList(value) ?? [], type);
        break;
      case 'map':
        if (isAtomicMap(type)) this.found.insert(this.path);
        else this.members(value, type);
    }
  }

  private members(value: Json, type: TypeSchema): void {
    const members = asMap(value);
    if (members === undefined) return;
    for (const name of Object.keys(members)) {
      const member = members[name];
      this.path.push(PathElement.field(name));
      const inner = memberType(type, name);
      if (inner !== undefined) this.visit(member, inner);
      const empty = member === null || (isJsonObject(member) && isEmptyMap(member));
      if (empty || !namesMember(type, name)) this.found.insert(this.path);
      this.path.pop();
    }
  }

  /** Items that occur twice are owned as one, and nothing in them. */
  private items(items: readonly Json[], type: TypeSchema): void {
    const elements = items.map((item) => itemElement(type, item));
    const seen = new Set<string>();
    const twice = new Set<string>();
    for (const element of elements) {
      if (typeof element === 'string') continue;
      if (seen.has(element.text)) twice.add(element.text);
      seen.add(element.text);
    }
    const inner = itemType(type);
    for (let at = 0; at < items.length; at += 1) {
      const element = elements[at];
      if (typeof element === 'string') continue;
      this.path.push(element);
      if (!twice.has(element.text)) this.visit(items[at], inner);
      this.found.insert(this.path);
      this.path.pop();
    }
  }
}

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
    const left = this.index(before, type);
    const right = this.index(after, type);
    const inner = itemType(type);
    for (const { element, items } of left.values()) {
      this.item(element, items, right.get(element.text)?.items ?? NO_ITEMS, inner);
    }
    for (const [text, { element, items }] of right)
      if (!left.has(text)) this.item(element, NO_ITEMS, items, inner);
  }

  private index(items: readonly Json[], type: TypeSchema): Map<string, Namesakes> {
    const index = new Map<string, Namesakes>();
    for (let at = 0; at < items.length; at += 1) {
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

interface Namesakes {
  readonly element: PathElement;
  readonly items: Json[];
}

/**
 * The set with the named fields above its members as members too: who owns `spec.replicas` owns `spec`. Members of
 * maps, and unknown fields, are not named and stay out.
 */
export function withNamedFields(fields: FieldSet, type: TypeSchema | undefined): FieldSet {
  return fields.map((element, member, below) => {
    const inner = type === undefined ? undefined : elementType(type, element);
    const named = !below.isEmpty && type !== undefined && namesMember(type, element.name);
    return {
      member: member || (named && element.kind === 'field'),
      below: below.isEmpty ? below : withNamedFields(below, inner),
    };
  });
}

function elementType(type: TypeSchema, element: PathElement): TypeSchema | undefined {
  switch (element.kind) {
    case 'field':
      return memberType(type, element.name);
    case 'key':
      return type.kind === 'list' || type.kind === 'untyped' ? itemType(type) : undefined;
    default:
      return undefined;
  }
}

/**
 * A set that was written while a list or map was granular, under a schema where it is atomic: who owned something
 * in it owns it as a whole. A type that became granular is treated as if it always had been.
 *
 * @returns the same set when nothing changes
 */
export function reconcileFields(fields: FieldSet, type: TypeSchema): FieldSet {
  const walk = new Reconciliation();
  walk.visit(fields, type, false);
  const whole = walk.whole.build();
  return whole.isEmpty ? fields : fields.recursiveDifference(whole).union(whole);
}

class Reconciliation {
  /** What is owned as a whole now. */
  readonly whole = new FieldSetBuilder();
  private readonly path: PathElement[] = [];

  /** @param alone whether the node is a member without members below, which is how an atomic one is owned */
  visit(fields: FieldSet, type: TypeSchema, alone: boolean): void {
    switch (formOf(type, undefined)) {
      case 'scalar':
        return;
      case 'list':
        if (!alone && isAtomicList(type)) this.whole.insert(this.path);
        else this.below(fields, () => itemType(type));
        return;
      case 'map':
        if (isDeduced(type)) return;
        if (!alone && isAtomicMap(type)) {
          if (!fields.isEmpty) this.whole.insert(this.path);
        } else {
          this.below(fields, (element) =>
            type.kind === 'struct' && element.kind !== 'field'
              ? memberType(type, '')
              : memberType(type, element.name),
          );
        }
    }
  }

  private below(fields: FieldSet, typeOf: (element: PathElement) => TypeSchema | undefined): void {
    for (const { element, member, below } of fields.entries()) {
      const inner = typeOf(element);
      if (inner === undefined) continue;
      this.path.push(element);
      this.visit(below, inner, member && below.isEmpty);
      this.path.pop();
    }
  }
}
