/**
 * From typed values to sets of fields: which fields an object states, and how a set that was written under an older
 * schema reads under this one. What differs between two objects is told by typed-merge-compare.ts.
 *
 * Modelled on structured-merge-diff's typed package: leaves are scalars, atomic lists and maps, items of sets and
 * of lists with keys, members of maps; an empty object and an explicit null are leaves as well.
 */

import { isJsonObject, type Json } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import type { TypeSchema } from '../schema/type-schema.ts';
import { PathElement } from './field-path.ts';
import { FieldSet, FieldSetBuilder, type FieldNode } from './field-set.ts';
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
} from './typed-merge-schema.ts';

/** Every leaf the value states, and every item and map member. The value has been validated. */
export function fieldsOf(value: Json, type: TypeSchema): FieldSet {
  const walk = new Statement();
  walk.visit(value, type);
  return walk.found.build();
}

/** The same, which can be put down. */
export function* fieldsOfInSlices(value: Json, type: TypeSchema, pace: Pace): Sliced<FieldSet> {
  if (pace === WITHOUT_PAUSE) return fieldsOf(value, type);
  const walk = new Statement();
  yield* walk.slicedVisit(value, type, pace);
  return yield* walk.found.buildInSlices(pace);
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
      if (isNothing(member) || !namesMember(type, name)) this.found.insert(this.path);
      this.path.pop();
    }
  }

  *slicedVisit(value: Json, type: TypeSchema, pace: Pace): Sliced<undefined> {
    const form = formOf(type, value);
    if (form === 'map' && !isAtomicMap(type)) yield* this.slicedMembers(value, type, pace);
    else if (form === 'list' && !isAtomicList(type)) yield* this.slicedItems(asList(value) ?? [], type, pace);
    else this.visit(value, type);
  }

  private *slicedMembers(value: Json, type: TypeSchema, pace: Pace): Sliced<undefined> {
    const members = asMap(value);
    if (members === undefined) return;
    const names = namesOf(members);
    for (let at = 0; at < names.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      const name = names[at];
      const member = members[name];
      this.path.push(PathElement.field(name));
      const inner = memberType(type, name);
      if (inner !== undefined) yield* this.slicedVisit(member, inner, pace);
      if (isNothing(member) || !namesMember(type, name)) this.found.insert(this.path);
      this.path.pop();
    }
  }

  private *slicedItems(items: readonly Json[], type: TypeSchema, pace: Pace): Sliced<undefined> {
    const elements: (PathElement | string)[] = [];
    const seen = new Set<string>();
    const twice = new Set<string>();
    for (let at = 0; at < items.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      const element = itemElement(type, items[at]);
      elements.push(element);
      if (typeof element === 'string') continue;
      if (seen.has(element.text)) twice.add(element.text);
      seen.add(element.text);
    }
    const inner = itemType(type);
    for (let at = 0; at < items.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      const element = elements[at];
      if (typeof element === 'string') continue;
      this.path.push(element);
      if (!twice.has(element.text)) yield* this.slicedVisit(items[at], inner, pace);
      this.found.insert(this.path);
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

function isNothing(member: Json): boolean {
  return member === null || (isJsonObject(member) && isEmptyMap(member));
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

/** The same, which can be put down. */
export function* withNamedFieldsInSlices(
  fields: FieldSet,
  type: TypeSchema | undefined,
  pace: Pace,
): Sliced<FieldSet> {
  if (pace === WITHOUT_PAUSE) return withNamedFields(fields, type);
  const nodes = new Map<string, FieldNode>();
  let changed = false;
  let at = 0;
  for (const [text, node] of fields.nodes) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    at += 1;
    const { element, member, below } = node;
    if (below.isEmpty) {
      nodes.set(text, node);
      continue;
    }
    const inner = type === undefined ? undefined : elementType(type, element);
    const named = element.kind === 'field' && type !== undefined && namesMember(type, element.name);
    const inside = yield* withNamedFieldsInSlices(below, inner, pace);
    if (inside === below && (member || !named)) {
      nodes.set(text, node);
      continue;
    }
    changed = true;
    nodes.set(text, { element, member: member || named, below: inside });
  }
  return changed ? FieldSet.fromNodes(nodes) : fields;
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

/** The same, which can be put down. */
export function* reconcileFieldsInSlices(fields: FieldSet, type: TypeSchema, pace: Pace): Sliced<FieldSet> {
  // That something is owned as a whole now is rare: a schema has changed.
  if (pace !== WITHOUT_PAUSE && !(yield* ownsWhole(fields, type, false, pace))) return fields;
  return reconcileFields(fields, type);
}

/** Whether anything is owned as a whole now. @param alone as Reconciliation has it */
function* ownsWhole(fields: FieldSet, type: TypeSchema, alone: boolean, pace: Pace): Sliced<boolean> {
  const inside = insideOf(fields, type, alone);
  if (inside === undefined) return false;
  if (inside === WHOLE) return true;
  let at = 0;
  for (const { element, below } of fields.nodes.values()) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    at += 1;
    // With nothing below it, it was owned as a whole before.
    if (below.isEmpty) continue;
    const inner = inside(element);
    if (inner !== undefined && (yield* ownsWhole(below, inner, false, pace))) return true;
  }
  return false;
}

/** It is owned as a whole. */
const WHOLE = Symbol('whole');

/** How the types below a node are found; undefined where nobody looks. @param alone as Reconciliation has it */
function insideOf(
  fields: FieldSet,
  type: TypeSchema,
  alone: boolean,
): ((element: PathElement) => TypeSchema | undefined) | typeof WHOLE | undefined {
  switch (formOf(type, undefined)) {
    case 'scalar':
      return undefined;
    case 'list':
      return !alone && isAtomicList(type) ? WHOLE : () => itemType(type);
    case 'map':
      if (isDeduced(type)) return undefined;
      if (!alone && isAtomicMap(type)) return fields.isEmpty ? undefined : WHOLE;
      return (element) =>
        type.kind === 'struct' && element.kind !== 'field'
          ? memberType(type, '')
          : memberType(type, element.name);
  }
}

class Reconciliation {
  /** What is owned as a whole now. */
  readonly whole = new FieldSetBuilder();
  private readonly path: PathElement[] = [];

  /** @param alone whether the node is a member without members below, which is how an atomic one is owned */
  visit(fields: FieldSet, type: TypeSchema, alone: boolean): void {
    const inside = insideOf(fields, type, alone);
    if (inside === WHOLE) this.whole.insert(this.path);
    else if (inside !== undefined) this.below(fields, inside);
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
