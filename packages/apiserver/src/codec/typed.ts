/**
 * JSON as a built-in kind takes it: what Go's decoder does between the text and the struct, and its encoder on
 * the way back. Members come into Go's order, quantities and times into canonical form, nulls and what omitempty
 * drops go away, zeros that Go writes appear; a member of another type is refused with Go's text, one that no
 * field knows is told and left out.
 *
 * Modelled on sigs.k8s.io/json with case-sensitive names.
 */

import { isJsonObject, JsonFloat, type Json, type JsonObject } from '../api/json.ts';
import { NameKeeper, namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';
import { Quantity, QuantityError } from '../api/quantity.ts';
import type {
  FieldSchema,
  ListSchema,
  MapSchema,
  ScalarName,
  StructSchema,
  TypeSchema,
  UntypedSchema,
} from '../schema/type-schema.ts';
import { describePath } from './json-reader.ts';
import { absentValue, isDropped, setMember, zeroValue } from './presence.ts';
import { formatDuration, formatMicroTime, formatTime, parseDuration, parseTime } from './times.ts';

/** A member whose type is not the field's; the message is Go's, without the place where the text came from. */
export class TypedError extends Error {
  override readonly name = 'TypedError';
}

export interface TypedOptions {
  /** Told the path of each member that no field knows, `spec.containers[0].foo`. */
  readonly unknown?: (path: string) => void;
  /** apiextensions.v1.JSONSchemaProps, for the kinds whose unions hold schemas. */
  readonly schemaProps: StructSchema;
}

/**
 * The value as the struct holds it.
 *
 * @throws TypedError at the first member of another type
 */
export function conform(struct: StructSchema, value: JsonObject, options: TypedOptions): JsonObject {
  return new Conformer(options).struct(struct, value);
}

/** The same, which can be put down. @throws TypedError */
export function* conformInSlices(
  struct: StructSchema,
  value: JsonObject,
  options: TypedOptions,
  pace: Pace,
): Sliced<JsonObject> {
  return yield* new Conformer(options).slicedStruct(struct, value, pace);
}

/**
 * Lists of which Go's defaults tell an empty one from none: what stands there empty is refused, where an absent one is
 * filled in. Such an object is never stored.
 */
const TOLD_APART: ReadonlySet<string> = new Set(['autoscaling.v2.HPAScalingRules.policies']);

function isToldApart(struct: StructSchema, field: FieldSchema, value: Json): boolean {
  return Array.isArray(value) && TOLD_APART.has(`${struct.name}.${field.name}`);
}

class Conformer {
  private readonly options: TypedOptions;
  /** Where the walk is, for what is unknown; and the same without indexes, as Go names a field. */
  private readonly path: (string | number)[] = [];
  private owner = '';
  /** Where in `path` keys of maps stand: Go does not name them. */
  private readonly mapKeys: number[] = [];
  private goType: string | undefined;

  constructor(options: TypedOptions) {
    this.options = options;
  }

  struct(struct: StructSchema, value: JsonObject): JsonObject {
    const { path } = this;
    const { fields } = struct;
    const owner = this.owner;
    const object: Record<string, Json> = {};
    let known = 0;
    for (const field of fields.values()) {
      let member: Json | undefined;
      if (Object.hasOwn(value, field.name)) {
        known += 1;
        path.push(field.name);
        this.owner = struct.name.slice(struct.name.lastIndexOf('.') + 1);
        this.goType = field.goType;
        member = this.field(field, value[field.name]);
        path.pop();
      }
      member ??= absentValue(field);
      if (member === undefined) continue;
      if (!isDropped(field, member) || isToldApart(struct, field, member)) object[field.name] = member;
    }
    this.owner = owner;
    if (this.options.unknown && known < Object.keys(value).length) this.tellUnknown(fields, value);
    return object;
  }

  private tellUnknown(fields: ReadonlyMap<string, FieldSchema>, value: JsonObject): void {
    for (const name of Object.keys(value)) {
      if (!fields.has(name)) this.options.unknown?.(describePath([...this.path, name]));
    }
  }

  /** A field's value; undefined for a null that leaves it as it is. */
  private field(field: FieldSchema, value: Json): Json | undefined {
    if (value === null) return undefined;
    return this.value(field.type, value);
  }

  private value(type: TypeSchema, value: Json): Json {
    switch (type.kind) {
      case 'scalar':
        return this.scalar(type.scalar, value);
      case 'list':
        return this.list(type, value);
      case 'map':
        return this.map(type, value);
      case 'struct':
        if (!isJsonObject(value)) throw this.mismatch(value, goName(type));
        return this.struct(type, value);
      case 'untyped':
        return this.untyped(type, value);
    }
  }

  /** An item of a list or a map; null is the zero of its type. */
  private item(type: TypeSchema, value: Json, goType: string | undefined): Json {
    if (value === null) return zeroValue(type);
    this.goType = goType;
    return this.value(type, value);
  }

  private list(type: ListSchema, value: Json): Json {
    const goType = this.goType;
    if (!Array.isArray(value)) throw this.mismatch(value, goName(type));
    const { path } = this;
    const inner = goType?.startsWith('[]') ? goType.slice(2) : undefined;
    const items: Json[] = [];
    path.push(0);
    for (let index = 0; index < value.length; index += 1) {
      path[path.length - 1] = index;
      items.push(this.item(type.element, value[index], inner));
    }
    path.pop();
    return items;
  }

  private map(type: MapSchema, value: Json): Json {
    const goType = this.goType;
    if (!isJsonObject(value)) throw this.mismatch(value, goName(type));
    const { path } = this;
    const inner = goType?.startsWith('map[') ? goType.slice(goType.indexOf(']') + 1) : undefined;
    const map: Record<string, Json> = {};
    this.mapKeys.push(path.length);
    path.push('');
    for (const key of Object.keys(value)) {
      path[path.length - 1] = key;
      setMember(map, key, this.item(type.value, value[key], inner));
    }
    path.pop();
    this.mapKeys.pop();
    return map;
  }

  // The same three, which can be put down between the members of what holds many.

  *slicedStruct(struct: StructSchema, value: JsonObject, pace: Pace): Sliced<JsonObject> {
    const { path } = this;
    const { fields } = struct;
    const owner = this.owner;
    const object: Record<string, Json> = {};
    let known = 0;
    for (const field of fields.values()) {
      let member: Json | undefined;
      if (Object.hasOwn(value, field.name)) {
        known += 1;
        path.push(field.name);
        this.owner = struct.name.slice(struct.name.lastIndexOf('.') + 1);
        this.goType = field.goType;
        const given = value[field.name];
        member = given === null ? undefined : yield* this.slicedValue(field.type, given, pace);
        path.pop();
      }
      member ??= absentValue(field);
      if (member === undefined) continue;
      if (!isDropped(field, member) || isToldApart(struct, field, member)) object[field.name] = member;
    }
    this.owner = owner;
    if (this.options.unknown && known < Object.keys(value).length) this.tellUnknown(fields, value);
    return object;
  }

  private *slicedValue(type: TypeSchema, value: Json, pace: Pace): Sliced<Json> {
    if (type.kind === 'list' && Array.isArray(value)) return yield* this.slicedList(type, value, pace);
    if (isJsonObject(value)) {
      if (type.kind === 'map') return yield* this.slicedMap(type, value, pace);
      if (type.kind === 'struct') return yield* this.slicedStruct(type, value, pace);
    }
    return this.value(type, value);
  }

  private *slicedList(type: ListSchema, value: readonly Json[], pace: Pace): Sliced<Json> {
    const { path, goType } = this;
    const inner = goType?.startsWith('[]') ? goType.slice(2) : undefined;
    const items: Json[] = [];
    path.push(0);
    for (let index = 0; index < value.length; index += 1) {
      path[path.length - 1] = index;
      if (index % LOOK_EVERY === 0 && pace.due()) yield;
      const item = value[index];
      this.goType = inner;
      items.push(item === null ? zeroValue(type.element) : yield* this.slicedValue(type.element, item, pace));
    }
    path.pop();
    return items;
  }

  private *slicedMap(type: MapSchema, value: JsonObject, pace: Pace): Sliced<Json> {
    const { path, goType } = this;
    const inner = goType?.startsWith('map[') ? goType.slice(goType.indexOf(']') + 1) : undefined;
    const map: Record<string, Json> = {};
    this.mapKeys.push(path.length);
    path.push('');
    let count = 0;
    const names = new NameKeeper();
    for (const key of namesOf(value)) {
      path[path.length - 1] = key;
      names.add(key);
      if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
      const item = value[key];
      if (typeof item === 'object' && item !== null) {
        this.goType = inner;
        setMember(map, key, yield* this.slicedValue(type.value, item, pace));
      } else {
        setMember(map, key, this.item(type.value, item, inner));
      }
    }
    path.pop();
    this.mapKeys.pop();
    names.keep(map);
    return map;
  }

  private untyped(type: UntypedSchema, value: Json): Json {
    const { schemaProps } = this.options;
    switch (type.form) {
      case 'raw':
      case 'none':
        return value;
      case 'schemaOrBool':
        if (isJsonObject(value)) return this.struct(schemaProps, value);
        if (typeof value === 'boolean') return value;
        throw new TypedError('boolean or JSON schema expected');
      case 'schemaOrArray':
        if (isJsonObject(value)) return this.struct(schemaProps, value);
        return this.list(
          { kind: 'list', element: schemaProps, listType: 'atomic', keys: [], boxed: false },
          value,
        );
      case 'schemaOrStringArray':
        if (isJsonObject(value)) return this.struct(schemaProps, value);
        return this.list(STRINGS, value);
    }
  }

  private scalar(scalar: ScalarName, value: Json): Json {
    switch (scalar) {
      case 'string':
        if (typeof value !== 'string') throw this.mismatch(value, 'string');
        return value;
      case 'boolean':
        if (typeof value !== 'boolean') throw this.mismatch(value, 'bool');
        return value;
      case 'int32':
      case 'int64':
      case 'uint32':
      case 'uint64':
        return this.integer(scalar, value);
      case 'float32':
      case 'float64':
        if (value instanceof JsonFloat) return value.value;
        if (typeof value === 'number') return value;
        if (typeof value === 'bigint') return Number(value);
        throw this.mismatch(value, scalar);
      case 'bytes':
        return this.bytes(value);
      case 'time':
      case 'microTime':
        return this.time(scalar, value);
      case 'duration': {
        if (typeof value !== 'string') throw this.mismatch(value, 'string');
        const nanos = parseDuration(value);
        if (nanos === undefined) throw new TypedError(`time: invalid duration ${JSON.stringify(value)}`);
        return formatDuration(nanos);
      }
      case 'quantity':
        return this.quantity(value);
      case 'intOrString':
        if (typeof value === 'string') return value;
        return this.integer('int32', value);
    }
  }

  private integer(scalar: 'int32' | 'int64' | 'uint32' | 'uint64', value: Json): Json {
    const range = RANGES[scalar];
    if (typeof value === 'number' && Number.isInteger(value)) {
      if (value >= range[0] && value <= range[1]) return value;
    } else if (typeof value === 'bigint') {
      if (value >= range[0] && value <= range[1]) return value;
    }
    throw this.mismatch(value, scalar, true);
  }

  private bytes(value: Json): string {
    if (typeof value !== 'string') throw this.mismatch(value, '[]uint8');
    const at = base64Error(value);
    if (at >= 0) throw new TypedError(`illegal base64 data at input byte ${at}`);
    return value.replaceAll(/[\r\n]/g, '');
  }

  private time(scalar: 'time' | 'microTime', value: Json): string {
    if (typeof value !== 'string')
      throw new TypedError(`json: cannot unmarshal ${describeJson(value)} into Go value of type string`);
    const instant = parseTime(value);
    if (instant === undefined) {
      const layout = scalar === 'time' ? '2006-01-02T15:04:05Z07:00' : '2006-01-02T15:04:05.000000Z07:00';
      const text = JSON.stringify(value);
      throw new TypedError(
        `parsing time ${text} as ${JSON.stringify(layout)}: cannot parse ${text} as "2006"`,
      );
    }
    return scalar === 'time' ? formatTime(instant.seconds) : formatMicroTime(instant);
  }

  private quantity(value: Json): string {
    const text = typeof value === 'string' ? value : describeNumber(value);
    if (text === undefined) throw new TypedError(QUANTITY_WRONG);
    try {
      return text === '' ? '0' : Quantity.parse(text).toString();
    } catch (error) {
      if (!(error instanceof QuantityError)) throw error;
      throw new TypedError(error.message, { cause: error });
    }
  }

  private mismatch(value: Json, goType: string, literal = false): TypedError {
    const what = literal ? (describeLiteral(value) ?? describeJson(value)) : describeJson(value);
    const { mapKeys, path } = this;
    const field = path.filter((part, at) => typeof part === 'string' && !mapKeys.includes(at)).join('.');
    const type = this.goType ?? goType;
    return new TypedError(
      field === ''
        ? `json: cannot unmarshal ${what} into Go value of type ${type}`
        : `json: cannot unmarshal ${what} into Go struct field ${this.owner}.${field} of type ${type}`,
    );
  }
}

const STRINGS: ListSchema = {
  kind: 'list',
  element: { kind: 'scalar', scalar: 'string' },
  listType: 'atomic',
  keys: [],
  boxed: false,
};

const QUANTITY_WRONG =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const RANGES = {
  int32: [-2147483648, 2147483647],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint32: [0, 4294967295],
  uint64: [0, 2n ** 64n - 1n],
} as const;

/** Go's name of a value's JSON type. */
function describeJson(value: Json): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'string';
  if (Array.isArray(value)) return 'array';
  return isJsonObject(value) ? 'object' : 'number';
}

/** A number is named with its digits when it is one that the type does not hold. */
function describeLiteral(value: Json): string | undefined {
  const digits = describeNumber(value);
  return digits === undefined ? undefined : `number ${digits}`;
}

function describeNumber(value: Json): string | undefined {
  if (value instanceof JsonFloat) return `${value.value}.0`;
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : undefined;
}

/** Go's name of a type's form. */
function goName(type: TypeSchema): string {
  switch (type.kind) {
    case 'list':
      return `[]${goName(type.element)}`;
    case 'map':
      return `map[string]${goName(type.value)}`;
    case 'struct': {
      const [, version, name] = type.name.split('.');
      return `${version}.${name}`;
    }
    case 'untyped':
      return 'runtime.RawExtension';
    case 'scalar':
      return GO_NAMES[type.scalar] ?? type.scalar;
  }
}

const GO_NAMES: Partial<Readonly<Record<ScalarName, string>>> = {
  boolean: 'bool',
  bytes: '[]uint8',
  time: 'v1.Time',
  microTime: 'v1.MicroTime',
  duration: 'v1.Duration',
  quantity: 'resource.Quantity',
  intOrString: 'intstr.IntOrString',
};

/** Where Go's decoder of padded base64 stops, -1 where it does not: line ends count but mean nothing. */
function base64Error(text: string): number {
  let quad = 0;
  let padding = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '\n' || char === '\r') continue;
    if (char === '=') {
      if (quad < 2) return at;
      padding += 1;
      quad += 1;
      if (quad === 4) {
        quad = 0;
        const rest = /[^\r\n]/.exec(text.slice(at + 1));
        return rest === null ? -1 : at + 1 + rest.index;
      }
    } else if (padding > 0 || !/[A-Za-z0-9+/]/.test(char)) {
      return at;
    } else {
      quad = (quad + 1) % 4;
    }
  }
  return quad === 0 ? -1 : text.length - (quad === 1 && padding === 0 ? 1 : 0);
}
