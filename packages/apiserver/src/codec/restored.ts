/**
 * What is wrong with an object that a strategic merge made, in the words of who restores a Go struct from it: the first
 * member of another type, in Go's order. Types with a form of their own in JSON are left to the reader of JSON.
 *
 * Modelled on apimachinery's pkg/runtime/converter.go.
 */

import { isJsonObject, JsonFloat, type Json } from '../api/json.ts';
import type { FieldSchema, ScalarName, TypeSchema } from '../schema/type-schema.ts';

/** Undefined where nothing is, or only the reader of JSON knows. */
export function restoreError(type: TypeSchema, value: Json | undefined, goType?: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  switch (type.kind) {
    case 'struct': {
      if (!isJsonObject(value)) return `cannot restore struct from: ${kindOf(value)}`;
      return first(type.fields.values(), (field: FieldSchema) =>
        restoreError(field.type, value[field.name], field.goType),
      );
    }
    case 'map':
      if (!isJsonObject(value)) return `cannot restore map from ${kindOf(value)}`;
      return first(Object.values(value), (each) => restoreError(type.value, each));
    case 'list':
      if (!Array.isArray(value)) return `cannot restore slice from ${kindOf(value)}`;
      return first(value, (each) => restoreError(type.element, each));
    case 'untyped':
      return undefined;
    case 'scalar':
      return scalarError(type.scalar, value, goType);
  }
}

function first<T>(all: Iterable<T>, error: (each: T) => string | undefined): string | undefined {
  for (const each of all) {
    const found = error(each);
    if (found !== undefined) return found;
  }
  return undefined;
}

const PLAIN: ReadonlySet<ScalarName> = new Set<ScalarName>([
  'string',
  'boolean',
  'int32',
  'int64',
  'uint32',
  'uint64',
  'float32',
  'float64',
]);

function scalarError(scalar: ScalarName, value: Json, goType: string | undefined): string | undefined {
  if (scalar === 'bytes') {
    const fits = typeof value === 'string' || Array.isArray(value);
    return fits ? undefined : `cannot restore slice from ${kindOf(value)}`;
  }
  if (!PLAIN.has(scalar)) return undefined;
  const from = kindOf(value);
  const to = scalar === 'boolean' ? 'bool' : scalar;
  const isNumber = from === 'int64' || from === 'float64';
  const wants = to === 'string' || to === 'bool' ? to : 'number';
  if (isNumber && wants === 'number') {
    const whole = from === 'int64' || to.startsWith('float');
    return whole || isWhole(value) ? undefined : `cannot convert ${from} to ${goType ?? to}`;
  }
  if (from === wants) return undefined;
  // Go makes a text of a whole number, if asked; JSON does not.
  return from === 'int64' && to === 'string'
    ? `cannot convert ${from} to ${goType ?? to}`
    : `unrecognized type: ${to}`;
}

function isWhole(value: Json): boolean {
  return value instanceof JsonFloat ? Number.isInteger(value.value) : Number.isInteger(value);
}

/** The kind of Go value that an unordered map of JSON holds. */
function kindOf(value: Json): string {
  if (Array.isArray(value)) return 'slice';
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'bigint':
      return 'int64';
    case 'number':
      return Number.isInteger(value) ? 'int64' : 'float64';
    default:
      return value instanceof JsonFloat ? 'float64' : 'map';
  }
}
