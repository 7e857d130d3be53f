/**
 * Whether a value is one of its type, as merging needs it: forms and scalars fit, no field is unknown, items of
 * lists with keys can be told apart. Says nothing of what a kind allows in its fields.
 *
 * Messages are structured-merge-diff's, which reach people through failed applies; they show values as Go prints
 * the box it keeps them in.
 */

import { goQuote } from '@keelson/base';

import { isJsonObject, JsonFloat, type Json, type JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';
import type { TypeSchema } from '../schema/type-schema.ts';
import { canonicalJson, compareText, elementText, floatText, PathElement, pathText } from './field-path.ts';
import {
  fitsScalar,
  formOf,
  isAtomicList,
  itemElement,
  itemType,
  memberType,
  scalarClass,
} from './typed-merge-schema.ts';

/** One thing that does not fit. */
export interface TypedProblem {
  /** `.spec.ports[0]`; empty for the object itself. */
  readonly path: string;
  readonly message: string;
}

/** A value that is none of its type. */
export class TypedMergeError extends Error {
  override readonly name = 'TypedMergeError';
  readonly problems: readonly TypedProblem[];

  constructor(problems: readonly TypedProblem[]) {
    super(describeProblems(problems));
    this.problems = problems;
  }
}

function describeProblems(problems: readonly TypedProblem[]): string {
  const lines = problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
  return lines.length === 1 ? lines[0] : ['errors:', ...lines.map((line) => `  ${line}`)].join('\n');
}

/**
 * @param allowDuplicates for objects that are stored already: an update may bring duplicates in, an apply may not
 * @throws TypedMergeError
 */
export function validateTyped(value: Json, type: TypeSchema, allowDuplicates: boolean): void {
  const walk = new Validation(allowDuplicates);
  walk.visit(value, type);
  if (walk.problems.length > 0) throw new TypedMergeError(walk.problems);
}

/** The same, which can be put down. */
export function* validateTypedInSlices(
  value: Json,
  type: TypeSchema,
  allowDuplicates: boolean,
  pace: Pace,
): Sliced<undefined> {
  const walk = new Validation(allowDuplicates);
  if (pace === WITHOUT_PAUSE) walk.visit(value, type);
  else yield* walk.slicedVisit(value, type, pace);
  if (walk.problems.length > 0) throw new TypedMergeError(walk.problems);
}

class Validation {
  readonly problems: TypedProblem[] = [];
  private readonly path: PathElement[] = [];
  private readonly allowDuplicates: boolean;

  constructor(allowDuplicates: boolean) {
    this.allowDuplicates = allowDuplicates;
  }

  visit(value: Json, type: TypeSchema): void {
    switch (formOf(type, value)) {
      case 'map':
        if (isJsonObject(value)) this.members(value, type);
        else if (value !== null) this.tell(`expected map, got ${boxed(value)}`);
        break;
      case 'list':
        if (Array.isArray(value)) this.items(value, type);
        else if (value !== null) this.tell(`expected list, got ${boxed(value)}`);
        break;
      case 'scalar': {
        const problem = scalarProblem(value, type, '');
        if (problem !== undefined) this.tell(problem);
      }
    }
  }

  private members(value: JsonObject, type: TypeSchema): void {
    for (const name of Object.keys(value)) {
      const inner = memberType(type, name);
      this.path.push(PathElement.field(name));
      if (inner === undefined) {
        this.tell('field not declared in schema');
        this.path.pop();
        return;
      }
      this.visit(value[name], inner);
      this.path.pop();
    }
  }

  private items(items: readonly Json[], type: TypeSchema): void {
    const inner = itemType(type);
    const seen = new Set<string>();
    for (let index = 0; index < items.length; index += 1) {
      const element = this.element(items, index, type, seen);
      if (element === undefined) return;
      this.path.push(element);
      this.visit(items[index], inner);
      this.path.pop();
    }
  }

  *slicedVisit(value: Json, type: TypeSchema, pace: Pace): Sliced<undefined> {
    // Nothing can be wrong where anything may stand.
    if (type.kind === 'untyped') return;
    const form = formOf(type, value);
    if (form === 'map' && isJsonObject(value)) yield* this.slicedMembers(value, type, pace);
    else if (form === 'list' && Array.isArray(value)) yield* this.slicedItems(value, type, pace);
    else this.visit(value, type);
  }

  private *slicedMembers(value: JsonObject, type: TypeSchema, pace: Pace): Sliced<undefined> {
    const names = namesOf(value);
    for (let at = 0; at < names.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      const name = names[at];
      const inner = memberType(type, name);
      this.path.push(PathElement.field(name));
      if (inner === undefined) {
        this.tell('field not declared in schema');
        this.path.pop();
        return;
      }
      yield* this.slicedVisit(value[name], inner, pace);
      this.path.pop();
    }
  }

  private *slicedItems(items: readonly Json[], type: TypeSchema, pace: Pace): Sliced<undefined> {
    const inner = itemType(type);
    const seen = new Set<string>();
    for (let index = 0; index < items.length; index += 1) {
      if (index % LOOK_EVERY === 0 && pace.due()) yield;
      const element = this.element(items, index, type, seen);
      if (element === undefined) return;
      this.path.push(element);
      yield* this.slicedVisit(items[index], inner, pace);
      this.path.pop();
    }
  }

  /** What an item is called; undefined, and told, where it has no name. */
  private element(
    items: readonly Json[],
    index: number,
    type: TypeSchema,
    seen: Set<string>,
  ): PathElement | undefined {
    if (isAtomicList(type)) return PathElement.index(index);
    const element = itemElement(type, items[index]);
    if (typeof element === 'string') {
      this.tell(`element ${index}: ${element}`);
      return undefined;
    }
    if (seen.has(element.text) && !this.allowDuplicates)
      this.tell(`duplicate entries for key ${elementText(element)}`);
    seen.add(element.text);
    return element;
  }

  private tell(message: string): void {
    this.problems.push({ path: pathText(this.path), message });
  }
}

/** What is wrong with a scalar of this type, prefixed by the side it stands on; undefined when it fits. */
export function scalarProblem(value: Json | undefined, type: TypeSchema, side: string): string | undefined {
  const kind = scalarClass(type);
  if (value === undefined || fitsScalar(kind, value)) return undefined;
  switch (kind) {
    case 'numeric':
      return `${side}expected numeric (int or float), got ${goType(value)}`;
    case 'string':
      return `${side}expected string, got &value.valueUnstructured{Value:${goSyntax(value)}}`;
    case 'boolean':
      return `${side}expected boolean, got ${boxed(value)}`;
    case 'untyped':
      return `${side}expected any scalar, got ${boxed(value)}`;
  }
}

function boxed(value: Json): string {
  return `&{${goPrint(value)}}`;
}

/** Go's %v of a value of unstructured content. */
function goPrint(value: Json): string {
  if (value === null) return '<nil>';
  if (typeof value === 'number') return floatText(value);
  if (value instanceof JsonFloat) return floatText(value.value);
  if (Array.isArray(value)) return `[${value.map((item: Json) => goPrint(item)).join(' ')}]`;
  if (isJsonObject(value)) {
    const names = Object.keys(value).toSorted(compareText);
    return `map[${names.map((name) => `${name}:${goPrint(value[name])}`).join(' ')}]`;
  }
  return typeof value === 'string' ? value : canonicalJson(value);
}

/** Go's %#v. */
function goSyntax(value: Json): string {
  if (value === null) return 'interface {}(nil)';
  if (typeof value === 'string') return goQuote(value);
  if (Array.isArray(value)) return `[]interface {}{${value.map((item: Json) => goSyntax(item)).join(', ')}}`;
  if (isJsonObject(value)) {
    const names = Object.keys(value).toSorted(compareText);
    return `map[string]interface {}{${names.map((name) => `${goQuote(name)}:${goSyntax(value[name])}`).join(', ')}}`;
  }
  return goPrint(value);
}

/** Go's %T. */
function goType(value: Json): string {
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (Array.isArray(value)) return '[]interface {}';
  return isJsonObject(value) ? 'map[string]interface {}' : '<nil>';
}
