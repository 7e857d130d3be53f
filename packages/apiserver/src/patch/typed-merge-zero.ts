/**
 * The object that a create starts from: for a built-in kind what Go shows of a struct that nobody filled in. Its
 * structs are there already, so a creator owns `spec.replicas` but not `spec`; of a custom resource nothing is there.
 */

import type { Json, JsonObject } from '../api/json.ts';
import type { FieldSchema, ScalarSchema, TypeSchema } from '../schema/type-schema.ts';

/** A custom resource's type has no name, and its zero no members. */
export function zeroObject(type: TypeSchema): JsonObject {
  if (type.kind !== 'struct' || type.name === '') return {};
  const object: Record<string, Json> = {};
  for (const field of type.fields.values()) {
    const value = zeroField(field);
    if (value !== undefined) object[field.name] = value;
  }
  return object;
}

/** undefined for what is left out: omitempty never leaves out a struct, omitzero does. */
function zeroField(field: FieldSchema): Json | undefined {
  const { type, omitEmpty, omitZero, pointer } = field;
  if (omitZero || (pointer && omitEmpty)) return undefined;
  if (pointer) return null;
  switch (type.kind) {
    case 'struct':
      return zeroObject(type);
    case 'scalar':
      return zeroScalar(type, omitEmpty);
    case 'untyped':
      return omitEmpty && type.form !== 'raw' ? undefined : null;
    case 'list':
    case 'map':
      return omitEmpty ? undefined : null;
  }
}

function zeroScalar({ scalar }: ScalarSchema, omitEmpty: boolean): Json | undefined {
  switch (scalar) {
    // Structs in Go, which omitempty does not leave out.
    case 'time':
    case 'microTime':
      return null;
    case 'quantity':
      return '0';
    case 'duration':
      return '0s';
    case 'intOrString':
      return 0;
    default:
      if (omitEmpty) return undefined;
      if (scalar === 'bytes') return null;
      if (scalar === 'boolean') return false;
      return scalar === 'string' ? '' : 0;
  }
}
