/**
 * From an object's JSON-shaped value to its message: fields by ascending number, maps by ascending key, the same bytes
 * as Kubernetes' own. What is a value in Go is always written, zero or not; what is a pointer, a list or a map only when
 * it is there.
 */

import { JsonFloat, isJsonObject, type Json, type JsonObject } from '../api/json.ts';
import { namesOf } from '../api/member-names.ts';
import { LOOK_EVERY, type Pace, type Sliced } from '../api/sliced.ts';
import { sortedInSlices } from '../api/sorted.ts';
import type { FieldSchema, ScalarName, StructSchema, TypeSchema } from '../schema/type-schema.ts';
import { writeJson, writeJsonInSlices } from './json-writer.ts';
import type { Plan, Plans } from './protobuf-plan.ts';
import { BYTES, FIXED32, FIXED64, ProtobufError, ProtobufWriter, VARINT } from './protobuf-wire.ts';
import { parseDuration, parseTime, ZERO_SECONDS } from './times.ts';

export class ProtobufEncoder {
  private readonly plans: Plans;
  private readonly schemaProps: StructSchema;

  /** @param schemaProps the type whose unions hold schemas again */
  constructor(plans: Plans, schemaProps: StructSchema) {
    this.plans = plans;
    this.schemaProps = schemaProps;
  }

  writeStruct(writer: ProtobufWriter, plan: Plan, value: JsonObject): void {
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
        for (const key of keysFromLast(value)) this.writeEntry(writer, number, type.value, key, value[key]);
        return;
      default:
        if (field.pointer && (value === undefined || value === null)) return;
        this.writeOne(writer, number, type, value);
    }
  }

  private writeEntry(
    writer: ProtobufWriter,
    number: number,
    type: TypeSchema,
    key: string,
    value: Json,
  ): void {
    const before = writer.size;
    this.writeMapValue(writer, type, value);
    writer.string(key);
    writer.tag(1, BYTES);
    writer.varint(writer.size - before);
    writer.tag(number, BYTES);
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
        this.writeStruct(writer, this.plans.of(type), isJsonObject(value) ? value : {});
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

  // The same, which can be put down between the members of lists and maps.

  *writeStructInSlices(writer: ProtobufWriter, plan: Plan, value: JsonObject, pace: Pace): Sliced<void> {
    for (let index = plan.ascending.length - 1; index >= 0; index -= 1) {
      const part = plan.ascending[index];
      if (part.kind === 'inlined') {
        const before = writer.size;
        yield* this.writeStructInSlices(writer, part.plan(), value, pace);
        writer.varint(writer.size - before);
        writer.tag(part.number, BYTES);
      } else {
        const { field, number } = part;
        const member = Object.hasOwn(value, field.name) ? value[field.name] : undefined;
        if (typeof member === 'object' && member !== null) {
          yield* this.writeFieldInSlices(writer, number, field, member, pace);
        } else {
          this.writeField(writer, number, field, member);
        }
      }
    }
  }

  private *writeFieldInSlices(
    writer: ProtobufWriter,
    number: number,
    field: FieldSchema,
    value: Json,
    pace: Pace,
  ): Sliced<void> {
    const { type } = field;
    if (type.kind === 'list' && !type.boxed && Array.isArray(value)) {
      for (let index = value.length - 1; index >= 0; index -= 1) {
        if (index % LOOK_EVERY === 0 && pace.due()) yield;
        yield* this.writeOneInSlices(writer, number, type.element, value[index], pace);
      }
    } else if (type.kind === 'map' && isJsonObject(value)) {
      const keys = yield* sortedInSlices([...namesOf(value)], compareUtf8, pace);
      for (let index = keys.length - 1; index >= 0; index -= 1) {
        if (index % LOOK_EVERY === 0 && pace.due()) yield;
        this.writeEntry(writer, number, type.value, keys[index], value[keys[index]]);
      }
    } else if (type.kind === 'struct' || type.kind === 'untyped') {
      yield* this.writeOneInSlices(writer, number, type, value, pace);
    } else {
      this.writeField(writer, number, field, value);
    }
  }

  private *writeOneInSlices(
    writer: ProtobufWriter,
    number: number,
    type: TypeSchema,
    value: Json,
    pace: Pace,
  ): Sliced<void> {
    const before = writer.size;
    if (type.kind === 'struct' && isJsonObject(value)) {
      yield* this.writeStructInSlices(writer, this.plans.of(type), value, pace);
    } else if (type.kind === 'untyped' && type.form === 'raw' && value !== null) {
      writer.bytes(yield* writeJsonInSlices(value, '', pace));
      writer.tag(1, BYTES);
    } else {
      this.writeOne(writer, number, type, value);
      return;
    }
    writer.varint(writer.size - before);
    writer.tag(number, BYTES);
  }
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
