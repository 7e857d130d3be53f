/**
 * Path elements: one step from a value to what lies in it, as managedFields name it. `f:NAME` is a member of an
 * object, `k:{…}` the item of a list with these key fields, `v:VALUE` the member of a set, `i:N` the item of a list
 * by its place. Their order, their text in FieldsV1 and their text in messages. Knows no types and no sets.
 *
 * Modelled on structured-merge-diff's fieldpath: fields before keys before values before places; numbers compare
 * by value, whether they were written as integers or not.
 */

import { goQuote } from '@keelson/base';

import { isJsonObject, JsonFloat, type Json, type JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, WITHOUT_PAUSE, type Pace, type Sliced } from '../api/sliced.ts';

/** One of the fields that tell the items of a list apart. */
export interface KeyField {
  readonly name: string;
  readonly value: Json;
}

export type PathElementKind = 'field' | 'key' | 'value' | 'index';

/** One step. Two elements are the same when their texts are the same. */
export class PathElement {
  readonly kind: PathElementKind;
  /** The form in FieldsV1, `f:spec`; what elements are told apart by. */
  readonly text: string;
  /** Name of the member; empty for the other kinds. */
  readonly name: string;
  /** Key fields, sorted by name; empty for the other kinds. */
  readonly key: readonly KeyField[];
  /** The member of a set; null for the other kinds. */
  readonly value: Json;
  /** Place in the list, from 0; −1 for the other kinds. */
  readonly index: number;

  private constructor(
    kind: PathElementKind,
    text: string,
    name: string,
    key: readonly KeyField[],
    value: Json,
    index: number,
  ) {
    this.kind = kind;
    this.text = text;
    this.name = name;
    this.key = key;
    this.value = value;
    this.index = index;
  }

  static field(name: string): PathElement {
    return new PathElement('field', `f:${name}`, name, NO_KEY, null, -1);
  }

  static key(fields: readonly KeyField[]): PathElement {
    const sorted = fields.length < 2 ? fields : fields.toSorted((a, b) => compareText(a.name, b.name));
    let members = '';
    for (const { name, value } of sorted) {
      members += `${members === '' ? '' : ','}${canonicalJson(name)}:${canonicalJson(value)}`;
    }
    return new PathElement('key', `k:{${members}}`, '', sorted, null, -1);
  }

  static value(value: Json): PathElement {
    return new PathElement('value', `v:${canonicalJson(value)}`, '', NO_KEY, value, -1);
  }

  static index(index: number): PathElement {
    return new PathElement('index', `i:${index}`, '', NO_KEY, null, index);
  }
}

const NO_KEY: readonly KeyField[] = [];

export type FieldPath = readonly PathElement[];

/** A text that stands for no path element; the message is what the decoding of managedFields says of it. */
export class FieldPathError extends Error {
  override readonly name = 'FieldPathError';
}

/**
 * Reads an element's form in FieldsV1; undefined for a kind that a later version may know, which is passed over.
 *
 * @throws FieldPathError for what is no element at all
 */
export function parsePathElement(text: string): PathElement | undefined {
  if (text.length < 2) throw new FieldPathError('key must be 2 characters long:');
  if (text[1] !== ':') throw new FieldPathError(`missing colon: ${text}`);
  const rest = text.slice(2);
  switch (text[0]) {
    case 'f':
      return PathElement.field(rest);
    case 'v':
      return PathElement.value(parseJson(rest));
    case 'i': {
      if (!/^[+-]?\d+$/.test(rest))
        throw new FieldPathError(`strconv.Atoi: parsing ${goQuote(rest)}: invalid syntax`);
      return PathElement.index(Number(rest));
    }
    case 'k': {
      const key = parseJson(rest);
      if (!isJsonObject(key)) throw new FieldPathError(`key is not an object: ${rest}`);
      return PathElement.key(Object.entries(key).map(([name, value]) => ({ name, value })));
    }
    default:
      return undefined;
  }
}

function parseJson(text: string): Json {
  try {
    return readPlainJson(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new FieldPathError(error.message, { cause: error });
  }
}

/**
 * JSON text as a value, integers beyond 2^53 whole. For text that a server or kubectl wrote into an object; bodies
 * of requests are read by codec/.
 *
 * @throws SyntaxError
 */
export function readPlainJson(text: string): Json {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the library's types do not know the context yet
  return JSON.parse(text, wholeIntegers as (name: string, value: unknown) => unknown) as Json;
}

function wholeIntegers(_name: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || context.source === undefined) return value;
  return /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}

const RANKS: Readonly<Record<PathElementKind, number>> = { field: 0, key: 1, value: 2, index: 3 };

/** The order in which Kubernetes writes elements. */
export function comparePathElements(a: PathElement, b: PathElement): number {
  if (a.kind !== b.kind) return RANKS[a.kind] - RANKS[b.kind];
  switch (a.kind) {
    case 'field':
      return compareText(a.name, b.name);
    case 'key':
      return compareKeys(a.key, b.key);
    case 'value':
      return compareJson(a.value, b.value);
    case 'index':
      return a.index - b.index;
  }
}

function compareKeys(a: readonly KeyField[], b: readonly KeyField[]): number {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at += 1) {
    const order = compareText(a[at].name, b[at].name) || compareJson(a[at].value, b[at].value);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Order of texts by their UTF-8 bytes, as Go compares strings. */
export function compareText(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at += 1) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left !== right) return byteRank(left) - byteRank(right);
  }
  return a.length - b.length;
}

/** A surrogate stands for a character above all others, although its code unit is not the greatest. */
function byteRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** Total order of values: numbers, strings, booleans, lists, objects, null. */
export function compareJson(a: Json, b: Json): number {
  const rank = jsonRank(a) - jsonRank(b);
  if (rank !== 0) return rank;
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if (Array.isArray(a) && Array.isArray(b)) return compareLists(a, b);
  if (isJsonObject(a) && isJsonObject(b)) return compareObjects(a, b);
  if (a === null || b === null) return 0;
  return compareNumbers(a, b);
}

function jsonRank(value: Json): number {
  if (value === null) return 5;
  switch (typeof value) {
    case 'string':
      return 1;
    case 'boolean':
      return 2;
    case 'object':
      if (value instanceof JsonFloat) return 0;
      return Array.isArray(value) ? 3 : 4;
    default:
      return 0;
  }
}

function compareNumbers(a: Json, b: Json): number {
  const left = a instanceof JsonFloat ? a.value : a;
  const right = b instanceof JsonFloat ? b.value : b;
  if (typeof left === 'bigint' && typeof right === 'bigint') return left < right ? -1 : left > right ? 1 : 0;
  const x = Number(left);
  const y = Number(right);
  return x < y ? -1 : x > y ? 1 : 0;
}

function compareLists(a: readonly Json[], b: readonly Json[]): number {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at += 1) {
    const order = compareJson(a[at], b[at]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareObjects(a: JsonObject, b: JsonObject): number {
  const left = Object.keys(a).toSorted(compareText);
  const right = Object.keys(b).toSorted(compareText);
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at += 1) {
    const order = compareText(left[at], right[at]) || compareJson(a[left[at]], b[right[at]]);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** Whether two values are the same: members in any order, numbers by value. */
export function equalJson(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (jsonRank(a) !== jsonRank(b)) return false;
  if (Array.isArray(a) && Array.isArray(b)) {
    if (a.length !== b.length) return false;
    for (let at = 0; at < a.length; at += 1) if (!equalJson(a[at], b[at])) return false;
    return true;
  }
  if (isJsonObject(a) && isJsonObject(b)) {
    const names = Object.keys(a);
    if (names.length !== Object.keys(b).length) return false;
    for (const name of names) if (!Object.hasOwn(b, name) || !equalJson(a[name], b[name])) return false;
    return true;
  }
  return typeof a !== 'string' && compareJson(a, b) === 0;
}

/** equalJson(), which can be put down. */
export function* equalJsonInSlices(a: Json, b: Json, pace: Pace): Sliced<boolean> {
  if (a === b) return true;
  if (pace === WITHOUT_PAUSE || jsonRank(a) !== jsonRank(b)) return equalJson(a, b);
  if (Array.isArray(a) && Array.isArray(b)) {
    if (a.length !== b.length) return false;
    for (let at = 0; at < a.length; at += 1) {
      if (at % LOOK_EVERY === 0 && pace.due()) yield;
      if (!(yield* equalJsonInSlices(a[at], b[at], pace))) return false;
    }
    return true;
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return equalJson(a, b);
  const names = namesOf(a);
  if (names.length !== namesOf(b).length) return false;
  for (let at = 0; at < names.length; at += 1) {
    if (at % LOOK_EVERY === 0 && pace.due()) yield;
    const name = names[at];
    if (!Object.hasOwn(b, name) || !(yield* equalJsonInSlices(a[name], b[name], pace))) return false;
  }
  return true;
}

const ESCAPED = /[<>&\u2028\u2029]/g;
/** Stands in JSON as it is. */
const BARE = /^[\x20\x21\x23-\x25\x27-\x3b\x3d\x3f-\x5b\x5d-\x7e]*$/;

/** JSON as Go writes a map: members sorted, no space, what HTML could misread escaped. */
export function canonicalJson(value: Json): string {
  if (value === null) return 'null';
  switch (typeof value) {
    case 'string':
      if (BARE.test(value)) return `"${value}"`;
      return JSON.stringify(value).replace(
        ESCAPED,
        (char) => String.raw`\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
      );
    case 'object': {
      if (value instanceof JsonFloat) return String(value.value);
      if (Array.isArray(value)) return `[${value.map((item: Json) => canonicalJson(item)).join(',')}]`;
      if (!isJsonObject(value)) return 'null';
      const names = Object.keys(value).toSorted(compareText);
      return `{${names.map((name) => `${canonicalJson(name)}:${canonicalJson(value[name])}`).join(',')}}`;
    }
    default:
      return String(value);
  }
}

/** A path as messages show it: `.spec.ports[port=80,protocol="TCP"].name`. */
export function pathText(path: FieldPath): string {
  let text = '';
  for (const element of path) text += elementText(element);
  return text;
}

export function elementText(element: PathElement): string {
  switch (element.kind) {
    case 'field':
      return `.${element.name}`;
    case 'key':
      return `[${element.key.map(({ name, value }) => `${name}=${valueText(value)}`).join(',')}]`;
    case 'value':
      return `[=${valueText(element.value)}]`;
    case 'index':
      return `[${element.index}]`;
  }
}

function valueText(value: Json): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return goQuote(value);
  if (typeof value === 'number') return floatText(value);
  if (value instanceof JsonFloat) return floatText(value.value);
  if (Array.isArray(value)) return `[${value.map((item: Json) => valueText(item)).join(',')}]`;
  if (isJsonObject(value)) {
    const members = Object.entries(value).map(([name, member]) => `${name}=${valueText(member)}`);
    return members.join('');
  }
  return canonicalJson(value);
}

/** A number as Go's %v prints it: below 1e-4 with an exponent of two digits. */
export function floatText(value: number): string {
  if (value === 0 || Math.abs(value) >= 1e-4 || !Number.isFinite(value)) return String(value);
  return value.toExponential().replace(/e-(\d)$/, 'e-0$1');
}
