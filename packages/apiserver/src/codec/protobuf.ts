/**
 * Kubernetes protobuf, driven by the fact table: an object's JSON-shaped value to its message and back. A plan is
 * made of a struct when it is first met; nothing is generated and nothing is parsed at start.
 *
 * Presence follows Go's types. What is a value there is always written, zero or not; what is a pointer, a list or
 * a map only when it is there. Reading puts the members into Go's order and leaves out what omitempty leaves out.
 * Fields are written by ascending number and maps by ascending key: the same bytes as Kubernetes' own.
 */

import { JsonFloat, isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import type { FieldSchema, ScalarName, StructSchema, TypeSchema } from '../schema/type-schema.ts';
import { readJson } from './json-reader.ts';
import { writeJson } from './json-writer.ts';
import { absentValue, isDropped, setMember, zeroValue } from './presence.ts';
import {
  BYTES,
  DEPTH_MAX,
  FIXED32,
  FIXED64,
  ProtobufError,
  ProtobufReader,
  ProtobufWriter,
  VARINT,
} from './protobuf-wire.ts';
import {
  formatDuration,
  formatMicroTime,
  formatTime,
  parseDuration,
  parseTime,
  ZERO_SECONDS,
} from './times.ts';

/** A member that is written or read under one number: a field, or an inlined struct. */
type Part =
  | { readonly kind: 'field'; readonly number: number; readonly slot: number; readonly field: FieldSchema }
  | { readonly kind: 'inlined'; readonly number: number; readonly plan: () => Plan; readonly offset: number };

/** How a struct lies in protobuf. Slots are the places of the JSON object's members, in Go's order. */
interface Plan {
  readonly struct: StructSchema;
  readonly slots: readonly FieldSchema[];
  readonly ascending: readonly Part[];
  readonly byNumber: ReadonlyMap<number, Part>;
}

/** Encodes and decodes structs of one type table. Plans are kept, so one codec serves a whole server. */
export class ProtobufCodec {
  private readonly plans = new Map<StructSchema, Plan>();
  private readonly schemaProps: StructSchema;

  /** @param schemaProps the type whose unions hold schemas again: apiextensions.v1.JSONSchemaProps */
  constructor(schemaProps: StructSchema) {
    this.schemaProps = schemaProps;
  }

  /**
   * The message of a struct, without envelope.
   *
   * @param value conforms to the schema (typed.ts): a member of another type is a mistake of ours
   */
  encode(struct: StructSchema, value: JsonObject): Buffer {
    const writer = new ProtobufWriter();
    this.writeStruct(writer, this.planOf(struct), value);
    return writer.finish();
  }

  /**
   * Reads a message, without envelope.
   *
   * @throws ProtobufError for bytes that are no such message; unknown fields are passed over
   */
  decode(struct: StructSchema, bytes: Buffer): JsonObject {
    return this.readStruct(new ProtobufReader(bytes), this.planOf(struct), 0);
  }

  private planOf(struct: StructSchema): Plan {
    let plan = this.plans.get(struct);
    if (plan === undefined) {
      plan = this.makePlan(struct);
      this.plans.set(struct, plan);
    }
    return plan;
  }

  private makePlan(struct: StructSchema): Plan {
    const slots = [...struct.fields.values()];
    const slotOf = new Map(slots.map((field, slot) => [field.name, slot]));
    const parts: Part[] = [];
    for (const field of struct.own) {
      if (field.number === 0) continue;
      parts.push({ kind: 'field', number: field.number, slot: slotOf.get(field.name) ?? -1, field });
    }
    for (const { number, type } of struct.inlined) {
      if (number === 0) continue;
      const first = [...type.fields.keys()][0];
      parts.push({ kind: 'inlined', number, plan: () => this.planOf(type), offset: slotOf.get(first) ?? 0 });
    }
    return {
      struct,
      slots,
      ascending: parts.toSorted((a, b) => a.number - b.number),
      byNumber: new Map(parts.map((part) => [part.number, part])),
    };
  }

  // ---- writing ----

  private writeStruct(writer: ProtobufWriter, plan: Plan, value: JsonObject): void {
    for (let index = plan.ascending.length - 1; index >= 0; index -= 1) {
      const part = plan.ascending[index];
      if (part.kind === 'inlined') {
        const before = writer.size;
        this.writeStruct(writer, part.plan(), value);
        writer.varint(writer.size - before);
        writer.tag(part.number, BYTES);
      } else {
        const { field } = part;
        const member = Object.hasOwn(value, field.name) ? value[field.name] : undefined;
        this.writeField(writer, part.number, field, member);
      }
    }
  }

  private writeField(
    writer: ProtobufWriter,
    number: number,
    field: FieldSchema,
    value: Json | undefined,
  ): void {
    const { type } = field;
    switch (type.kind) {
      case 'list':
        if (!Array.isArray(value)) return;
        if (type.boxed) {
          this.writeBoxed(writer, number, type.element, value);
          return;
        }
        for (let index = value.length - 1; index >= 0; index -= 1) {
          this.writeOne(writer, number, type.element, value[index]);
        }
        return;
      case 'map':
        if (!isJsonObject(value)) return;
        for (const key of keysFromLast(value)) {
          const before = writer.size;
          this.writeMapValue(writer, type.value, value[key]);
          writer.string(key);
          writer.tag(1, BYTES);
          writer.varint(writer.size - before);
          writer.tag(number, BYTES);
        }
        return;
      default:
        if (field.pointer && (value === undefined || value === null)) return;
        this.writeOne(writer, number, type, value);
    }
  }

  private writeMapValue(writer: ProtobufWriter, type: TypeSchema, value: Json): void {
    if (type.kind === 'list') this.writeBoxed(writer, 2, type.element, Array.isArray(value) ? value : []);
    else this.writeOne(writer, 2, type, value);
  }

  private writeBoxed(
    writer: ProtobufWriter,
    number: number,
    element: TypeSchema,
    items: readonly Json[],
  ): void {
    const before = writer.size;
    for (let index = items.length - 1; index >= 0; index -= 1)
      this.writeOne(writer, 1, element, items[index]);
    writer.varint(writer.size - before);
    writer.tag(number, BYTES);
  }

  /** One value that Go holds as a value: absent is its zero. */
  private writeOne(writer: ProtobufWriter, number: number, type: TypeSchema, value: Json | undefined): void {
    switch (type.kind) {
      case 'scalar':
        this.writeScalar(writer, number, type.scalar, value);
        return;
      case 'struct': {
        const before = writer.size;
        this.writeStruct(writer, this.planOf(type), isJsonObject(value) ? value : {});
        writer.varint(writer.size - before);
        writer.tag(number, BYTES);
        return;
      }
      case 'untyped':
        this.writeUntyped(writer, number, type.form, value);
        return;
      default:
        throw new ProtobufError(`a ${type.kind} cannot stand inside a list or a map`);
    }
  }

  private writeUntyped(writer: ProtobufWriter, number: number, form: string, value: Json | undefined): void {
    const before = writer.size;
    if (form === 'raw') {
      if (value !== undefined && value !== null) {
        writer.bytes(Buffer.from(writeJson(value)));
        writer.tag(1, BYTES);
      }
    } else {
      this.writeUnion(writer, form, value);
    }
    writer.varint(writer.size - before);
    writer.tag(number, BYTES);
  }

  /** The unions of JSONSchemaProps: a schema, or a list of them, a bool or names. */
  private writeUnion(writer: ProtobufWriter, form: string, value: Json | undefined): void {
    const schema = this.schemaProps;
    if (form === 'schemaOrBool') {
      if (isJsonObject(value)) this.writeOne(writer, 2, schema, value);
      // Written with a schema, the bool is true: Go's decoder sets it so.
      writer.varint(value === false || value === undefined || value === null ? 0 : 1);
      writer.tag(1, VARINT);
      return;
    }
    if (Array.isArray(value)) {
      const element: TypeSchema = form === 'schemaOrArray' ? schema : { kind: 'scalar', scalar: 'string' };
      for (let index = value.length - 1; index >= 0; index -= 1)
        this.writeOne(writer, 2, element, value[index]);
    } else if (isJsonObject(value)) {
      this.writeOne(writer, 1, schema, value);
    }
  }

  private writeScalar(
    writer: ProtobufWriter,
    number: number,
    scalar: ScalarName,
    value: Json | undefined,
  ): void {
    switch (scalar) {
      case 'string':
        writer.string(typeof value === 'string' ? value : '');
        writer.tag(number, BYTES);
        return;
      case 'boolean':
        writer.varint(value === true ? 1 : 0);
        writer.tag(number, VARINT);
        return;
      case 'int32':
      case 'int64':
      case 'uint32':
      case 'uint64':
        writer.int64(integerOf(value));
        writer.tag(number, VARINT);
        return;
      case 'float64':
        writer.double(floatOf(value));
        writer.tag(number, FIXED64);
        return;
      case 'float32':
        writer.float(floatOf(value));
        writer.tag(number, FIXED32);
        return;
      case 'bytes':
        // nil bytes are no field, empty ones are.
        if (typeof value !== 'string') return;
        writer.bytes(Buffer.from(value, 'base64'));
        writer.tag(number, BYTES);
        return;
      default: {
        const before = writer.size;
        writeScalarMessage(writer, scalar, value);
        writer.varint(writer.size - before);
        writer.tag(number, BYTES);
      }
    }
  }

  // ---- reading ----

  private readStruct(reader: ProtobufReader, plan: Plan, depth: number): JsonObject {
    const values: (Json | undefined)[] = Array.from({ length: plan.slots.length });
    this.readInto(reader, plan, values, 0, depth);
    const object: Record<string, Json> = {};
    for (let slot = 0; slot < plan.slots.length; slot += 1) {
      const field = plan.slots[slot];
      const value = values[slot] ?? absentValue(field);
      if (value !== undefined && !isDropped(field, value)) {
        object[field.name] = value;
      }
    }
    return object;
  }

  private readInto(
    reader: ProtobufReader,
    plan: Plan,
    values: (Json | undefined)[],
    offset: number,
    depth: number,
  ): void {
    if (depth > DEPTH_MAX) throw new ProtobufError('proto: nesting is too deep');
    while (!reader.done) {
      const tag = reader.varint();
      const wireType = tag % 8;
      const number = Math.floor(tag / 8);
      if (number === 0) {
        throw new ProtobufError(`proto: ${plan.struct.name}: illegal tag ${number} (wire type ${tag})`);
      }
      const part = plan.byNumber.get(number);
      if (part === undefined) {
        reader.skip(wireType, number);
      } else if (part.kind === 'inlined') {
        expectWireType(part.number, wireType, BYTES);
        this.readInto(reader.message(), part.plan(), values, offset + part.offset, depth + 1);
      } else {
        const slot = offset + part.slot;
        values[slot] = this.readField(reader, part.field, wireType, values[slot], depth);
      }
    }
  }

  private readField(
    reader: ProtobufReader,
    field: FieldSchema,
    wireType: number,
    before: Json | undefined,
    depth: number,
  ): Json {
    const { type } = field;
    if (type.kind === 'list') {
      if (type.boxed) {
        expectWireType(field.number, wireType, BYTES);
        return this.readBoxed(reader.message(), type.element, depth + 1);
      }
      const items = isFillingList(before) ? before : [];
      if (wireType === BYTES && isPackable(type.element)) {
        const packed = reader.message();
        while (!packed.done) items.push(this.readOne(packed, type.element, field.number, undefined, depth));
      } else {
        items.push(this.readOne(reader, type.element, field.number, wireType, depth));
      }
      return items;
    }
    if (type.kind === 'map') {
      expectWireType(field.number, wireType, BYTES);
      const map = isFillingMap(before) ? before : {};
      this.readEntry(reader.message(), type.value, map, depth + 1);
      return map;
    }
    return this.readOne(reader, type, field.number, wireType, depth);
  }

  private readEntry(
    reader: ProtobufReader,
    type: TypeSchema,
    map: Record<string, Json>,
    depth: number,
  ): void {
    let key = '';
    let value: Json | undefined;
    while (!reader.done) {
      const tag = reader.varint();
      const wireType = tag % 8;
      if (tag >> 3 === 1) {
        expectWireType(1, wireType, BYTES);
        key = reader.string();
      } else if (tag >> 3 === 2) {
        if (type.kind === 'list') {
          expectWireType(2, wireType, BYTES);
          value = this.readBoxed(reader.message(), type.element, depth + 1);
        } else {
          value = this.readOne(reader, type, 2, wireType, depth);
        }
      } else {
        reader.skip(wireType, tag >> 3);
      }
    }
    setMember(map, key, value ?? zeroValue(type));
  }

  private readBoxed(reader: ProtobufReader, element: TypeSchema, depth: number): Json {
    const items: Json[] = [];
    while (!reader.done) {
      const tag = reader.varint();
      if (tag >> 3 === 1) items.push(this.readOne(reader, element, 1, tag % 8, depth));
      else reader.skip(tag % 8, tag >> 3);
    }
    return items;
  }

  /** @param wireType undefined inside a packed list */
  private readOne(
    reader: ProtobufReader,
    type: TypeSchema,
    number: number,
    wireType: number | undefined,
    depth: number,
  ): Json {
    switch (type.kind) {
      case 'scalar':
        if (wireType !== undefined) expectWireType(number, wireType, wireTypeOf(type.scalar));
        return readScalar(reader, type.scalar);
      case 'struct':
        expectWireType(number, wireType, BYTES);
        return this.readStruct(reader.message(), this.planOf(type), depth + 1);
      case 'untyped':
        expectWireType(number, wireType, BYTES);
        return type.form === 'raw'
          ? readRaw(reader.message())
          : this.readUnion(reader.message(), type.form, depth + 1);
      default:
        throw new ProtobufError(`a ${type.kind} cannot stand inside a list or a map`);
    }
  }

  private readUnion(reader: ProtobufReader, form: string, depth: number): Json {
    let allows = false;
    let schema: Json | undefined;
    const items: Json[] = [];
    while (!reader.done) {
      const tag = reader.varint();
      const number = tag >> 3;
      if (number === 1 && form === 'schemaOrBool') {
        expectWireType(1, tag % 8, VARINT);
        allows = reader.boolean();
      } else if (number === (form === 'schemaOrBool' ? 2 : 1)) {
        schema = this.readOne(reader, this.schemaProps, number, tag % 8, depth);
      } else if (number === 2) {
        const element: TypeSchema =
          form === 'schemaOrArray' ? this.schemaProps : { kind: 'scalar', scalar: 'string' };
        items.push(this.readOne(reader, element, number, tag % 8, depth));
      } else {
        reader.skip(tag % 8, number);
      }
    }
    if (form === 'schemaOrBool') return schema ?? allows;
    return items.length > 0 ? items : (schema ?? null);
  }
}

/** A list or map that is being read is ours alone, and may grow. */
function isFillingList(value: Json | undefined): value is Json[] {
  return Array.isArray(value);
}

function isFillingMap(value: Json | undefined): value is Record<string, Json> {
  return isJsonObject(value);
}

function isPackable(type: TypeSchema): boolean {
  return type.kind === 'scalar' && wireTypeOf(type.scalar) !== BYTES;
}

function wireTypeOf(scalar: ScalarName): number {
  switch (scalar) {
    case 'boolean':
    case 'int32':
    case 'int64':
    case 'uint32':
    case 'uint64':
      return VARINT;
    case 'float64':
      return FIXED64;
    case 'float32':
      return FIXED32;
    default:
      return BYTES;
  }
}

function expectWireType(number: number, actual: number | undefined, wanted: number): void {
  if (actual !== wanted) {
    throw new ProtobufError(`proto: wrong wireType = ${actual ?? wanted} for field ${number}`);
  }
}

function readScalar(reader: ProtobufReader, scalar: ScalarName): Json {
  switch (scalar) {
    case 'string':
      return reader.string();
    case 'boolean':
      return reader.boolean();
    case 'int32':
      return reader.int32();
    case 'int64':
      return reader.int64();
    case 'uint32':
      return Number(BigInt.asUintN(32, reader.varint64()));
    case 'uint64':
      return reader.uint64();
    case 'float64':
      return reader.double();
    case 'float32':
      return reader.float();
    case 'bytes':
      return reader.view().toString('base64');
    default:
      return readScalarMessage(reader.message(), scalar);
  }
}

/** The message {1 raw}: JSON, or nothing. */
function readRaw(reader: ProtobufReader): Json {
  let raw: Buffer | undefined;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag >> 3 === 1 && tag % 8 === BYTES) raw = reader.view();
    else reader.skip(tag % 8, tag >> 3);
  }
  return raw === undefined || raw.length === 0 ? null : readJson(raw.toString('utf8'));
}

function writeScalarMessage(writer: ProtobufWriter, scalar: ScalarName, value: Json | undefined): void {
  switch (scalar) {
    case 'time':
    case 'microTime': {
      const time = typeof value === 'string' ? parseTime(value) : undefined;
      if (time === undefined || (time.seconds === ZERO_SECONDS && time.nanos === 0)) return;
      writer.int64(scalar === 'time' ? 0 : time.nanos);
      writer.tag(2, VARINT);
      writer.int64(time.seconds);
      writer.tag(1, VARINT);
      return;
    }
    case 'duration':
      writer.int64(typeof value === 'string' ? (parseDuration(value) ?? 0n) : 0);
      writer.tag(1, VARINT);
      return;
    case 'quantity':
      writer.string(typeof value === 'string' ? value : '0');
      writer.tag(1, BYTES);
      return;
    case 'intOrString':
      writer.string(typeof value === 'string' ? value : '');
      writer.tag(3, BYTES);
      writer.int64(typeof value === 'string' ? 0 : integerOf(value));
      writer.tag(2, VARINT);
      writer.varint(typeof value === 'string' ? 1 : 0);
      writer.tag(1, VARINT);
      return;
    default:
      throw new ProtobufError(`${scalar} is no message`);
  }
}

function readScalarMessage(reader: ProtobufReader, scalar: ScalarName): Json {
  let first: number | bigint = 0;
  let second: number | bigint = 0;
  let text = '';
  let empty = true;
  while (!reader.done) {
    const tag = reader.varint();
    const number = tag >> 3;
    const wireType = tag % 8;
    empty = false;
    if (wireType === VARINT && number === 1) first = reader.int64();
    else if (wireType === VARINT && number === 2) second = reader.int64();
    else if (wireType === BYTES && (number === 1 || number === 3)) text = reader.string();
    else reader.skip(wireType, number);
  }
  switch (scalar) {
    case 'time':
    case 'microTime': {
      if (empty) return null;
      const instant = { seconds: Number(first), nanos: Number(second) };
      if (Math.abs(instant.seconds) > 8.64e12) throw new ProtobufError('proto: time out of range');
      return scalar === 'time' ? formatTime(instant.seconds) : formatMicroTime(instant);
    }
    case 'duration':
      return formatDuration(BigInt(first));
    case 'quantity':
      return text === '' ? '0' : text;
    default:
      return first === 1 ? text : second;
  }
}

function integerOf(value: Json | undefined): number | bigint {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  return value instanceof JsonFloat ? value.value : 0;
}

function floatOf(value: Json | undefined): number {
  return Number(value instanceof JsonFloat ? value.value : (value ?? 0));
}

/** From the last to the first, as they are written. */
function keysFromLast(value: JsonObject): string[] {
  const keys = Object.keys(value);
  return keys.length < 2 ? keys : keys.sort(compareUtf8).reverse();
}

/** Go sorts keys by their bytes; UTF-16 order differs beyond the basic plane. */
function compareUtf8(a: string, b: string): number {
  if (/^[\x20-\x7e]*$/.test(a) && /^[\x20-\x7e]*$/.test(b)) return a < b ? -1 : a > b ? 1 : 0;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
