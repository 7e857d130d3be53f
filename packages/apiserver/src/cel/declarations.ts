/**
 * What expressions know of data: types made of a CRD's schema (OpenAPI v3) or of a built-in type, with the sizes the
 * schema limits them to. Where no limit is said, what fits into one request is one.
 *
 * Modelled on apiserver pkg/cel/common/schemas.go, whose estimates of sizes decide which rules may be written.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { type ScalarName, type TypeSchema } from '../schema/type-schema.ts';
import { type StructDeclaration } from './checker.ts';
import { type SizeOf } from './cost-of-calls.ts';
import { escapeFieldName, isReserved } from './field-names.ts';
import {
  BOOL,
  BYTES,
  CelType,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  listOf,
  mapOf,
  STRING,
  structOf,
  TIMESTAMP,
  UINT,
} from './types.ts';

/** The largest request that is taken. */
const REQUEST_BYTES_MAX = 3 * 1024 * 1024;
/** A string's length is said in code points, which have up to four bytes. */
const BYTES_PER_POINT = 4;
const STRING_MAX = REQUEST_BYTES_MAX - 2;
/** The longest text of a time or duration, with its quotes. */
const TIME_SIZE_MAX = 32;
const DATE_SIZE = 12;

/** A kind of data: what its values are in expressions, and how many elements (or characters) they may have. */
export interface Declaration {
  readonly type: CelType;
  readonly shape: Shape;
  readonly nullable: boolean;
  /** 0 for what has none: a number, a bool, an object. To compare such values is free, by the original's estimate. */
  readonly maxElements: number;
  /** The fewest bytes of JSON it takes; how many fit into a request is reckoned with it. */
  readonly minSize: number;
}

export type Shape =
  | { readonly kind: 'scalar' }
  /** A number stays what it is: x-kubernetes-int-or-string. */
  | { readonly kind: 'intOrString' }
  | { readonly kind: 'time'; readonly format: 'date' | 'date-time' }
  | {
      readonly kind: 'list';
      readonly element: Declaration;
      readonly listType: 'atomic' | 'set' | 'map';
      readonly keys: readonly string[];
    }
  | { readonly kind: 'map'; readonly value: Declaration }
  /** By the names expressions use. */
  | { readonly kind: 'object'; readonly fields: ReadonlyMap<string, FieldDeclaration> }
  /** Anything, found out at run time. */
  | { readonly kind: 'untyped' };

export interface FieldDeclaration {
  /** As it is in JSON. */
  readonly name: string;
  readonly declaration: Declaration;
}

const SCALAR: Shape = { kind: 'scalar' };
const UNTYPED: Declaration = {
  type: DYN,
  shape: { kind: 'untyped' },
  nullable: true,
  maxElements: STRING_MAX,
  minSize: 1,
};

function scalar(
  type: CelType,
  nullable: boolean,
  maxElements: number,
  minSize: number,
  shape = SCALAR,
): Declaration {
  return { type, shape, nullable, maxElements, minSize };
}

const number = (value: Json | undefined): number | undefined =>
  typeof value === 'number' || typeof value === 'bigint' ? Math.max(Number(value), 0) : undefined;

const listed = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);

const STRING_PROPERTY: JsonObject = { type: 'string' };

/** The properties every object with a kind has. */
function withObjectMeta(schema: JsonObject): JsonObject {
  const properties = isJsonObject(schema['properties']) ? schema['properties'] : {};
  const metadata = isJsonObject(properties['metadata']) ? properties['metadata'] : { type: 'object' };
  const inner = isJsonObject(metadata['properties']) ? metadata['properties'] : {};
  return {
    ...schema,
    properties: {
      ...properties,
      kind: STRING_PROPERTY,
      apiVersion: STRING_PROPERTY,
      metadata: {
        ...metadata,
        type: 'object',
        properties: { ...inner, name: STRING_PROPERTY, generateName: STRING_PROPERTY },
      },
    },
  };
}

function stringDeclaration(schema: JsonObject, nullable: boolean): Declaration {
  const maxLength = number(schema['maxLength']);
  switch (schema['format']) {
    case 'byte':
      return scalar(BYTES, nullable, maxLength ?? STRING_MAX, 2);
    case 'duration':
      return scalar(DURATION, nullable, TIME_SIZE_MAX, 3);
    case 'date':
      return scalar(TIMESTAMP, nullable, DATE_SIZE, DATE_SIZE, { kind: 'time', format: 'date' });
    case 'date-time':
      return scalar(TIMESTAMP, nullable, TIME_SIZE_MAX, 21, { kind: 'time', format: 'date-time' });
    default:
  }
  if (maxLength !== undefined) return scalar(STRING, nullable, maxLength * BYTES_PER_POINT, 2);
  const values = listed(schema['enum']).filter((value) => typeof value === 'string');
  const longest = Math.max(0, ...values.map((value) => new TextEncoder().encode(value).length));
  return scalar(STRING, nullable, values.length > 0 ? longest : STRING_MAX, 2);
}

function objectDeclaration(schema: JsonObject, nullable: boolean, name: string): Declaration | undefined {
  const additional = schema['additionalProperties'];
  if (isJsonObject(additional)) {
    const value = declareSchema(additional, `${name}.@elem`, false);
    if (value === undefined) return undefined;
    const fitting = Math.floor((REQUEST_BYTES_MAX - 2) / (value.minSize + 6));
    return {
      type: mapOf(STRING, value.type),
      shape: { kind: 'map', value },
      nullable,
      maxElements: number(schema['maxProperties']) ?? fitting,
      minSize: 2,
    };
  }
  const required = new Set(listed(schema['required']));
  const fields: Map<string, FieldDeclaration> = new Map();
  let minSize = 2;
  const properties = isJsonObject(schema['properties']) ? schema['properties'] : {};
  for (const [property, inner] of Object.entries(properties)) {
    if (!isJsonObject(inner)) continue;
    const declaration = declareSchema(inner, `${name}.${property}`, false);
    if (declaration === undefined) continue;
    const escaped = escapeFieldName(property);
    if (escaped !== undefined) fields.set(escaped, { name: property, declaration });
    if (required.has(property) && inner['default'] === undefined)
      minSize += property.length + declaration.minSize + 4;
  }
  return {
    type: structOf(name),
    shape: { kind: 'object', fields },
    nullable,
    maxElements: 0,
    minSize,
  };
}

/**
 * The declaration of a structural schema; undefined where expressions may not see the data (no type, preserved fields
 * without one).
 *
 * @param name what messages call the type of an object (`selfType.spec`)
 * @param resourceRoot whether it is a whole object: kind, apiVersion and the name are there then
 */
export function declareSchema(
  schema: JsonObject,
  name: string,
  resourceRoot: boolean,
): Declaration | undefined {
  const nullable = schema['nullable'] === true;
  if (schema['x-kubernetes-int-or-string'] === true) {
    const maxLength = number(schema['maxLength']);
    const max = maxLength === undefined ? STRING_MAX : maxLength * BYTES_PER_POINT;
    return scalar(DYN, nullable, max, 1, { kind: 'intOrString' });
  }
  const whole =
    resourceRoot || schema['x-kubernetes-embedded-resource'] === true ? withObjectMeta(schema) : schema;
  switch (whole['type']) {
    case 'array': {
      if (!isJsonObject(whole['items'])) return undefined;
      const element = declareSchema(whole['items'], `${name}.@idx`, false);
      if (element === undefined) return undefined;
      const listType = whole['x-kubernetes-list-type'];
      const keys = listed(whole['x-kubernetes-list-map-keys']).filter((key) => typeof key === 'string');
      return {
        type: listOf(element.type),
        shape: {
          kind: 'list',
          element,
          listType: listType === 'set' || listType === 'map' ? listType : 'atomic',
          keys,
        },
        nullable,
        maxElements: number(whole['maxItems']) ?? Math.floor((REQUEST_BYTES_MAX - 2) / (element.minSize + 1)),
        minSize: 2,
      };
    }
    case 'object':
      return objectDeclaration(whole, nullable, name);
    case 'string':
      return stringDeclaration(whole, nullable);
    case 'boolean':
      return scalar(BOOL, nullable, 0, 4);
    case 'number':
      return scalar(DOUBLE, nullable, 0, 1);
    case 'integer':
      return scalar(INT, nullable, 0, 1);
    default:
      return undefined;
  }
}

const SCALAR_TYPES: Readonly<Record<ScalarName, CelType>> = {
  string: STRING,
  boolean: BOOL,
  int32: INT,
  int64: INT,
  uint32: UINT,
  uint64: UINT,
  float32: DOUBLE,
  float64: DOUBLE,
  bytes: BYTES,
  time: TIMESTAMP,
  microTime: TIMESTAMP,
  duration: DURATION,
  quantity: STRING,
  intOrString: DYN,
};

/** The declaration of a built-in type. A type that holds itself is untyped from there on. */
export function declareType(
  schema: TypeSchema,
  name: string,
  around: readonly TypeSchema[] = [],
): Declaration {
  if (around.includes(schema)) return UNTYPED;
  const inside = [...around, schema];
  switch (schema.kind) {
    case 'scalar': {
      const type = SCALAR_TYPES[schema.scalar];
      if (type.kind === 'timestamp') {
        return scalar(type, true, TIME_SIZE_MAX, 21, { kind: 'time', format: 'date-time' });
      }
      if (schema.scalar === 'intOrString') return scalar(type, true, STRING_MAX, 1, { kind: 'intOrString' });
      return scalar(type, true, type.kind === 'string' || type.kind === 'bytes' ? STRING_MAX : 0, 1);
    }
    case 'list': {
      const element = declareType(schema.element, `${name}.@idx`, inside);
      return {
        type: listOf(element.type),
        shape: { kind: 'list', element, listType: schema.listType, keys: schema.keys },
        nullable: true,
        maxElements: Math.floor((REQUEST_BYTES_MAX - 2) / (element.minSize + 1)),
        minSize: 2,
      };
    }
    case 'map': {
      const value = declareType(schema.value, `${name}.@elem`, inside);
      return {
        type: mapOf(STRING, value.type),
        shape: { kind: 'map', value },
        nullable: true,
        maxElements: Math.floor((REQUEST_BYTES_MAX - 2) / (value.minSize + 6)),
        minSize: 2,
      };
    }
    case 'struct': {
      const fields: Map<string, FieldDeclaration> = new Map();
      for (const [property, field] of schema.fields) {
        const escaped = escapeFieldName(property);
        if (escaped === undefined) continue;
        fields.set(escaped, {
          name: property,
          declaration: declareType(field.type, `${name}.${property}`, inside),
        });
      }
      return {
        type: structOf(name),
        shape: { kind: 'object', fields },
        nullable: true,
        maxElements: 0,
        minSize: 2,
      };
    }
    case 'untyped':
      return UNTYPED;
  }
}

/** Fields may be called by a reserved word without its escapes. */
export function fieldNamed<T>(fields: ReadonlyMap<string, T>, name: string): T | undefined {
  return fields.get(name) ?? (isReserved(name) ? fields.get(`__${name}__`) : undefined);
}

/** All message types that declarations are made of, by name. */
export function structsOf(
  ...declarations: readonly Declaration[]
): (name: string) => StructDeclaration | undefined {
  const structs: Map<string, StructDeclaration> = new Map();
  const walk = ({ type, shape }: Declaration): void => {
    switch (shape.kind) {
      case 'list':
        walk(shape.element);
        return;
      case 'map':
        walk(shape.value);
        return;
      case 'object': {
        const { fields } = shape;
        if (structs.has(type.name)) return;
        structs.set(type.name, {
          name: type.name,
          field: (name) => fieldNamed(fields, name)?.declaration.type,
        });
        for (const field of fields.values()) walk(field.declaration);
        return;
      }
      default:
    }
  };
  for (const declaration of declarations) walk(declaration);
  return (name) => structs.get(name);
}

/** What the schema says of sizes at the paths of an estimate; variables without a declaration have none. */
export function sizesOf(variables: Readonly<Record<string, Declaration>>): SizeOf {
  return ({ path }) => {
    if (path === undefined || path.length === 0) return undefined;
    let current: Declaration | undefined = Object.hasOwn(variables, path[0]) ? variables[path[0]] : undefined;
    for (const step of path.slice(1)) {
      if (current === undefined) return undefined;
      const { shape }: Declaration = current;
      if (step === '@items') current = shape.kind === 'list' ? shape.element : undefined;
      else if (step === '@values') current = shape.kind === 'map' ? shape.value : undefined;
      else if (step === '@keys') return shape.kind === 'map' ? { min: 0, max: 0 } : undefined;
      // By the escaped name alone: what is written without is of no known size.
      else current = shape.kind === 'object' ? shape.fields.get(step)?.declaration : undefined;
    }
    return current === undefined ? undefined : { min: 0, max: current.maxElements };
  };
}
