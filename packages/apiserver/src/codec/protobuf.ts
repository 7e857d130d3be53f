/**
 * Kubernetes protobuf, driven by the fact table: an object's JSON-shaped value to its message and back. A plan is
 * made of a struct when it is first met; nothing is generated and nothing is parsed at start.
 *
 * Presence follows Go's types. What is a value there is always written, zero or not; what is a pointer, a list or
 * a map only when it is there. Reading puts the members into Go's order and leaves out what omitempty leaves out.
 * Fields are written by ascending number and maps by ascending key: the same bytes as Kubernetes' own.
 */

import type { JsonObject } from '../api/json.ts';
import { LONG_BYTES, type Pace, type Sliced } from '../api/sliced.ts';
import type { StructSchema } from '../schema/type-schema.ts';
import { ProtobufDecoder } from './protobuf-decode.ts';
import { ProtobufEncoder } from './protobuf-encode.ts';
import { Plans } from './protobuf-plan.ts';
import { ProtobufReader, ProtobufWriter } from './protobuf-wire.ts';

/** Encodes and decodes structs of one type table. Plans are kept, so one codec serves a whole server. */
export class ProtobufCodec {
  private readonly plans = new Plans();
  private readonly encoder: ProtobufEncoder;
  private readonly decoder: ProtobufDecoder;

  /** @param schemaProps the type whose unions hold schemas again: apiextensions.v1.JSONSchemaProps */
  constructor(schemaProps: StructSchema) {
    this.encoder = new ProtobufEncoder(this.plans, schemaProps);
    this.decoder = new ProtobufDecoder(this.plans, schemaProps);
  }

  /**
   * The message of a struct, without envelope.
   *
   * @param value conforms to the schema (typed.ts): a member of another type is a mistake of ours
   */
  encode(struct: StructSchema, value: JsonObject): Buffer {
    const writer = new ProtobufWriter();
    this.encoder.writeStruct(writer, this.plans.of(struct), value);
    return writer.finish();
  }

  /** The same, which can be put down. */
  *encodeInSlices(struct: StructSchema, value: JsonObject, pace: Pace): Sliced<Buffer> {
    const writer = new ProtobufWriter(LONG_BYTES);
    yield* this.encoder.writeStructInSlices(writer, this.plans.of(struct), value, pace);
    return writer.finish();
  }

  /**
   * Reads a message, without envelope.
   *
   * @throws ProtobufError for bytes that are no such message; unknown fields are passed over
   */
  decode(struct: StructSchema, bytes: Buffer): JsonObject {
    return this.decoder.readStruct(new ProtobufReader(bytes), this.plans.of(struct), 0);
  }

  /** The same, which can be put down. @throws ProtobufError */
  decodeInSlices(struct: StructSchema, bytes: Buffer, pace: Pace): Sliced<JsonObject> {
    return this.decoder.readStructInSlices(new ProtobufReader(bytes), this.plans.of(struct), 0, pace);
  }
}
