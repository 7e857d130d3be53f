/**
 * The JSON form of messages: protobuf's canonical mapping with the options of etcd's gateway (names as in the
 * .proto files, zeros left out, unknown names ignored). JSON becomes the bytes of a message and bytes become
 * JSON, without objects in between, so a 64-bit integer keeps all its digits. Driven by the generated
 * descriptors; a message's plan is made when it is first met. (protojson of Go's protobuf; error texts are its.)
 */
import type { FieldDescriptor, MessageDescriptor } from '@keelson/proto';
import type { JsonMember, JsonValue } from './json-reader.ts';

/** The generated tables. */
export interface Descriptors {
  readonly MESSAGES: Readonly<Record<string, MessageDescriptor>>;
  readonly ENUMS: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** The JSON is no such message. */
export class MappingError extends Error {
  override readonly name = 'MappingError';
}

const VARINT = 0;
const DELIMITED = 2;

type Plan =
  | { readonly is: 'scalar'; readonly scalar: string }
  | {
      readonly is: 'enum';
      readonly byName: ReadonlyMap<string, number>;
      readonly names: ReadonlyMap<number, string>;
    }
  | { readonly is: 'message'; readonly type: string };

interface FieldPlan {
  readonly descriptor: FieldDescriptor;
  readonly plan: Plan;
}

interface MessagePlan {
  /** In order of declaration, the order of output. */
  readonly fields: readonly FieldPlan[];
  readonly byName: ReadonlyMap<string, FieldPlan>;
  readonly byNumber: ReadonlyMap<number, FieldPlan>;
}

export class ProtoJson {
  private readonly descriptors: Descriptors;
  private readonly plans = new Map<string, MessagePlan>();

  constructor(descriptors: Descriptors) {
    this.descriptors = descriptors;
  }

  /**
   * A message's bytes from its JSON.
   * @param text what `value` was read from, for the places in error texts
   * @throws MappingError
   */
  encode(type: string, value: JsonValue, text: string): Buffer {
    const out = new WireWriter();
    new Encoder(this, text).message(out, type, value);
    return out.take();
  }

  /** A message's JSON from its bytes, compact. The bytes must be such a message: they are our own. */
  decode(type: string, bytes: Buffer): string {
    const { fields, byNumber } = this.planOf(type);
    const values = new Map<number, string[]>();
    const reader = new WireReader(bytes);
    while (reader.at < bytes.length) {
      const tag = Number(reader.varint());
      const field = byNumber.get(tag >>> 3);
      if (field === undefined) reader.skip(tag & 7);
      else this.readField(reader, field, tag & 7, values);
    }
    const parts: string[] = [];
    for (const { descriptor } of fields) {
      const found = values.get(descriptor.number);
      if (found === undefined) continue;
      const name = JSON.stringify(descriptor.name);
      parts.push(descriptor.repeated ? `${name}:[${found.join(',')}]` : `${name}:${found[found.length - 1]}`);
    }
    return `{${parts.join(',')}}`;
  }

  planOf(type: string): MessagePlan {
    const known = this.plans.get(type);
    if (known !== undefined) return known;
    const descriptor = this.descriptors.MESSAGES[type];
    if (descriptor === undefined) throw new MappingError(`there is no message ${type}`);
    const fields = descriptor.fields.map((field) => ({ descriptor: field, plan: this.planField(field) }));
    const byName = new Map<string, FieldPlan>();
    for (const field of fields) {
      byName.set(field.descriptor.name, field);
      byName.set(camelCase(field.descriptor.name), field);
    }
    const plan = { fields, byName, byNumber: new Map(fields.map((each) => [each.descriptor.number, each])) };
    this.plans.set(type, plan);
    return plan;
  }

  private planField({ type }: FieldDescriptor): Plan {
    if (Object.hasOwn(this.descriptors.MESSAGES, type)) return { is: 'message', type };
    if (!Object.hasOwn(this.descriptors.ENUMS, type)) return { is: 'scalar', scalar: type };
    const values = Object.entries(this.descriptors.ENUMS[type]);
    return {
      is: 'enum',
      byName: new Map(values),
      names: new Map(values.map(([name, number]) => [number, name])),
    };
  }

  private readField(
    reader: WireReader,
    { descriptor, plan }: FieldPlan,
    wireType: number,
    values: Map<number, string[]>,
  ): void {
    const { number, presence, repeated } = descriptor;
    const keep = (json: string, zero: boolean): void => {
      if (zero && presence === 'implicit' && !repeated) return;
      const list = values.get(number);
      if (list === undefined) values.set(number, [json]);
      else list.push(json);
    };
    if (wireType === DELIMITED) {
      const bytes = reader.bytes();
      if (plan.is === 'message') keep(this.decode(plan.type, bytes), false);
      else if (plan.is === 'scalar' && plan.scalar === 'string')
        keep(JSON.stringify(bytes.toString('utf8')), bytes.length === 0);
      else if (plan.is === 'scalar' && plan.scalar === 'bytes')
        keep(`"${bytes.toString('base64')}"`, bytes.length === 0);
      else {
        const packed = new WireReader(bytes);
        while (packed.at < bytes.length) keep(varintJson(plan, packed.varint()), false);
      }
    } else if (wireType === VARINT) {
      const value = reader.varint();
      keep(varintJson(plan, value), value === 0n);
    } else reader.skip(wireType);
  }
}

function varintJson(plan: Plan, value: bigint): string {
  if (plan.is === 'enum') {
    const number = Number(BigInt.asIntN(32, value));
    const name = plan.names.get(number);
    return name === undefined ? String(number) : JSON.stringify(name);
  }
  switch (plan.is === 'scalar' ? plan.scalar : '') {
    case 'bool':
      return value === 0n ? 'false' : 'true';
    case 'int32':
      return BigInt.asIntN(32, value).toString();
    case 'uint32':
      return BigInt.asUintN(32, value).toString();
    case 'int64':
      return `"${BigInt.asIntN(64, value).toString()}"`;
    default:
      return `"${value.toString()}"`;
  }
}

/** One walk over a JSON value. */
class Encoder {
  private readonly mapping: ProtoJson;
  private readonly text: string;

  constructor(mapping: ProtoJson, text: string) {
    this.mapping = mapping;
    this.text = text;
  }

  message(out: WireWriter, type: string, value: JsonValue): void {
    if (value.kind !== 'object') throw this.refused(value, `unexpected token ${this.token(value)}`);
    const { byName } = this.mapping.planOf(type);
    const seen = new Set<number | string>();
    for (const member of value.members) {
      const field = byName.get(member.name);
      if (field === undefined) continue;
      this.once(seen, field.descriptor, member);
      if (member.value.kind !== 'null') this.field(out, field, member.value);
    }
  }

  private once(seen: Set<number | string>, { number, oneof }: FieldDescriptor, member: JsonMember): void {
    if (seen.has(number)) throw this.refused(member, `duplicate field "${member.name}"`);
    seen.add(number);
    if (oneof === undefined || member.value.kind === 'null') return;
    if (seen.has(oneof))
      throw this.refused(member, `error parsing "${member.name}", oneof ${oneof} is already set`);
    seen.add(oneof);
  }

  private field(out: WireWriter, { descriptor, plan }: FieldPlan, value: JsonValue): void {
    if (!descriptor.repeated) {
      this.single(out, descriptor, plan, value);
      return;
    }
    if (value.kind !== 'array') throw this.refused(value, `unexpected token ${this.token(value)}`);
    for (const item of value.items) this.single(out, descriptor, plan, item);
  }

  private single(out: WireWriter, descriptor: FieldDescriptor, plan: Plan, value: JsonValue): void {
    const { number, name } = descriptor;
    if (plan.is === 'message') {
      const inner = new WireWriter();
      this.message(inner, plan.type, value);
      out.delimited(number, inner.take());
      return;
    }
    if (plan.is === 'enum') {
      const chosen = this.enumValue(plan.byName, name, value);
      if (chosen !== undefined) this.varint(out, descriptor, chosen);
      return;
    }
    switch (plan.scalar) {
      case 'bool':
        if (value.kind !== 'boolean') throw this.invalid(plan.scalar, name, value);
        this.varint(out, descriptor, value.value ? 1n : 0n);
        return;
      case 'string':
        if (value.kind !== 'string' || LONE_SURROGATE.test(value.value))
          throw this.invalid(plan.scalar, name, value);
        this.delimited(out, descriptor, Buffer.from(value.value, 'utf8'));
        return;
      case 'bytes': {
        const bytes = value.kind === 'string' ? fromBase64(value.value) : undefined;
        if (bytes === undefined) throw this.invalid(plan.scalar, name, value);
        this.delimited(out, descriptor, bytes);
        return;
      }
      default: {
        const integer = integerOf(value);
        if (integer === undefined || !fits(plan.scalar, integer))
          throw this.invalid(plan.scalar, name, value);
        this.varint(out, descriptor, BigInt.asUintN(64, integer));
      }
    }
  }

  /** Undefined for a name that this build does not know: ignored, like unknown fields. */
  private enumValue(
    byName: ReadonlyMap<string, number>,
    field: string,
    value: JsonValue,
  ): bigint | undefined {
    if (value.kind === 'string') {
      const number = byName.get(value.value);
      return number === undefined ? undefined : BigInt(number);
    }
    const integer = value.kind === 'number' ? integerOf(value) : undefined;
    if (integer === undefined || !fits('int32', integer)) throw this.invalid('enum', field, value);
    return BigInt.asUintN(64, integer);
  }

  private varint(out: WireWriter, { number, presence, repeated }: FieldDescriptor, value: bigint): void {
    if (value !== 0n || presence !== 'implicit' || repeated) out.varint(number, value);
  }

  private delimited(out: WireWriter, { number, presence, repeated }: FieldDescriptor, bytes: Buffer): void {
    if (bytes.length > 0 || presence !== 'implicit' || repeated) out.delimited(number, bytes);
  }

  private invalid(scalar: string, field: string, value: JsonValue): MappingError {
    return this.refused(value, `invalid value for ${scalar} field ${field}: ${this.token(value)}`);
  }

  private refused(where: { readonly at: number }, why: string): MappingError {
    const before = this.text.slice(0, where.at).split('\n');
    const column = before[before.length - 1].length + 1;
    return new MappingError(`proto: (line ${before.length}:${column}): ${why}`);
  }

  /** The value as it was written, or the bracket it begins with. */
  private token(value: JsonValue): string {
    switch (value.kind) {
      case 'object':
        return '{';
      case 'array':
        return '[';
      case 'string':
        return JSON.stringify(value.value);
      case 'number':
        return value.text;
      case 'boolean':
        return String(value.value);
      case 'null':
        return 'null';
    }
  }
}

const INTEGER = /^-?(?:0|[1-9][0-9]*)$/;
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

/** An integer, also where it is written as 1e3 or 5.0; undefined for everything else. */
function integerOf(value: JsonValue): bigint | undefined {
  const text = value.kind === 'number' ? value.text : value.kind === 'string' ? value.value : '';
  if (INTEGER.test(text)) return text.length > 40 ? undefined : BigInt(text);
  if (!NUMBER.test(text)) return undefined;
  const number = Number(text);
  return Number.isSafeInteger(number) ? BigInt(number) : undefined;
}

function fits(scalar: string, integer: bigint): boolean {
  switch (scalar) {
    case 'int32':
      return BigInt.asIntN(32, integer) === integer;
    case 'uint32':
      return BigInt.asUintN(32, integer) === integer;
    case 'int64':
      return BigInt.asIntN(64, integer) === integer;
    default:
      return BigInt.asUintN(64, integer) === integer;
  }
}

const LONE_SURROGATE = /[\ud800-\udfff]/u;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Standard or URL alphabet, padded or not, as protojson takes it; undefined for anything else. */
function fromBase64(text: string): Buffer | undefined {
  const standard = text
    .replace(/[\r\n]/g, '')
    .replaceAll('-', '+')
    .replaceAll('_', '/');
  if (!BASE64.test(standard)) return undefined;
  const unpadded = standard.replace(/=+$/, '');
  if (unpadded.length % 4 === 1) return undefined;
  if (standard !== unpadded && standard.length % 4 !== 0) return undefined;
  return Buffer.from(standard, 'base64');
}

/** protoc's JSON name: underscores go, the letter after each becomes upper case. */
function camelCase(name: string): string {
  return name.replace(/_+([a-z0-9])?/g, (_, letter: string | undefined) => letter?.toUpperCase() ?? '');
}

class WireWriter {
  private readonly parts: Buffer[] = [];

  varint(field: number, value: bigint): void {
    this.parts.push(varintBytes(BigInt(field * 8 + VARINT)), varintBytes(value));
  }

  delimited(field: number, bytes: Buffer): void {
    this.parts.push(varintBytes(BigInt(field * 8 + DELIMITED)), varintBytes(BigInt(bytes.length)), bytes);
  }

  take(): Buffer {
    return Buffer.concat(this.parts);
  }
}

function varintBytes(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

class WireReader {
  at = 0;
  private readonly data: Buffer;

  constructor(data: Buffer) {
    this.data = data;
  }

  /** 64 bits, unsigned. */
  varint(): bigint {
    let value = 0n;
    let low = 0;
    // The first four groups fit a small integer: most values end there.
    for (let i = 0; i < 10; i++) {
      const byte = this.next();
      if (i < 4) low |= (byte & 0x7f) << (7 * i);
      else value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return BigInt.asUintN(64, value | BigInt(low));
    }
    throw new MappingError('a varint of more than 10 bytes');
  }

  bytes(): Buffer {
    const length = Number(this.varint());
    if (length > this.data.length - this.at) throw new MappingError('a field runs past its message');
    this.at += length;
    return this.data.subarray(this.at - length, this.at);
  }

  skip(wireType: number): void {
    if (wireType === VARINT) this.varint();
    else if (wireType === DELIMITED) this.bytes();
    else if (wireType === 1) this.at += 8;
    else if (wireType === 5) this.at += 4;
    else throw new MappingError(`wire type ${wireType}`);
  }

  private next(): number {
    if (this.at >= this.data.length) throw new MappingError('a message ends within a field');
    return this.data[this.at++];
  }
}
