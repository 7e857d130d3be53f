/**
 * What merging asks of a type: which forms a value of it may have, what lies under a name, what an item of a list
 * is called. Answers for built-in kinds and for custom resources alike, from the same TypeSchema.
 *
 * Modelled on structured-merge-diff's schema and on how kube-openapi derives it from OpenAPI, where a list without
 * a mark is atomic, an unmarked map or struct is merged member by member, and a value without a type is deduced:
 * objects merged member by member, lists as a whole.
 */

import { goQuote } from '@keelson/base';

import { isJsonObject, JsonFloat, type Json, type JsonObject } from '../api/json.ts';
import { isEmptyObject } from '../api/member-names.ts';
import type {
  FieldSchema,
  ListSchema,
  ScalarName,
  StructSchema,
  TypeSchema,
  UntypedSchema,
} from '../schema/type-schema.ts';
import { PathElement, type KeyField } from './field-path.ts';

/** The forms of a value. `any`: a type without form, for a value (null) that does not tell. */
export type Form = 'map' | 'list' | 'scalar';

/** The classes of scalars that are told apart; `untyped` takes each. */
export type ScalarClass = 'numeric' | 'string' | 'boolean' | 'untyped';

/** Any value; its objects are merged member by member. What an unknown field of a custom resource has. */
export const DEDUCED: UntypedSchema = { kind: 'untyped', form: 'none' };

/** Any value, owned and replaced as a whole. */
const OPAQUE: UntypedSchema = { kind: 'untyped', form: 'raw' };

/** A field that is merged member by member although its type is atomic everywhere else. */
const GRANULAR = { struct: 'core.v1.PersistentVolumeSpec', field: 'claimRef' } as const;

/** Structs whose fields of any JSON are deduced; those of the others hold foreign objects and are opaque. */
const DEDUCED_IN = /^apiextensions\.[a-z0-9]+\.JSONSchemaProps$/;

/**
 * The form in which a value of this type is treated. A type with one form is treated in it whatever the value is:
 * a list where a struct belongs is told by validation and is no struct when merging.
 */
export function formOf(type: TypeSchema, value: Json | undefined): Form {
  switch (type.kind) {
    case 'scalar':
      return 'scalar';
    case 'list':
      return 'list';
    case 'map':
    case 'struct':
      return 'map';
    case 'untyped':
      if (value === undefined || value === null || isJsonObject(value)) return 'map';
      return Array.isArray(value) ? 'list' : 'scalar';
  }
}

/** Whether the two values of one type are known to have the same form; null of an untyped value has every form. */
export function sameForm(type: TypeSchema, a: Json, b: Json): boolean {
  if (type.kind !== 'untyped') return true;
  if (a === null || b === null) return a === b;
  return formOf(type, a) === formOf(type, b);
}

export function isAtomicMap(type: TypeSchema): boolean {
  switch (type.kind) {
    case 'map':
    case 'struct':
      return type.atomic;
    case 'untyped':
      return type.form === 'raw';
    default:
      return false;
  }
}

export function isAtomicList(type: TypeSchema): boolean {
  return type.kind !== 'list' || type.listType === 'atomic';
}

/** Whether the type names this member; the members of a map, and unknown ones, are not named. */
export function namesMember(type: TypeSchema, name: string): boolean {
  return type.kind === 'struct' && type.fields.has(name);
}

/** The type of what lies under a name; undefined when the type has no such member. */
export function memberType(type: TypeSchema, name: string): TypeSchema | undefined {
  switch (type.kind) {
    case 'map':
      return type.value;
    case 'untyped':
      return type.form === 'raw' ? OPAQUE : DEDUCED;
    case 'struct': {
      const field = type.fields.get(name);
      if (field !== undefined) return fieldType(type, field);
      return type.keepsUnknown || type.fields.size === 0 ? DEDUCED : undefined;
    }
    default:
      return undefined;
  }
}

function fieldType(struct: StructSchema, field: FieldSchema): TypeSchema {
  const { type } = field;
  if (type.kind === 'struct')
    return struct.name === GRANULAR.struct && field.name === GRANULAR.field ? granular(type) : type;
  const raw = type.kind === 'untyped' ? type : type.kind === 'list' ? type.element : undefined;
  if (raw?.kind !== 'untyped') return type;
  if (raw.form !== 'raw') return type.kind === 'untyped' ? DEDUCED : type;
  return type.kind === 'untyped' && DEDUCED_IN.test(struct.name) ? DEDUCED : type;
}

function granular(type: StructSchema): StructSchema {
  return {
    kind: 'struct',
    name: type.name,
    fields: type.fields,
    own: type.own,
    inlined: type.inlined,
    atomic: false,
    keepsUnknown: type.keepsUnknown,
  };
}

export function itemType(type: TypeSchema): TypeSchema {
  return type.kind === 'list' ? type.element : OPAQUE;
}

/** Whether nothing is known of the objects of this type, so that a change of the schema cannot be seen in a set. */
export function isDeduced(type: TypeSchema): boolean {
  return (
    (type.kind === 'untyped' && type.form !== 'raw') ||
    (type.kind === 'struct' && type.fields.size === 0) ||
    (type.kind === 'map' && type.value.kind === 'untyped' && type.value.form !== 'raw')
  );
}

export function scalarClass(type: TypeSchema): ScalarClass {
  return type.kind === 'scalar' ? SCALARS[type.scalar] : 'untyped';
}

const SCALARS: Readonly<Record<ScalarName, ScalarClass>> = {
  string: 'string',
  bytes: 'string',
  duration: 'string',
  boolean: 'boolean',
  int32: 'numeric',
  int64: 'numeric',
  uint32: 'numeric',
  uint64: 'numeric',
  float32: 'numeric',
  float64: 'numeric',
  time: 'untyped',
  microTime: 'untyped',
  quantity: 'untyped',
  intOrString: 'untyped',
};

/**
 * What the item of a set or of a list with keys is called; a text, what is wrong with it, where it has no name.
 * A key field that the item leaves out counts with its default, so that a port without protocol is the TCP port.
 */
export function itemElement(list: TypeSchema, item: Json): PathElement | string {
  if (list.kind !== 'list' || list.listType === 'atomic') return 'invalid indexing of non-associative list';
  return list.keys.length > 0 ? keyedElement(list, item) : setElement(item);
}

function keyedElement(list: ListSchema, item: Json): PathElement | string {
  if (item === null) return 'associative list with keys may not have a null element';
  if (!isJsonObject(item)) return 'associative list with keys may not have non-map elements';
  const key: KeyField[] = [];
  for (const name of list.keys) {
    if (Object.hasOwn(item, name)) {
      key.push({ name, value: item[name] });
      continue;
    }
    if (formOf(list.element, item) !== 'map' || list.element.kind === 'scalar')
      return `couldn't find default value for ${name}: associative list may not have non-map types`;
    const value = keyDefault(list.element, name);
    if (value !== undefined) key.push({ name, value });
  }
  if (key.length === 0) {
    const names = list.keys.map((name) => goQuote(name)).join(' ');
    return `associative list with keys has an element that omits all key fields [${names}] (and doesn't have default values for any key fields)`;
  }
  return PathElement.key(key);
}

/**
 * A built-in type's field that JSON always shows (no omitempty) has Go's zero as its default in OpenAPI; for the
 * nodes of custom resources, which have no name, only a stated default counts.
 */
function keyDefault(type: TypeSchema, name: string): Json | undefined {
  if (type.kind !== 'struct') return undefined;
  const field = type.fields.get(name);
  if (field === undefined) return undefined;
  if (field.default !== undefined) return field.default;
  if (type.name === '' || field.omitEmpty || field.pointer) return undefined;
  switch (scalarClass(field.type)) {
    case 'string':
      return field.type.kind === 'scalar' && field.type.scalar === 'string' ? '' : undefined;
    case 'boolean':
      return false;
    case 'numeric':
      return 0;
    case 'untyped':
      return undefined;
  }
}

function setElement(item: Json): PathElement | string {
  if (item === null) return "associative list without keys has an element that's an explicit null";
  if (isJsonObject(item)) return "associative list without keys has an element that's a map type";
  if (Array.isArray(item)) return 'not supported: associative list with lists as elements';
  return PathElement.value(item);
}

/** A value as an object to walk; undefined for null and for what is none. */
export function asMap(value: Json | undefined): JsonObject | undefined {
  return isJsonObject(value) ? value : undefined;
}

/** A value as a list to walk; undefined for null and for what is none. */
export function asList(value: Json | undefined): readonly Json[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

/** Whether there is nothing in it: absent, null, no object, or an object without members. */
export function isEmptyMap(value: JsonObject | undefined): boolean {
  return value === undefined || isEmptyObject(value);
}

export function isNumber(value: Json): boolean {
  return typeof value === 'number' || typeof value === 'bigint' || value instanceof JsonFloat;
}

/** Whether a null, or a value of this class of scalars. */
export function fitsScalar(kind: ScalarClass, value: Json): boolean {
  if (value === null) return true;
  switch (kind) {
    case 'numeric':
      return isNumber(value);
    case 'string':
      return typeof value === 'string';
    case 'boolean':
      return typeof value === 'boolean';
    case 'untyped':
      return isNumber(value) || typeof value === 'string' || typeof value === 'boolean';
  }
}
