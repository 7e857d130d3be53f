/**
 * What stands in JSON where nothing was given, by the rules of Go's encoder: a value is written even when it is
 * zero unless omitempty drops it, a pointer only when it points; omitempty never drops a struct. Shared by both
 * ways an object comes in, so that an object reads the same whichever it took.
 */

import { isJsonObject, type Json } from '../api/json.ts';
import { isEmptyObject } from '../api/member-names.ts';
import type { FieldSchema, ScalarName, TypeSchema } from '../schema/type-schema.ts';

/** What a field shows that nobody set; undefined when it is left out. */
export function absentValue(field: FieldSchema): Json | undefined {
  if (field.pointer) return field.omitEmpty ? undefined : null;
  if (field.omitZero) return undefined;
  switch (field.type.kind) {
    case 'list':
    case 'map':
      return field.omitEmpty ? undefined : null;
    case 'struct':
      return zeroValue(field.type);
    case 'untyped':
      return field.omitEmpty && field.type.form !== 'raw' ? undefined : null;
    case 'scalar':
      return field.omitEmpty && isPlain(field.type.scalar) ? undefined : zeroValue(field.type);
  }
}

/** Go's zero of a type, as its JSON form shows it. */
export function zeroValue(type: TypeSchema): Json {
  switch (type.kind) {
    case 'struct': {
      const object: Record<string, Json> = {};
      for (const field of type.fields.values()) {
        const value = absentValue(field);
        if (value !== undefined) object[field.name] = value;
      }
      return object;
    }
    case 'scalar':
      return zeroScalar(type.scalar);
    default:
      return null;
  }
}

/** Whether omitempty drops this value of a field. */
export function isDropped(field: FieldSchema, value: Json): boolean {
  if (!field.omitEmpty || field.pointer) return false;
  const { type } = field;
  switch (type.kind) {
    case 'scalar':
      return isPlain(type.scalar) && (value === '' || value === 0 || value === false || value === null);
    case 'list':
      return value === null || (Array.isArray(value) && value.length === 0);
    case 'map':
      return value === null || (isJsonObject(value) && isEmptyObject(value));
    default:
      return false;
  }
}

/** Adds a member whatever its name is. */
export function setMember(object: Record<string, Json>, name: string, value: Json): void {
  if (name === '__proto__') {
    Object.defineProperty(object, name, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  } else {
    object[name] = value;
  }
}

function zeroScalar(scalar: ScalarName): Json {
  switch (scalar) {
    case 'string':
      return '';
    case 'boolean':
      return false;
    case 'quantity':
      return '0';
    case 'duration':
      return '0s';
    case 'time':
    case 'microTime':
    case 'bytes':
      return null;
    default:
      return 0;
  }
}

/** Whether Go holds this scalar as a plain value: times, durations, quantities and IntOrString are structs there. */
function isPlain(scalar: ScalarName): boolean {
  switch (scalar) {
    case 'time':
    case 'microTime':
    case 'duration':
    case 'quantity':
    case 'intOrString':
      return false;
    default:
      return true;
  }
}
