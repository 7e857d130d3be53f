/**
 * JSON as values of expressions, made when they are asked for: with a declaration, typed as it says (times, bytes,
 * numbers that are doubles, lists that are sets or maps); without one, as they are.
 *
 * Modelled on apiserver pkg/cel/common/values.go.
 */

import { isJsonObject, JsonFloat, type Json, type JsonArray, type JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import type { Sliced } from '../api/sliced.ts';
import { fieldNamed, type Declaration, type FieldDeclaration } from './declarations.ts';
import { escapeFieldName } from './field-names.ts';
import { parseDuration, parseTimestamp } from './times.ts';
import { type CelType } from './types.ts';
import {
  ArrayList,
  CelError,
  CelList,
  CelMap,
  CelObject,
  Duration,
  Timestamp,
  type Comparison,
  type MapKey,
  type Result,
  type Value,
} from './values.ts';

/** A value of data that is not as its schema says; it shows where it is used. */
class BrokenValue extends CelObject {
  override readonly type: CelType;
  private readonly error: CelError;

  constructor(type: CelType, error: CelError) {
    super();
    this.type = type;
    this.error = error;
  }

  override field(): CelError {
    return this.error;
  }

  override has(): CelError {
    return this.error;
  }

  override names(): readonly string[] {
    return [];
  }
}

class JsonMap extends CelMap {
  private readonly object: JsonObject;
  private readonly convert: (value: Json) => Value;
  private names: readonly string[] | undefined = undefined;

  constructor(object: JsonObject, convert: (value: Json) => Value) {
    super();
    this.object = object;
    this.convert = convert;
  }

  override get size(): number {
    this.names ??= namesOf(this.object);
    return this.names.length;
  }

  override get(key: Value): Value | undefined {
    return typeof key === 'string' && Object.hasOwn(this.object, key)
      ? this.convert(this.object[key])
      : undefined;
  }

  override keys(): Iterable<MapKey> {
    this.names ??= namesOf(this.object);
    return this.names;
  }
}

class JsonList extends CelList {
  private readonly array: JsonArray;
  private readonly convert: (value: Json) => Value;

  constructor(array: JsonArray, convert: (value: Json) => Value) {
    super();
    this.array = array;
    this.convert = convert;
  }

  override get size(): number {
    return this.array.length;
  }

  override at(index: number): Value {
    return this.convert(this.array[index]);
  }
}

/** What a scalar is found by among values of one schema; undefined for what is none. */
function scalarKey(value: Value | undefined): string | undefined {
  switch (typeof value) {
    case 'string':
      return `s${value}`;
    case 'bigint':
    case 'boolean':
    case 'number':
      return `n${value}`;
    default:
  }
  if (value === undefined || value === null) return 'none';
  if (value instanceof Timestamp || value instanceof Duration) return `t${value.nanos}`;
  return value instanceof Uint8Array ? `b${value.join()}` : undefined;
}

/** A list of a schema's that is more than a list: its elements are another one's, what it is like is its own. */
abstract class DeclaredList extends CelList {
  private readonly inner: CelList;

  constructor(inner: CelList) {
    super();
    this.inner = inner;
  }

  override get size(): number {
    return this.inner.size;
  }

  override at(index: number): Value {
    return this.inner.at(index);
  }
}

/** A list whose order does not matter and which has each element once: x-kubernetes-list-type set. */
class SetList extends DeclaredList {
  /** By their keys; an element of a set is a scalar, and one that is none makes the lists unlike. */
  override *sameAs(other: CelList, comparison: Comparison): Sliced<boolean> {
    const keys = new Set<string | undefined>();
    for (const value of this) {
      if (comparison.due()) yield;
      keys.add(scalarKey(value));
    }
    for (const value of other) {
      if (comparison.due()) yield;
      const key = scalarKey(value);
      if (key === undefined || !keys.has(key)) return false;
    }
    return true;
  }

  override joined(other: CelList): CelList {
    const values = this.toArray();
    const keys = new Set(values.map(scalarKey));
    for (const value of other) {
      const key = scalarKey(value);
      if (key !== undefined && keys.has(key)) continue;
      keys.add(key);
      values.push(value);
    }
    return new SetList(new ArrayList(values));
  }
}

/** A list whose elements are told apart by some of their fields: x-kubernetes-list-type map. */
class KeyedList extends DeclaredList {
  /** As expressions name them. */
  private readonly keys: readonly string[];

  constructor(inner: CelList, keys: readonly string[]) {
    super(inner);
    this.keys = keys;
  }

  private keyOf(value: Value): string {
    if (!(value instanceof CelObject)) return 'none';
    return JSON.stringify(this.keys.map((key) => scalarKey(keyField(value, key)) ?? ''));
  }

  override *sameAs(other: CelList, comparison: Comparison): Sliced<boolean> {
    const mine = new Map<string, Value>();
    for (const value of this) {
      if (comparison.due()) yield;
      mine.set(this.keyOf(value), value);
    }
    for (const value of other) {
      if (comparison.due()) yield;
      const found = mine.get(this.keyOf(value));
      if (found === undefined || !(yield* comparison.equal(found, value))) return false;
    }
    return true;
  }

  override joined(other: CelList): CelList {
    const values = this.toArray();
    const places = new Map(values.map((value, i) => [this.keyOf(value), i]));
    for (const value of other) {
      const key = this.keyOf(value);
      const at = places.get(key);
      if (at === undefined) places.set(key, values.push(value) - 1);
      else values[at] = value;
    }
    return new KeyedList(new ArrayList(values), this.keys);
  }
}

function keyField(object: CelObject, key: string): Value | undefined {
  const value = object.has(key) === true ? object.field(key) : undefined;
  return value instanceof CelError ? undefined : value;
}

class JsonStruct extends CelObject {
  override readonly type: CelType;
  private readonly object: JsonObject;
  private readonly fields: ReadonlyMap<string, FieldDeclaration>;

  constructor(type: CelType, object: JsonObject, fields: ReadonlyMap<string, FieldDeclaration>) {
    super();
    this.type = type;
    this.object = object;
    this.fields = fields;
  }

  override field(name: string): Result {
    const field = fieldNamed(this.fields, name);
    if (field === undefined || !this.isSet(field)) return new CelError(`no such key: ${name}`);
    return typedResult(this.object[field.name], field.declaration);
  }

  override has(name: string): boolean | CelError {
    const field = fieldNamed(this.fields, name);
    return field !== undefined && this.isSet(field);
  }

  /** A member that is null is as good as none, be null allowed or not. */
  private isSet({ name }: FieldDeclaration): boolean {
    return Object.hasOwn(this.object, name) && this.object[name] !== null;
  }

  override names(): readonly string[] {
    return [...this.fields].filter(([, field]) => this.isSet(field)).map(([escaped]) => escaped);
  }
}

const goType = (json: Json): string =>
  typeof json === 'string'
    ? 'string'
    : typeof json === 'boolean'
      ? 'bool'
      : Array.isArray(json)
        ? '[]interface {}'
        : isJsonObject(json)
          ? 'map[string]interface {}'
          : Number.isInteger(json) || typeof json === 'bigint'
            ? 'int64'
            : 'float64';

function numberOf(json: Json): number | undefined {
  if (json instanceof JsonFloat) return json.value;
  return typeof json === 'number' || typeof json === 'bigint' ? Number(json) : undefined;
}

function wholeOf(json: Json): bigint | undefined {
  if (typeof json === 'bigint') return json;
  return typeof json === 'number' && Number.isInteger(json) ? BigInt(json) : undefined;
}

function scalarResult(json: Json, type: CelType): Result {
  switch (type.kind) {
    case 'bool':
      return typeof json === 'boolean'
        ? json
        : new CelError(`invalid data, expected bool, got ${goType(json)}`);
    case 'int':
      return wholeOf(json) ?? new CelError(`invalid data, expected int, got ${goType(json)}`);
    case 'uint':
      return wholeOf(json) ?? new CelError(`invalid data, expected uint, got ${goType(json)}`);
    case 'double':
      return numberOf(json) ?? new CelError(`invalid data, expected float, got ${goType(json)}`);
    default:
  }
  if (typeof json !== 'string') return new CelError(`invalid data, expected string, got ${goType(json)}`);
  if (type.kind === 'bytes') {
    const binary = base64(json);
    return binary ?? new CelError(`Invalid byte formatted string ${json}: illegal base64 data`);
  }
  if (type.kind === 'duration') {
    const duration = parseDuration(json);
    return duration === undefined || duration instanceof CelError
      ? new CelError(`Invalid duration ${json}: unable to parse ${json} as duration`)
      : duration;
  }
  return json;
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function base64(text: string): Uint8Array | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined;
  const digits = text.replace(/=+$/, '');
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let buffer = 0;
  let bits = 0;
  let at = 0;
  for (const digit of digits) {
    buffer = ((buffer << 6) | BASE64.indexOf(digit)) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (buffer >> bits) & 255;
    }
  }
  return bytes;
}

/** A value of data, or that the data is not as declared. */
export function typedResult(json: Json, declaration: Declaration): Result {
  const { shape, type } = declaration;
  if (json === null && shape.kind !== 'untyped') {
    return declaration.nullable
      ? null
      : new CelError('invalid data, got null for schema with nullable=false');
  }
  switch (shape.kind) {
    case 'untyped':
      return untypedValue(json);
    case 'scalar':
      return scalarResult(json, type);
    case 'intOrString':
      if (typeof json === 'string') return json;
      return (
        wholeOf(json) ??
        new CelError('invalid data, expected XIntOrString value to be either a string or integer')
      );
    case 'time': {
      if (typeof json !== 'string') return new CelError(`invalid data, expected string, got ${goType(json)}`);
      const time = parseTimestamp(shape.format === 'date' ? `${json}T00:00:00Z` : json);
      return time === undefined || time instanceof CelError
        ? new CelError(`Invalid ${shape.format} formatted string ${json}`)
        : time;
    }
    case 'list': {
      if (!Array.isArray(json)) {
        return new CelError('invalid data, expected an array for the provided schema with type=array');
      }
      const list = new JsonList(json, (element) => typedValue(element, shape.element));
      if (shape.listType === 'set') return new SetList(list);
      return shape.listType === 'map'
        ? new KeyedList(
            list,
            shape.keys.map((key) => escapeFieldName(key) ?? key),
          )
        : list;
    }
    case 'map':
      return isJsonObject(json)
        ? new JsonMap(json, (value) => typedValue(value, shape.value))
        : new CelError('invalid data, expected a map for the provided schema with type=object');
    case 'object':
      return isJsonObject(json)
        ? new JsonStruct(type, json, shape.fields)
        : new CelError('invalid data, expected a map for the provided schema with type=object');
  }
}

/** An element of a list or map: what is not as declared shows when something is asked of it. */
function typedValue(json: Json, declaration: Declaration): Value {
  const result = typedResult(json, declaration);
  return result instanceof CelError ? new BrokenValue(declaration.type, result) : result;
}

/** JSON without a declaration: whole numbers are ints, others doubles, objects maps. */
export function untypedValue(json: Json): Value {
  if (json === null || typeof json === 'boolean' || typeof json === 'string' || typeof json === 'bigint')
    return json;
  if (typeof json === 'number') return Number.isInteger(json) ? BigInt(json) : json;
  if (json instanceof JsonFloat) return json.value;
  return isJsonObject(json) ? new JsonMap(json, untypedValue) : new JsonList(json, untypedValue);
}
