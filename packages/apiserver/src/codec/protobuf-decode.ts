/**
 * From a message to an object's JSON-shaped value: members come into Go's order, what omitempty leaves out is left out,
 * and fields that nobody knows are passed over.
 */

import { isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';
import type { FieldSchema, ScalarName, StructSchema, TypeSchema } from '../schema/type-schema.ts';
import { readJson, readJsonInSlices } from './json-reader.ts';
import { absentValue, isDropped, setMember, zeroValue } from './presence.ts';
import type { Part, Plan, Plans } from './protobuf-plan.ts';
import {
  BYTES,
  DEPTH_MAX,
  FIXED32,
  FIXED64,
  ProtobufError,
  ProtobufReader,
  VARINT,
} from './protobuf-wire.ts';
import { formatDuration, formatMicroTime, formatTime } from './times.ts';

export class ProtobufDecoder {
  private readonly plans: Plans;
  private readonly schemaProps: StructSchema;

  /** @param schemaProps the type whose unions hold schemas again */
  constructor(plans: Plans, schemaProps: StructSchema) {
    this.plans = plans;
    this.schemaProps = schemaProps;
  }

  readStruct(reader: ProtobufReader, plan: Plan, depth: number): JsonObject {
    const values: (Json | undefined)[] = Array.from({ length: plan.slots.length });
    this.readInto(reader, plan, values, 0, depth);
    return memberwise(plan, values);
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

  // The same, which can be put down between fields: the members of lists and maps are some.

  *readStructInSlices(reader: ProtobufReader, plan: Plan, depth: number, pace: Pace): Sliced<JsonObject> {
    const values: (Json | undefined)[] = Array.from({ length: plan.slots.length });
    yield* this.readIntoInSlices(reader, plan, values, 0, depth, pace);
    return memberwise(plan, values);
  }

  private *readIntoInSlices(
    reader: ProtobufReader,
    plan: Plan,
    values: (Json | undefined)[],
    offset: number,
    depth: number,
    pace: Pace,
  ): Sliced<void> {
    if (depth > DEPTH_MAX) throw new ProtobufError('proto: nesting is too deep');
    let count = 0;
    while (!reader.done) {
      if ((count += 1) % LOOK_EVERY === 0 && pace.due()) yield;
      const { wireType, part } = this.readTag(reader, plan);
      if (part?.kind === 'inlined') {
        const message = reader.message();
        yield* this.readIntoInSlices(message, part.plan(), values, offset + part.offset, depth + 1, pace);
      } else if (part !== undefined) {
        const { field } = part;
        const slot = offset + part.slot;
        const type = field.type.kind === 'list' && !field.type.boxed ? field.type.element : field.type;
        let value: Json;
        if (wireType === BYTES && type.kind === 'struct') {
          value = yield* this.readStructInSlices(reader.message(), this.plans.of(type), depth + 1, pace);
        } else if (wireType === BYTES && type.kind === 'untyped' && type.form === 'raw') {
          value = yield* readRawInSlices(reader.message(), pace);
        } else {
          values[slot] = this.readField(reader, field, wireType, values[slot], depth);
          continue;
        }
        if (type === field.type) {
          values[slot] = value;
        } else {
          const before = values[slot];
          if (isFillingList(before)) before.push(value);
          else values[slot] = [value];
        }
      }
    }
  }

  /** What comes next; what nobody knows is passed over, and undefined. */
  private readTag(
    reader: ProtobufReader,
    plan: Plan,
  ): { readonly wireType: number; readonly part: Part | undefined } {
    const tag = reader.varint();
    const wireType = tag % 8;
    const number = Math.floor(tag / 8);
    if (number === 0) {
      throw new ProtobufError(`proto: ${plan.struct.name}: illegal tag ${number} (wire type ${tag})`);
    }
    const part = plan.byNumber.get(number);
    if (part === undefined) reader.skip(wireType, number);
    else if (part.kind === 'inlined') expectWireType(part.number, wireType, BYTES);
    return { wireType, part };
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
        return this.readStruct(reader.message(), this.plans.of(type), depth + 1);
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

/** What was read into a struct's slots, as an object. */
function memberwise({ slots }: Plan, values: readonly (Json | undefined)[]): JsonObject {
  const object: Record<string, Json> = {};
  for (let slot = 0; slot < slots.length; slot += 1) {
    const field = slots[slot];
    const value = values[slot] ?? absentValue(field);
    if (value !== undefined && !isDropped(field, value)) {
      object[field.name] = value;
    }
  }
  return object;
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
  const text = rawText(reader);
  return text === '' ? null : readJson(text);
}

function* readRawInSlices(reader: ProtobufReader, pace: Pace): Sliced<Json> {
  const text = rawText(reader);
  return text === '' ? null : yield* readJsonInSlices(text, {}, pace);
}

function rawText(reader: ProtobufReader): string {
  let raw: Buffer | undefined;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag >> 3 === 1 && tag % 8 === BYTES) raw = reader.view();
    else reader.skip(tag % 8, tag >> 3);
  }
  return raw === undefined ? '' : raw.toString('utf8');
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
